# SPDX-License-Identifier: Apache-2.0
"""Every algorithm of ours that OpenSSH's sshd offers: in pairs, with a renewal of keys in the middle of a transfer.

The pairs cover each (key exchange, host key), (key exchange, cipher and MAC), (host key, cipher and MAC), and each of
them with a renewal asked for by either side. `make test-full` takes the whole product with longer transfers.
"""

import itertools

import pytest

from harness.algorithms import AEADS, CIPHERS, HOST_KEYS, KEY_EXCHANGES, MACS, PLAIN, all_pairs, each_once
from harness.culvert import SMALL, local_forward
from harness.sockets import echo_both_ways

RENEWED_BY = ["server", "client"]

SIZE = (1 if SMALL else 8) << 20
RENEW_AFTER = SIZE // 4


PAIRS = (each_once if SMALL else all_pairs)(KEY_EXCHANGES, HOST_KEYS, CIPHERS, RENEWED_BY)
PRODUCT = list(itertools.product(KEY_EXCHANGES, HOST_KEYS, CIPHERS, RENEWED_BY))


def name(row) -> str:
    kex, host_key, (cipher, mac), renewed_by = row
    return "-".join([kex, host_key, cipher, *([] if mac == "<implicit>" else [mac]), renewed_by])


@pytest.fixture(scope="module")
def servers(make_sshd, host_keys):
    """One that asks for new keys often, one that never does."""
    common = {"KexAlgorithms": ",".join(KEY_EXCHANGES), "HostKeyAlgorithms": ",".join(HOST_KEYS),
              "Ciphers": ",".join(AEADS + PLAIN), "MACs": ",".join(MACS)}
    kinds = tuple(host_keys)
    with make_sshd({**common, "RekeyLimit": str(RENEW_AFTER)}, kinds) as often, make_sshd(common, kinds) as never:
        yield {"server": often, "client": never}


def transfer(servers, folder, echo_server, row, size, renew_after):
    kex, host_key, (cipher, mac), renewed_by = row
    server = servers[renewed_by]
    before = len(server.process.lines)
    options = {"KexAlgorithms": kex, "HostKeyAlgorithms": host_key, "Ciphers": cipher}
    if mac != "<implicit>":
        options["MACs"] = mac
    if renewed_by == "client":
        options["RekeyLimit"] = str(renew_after)
    forward, port = local_forward(server, folder, echo_server.port, options=options)
    with forward:
        echo_both_ways(port, size)
        assert forward.stop() == 0, forward.text
    log = "\n".join(server.process.lines[before:])
    assert f"kex: algorithm: {kex} " in log or f"kex: algorithm: {kex}\n" in log
    assert f"kex: host key algorithm: {host_key} " in log or f"kex: host key algorithm: {host_key}\n" in log
    assert f"kex: client->server cipher: {cipher} MAC: {mac} " in log
    assert f"kex: server->client cipher: {cipher} MAC: {mac} " in log
    assert log.count("SSH2_MSG_NEWKEYS received") >= 2, "keys were not renewed:\n" + log


@pytest.mark.parametrize("row", PAIRS, ids=name)
def test_pairs_of_algorithms(servers, folder, echo_server, row):
    transfer(servers, folder, echo_server, row, SIZE, RENEW_AFTER)


@pytest.mark.full
@pytest.mark.parametrize("row", PRODUCT, ids=name)
def test_every_combination(servers, folder, echo_server, row):
    transfer(servers, folder, echo_server, row, 64 << 20, 16 << 20)


def test_both_sides_renew_keys_at_the_same_time(servers, folder, echo_server):
    forward, port = local_forward(servers["server"], folder, echo_server.port, options={"RekeyLimit": str(RENEW_AFTER)})
    with forward:
        for _ in range(4):
            echo_both_ways(port, SIZE)
        assert forward.stop() == 0


def test_our_choice_without_options(servers, folder, echo_server):
    """Out of the box: the first of our order that this server has too, and strict key exchange where it is offered."""
    server = servers["client"]
    before = len(server.process.lines)
    forward, port = local_forward(server, folder, echo_server.port)
    with forward:
        echo_both_ways(port, 10_000)
    log = "\n".join(server.process.lines[before:])
    assert f"kex: algorithm: {KEY_EXCHANGES[0]}" in log
    assert "kex: host key algorithm: ssh-ed25519" in log
    assert any(f"cipher: {cipher} " in log for cipher in AEADS)


@pytest.mark.parametrize("line", [
    ("RekeyLimit", "default 1s"),
    ("ClientAliveInterval", "1"),
    ("Compression", "no"),
    ("TCPKeepAlive", "no"),
    ("Banner", "BANNER"),
    ("VersionAddendum", "a longer identification line"),
], ids=lambda line: line[0])
def test_settings_of_the_server(make_sshd, folder, echo_server, line):
    """What a server may be set to, over a connection that lives a little longer than a second."""
    option, value = line
    if value == "BANNER":
        value = str(folder / "banner")
        (folder / "banner").write_text("Authorised use only.\n" * 20)
    with make_sshd({option: value}) as server:
        forward, port = local_forward(server, folder, echo_server.port)
        with forward:
            import time
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                echo_both_ways(port, 100_000)
                time.sleep(0.2)
            assert forward.stop() == 0

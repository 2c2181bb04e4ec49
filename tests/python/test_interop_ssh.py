# SPDX-License-Identifier: Apache-2.0
"""Every algorithm of ours that OpenSSH's client has, between it and `culvert serve`, with a renewal of keys in the middle of
transfers both ways."""

import pytest

from harness.algorithms import CIPHERS, HOST_KEYS, KEY_EXCHANGES, each_once
from harness.clients import client
from harness.culvert import SMALL
from harness.proxy import SOCKS5
from harness.sockets import echo_both_ways, free_port, receive_exactly

SIZE = (1 if SMALL else 8) << 20
RENEW_AFTER = SIZE // 4


def name(row) -> str:
    kex, host_key, (cipher, mac) = row
    return "-".join([kex, host_key, cipher, *([] if mac == "<implicit>" else [mac])])


@pytest.mark.parametrize("row", each_once(KEY_EXCHANGES, HOST_KEYS, CIPHERS), ids=name)
def test_algorithms(serve, host_keys, folder, echo_server, row):
    kex, host_key, (cipher, mac) = row
    server = serve("--allow-all", kinds=tuple(host_keys))
    options = {"KexAlgorithms": kex, "HostKeyAlgorithms": host_key, "Ciphers": cipher, "RekeyLimit": str(RENEW_AFTER),
               "LogLevel": "DEBUG3"}
    if mac != "<implicit>":
        options["MACs"] = mac
    near, far = free_port(), free_port()
    target = f"127.0.0.1:{echo_server.port}"
    with client("ssh", server, folder, "-L", f"{near}:{target}", "-R", f"{far}:{target}", ports=(near, far),
                options=options) as process:
        for port in (near, far):
            echo_both_ways(port, SIZE)
        log = process.text
    assert f"kex: algorithm: {kex}\n" in log
    assert f"kex: host key algorithm: {host_key}\n" in log
    for direction in ("server->client", "client->server"):
        assert f"kex: {direction} cipher: {cipher} MAC: {mac} " in log
    assert "will use strict KEX ordering" in log
    assert log.count("SSH2_MSG_NEWKEYS received") >= 2, "keys were not renewed:\n" + log


def test_their_choice_without_options(serve, folder, echo_server):
    """The first of our order, which is post-quantum with an OpenSSH that has it; and nothing that it warns of."""
    server = serve("--allow-all")
    near, far, dynamic = free_port(), free_port(), free_port()
    target = f"127.0.0.1:{echo_server.port}"
    with client("ssh", server, folder, "-v", "-L", f"{near}:{target}", "-R", f"{far}:{target}", "-D", str(dynamic),
                ports=(near, far, dynamic)) as process:
        for port in (near, far):
            echo_both_ways(port, 100_000)
        with SOCKS5.connect(dynamic, "localhost", echo_server.port) as s:
            s.sendall(b"through")
            assert receive_exactly(s, 7) == b"through"
        log = process.text
    assert f"kex: algorithm: {KEY_EXCHANGES[0]}\n" in log
    assert "WARNING" not in log and "post-quantum" not in log

# SPDX-License-Identifier: Apache-2.0
"""dropbear: another server, with smaller windows and packets and a shorter list of algorithms."""

import pytest

from harness.culvert import SMALL, Culvert, local_forward
from harness.proxy import SOCKS5
from harness.servers import Dropbear
from harness.sockets import echo_both_ways, free_port, receive_exactly

SIZE = (1 if SMALL else 8) << 20
HOST_KEYS = {"ed25519": "ssh-ed25519", "ecdsa256": "ecdsa-sha2-nistp256", "rsa": "rsa-sha2-256"}
KEY_EXCHANGES = ["curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
                 "ecdh-sha2-nistp521", "diffie-hellman-group14-sha256"]
CIPHERS = [("chacha20-poly1305@openssh.com", None), ("aes128-ctr", "hmac-sha2-256"), ("aes256-ctr", "hmac-sha2-256")]


@pytest.fixture(scope="module")
def dropbear(shared_folder, account, user_key):
    if not account.is_jailed:
        pytest.skip("dropbear reads keys from the home folder only: needs root and mount namespaces")
    with Dropbear(shared_folder, account, [user_key], HOST_KEYS) as server:
        yield server


def transfer(server, folder, echo_server, **options):
    forward, port = local_forward(server, folder, echo_server.port, options=options)
    with forward:
        echo_both_ways(port, SIZE)
        assert forward.stop() == 0, forward.text


def test_our_choice_without_options(dropbear, folder, echo_server):
    transfer(dropbear, folder, echo_server)


@pytest.mark.parametrize("kind", HOST_KEYS)
def test_host_keys(dropbear, folder, echo_server, kind):
    transfer(dropbear, folder, echo_server, HostKeyAlgorithms=HOST_KEYS[kind])


@pytest.mark.parametrize("kex", KEY_EXCHANGES)
def test_key_exchanges(dropbear, folder, echo_server, kex):
    transfer(dropbear, folder, echo_server, KexAlgorithms=kex)


@pytest.mark.parametrize("cipher,mac", CIPHERS)
def test_ciphers_with_renewal_of_keys(dropbear, folder, echo_server, cipher, mac):
    transfer(dropbear, folder, echo_server, Ciphers=cipher, RekeyLimit=str(SIZE // 4), **({"MACs": mac} if mac else {}))


def test_largest_window(shared_folder, account, user_key, folder, echo_server, dropbear):
    with Dropbear(shared_folder, account, [user_key], arguments=["-W", "10485760"]) as server:
        transfer(server, folder, echo_server)


def test_remote_forwards_and_proxies(dropbear, folder, echo_server):
    """What it listens for, which is not told apart from what sshd does; and a port that it has already."""
    remote, dynamic, both = (free_port() for _ in range(3))
    target = ("127.0.0.1", echo_server.port)
    arguments = ["-R", f"{remote}:127.0.0.1:{echo_server.port}", "-D", str(dynamic), "-R", str(both)]
    with Culvert(dropbear, folder, [], arguments=arguments) as forward:
        echo_both_ways(remote, SIZE)
        for proxy in (dynamic, both):
            with SOCKS5.connect(proxy, *target) as s:
                s.sendall(b"through")
                assert receive_exactly(s, 7) == b"through"
        with Culvert(dropbear, folder, [], arguments=arguments[:2], ready=False) as second:
            second.wait_for(f"remote localhost:{remote}: the server refuses to listen")
            assert second.wait() == 255
        assert forward.stop() == 0, forward.text

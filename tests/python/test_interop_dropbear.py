# SPDX-License-Identifier: Apache-2.0
"""dropbear: another server, with smaller windows and packets and a shorter list of algorithms."""

import pytest

from harness.culvert import SMALL, local_forward
from harness.servers import Dropbear
from harness.sockets import echo_both_ways

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

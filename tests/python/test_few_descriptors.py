# SPDX-License-Identifier: Apache-2.0
"""Clients who say nothing, or do not go, when a process may have few descriptors."""

import contextlib
import socket
import ssl

import pytest

from harness.culvert import SMALL
from harness.direct import Direct
from harness.sockets import DEADLINE, Server, check_echo, connect, datagram_echo, echo, receive_exactly

pytestmark = pytest.mark.skipif(
    SMALL, reason="a sanitizer opens a pipe to check an object's type, and takes a lack of descriptors for a bad object")

LIMITED = ("sh", "-c", 'ulimit -n 256 && exec "$0" "$@"')
SILENT = 300
HEADER = b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 80\r\n"


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="a.example.org").do_handshake()
    return outgoing.read()


def through_proxy(client: socket.socket, target: int) -> None:
    client.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: a\r\n\r\n" % target)
    assert client.recv(1000).startswith(b"HTTP/1.1 200")
    client.sendall(b"hello")
    assert receive_exactly(client, 5) == b"hello"


def behind_header(client: socket.socket, _target: int) -> None:
    client.sendall(HEADER + b"hello")
    assert receive_exactly(client, 5) == b"hello"


def with_server_name(client: socket.socket, _target: int) -> None:
    hello = client_hello()
    client.sendall(hello)
    assert receive_exactly(client, len(hello)) == hello


KINDS = {
    "proxy": (through_proxy, lambda target: ("proxy", "0", "--connect", "127.0.0.0/8:*")),
    "header": (behind_header, lambda target: ("map", "0", f"127.0.0.1:{target}", "--accept-proxy", "127.0.0.0/8")),
    "sni": (with_server_name, lambda target: ("map", "0", "-", "--sni", f"*=127.0.0.1:{target}")),
}


def check(culvert: Direct, talk, target: int) -> None:
    """In turn, and several at once."""
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            for _ in range(40):
                talk(stack.enter_context(connect(culvert.port, timeout=20)), target)
    assert "cannot take more connections" not in culvert.text


@pytest.mark.parametrize("kind", KINDS)
def test_clients_who_say_nothing_keep_nobody_out(kind):
    talk, arguments = KINDS[kind]
    with Server(echo) as target, Direct(*arguments(target.port), before=LIMITED) as culvert, contextlib.ExitStack() as stack:
        for _ in range(SILENT):
            stack.enter_context(connect(culvert.port))
        check(culvert, talk, target.port)
        culvert.wait_for("descriptors run out: cutting off the oldest")


def test_a_flood_of_datagrams_keeps_nobody_out():
    with (datagram_echo() as flooded, datagram_echo() as other, Server(echo) as target, contextlib.ExitStack() as stack,
          Direct("map", "udp/127.0.0.1:0", f"127.0.0.1:{flooded.port}", "udp/127.0.0.1:0", f"127.0.0.1:{other.port}",
                 "127.0.0.1:0", f"127.0.0.1:{target.port}", "--threads", 2, before=LIMITED) as culvert):
        for _ in range(2 * SILENT):
            client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            client.settimeout(DEADLINE)
            client.connect(("127.0.0.1", culvert.ports[0]))
            client.send(b"hello")
            assert client.recv(100) == b"re:hello"
        for _ in range(5):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(DEADLINE)
                client.connect(("127.0.0.1", culvert.ports[1]))
                client.send(b"hello")
                assert client.recv(100) == b"re:hello"
            with connect(culvert.ports[2]) as client:
                check_echo(client)


def test_refused_clients_who_stay_keep_nobody_out():
    talk, arguments = KINDS["proxy"]
    with Server(echo) as target, Direct(*arguments(target.port), before=LIMITED) as culvert, contextlib.ExitStack() as stack:
        for _ in range(SILENT):
            client = stack.enter_context(connect(culvert.port))
            client.sendall(b"CONNECT 10.0.0.1:1 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 403")
        check(culvert, talk, target.port)

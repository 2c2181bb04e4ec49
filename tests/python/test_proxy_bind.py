# SPDX-License-Identifier: Apache-2.0
"""SOCKS BIND (RFC 1928 section 4 and 6, and the text of SOCKS 4) of `culvert proxy`: who may come, and who may not."""

import socket
import time

import pytest

from harness import proxy as px
from harness.direct import proxied
from harness.proxies import HERE
from harness.resources import listening
from harness.sockets import assert_resets, connect, receive_all, receive_exactly

OPEN = [word for rule in HERE for word in ("--connect", rule)]


@pytest.fixture(scope="module")
def proxy():
    with proxied("-v", "127.0.0.1:0", *OPEN) as running:
        yield running


def ask(proxy, host, port):
    """The client's connection, and the first reply."""
    s = connect(proxy.port)
    s.sendall(b"\x05\x01\0" + px.request5(host, port, px.BIND))
    assert receive_exactly(s, 2) == b"\x05\0"
    return s, px.reply5(s)


def come(where, source="127.0.0.1"):
    return socket.create_connection(where, timeout=60, source_address=(source, 0))


@pytest.mark.parametrize("expected,source", [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("127.0.0.7", "127.0.0.7"), ("localhost", "127.0.0.1")])
def test_who_was_named_is_joined(proxy, expected, source):
    if expected == "localhost" and socket.getaddrinfo("localhost", 9)[0][0] != socket.AF_INET:
        source = "::1"  # where it listens faces the first address
    s, (code, host, port) = ask(proxy, expected, 9)
    with s:
        assert code == 0 and (":" in host) == (":" in source)
        with come((host, port), source) as peer:
            code, *who = px.reply5(s)
            assert (code, *who) == (0, source, peer.getsockname()[1])
            s.sendall(b"to the peer")
            assert receive_exactly(peer, 11) == b"to the peer"
            peer.sendall(b"to the client")
            peer.shutdown(socket.SHUT_WR)
            assert receive_all(s) == b"to the client"
            s.shutdown(socket.SHUT_WR)
            assert receive_all(peer) == b""
            with pytest.raises(ConnectionRefusedError):
                come((host, port), source)


def test_others_are_turned_away(proxy):
    s, (code, host, port) = ask(proxy, "127.0.0.7", 9)
    with s:
        assert code == 0
        for _ in range(3):
            assert_resets((host, port), source="127.0.0.8")
        with come((host, port), "127.0.0.7") as peer:
            assert px.reply5(s)[:2] == (0, "127.0.0.7")
            peer.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"


def test_too_many_others_end_it(proxy):
    s, (_, host, port) = ask(proxy, "127.0.0.7", 9)
    with s:
        for _ in range(64):
            assert_resets((host, port), source="127.0.0.8")
        assert px.reply5(s)[0] == 2
        assert receive_all(s) == b""


def test_nobody_is_listened_for_who_may_not_be_reached():
    with proxied("127.0.0.1:0", "--connect", "127.0.0.7:21", "--connect", "!*.forbidden:*") as proxy:
        before = listening(proxy.pid)
        for host, port in (("127.0.0.8", 21), ("127.0.0.7", 22), ("a.forbidden", 21)):
            s, reply = ask(proxy, host, port)
            with s:
                assert reply == (2, "0.0.0.0", 0)
                assert receive_all(s) == b""
        assert listening(proxy.pid) == before
        proxy.wait_for("-> 127.0.0.8:21: not permitted: ")
        s, (code, host, port) = ask(proxy, "127.0.0.7", 21)
        with s, come((host, port), "127.0.0.7"):
            assert code == 0 and px.reply5(s)[0] == 0


@pytest.mark.parametrize("named", [("0.0.0.0", 21), ("127.0.0.7", 0)])
def test_who_was_not_named_is_judged_when_it_comes(named):
    with proxied("127.0.0.1:0", "--connect", "127.0.0.7:*") as proxy:
        s, (code, host, port) = ask(proxy, *named)
        with s:
            assert (code, host) == (0, "127.0.0.1"), "the address that the client came to"
            where = (host, port)
            assert_resets(where, source="127.0.0.8")
            with come(where, "127.0.0.7"):
                assert px.reply5(s)[:2] == (0, "127.0.0.7")


def test_socks4(proxy):
    with connect(proxy.port) as s:
        s.sendall(px.request4("127.0.0.1", 9, px.BIND))
        reply = receive_exactly(s, 8)
        assert reply[:2] == b"\0\x5a"
        with come((socket.inet_ntoa(reply[4:]), int.from_bytes(reply[2:4], "big"))) as peer:
            assert receive_exactly(s, 8)[:2] == b"\0\x5a"
            peer.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"


def test_a_client_that_leaves_takes_its_listener_along(proxy):
    before = listening(proxy.pid)
    s, (code, *_) = ask(proxy, "127.0.0.1", 9)
    assert code == 0 and len(listening(proxy.pid)) == len(before) + 1
    s.close()
    deadline = time.monotonic() + 60
    while listening(proxy.pid) != before:
        assert time.monotonic() < deadline, "it still listens"
        time.sleep(0.01)


def test_who_may_come_to_any_address_is_told_the_advertised_one():
    with proxied("127.0.0.1:0", "--connect", "127.0.0.7:*", "--advertise", "127.0.0.5") as proxy:
        s, (code, host, port) = ask(proxy, "0.0.0.0", 0)
        with s, come((host, port), "127.0.0.7"):
            assert (code, host) == (0, "127.0.0.5") and px.reply5(s)[0] == 0

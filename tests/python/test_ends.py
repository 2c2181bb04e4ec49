# SPDX-License-Identifier: Apache-2.0
"""What a relay must keep: each direction ends by itself, and a reset ends both. On every pairing of -L and -R."""

import hashlib
import itertools
import socket

import pytest

from harness.culvert import Culvert
from harness.sockets import (Server, connect, digest_sink, free_port, receive_all, receive_exactly, reset, test_data)

PAIRINGS = list(itertools.product(["-L", "-R"], ["tcp", "unix"], ["tcp", "unix"]))


@pytest.fixture(params=PAIRINGS, ids=" ".join)
def pairing(request, sshd, folder):
    """start(handler) -> where to connect to; the server with that handler is behind it."""
    opened = []
    option, listener, target = request.param

    def start(handler):
        server = Server(handler, path=str(folder / "target") if target == "unix" else None)
        opened.append(server)
        place = str(folder / "listener") if listener == "unix" else free_port()
        forward = f"{place}:{server.path or f'127.0.0.1:{server.port}'}"
        opened.append(Culvert(sshd, folder, [], arguments=[option, forward]))
        return place, server

    yield start
    for thing in reversed(opened):
        thing.stop() if isinstance(thing, Culvert) else thing.close()


def test_end_of_sending_is_passed_on_and_the_answer_still_comes(pairing):
    data = test_data(100_000)
    near, _ = pairing(digest_sink)
    with connect(near) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        assert receive_all(s) == hashlib.sha256(data).digest()


def test_the_other_direction_may_end_first(pairing):
    received = []

    def says_goodbye_then_listens(s):
        s.sendall(b"that was all")
        s.shutdown(socket.SHUT_WR)
        received.append(receive_all(s))

    near, server = pairing(says_goodbye_then_listens)
    data = test_data(100_000)
    with connect(near) as s:
        assert receive_all(s) == b"that was all"
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        assert server.wait_until(lambda _: received)
    assert received == [data]


def test_resets_end_the_other_side(pairing):
    """The client's, then the target's. SSH has no word for a reset: what counts is that it ends at once."""
    ended = []

    def wait_for_the_end(s):
        s.sendall(b"here")
        if not ended:
            try:
                ended.append(receive_all(s))
            except ConnectionResetError:
                ended.append(b"reset")
        else:
            reset(s)

    near, server = pairing(wait_for_the_end)
    s = connect(near)
    receive_exactly(s, 4)
    reset(s)
    assert server.wait_until(lambda _: ended), "the target was never told"
    with connect(near) as s:
        try:
            assert receive_all(s) in (b"", b"here")
        except ConnectionResetError:
            pass

# SPDX-License-Identifier: Apache-2.0
"""Streams of every kind at either end of `culvert map`, and from `culvert proxy`: much data in both directions past ends that
stall, directions that end one at a time, and resets in the middle."""

import contextlib
import hashlib
import itertools
import os
import socket
import threading
import time

import pytest

from harness.culvert import SMALL
from harness.direct import mapped, proxied
from harness.proxy import SOCKS5
from harness.sockets import CHUNK, DEADLINE, Server, connect, receive_all, receive_exactly, reset, test_data

SIZE = (2 if SMALL else 64) << 20
KINDS = ("tcp", "unix", "abstract")
# "proxy": a client of `culvert proxy`, which listens at the kind that follows.
PAIRINGS = [*itertools.product(KINDS, KINDS), ("proxy-tcp", "tcp"), ("proxy-unix", "tcp")]
EVERY_PAIRING = pytest.mark.parametrize("near,far", PAIRINGS, ids=["-".join(pair) for pair in PAIRINGS])


@pytest.fixture(scope="module")
def data():
    return test_data(SIZE)


class Path:
    """A way from a client to `handler`, by the kinds of its two ends."""

    def __init__(self, near, far, folder, handler):
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            name = f"culvert-{os.getpid()}-{folder.name}"
            path = {"tcp": None, "unix": f"{folder}/far", "abstract": f"\0{name}-far"}[far]
            self.server = stack.enter_context(Server(handler, path=path))
            target = f"127.0.0.1:{self.server.port}" if path is None else path.replace("\0", "@")
            listen = {"tcp": "127.0.0.1:0", "unix": f"{folder}/near", "abstract": f"@{name}-near"}[near.removeprefix("proxy-")]
            self._asks = near.startswith("proxy-")
            if self._asks:
                self.culvert = stack.enter_context(proxied(listen, "--connect", "127.0.0.1:*"))
            else:
                self.culvert = stack.enter_context(mapped(listen, target))
            self._near = self.culvert.port if listen == "127.0.0.1:0" else listen.replace("@", "\0")
            self._stack = stack.pop_all()

    def connect(self) -> socket.socket:
        if self._asks:
            return SOCKS5.connect(self._near, "127.0.0.1", self.server.port)
        return connect(self._near)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return self._stack.__exit__(*exception)


def stall(taken: int, before: int) -> None:
    """Now and then, long enough that all that is between the ends fills up."""
    if taken // (SIZE // 4) != before // (SIZE // 4):
        time.sleep(0.05)


def take(s: socket.socket) -> bytes:
    """The digest of all that comes, read with pauses."""
    digest, count = hashlib.sha256(), 0
    while part := s.recv(CHUNK):
        digest.update(part)
        stall(count + len(part), count)
        count += len(part)
    return digest.digest()


def give(s: socket.socket, data: bytes) -> None:
    for at in range(0, len(data), CHUNK):
        s.sendall(data[at:at + CHUNK])
        stall(at + CHUNK, at)


@EVERY_PAIRING
def test_much_data_both_ways_past_stalls(near, far, folder, data):
    """Both ends send and take at the same time. The client's direction ends first, so the target's answer to that comes over a
    stream that is half closed."""
    back = data[::-1]

    def serve(s):
        giving = threading.Thread(target=give, args=(s, back), daemon=True)
        giving.start()
        heard = take(s)
        giving.join(DEADLINE)
        s.sendall(heard)
        s.shutdown(socket.SHUT_WR)

    with Path(near, far, folder, serve) as path, path.connect() as s:
        def send():
            give(s, data)
            s.shutdown(socket.SHUT_WR)

        giving = threading.Thread(target=send, daemon=True)
        giving.start()
        digest, count = hashlib.sha256(), 0
        while count < len(back):
            part = s.recv(min(CHUNK, len(back) - count))
            assert part, f"{count} bytes came"
            digest.update(part)
            stall(count + len(part), count)
            count += len(part)
        giving.join(DEADLINE)
        assert digest.digest() == hashlib.sha256(back).digest()
        assert receive_all(s) == hashlib.sha256(data).digest()


@EVERY_PAIRING
def test_the_target_ends_its_direction_first(near, far, folder):
    heard = []

    def serve(s):
        s.sendall(b"that was all")
        s.shutdown(socket.SHUT_WR)
        heard.append(receive_all(s))

    with Path(near, far, folder, serve) as path, path.connect() as s:
        assert receive_all(s) == b"that was all"
        s.sendall(b"but not from here")
        s.shutdown(socket.SHUT_WR)
        assert path.server.wait_until(lambda _: heard)
    assert heard == [b"but not from here"]


def is_tcp(kind):
    return kind.endswith("tcp")


def how_it_ends(do, seen: list) -> None:
    try:
        while do():
            pass
        seen.append("end")
    except OSError as e:
        seen.append(type(e).__name__)


@EVERY_PAIRING
@pytest.mark.parametrize("by", ["client", "target"])
def test_a_reset_in_the_middle(near, far, by, folder):
    """Both ends have sent more than anything between them holds. Where both are TCP, the other end sees a reset; a Unix socket has
    none to pass on, but it ends, too, and not one byte is made up."""
    seen = []  # by who sends, and by who takes, at the end that is not reset: the kernel tells a reset to one of them
    more = bytes(CHUNK)

    def flood(s, how):
        how_it_ends(lambda: s.sendall(more) is None, how)

    def other_end(s):
        sending = threading.Thread(target=flood, args=(s, seen), daemon=True)
        sending.start()
        how_it_ends(lambda: s.recv(CHUNK), seen)
        sending.join(DEADLINE)

    def this_end(s):
        sending = threading.Thread(target=flood, args=(s, []), daemon=True)
        sending.start()
        receive_exactly(s, SIZE // 8)
        reset(s)
        sending.join(DEADLINE)

    serve, use = (other_end, this_end) if by == "client" else (this_end, other_end)
    with Path(near, far, folder, serve) as path, path.connect() as s:
        use(s)
        assert path.server.wait_until(lambda _: len(seen) == 2)
    if is_tcp(near) and is_tcp(far):
        assert "ConnectionResetError" in seen

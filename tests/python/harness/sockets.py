# SPDX-License-Identifier: Apache-2.0
"""Loopback servers in threads, and clients that check what came back."""

import contextlib
import functools
import hashlib
import http.server
import itertools
import os
import pathlib
import random
import socket
import struct
import threading
import time

DEADLINE = 60.0  # seconds; generous, since two busy cores may run several things at once
CHUNK = 256 * 1024


class _Ports:
    """A block of ports, outside the range that outgoing connections take, that no other run of these tests uses: what
    one has chosen and not bound yet another one must not take. Each port is given again only after all others."""

    FIRST, SIZE, BLOCKS = 10240, 1360, 16

    def __init__(self):
        blocks = random.sample(range(self.BLOCKS), self.BLOCKS)
        self._claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # released with the process, however it ends
        block = next((b for b in blocks if self._claims(b)), blocks[0])
        ports = range(self.FIRST + block * self.SIZE, self.FIRST + (block + 1) * self.SIZE)
        self._next = itertools.cycle(random.sample(ports, len(ports)))
        self._lock = threading.Lock()

    def _claims(self, block: int) -> bool:
        try:
            self._claim.bind(f"\0culvert-tests-ports-{block}")
        except OSError:
            return False
        return True

    def take(self) -> int:
        with self._lock:
            return next(self._next)


_ports = _Ports()


def free_port() -> int:
    """A port that nobody listens on, on 127.0.0.1 and ::1."""
    return free_range(1)


def free_range(count: int) -> int:
    """The first of so many that follow each other."""
    for _ in range(_Ports.SIZE):
        first = _ports.take()
        if all(_is_free(first + i) for i in range(count)):
            return first
    raise RuntimeError("no free port found")


def _is_free(port: int) -> bool:
    try:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            if family == socket.AF_INET6 and not has_ipv6():
                continue
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.bind((address, port))
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """So many different ones."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def connect(target: int | str | tuple[str, int], timeout: float = DEADLINE) -> socket.socket:
    """To a port of 127.0.0.1, a Unix socket's path ("\\0name": abstract), or (address, port)."""
    if isinstance(target, str):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect(target)
        return s
    s = socket.create_connection(("127.0.0.1", target) if isinstance(target, int) else target, timeout=timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def assert_ends(target: int | str | tuple[str, int]) -> None:
    """Whoever connects gets nothing but the end, or a reset, which may come before the connect returns."""
    with contextlib.suppress(ConnectionResetError):
        with connect(target) as s:
            assert s.recv(1) == b""


def assert_resets(target: int | str | tuple[str, int], say: bytes = b"", source: str | None = None) -> None:
    """Whoever connects, and says that, is reset, which may come before the connect returns."""
    try:
        if source is None:
            s = connect(target)
        else:
            s = socket.create_connection(target, timeout=DEADLINE, source_address=(source, 0))
        with s:
            s.sendall(say)
            got = s.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        return
    raise AssertionError(f"no reset, but {got!r}")


def receive_exactly(s: socket.socket, n: int) -> bytes:
    parts = []
    while n > 0:
        part = s.recv(min(n, CHUNK))
        if not part:
            raise EOFError(f"connection ended {n} bytes early")
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def receive_all(s: socket.socket) -> bytes:
    """Until the other end says that it sends no more."""
    parts = []
    while part := s.recv(CHUNK):
        parts.append(part)
    return b"".join(parts)


def reset(s: socket.socket) -> None:
    """Closes so that the other end sees a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def test_data(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


test_data.__test__ = False  # its name is not meant for pytest


def check_echo(s: socket.socket, text: bytes = b"hello") -> None:
    s.sendall(text)
    assert receive_exactly(s, len(text)) == text


def echo_both_ways(target: int | str, size: int) -> None:
    """Sends `size` bytes to an echo server, ends its direction, and expects the same bytes and then the end."""
    data = test_data(size)
    with connect(target) as s:
        failures: list[BaseException] = []

        def send() -> None:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
            except OSError as e:
                failures.append(e)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        digest, count = hashlib.sha256(), 0
        while part := s.recv(CHUNK):
            digest.update(part)
            count += len(part)
        sender.join(DEADLINE)
        assert not failures, f"sending failed: {failures[0]}"
        assert count == size, f"{count} of {size} bytes came back"
        assert digest.digest() == hashlib.sha256(data).digest(), "other bytes came back than were sent"


class Server:
    """Accepts on loopback (or on a Unix path, "\\0name" for an abstract one) and runs `handler(socket)` in a thread for each connection."""

    def __init__(self, handler, path: str | None = None, address: str = "127.0.0.1", backlog: int = 512, port: int = 0):
        self._handler = handler
        if path is None:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._listener = socket.socket(family, socket.SOCK_STREAM)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((address, port))
            self.port = self._listener.getsockname()[1]
        else:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(path)
            if not path.startswith("\0"):
                os.chmod(path, 0o777)
        self.path = path
        self._listener.listen(backlog)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = False
        self.accepted = 0
        self.errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                s, _ = self._listener.accept()
            except OSError:
                return
            if self._stopping:
                s.close()
                return
            with self._lock:
                self.accepted += 1
                self._open.add(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s: socket.socket) -> None:
        try:
            with s:
                s.settimeout(DEADLINE)
                self._handler(s)
        except (OSError, EOFError) as e:
            self.errors.append(e)
        finally:
            with self._lock:
                self._open.discard(s)

    @property
    def open_connections(self) -> int:
        with self._lock:
            return len(self._open)

    def wait_until(self, condition, timeout: float = DEADLINE) -> bool:
        """Waits until `condition(self)` holds."""
        end = time.monotonic() + timeout
        while not condition(self):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def close(self) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for s in list(self._open):
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def echo(s: socket.socket) -> None:
    while part := s.recv(CHUNK):
        s.sendall(part)
    s.shutdown(socket.SHUT_WR)


def digest_sink(s: socket.socket) -> None:
    """Reads to the end, then answers with the SHA-256 of what it read: needs half-close to work."""
    digest = hashlib.sha256()
    while part := s.recv(CHUNK):
        digest.update(part)
    s.sendall(digest.digest())


def source_of(data: bytes):
    def send(s: socket.socket) -> None:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        receive_all(s)
    return send


def slow_reader(received: list[bytes], pause: float):
    """Ends its own direction at once, and takes 64 KiB at a time: all that came, once it has ended, is in `received`."""
    def take(s: socket.socket) -> None:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        s.shutdown(socket.SHUT_WR)
        taken = bytearray()
        while part := s.recv(1 << 16):
            taken += part
            time.sleep(pause)
        received.append(bytes(taken))
    return take


def silent(s: socket.socket) -> None:
    """Neither reads nor writes, until it is closed."""
    event = threading.Event()
    while s.fileno() >= 0 and not event.wait(0.2):
        with contextlib.suppress(BlockingIOError):
            if s.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
                return


class DatagramServer:
    """Answers each datagram with what `reply(datagram)` gives, from a port of loopback; remembers who sent them."""

    def __init__(self, reply, address: str = "127.0.0.1", port: int = 0):
        self._reply = reply
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.port = self.socket.getsockname()[1]
        self.heard: list[tuple[bytes, tuple]] = []
        self._stop = threading.Event()
        self.socket.settimeout(0.1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                data, peer = self.socket.recvfrom(1 << 16)
                self.heard.append((data, peer[:2]))
                self.socket.sendto(self._reply(data), peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(5)
        self.socket.close()


def datagram_echo(address: str = "127.0.0.1", prefix: bytes = b"re:", port: int = 0) -> DatagramServer:
    return DatagramServer(lambda data: prefix + data, address, port)


@contextlib.contextmanager
def web_server(folder: pathlib.Path):
    """A web server on a port of its own, of the files in a folder."""
    handler = functools.partial(type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None}),
                                directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()

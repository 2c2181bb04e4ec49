# SPDX-License-Identifier: Apache-2.0
"""`culvert serve` with many clients at once, and for long. --full takes the numbers that are asked for, else there are fewer."""

import asyncio
import concurrent.futures
import contextlib
import hashlib
import random
import signal
import socket
import time

import pytest

from harness.clients import client_command, wait_until
from harness.culvert import SMALL, environment, run
from harness.keys import make_key
from harness.processes import Process, kill
from harness.resources import descriptors, listening, resident
from harness.sockets import DEADLINE, connect, free_ports

MIB = 1 << 20
BUFFER = 64 * 1024  # of the test's own sockets: what stalls is to stall in culvert
CHUNK = b"z" * 16384


def few_and_many(few, many):
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.full)])


@contextlib.contextmanager
def sessions(server, folder, arguments):
    """One culvert for each of `arguments`, all ready."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Process(client_command("culvert", server, folder, *one), start_new_session=True,
                                               env=environment(HOME=str(folder)))) for one in arguments]
        for one in clients:
            one.wait_for("culvert: ready")
        yield clients
        for one in clients:  # all at once: each lets its streams drain
            kill(one.pid, signal.SIGTERM)


# --------------------------------------------------------------------------------------------- streams, and what stalls

class Targets:
    """Does what the first byte of a connection says: e: echo; f: send without end; s: neither read nor write."""

    async def __aenter__(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            listener.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=listener, limit=BUFFER)
        return self

    async def __aexit__(self, *_):
        self._server.close()

    @staticmethod
    async def _serve(reader, writer):
        try:
            kind = await reader.readexactly(1)
            while kind == b"f":
                writer.write(CHUNK)
                await writer.drain()
            if kind == b"s":
                await asyncio.Event().wait()
            writer.write(kind)
            while part := await reader.read(BUFFER):
                writer.write(part)
                await writer.drain()
            writer.write_eof()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


async def open_stream(port: int, kind: bytes):
    s = socket.socket()
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        s.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    s.setblocking(False)
    await asyncio.get_running_loop().sock_connect(s, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=s, limit=BUFFER)
    writer.write(kind)
    if kind == b"e":
        assert await reader.readexactly(1) == b"e"
    return reader, writer


async def send_without_end(writer) -> None:
    with contextlib.suppress(OSError):
        while True:
            writer.write(CHUNK)
            await writer.drain()


async def echo_and_check(reader, writer, seed: int, size: int) -> None:
    data = random.Random(seed).randbytes(size)

    async def send():
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(send())
    digest = hashlib.sha256()
    while part := await reader.read(BUFFER):
        digest.update(part)
    await sending
    assert digest.digest() == hashlib.sha256(data).digest()
    writer.close()


@few_and_many((5, 100) if SMALL else (10, 400), (50, 2000))
def test_what_stalls_and_what_is_silent_holds_up_nobody(serve, folder, count):
    """All streams live at the same time. One in twenty is silent, one has a client that does not read, one a target that does
    not; the others get all of their bytes back, and the right ones."""
    server = serve("--allow-all", "--exempt", "127.0.0.0/8")
    clients, streams = count
    size = 64 * 1024
    ports = free_ports(clients)
    before = descriptors(server.process.pid)

    async def work():
        async with Targets() as targets:
            arguments = [("-L", f"{port}:127.0.0.1:{targets.port}") for port in ports]
            with sessions(server, folder, arguments):
                await conversations(targets)
        wait_until(lambda: descriptors(server.process.pid) <= before)

    async def conversations(targets):
        kinds = [{0: b"s", 1: b"f", 2: b"u"}.get(i // clients % 20, b"e") for i in range(streams)]
        gate = asyncio.Semaphore(200)

        async def open_one(i):
            async with gate:
                return await open_stream(ports[i % clients], b"s" if kinds[i] == b"u" else kinds[i])

        pairs = await asyncio.gather(*(open_one(i) for i in range(streams)))
        senders = [asyncio.create_task(send_without_end(pairs[i][1])) for i in range(streams) if kinds[i] == b"u"]
        for i in range(streams):
            if kinds[i] == b"f":
                pairs[i][1].transport.pause_reading()
        assert descriptors(server.process.pid) >= before + clients + streams
        begun = time.monotonic()
        live = [i for i in range(streams) if kinds[i] == b"e"]
        await asyncio.wait_for(asyncio.gather(*(echo_and_check(*pairs[i], i, size) for i in live)), DEADLINE)
        took = time.monotonic() - begun
        for i in range(streams):
            assert kinds[i] == b"e" or not pairs[i][0].at_eof(), "what stalls lives on"
        print(f"{clients} sessions, {streams} streams, {len(live)} of {size} bytes in {took:.1f} s; "
              f"{resident(server.process.pid) / MIB:.0f} MiB")
        for sender in senders:
            sender.cancel()
        for _, writer in pairs:
            writer.transport.abort()
        await asyncio.sleep(0.1)  # until they are closed

    asyncio.run(work())


# --------------------------------------------------------------------------------------------- clients that are killed

async def load(port: int, moved: list[int], i: int) -> None:
    """Sends to an echo and reads, until that breaks."""
    with contextlib.suppress(OSError, EOFError):
        reader, writer = await open_stream(port, b"e")
        sending = asyncio.create_task(send_without_end(writer))
        while part := await reader.read(BUFFER):
            moved[i] += len(part)
        sending.cancel()
        writer.transport.abort()


@few_and_many((6, 3) if SMALL else (10, 4), (50, 20))
def test_clients_that_are_killed_under_load_leave_nothing(serve, folder, count):
    """After each round the server has the descriptors and listeners of before; and in the end, a while later, the memory."""
    server = serve("--allow-all", "--exempt", "127.0.0.0/8")
    pid = server.process.pid
    clients, rounds = count
    before, at_start = descriptors(pid), listening(pid)
    at_rest = resident(pid)

    async def one_round():
        async with Targets() as targets:
            ports = free_ports(2 * clients)
            arguments = [("-L", f"{local}:127.0.0.1:{targets.port}", "-R", f"{remote}:127.0.0.1:{targets.port}")
                         for local, remote in zip(ports[::2], ports[1::2])]
            with sessions(server, folder, arguments) as processes:
                assert len(listening(pid) - at_start) >= clients
                places = 2 * ports
                moved = [0] * len(places)
                tasks = [asyncio.create_task(load(port, moved, i)) for i, port in enumerate(places)]
                end = time.monotonic() + DEADLINE
                while min(moved) < 256 * 1024:
                    assert time.monotonic() < end, moved
                    await asyncio.sleep(0.05)
                for process in processes:
                    kill(process.pid, 9)
                await asyncio.wait_for(asyncio.gather(*tasks), DEADLINE)
        wait_until(lambda: listening(pid) == at_start)
        wait_until(lambda: descriptors(pid) <= before)

    for _ in range(rounds):
        asyncio.run(one_round())
    at_most = resident(pid, peak=True)
    if not SMALL:
        wait_until(lambda: resident(pid) < at_rest + 8 * MIB)
    print(f"{rounds} rounds of {clients} clients: {before} descriptors, then {descriptors(pid)}; "
          f"{at_rest / MIB:.1f} MiB of memory before, at most {at_most / MIB:.1f}, then {resident(pid) / MIB:.1f}")


# ------------------------------------------------------------------------------------------------------- many logins

def leave_early(server, said: bytes) -> None:
    with connect(server.port) as s, contextlib.suppress(OSError):
        s.sendall(said)
        s.recv(100)


@few_and_many(100 if SMALL else 400, 10_000)
def test_logins_good_and_bad_leave_no_memory_behind(serve, folder, count):
    server = serve("--allow-all", "--exempt", "127.0.0.0/8")
    stranger = make_key(folder / "stranger")
    pid = server.process.pid
    before = descriptors(pid)
    said = [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"SSH-2.0-x\r\n" + bytes([0, 0, 1, 0]) + bytes(500), b""]

    def one(i: int) -> bool:
        if i % 4 == 3:
            leave_early(server, said[i // 4 % len(said)])
            return False
        bad = i % 4 == 1
        done = run(*client_command("culvert", server, folder, "-W", "127.0.0.1:9", key=stranger if bad else None,
                                   user=f"user{i}" if bad else "me")[1:])
        assert ("Permission denied" if bad else "Connection refused") in done.stderr, done.stderr
        return not bad

    def logins(first: int, last: int) -> int:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            good = sum(pool.map(one, range(first, last)))
        wait_until(lambda: descriptors(pid) <= before)
        return good

    begun = time.monotonic()
    good = logins(0, count // 5)
    early = resident(pid)
    good += logins(count // 5, count)
    late = resident(pid)
    print(f"{count} logins, {good} of them good, in {time.monotonic() - begun:.0f} s: {early / MIB:.1f} MiB after {count // 5}, "
          f"{late / MIB:.1f} MiB after all")
    assert good == count // 2
    server.wait_for_log("logged in with", count=good)
    assert SMALL or late - early < 2 * MIB

# SPDX-License-Identifier: Apache-2.0
"""Hours of use in short: streams that are opened, half closed, reset and left idle, flows of datagrams, and clients of the proxy,
polite and not. Whenever they pause, all descriptors are given back; and memory does not grow."""

import collections
import contextlib
import json
import os
import random
import socket
import threading
import time

import pytest

from harness import proxy as px
from harness.direct import mapped, proxied
from harness.proxy import HTTP, SOCKS4, SOCKS5
from harness.resources import descriptors, resident
from harness.sockets import DEADLINE, Server, connect, datagram_echo, echo, receive_all, receive_exactly, reset

CLIENTS = 6
SPARES = 8 * (os.cpu_count() or 1) + 4  # descriptors: of pipes that each thread keeps for the next ones, of look-ups
GROWTH = 2 << 20  # bytes, from the first third to the end: what an allocator may keep


class Client(threading.Thread):
    """Does one thing after another, by chance, until it is stopped. What should work and does not is in `errors`."""

    def __init__(self, places: dict, seed: int):
        super().__init__(daemon=True)
        self.done: collections.Counter[str] = collections.Counter()
        self.errors: list[str] = []
        self._places, self._chance = places, random.Random(seed)
        self._idle: collections.deque[socket.socket] = collections.deque()
        self._stopped = threading.Event()
        self.start()

    def run(self) -> None:
        actions = [self.half_close, self.both_ways, self.reset_in_the_middle, self.target_resets, self.idle, self.bulk_unread, self.flow,
                   self.ask_proxy, self.rude_to_proxy, self.associate, self.bind]
        while not self._stopped.is_set():
            action = self._chance.choice(actions)
            try:
                action(self._chance)
                self.done[action.__name__] += 1
            except (OSError, EOFError, AssertionError) as e:
                self.errors.append(f"{action.__name__}: {type(e).__name__}: {e}")
        for s in self._idle:
            s.close()

    def stop(self) -> None:
        self._stopped.set()

    def _connect(self, chance) -> socket.socket:
        return connect(chance.choice([self._places["tcp"], self._places["unix"]]))

    # ---- map

    def half_close(self, chance):
        data = chance.randbytes(chance.choice([1, 100, 10_000]))
        with self._connect(chance) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            assert receive_all(s) == data

    def both_ways(self, chance):
        with self._connect(chance) as s:
            for _ in range(20):
                data = chance.randbytes(chance.choice([64, 50_000]))
                s.sendall(data)
                assert receive_exactly(s, len(data)) == data

    def reset_in_the_middle(self, chance):
        s = self._connect(chance)
        s.sendall(bytes(chance.choice([0, 1, 60_000])))
        reset(s)

    def target_resets(self, _):
        with connect(self._places["resets"]) as s, contextlib.suppress(ConnectionResetError, BrokenPipeError):
            s.sendall(bytes(60_000))
            receive_all(s)

    def idle(self, chance):
        if len(self._idle) > 30:
            self._idle.popleft().close()
        s = self._connect(chance)
        s.sendall(b"x")
        assert receive_exactly(s, 1) == b"x"
        self._idle.append(s)

    def bulk_unread(self, chance):
        """An echo that nobody takes: everything on the way fills up. Then the client is gone."""
        with self._connect(chance) as s, contextlib.suppress(BlockingIOError):
            s.setblocking(False)
            for _ in range(64):
                s.send(bytes(1 << 17))

    def flow(self, chance):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(DEADLINE)
            s.connect(("127.0.0.1", self._places["udp"]))
            for _ in range(5):
                data = chance.randbytes(chance.choice([1, 1200]))
                s.send(data)
                assert s.recv(2000) == b"re:" + data

    # ---- proxy

    def ask_proxy(self, chance):
        protocol = chance.choice([SOCKS4, SOCKS5, HTTP])
        with protocol.connect(self._places["proxy"], "127.0.0.1", self._places["target"]) as s:
            s.sendall(b"hello")
            assert receive_exactly(s, 5) == b"hello"

    def rude_to_proxy(self, chance):
        """Half a request, none, one that is refused, garbage."""
        request = chance.choice([SOCKS5.greeting + SOCKS5.request("127.0.0.1", 1), HTTP.request("192.0.2.1", 80), SOCKS4.request("10.9.8.7", 1),
                                 b"\0garbage" * 100])
        with connect(self._places["proxy"]) as s, contextlib.suppress(ConnectionResetError, BrokenPipeError):
            s.sendall(request[:chance.randrange(len(request))])
            if chance.random() < 0.5:
                s.shutdown(socket.SHUT_WR)
                receive_all(s)

    def associate(self, chance):
        with px.Association(self._places["proxy"]) as client:
            for _ in range(3):
                client.send(chance.choice(["127.0.0.1", "localhost.localdomain.invalid"]), self._places["udp_target"], b"x")
            client.send("127.0.0.1", self._places["udp_target"], b"y")
            while client.receive()[2] != b"re:y":
                pass

    def bind(self, chance):
        with connect(self._places["proxy"]) as s:
            s.sendall(b"\x05\x01\0" + px.request5("127.0.0.1", 9, px.BIND))
            assert receive_exactly(s, 2) == b"\x05\0"
            code, host, port = px.reply5(s)
            assert code == 0
            if chance.random() < 0.5:
                with connect((host, port)) as peer:
                    assert px.reply5(s)[0] == 0
                    peer.sendall(b"x")
                    assert receive_exactly(s, 1) == b"x"


def reset_after_some(s):
    receive_exactly(s, 1000)
    reset(s)


def settled(processes, wanted: list[int]) -> None:
    """Waits until they have no more descriptors than that."""
    end = time.monotonic() + DEADLINE
    while any(descriptors(p.pid) > most for p, most in zip(processes, wanted)):
        assert time.monotonic() < end, f"{[descriptors(p.pid) for p in processes]} descriptors, and {wanted} before"
        time.sleep(0.1)


def churn(folder, rounds: int, seconds: float, record) -> None:
    with contextlib.ExitStack() as stack:
        target, resets = stack.enter_context(Server(echo)), stack.enter_context(Server(reset_after_some))
        udp_target = stack.enter_context(datagram_echo())
        near = folder / "near"
        culvert = stack.enter_context(mapped("127.0.0.1:0", f"127.0.0.1:{target.port}", near, f"127.0.0.1:{target.port}",
                                             "127.0.0.1:0", f"127.0.0.1:{resets.port}", "udp/127.0.0.1:0",
                                             f"127.0.0.1:{udp_target.port}", "--flow-time", "3"))
        proxy = stack.enter_context(proxied("127.0.0.1:0", "--connect", "127.0.0.1:*"))
        tcp, resetting, udp = culvert.ports
        places = {"tcp": tcp, "unix": str(near), "resets": resetting, "udp": udp, "proxy": proxy.port, "target": target.port,
                  "udp_target": udp_target.port}
        processes, memory, done = (culvert, proxy), [], collections.Counter()
        settled_at = [descriptors(p.pid) + SPARES for p in processes]
        for round_ in range(rounds):
            clients = [Client(places, round_ * CLIENTS + i) for i in range(CLIENTS)]
            time.sleep(seconds)
            for client in clients:
                client.stop()
            for client in clients:
                client.join(DEADLINE)
                assert not client.is_alive() and not client.errors, client.errors[:5]
                done.update(client.done)
            settled(processes, settled_at)
            memory.append([resident(p.pid) for p in processes])
            record({"done": sum(done.values()), "descriptors": [descriptors(p.pid) for p in processes], "memory": memory[-1]})
        assert all(done[name] > rounds for name in ("half_close", "bulk_unread", "flow", "associate", "bind", "ask_proxy")), done
        for i, process in enumerate(processes):
            after_warm_up = memory[rounds // 3][i]
            assert memory[-1][i] - after_warm_up < GROWTH, f"{process.command[1]}: {[each[i] >> 10 for each in memory]} KiB"


@pytest.mark.waits
def test_churn(folder):
    churn(folder, 3, 5, lambda _: None)


@pytest.mark.full
def test_ten_minutes_of_churn(folder, record_property):
    def record(figures):
        print(json.dumps(figures), flush=True)
        record_property("figures", figures)

    churn(folder, 40, 15, record)

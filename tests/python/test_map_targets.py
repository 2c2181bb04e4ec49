# SPDX-License-Identifier: Apache-2.0
"""Targets of `culvert map` that come and go while they are used: several of them, and one whose name gets another address."""

import contextlib
import os
import resource
import socket
import ssl
import subprocess
import threading
import time

import pytest

from harness.culvert import SMALL
from harness.direct import mapped
from harness.sockets import (DEADLINE, Server, assert_resets, check_echo, connect, datagram_echo, echo, free_port, free_ports, receive_all,
                             receive_exactly)

# ------------------------------------------------------------------------------------------------------- several targets


class Load:
    """Clients that ask, one stream after another; what failed, and when that stream began and ended."""

    def __init__(self, port: int, clients: int):
        self.served: dict[bytes, int] = {}
        self.failures: list[tuple[float, float, str]] = []
        self._port = port
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self._stop.is_set():
            begin = time.monotonic()
            try:
                with connect(self._port) as s:
                    s.sendall(b"who?")
                    s.shutdown(socket.SHUT_WR)
                    who = receive_all(s)
                    if len(who) != 5:
                        raise EOFError(f"{len(who)} bytes")
                with self._lock:
                    self.served[who] = self.served.get(who, 0) + 1
            except (OSError, EOFError) as e:
                with self._lock:
                    self.failures.append((begin, time.monotonic(), str(e)))

    def wait_for_more(self, wanted: set[bytes]) -> None:
        """Until each of them has served streams that began from now on."""
        before = dict(self.served)
        end = time.monotonic() + DEADLINE
        while any(self.served.get(who, 0) < before.get(who, 0) + 10 for who in wanted):
            assert time.monotonic() < end, f"{before} {self.served} {self.failures[-1:]}"
            time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE)


class Target:
    """A server at one port that says its name to whoever asks, and can be killed and started again."""

    def __init__(self, name: bytes, port: int):
        self.name, self.port = name, port
        self.kills: list[tuple[float, float]] = []
        self.start()

    def start(self) -> None:
        def talk(s):
            if receive_exactly(s, 4) == b"who?":
                s.sendall(self.name)

        self._server = Server(talk, port=self.port)

    def kill(self) -> None:
        begin = time.monotonic()
        self._server.close()
        self.kills.append((begin, time.monotonic()))


def lose_and_regain(balance: str, rounds: int) -> None:
    targets = [Target(b"name%d" % i, port) for i, port in enumerate(free_ports(3))]
    places = ",".join(f"127.0.0.1:{target.port}" for target in targets)
    try:
        with mapped("127.0.0.1:0", places, "--balance", balance, "--check", "1,1,1") as culvert:
            load = Load(culvert.port, 8)
            try:
                everybody = {target.name for target in targets}
                if balance != "source":
                    load.wait_for_more(everybody)
                for i in range(rounds):
                    target = targets[i % len(targets)]
                    others = everybody - {target.name}
                    target.kill()
                    culvert.wait_for(f"target 127.0.0.1:{target.port} down", count=i // len(targets) + 1)
                    if balance != "source":
                        load.wait_for_more(others)
                    target.start()
                    culvert.wait_for(f"target 127.0.0.1:{target.port} up", count=i // len(targets) + 1)
                    if balance != "source":
                        load.wait_for_more(everybody)
            finally:
                load.stop()
            kills = [kill for target in targets for kill in target.kills]
            lost = [one for one in load.failures if not any(one[0] <= end and one[1] >= begin for begin, end in kills)]
            assert not lost, f"{len(lost)} streams failed that no target's end was in the way of: {lost[:3]}"
            assert len(load.failures) <= 8 * len(kills), "more than what was in flight"
            assert sum(load.served.values()) > 100 * rounds
    finally:
        for target in targets:
            target.kill()


def test_streams_of_a_target_that_goes_find_another():
    lose_and_regain("round-robin", 2)


@pytest.mark.full
@pytest.mark.parametrize("balance", ["round-robin", "least-connections", "source"])
def test_streams_of_targets_that_go_find_another_for_long(balance):
    lose_and_regain(balance, 12)


def test_datagrams_of_a_target_that_goes_find_another():
    ports = free_ports(2)
    with contextlib.ExitStack() as stack:
        culvert = stack.enter_context(mapped("udp/127.0.0.1:0", ",".join(f"127.0.0.1:{port}" for port in ports)))
        with datagram_echo(prefix=b"a", port=ports[0]), datagram_echo(prefix=b"b", port=ports[1]):
            clients = [stack.enter_context(udp_client(culvert.port)) for _ in range(20)]
            served = [ask(client) for client in clients]
            assert set(served) == {b"a?", b"b?"}
        with datagram_echo(prefix=b"b", port=ports[1]):
            # What was in flight is lost: the datagram that finds nobody there ends its flow, and the next one begins another.
            assert {ask(client) for client in clients} == {b"b?"}


def test_checks_at_a_port_of_their_own_watch_targets_of_datagrams():
    check_port, port = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        for i in (2, 3):
            stack.enter_context(datagram_echo(f"127.0.0.{i}", b"%d" % i, port))
        stack.enter_context(Server(receive_all, address="127.0.0.2", port=check_port))
        culvert = stack.enter_context(mapped("udp/127.0.0.1:0", f"127.0.0.2:{port},127.0.0.3:{port}", "--check", "1,1,1",
                                             "--check-port", check_port))
        culvert.wait_for(f"target 127.0.0.3:{port} down")
        assert {ask(stack.enter_context(udp_client(culvert.port))) for _ in range(6)} == {b"2?"}
        with Server(receive_all, address="127.0.0.3", port=check_port):
            culvert.wait_for(f"target 127.0.0.3:{port} up")
            assert {ask(stack.enter_context(udp_client(culvert.port))) for _ in range(6)} == {b"2?", b"3?"}


def test_flows_leave_a_target_that_checks_have_found_down():
    """One that is silent, as a machine without power: no ICMP ends a flow to it."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        silent.bind(("127.0.0.2", port))
        silent.settimeout(DEADLINE)
        check = stack.enter_context(Server(receive_all, address="127.0.0.2"))
        places = f"127.0.0.2:{port},127.0.0.3:{port}"
        culvert = stack.enter_context(mapped("udp/127.0.0.1:0", places, "--check", "1,1,1", "--check-port", check.port))
        culvert.wait_for(f"target 127.0.0.3:{port} down")
        client = stack.enter_context(udp_client(culvert.port))
        client.send(b"before")
        assert silent.recv(100) == b"before"
        stack.enter_context(Server(receive_all, address="127.0.0.3", port=check.port))
        stack.enter_context(datagram_echo("127.0.0.3", b"re:", port))
        culvert.wait_for(f"target 127.0.0.3:{port} up")
        client.send(b"still")
        assert silent.recv(100) == b"still", "a flow that lives stays where it is"
        check.close()
        culvert.wait_for(f"target 127.0.0.2:{port} down")
        assert ask(client) == b"re:?"


def udp_client(port: int) -> socket.socket:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.1)
    s.connect(("127.0.0.1", port))
    return s


def ask(client: socket.socket) -> bytes:
    """As clients of UDP do: again, where no answer comes."""
    for _ in range(600):
        client.send(b"?")
        with contextlib.suppress(TimeoutError):
            return client.recv(100)
    raise AssertionError("no answer")


# ------------------------------------------------------------------------------------------------- several of one name

def hello_of(name: str) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


class NamedTarget:
    """Says its name to whoever has said something."""

    def __init__(self, name: bytes, port: int = 0):
        def talk(s):
            s.recv(1)
            s.sendall(name)
            s.shutdown(socket.SHUT_WR)
            receive_all(s)

        self._server = Server(talk, port=port)
        self.port = self._server.port
        self.place = f"127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.close()


def who_serves(port: int, hello: bytes) -> bytes:
    with connect(port) as s:
        s.sendall(hello)
        return receive_all(s)


@pytest.mark.parametrize("balance", ["round-robin", "least-connections", "source"])
def test_a_server_name_has_several_targets(balance):
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(NamedTarget(b"%d" % i)) for i in range(5)]
        places = [target.place for target in targets]
        culvert = stack.enter_context(mapped(
            "127.0.0.1:0", f"{places[3]},{places[4]}", "--balance", balance,
            "--sni", f"several.example=127.0.0.1:{free_port()},{places[0]},{places[1]}", "--sni", f"*.example={places[3]}"))
        culvert.wait_for(f"*.example={places[3]}, {places[3]}, {places[4]} up")
        served = {name: {who_serves(culvert.port, hello_of(name)) for _ in range(12)}
                  for name in ("several.example", "one.example", "other.test")}
        # By the client's address it is the same one always, but for that where nobody is.
        several = {b"0", b"1"} if balance != "source" else served["several.example"] & {b"0", b"1"}
        others = {b"3", b"4"} if balance != "source" else served["other.test"] & {b"3", b"4"}
        assert several and others
        assert served == {"several.example": several, "one.example": {b"3"}, "other.test": others}
        assert sum(map(len, served.values())) == (5 if balance != "source" else 3)


def test_targets_of_a_server_name_are_checked():
    late = free_port()
    hello = hello_of("a.example")
    with NamedTarget(b"up") as up, \
            mapped("127.0.0.1:0", "-", "--sni", f"a.example=127.0.0.1:{late},{up.place}", "--check", "1,1,1") as culvert:
        culvert.wait_for(f"target 127.0.0.1:{late} down")
        assert {who_serves(culvert.port, hello) for _ in range(4)} == {b"up"}
        with NamedTarget(b"late", late):
            culvert.wait_for(f"target 127.0.0.1:{late} up")
            assert {who_serves(culvert.port, hello) for _ in range(4)} == {b"up", b"late"}


def test_where_no_target_of_a_server_name_is():
    ports = free_ports(2)
    with mapped("127.0.0.1:0", "-", "--sni", "a.example=" + ",".join(f"127.0.0.1:{port}" for port in ports)) as culvert:
        assert_resets(culvert.port, hello_of("a.example"))
        culvert.wait_for(f"-> 127.0.0.1:{ports[0]}: 2 targets failed, the last, 127.0.0.1:{ports[1]}: connect failed: ")


# ----------------------------------------------------------------------------------------------------- one that moves

@pytest.fixture
def hosts(folder):
    """A file that is /etc/hosts for a program that is started with the words; (file, words)."""
    file = folder / "hosts"
    file.write_text("127.0.0.2 moving.test\n")
    words = ("unshare", "--mount", "--propagation", "private", "sh", "-c", f"mount --bind {file} /etc/hosts && exec \"$@\"", "sh")
    if os.geteuid() != 0 or subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    return file, words


def test_streams_follow_a_name_that_moves(hosts):
    file, words = hosts

    def moves(line):
        file.write_text(line)
        time.sleep(1.1)  # an answer counts for a second

    with contextlib.ExitStack() as stack:
        old = stack.enter_context(Server(echo, address="127.0.0.2"))
        new = stack.enter_context(Server(echo, address="127.0.0.3", port=old.port))
        culvert = stack.enter_context(mapped("127.0.0.1:0", f"moving.test:{old.port}", before=words))
        before = stack.enter_context(connect(culvert.port))
        check_echo(before)
        moves("127.0.0.3 moving.test\n")
        with connect(culvert.port) as after:
            check_echo(after)
            assert (old.accepted, new.accepted) == (1, 1)
        check_echo(before)
        moves("\n")
        assert_resets(culvert.port)
        culvert.wait_for(f"-> moving.test:{old.port}: cannot resolve moving.test: ")
        moves("127.0.0.2 moving.test\n")
        with connect(culvert.port) as again:
            check_echo(again)
        assert (old.accepted, new.accepted) == (2, 1)


def test_datagrams_follow_a_name_that_moves(hosts):
    file, words = hosts
    with contextlib.ExitStack() as stack:
        with datagram_echo("127.0.0.2", b"old:") as old:
            culvert = stack.enter_context(mapped("udp/127.0.0.1:0", f"moving.test:{old.port}", before=words))
            first = stack.enter_context(udp_client(culvert.port))
            assert ask(first) == b"old:?"
            file.write_text("127.0.0.3 moving.test\n")
            assert ask(first) == b"old:?", "a flow that lives stays where it is"
        with datagram_echo("127.0.0.3", b"new:", port=old.port):
            assert ask(first) == b"new:?", "nobody answers at the old address: the name is looked up again"
            culvert.wait_for(f"moving.test has moved from 127.0.0.2:{old.port} to 127.0.0.3:{old.port}")


def test_datagrams_do_not_follow_a_name_to_ourselves(hosts):
    """Each flow would begin the next one."""
    file, words = hosts
    port = free_port()
    with mapped(f"udp/127.0.0.1:{port}", f"moving.test:{port}", before=words) as culvert, udp_client(port) as client:
        file.write_text("127.0.0.1 moving.test\n")
        time.sleep(1.1)  # an answer counts for a second
        client.send(b"?")
        culvert.wait_for(f"moving.test:{port}: left out: 127.0.0.1 port {port} is a listener of this culvert: a loop")
        with datagram_echo("127.0.0.2", b"re:", port):
            file.write_text("127.0.0.2 moving.test\n")
            assert ask(client) == b"re:?"


# ------------------------------------------------------------------------------------------------------------ many flows

def test_ten_thousand_flows():
    count = 1000 if SMALL else 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        pytest.skip(f"{hard} descriptors are not enough")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = []
    try:
        with datagram_echo() as target, mapped("udp/127.0.0.1:0", f"127.0.0.1:{target.port}") as culvert:
            for i in range(count):
                clients.append(udp_client(culvert.port))
                clients[-1].settimeout(DEADLINE)
            for round_ in range(2):
                for begin in range(0, count, 100):  # not so many at once that a buffer overflows
                    for i in range(begin, begin + 100):
                        clients[i].send(b"%d %d" % (round_, i))
                    for i in range(begin, begin + 100):
                        assert clients[i].recv(100) == b"re:%d %d" % (round_, i)
            assert len({peer for _, peer in target.heard}) == count, "each has a flow of its own, and keeps it"
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

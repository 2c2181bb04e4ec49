# SPDX-License-Identifier: Apache-2.0
"""`culvert map` as its users start it: streams, datagrams, Unix sockets, targets that go, and who may come."""

import contextlib
import errno
import hashlib
import os
import pathlib
import re
import select
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time

import pytest

from harness.culvert import SMALL, binary, environment, run
from harness.direct import mapped, proxied
from harness.sockets import DEADLINE, Server, assert_resets, connect, datagram_echo, digest_sink, echo, free_port, receive_all, receive_exactly, reset, test_data


@pytest.mark.parametrize("threads", [1, 3])
def test_streams_arrive_whole(threads):
    data = test_data((2 if SMALL else 64) << 20)
    port = free_port()
    with Server(digest_sink) as sink, mapped(f"127.0.0.1:{port}", f"127.0.0.1:{sink.port}", "--threads", threads):
        for _ in range(4):
            with connect(port) as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                assert receive_all(client) == hashlib.sha256(data).digest()


def test_a_range_maps_one_to_one():
    with Server(echo) as one, mapped(0, f"localhost:{one.port}") as culvert:
        with connect(culvert.port) as client:
            client.sendall(b"hello")
            assert receive_exactly(client, 5) == b"hello"


def test_unix_and_abstract_sockets(folder):
    path = str(folder / "s")
    name = f"@culvert-{folder.name}-{time.monotonic_ns()}"
    with Server(echo) as target, mapped(path, f"127.0.0.1:{target.port}", name, f"127.0.0.1:{target.port}"):
        for address in (path, "\0" + name[1:]):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(DEADLINE)
                client.connect(address)
                client.sendall(b"hello")
                assert receive_exactly(client, 5) == b"hello"


FLOODED = """
import select, socket, subprocess, sys, threading, time
def bound(port):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", port))
    return made
targets = [bound(6000 + i) for i in range(4)]
def echo():
    while True:
        for one in select.select(targets, [], [])[0]:
            one.sendto(*one.recvfrom(100))
threading.Thread(target=echo, daemon=True).start()
culvert = subprocess.Popen([*sys.argv[1:], "map", "--threads", "2", "udp/127.0.0.1:5000-5003", "127.0.0.1:6000-6003"],
                           stderr=subprocess.PIPE, text=True)
for line in culvert.stderr:
    if "ready" in line:
        break
def answers(client, port):
    client.settimeout(5)
    client.sendto(b"x", ("127.0.0.1", port))
    return client.recv(100) == b"x"
try:
    assert all(answers(bound(20000 + i), 5000) for i in range(60))
    assert all(answers(bound(21000 + 3 * port % 100 + i), port) for port in (5001, 5002, 5003) for i in range(3))
    print("all were answered")
finally:
    culvert.terminate()
    assert culvert.wait(10) == 0
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a network namespace")
def test_a_flood_at_one_port_leaves_local_ports_to_the_others():
    limited = "ip link set lo up && echo 40000 40039 >/proc/sys/net/ipv4/ip_local_port_range && exec \"$@\""
    done = subprocess.run(["unshare", "-n", "sh", "-c", limited, "sh", sys.executable, "-c", FLOODED, binary()],
                          capture_output=True, text=True, timeout=60, check=False, env=environment())
    assert done.stdout == "all were answered\n", done.stderr


def test_who_may_connect_to_a_socket_in_the_file_system(folder):
    path = folder / "s"
    for options, mode in ((), 0o600), (("--socket-mode", "0660"), 0o660):
        with mapped(*options, str(path), "127.0.0.1:9"):
            assert stat.S_IMODE(path.stat().st_mode) == mode
    refused = run("map", "--socket-mode", "0888", str(path), "127.0.0.1:9")
    assert refused.status == 255
    assert refused.stderr == 'culvert: --socket-mode: "0888" is not an octal number (0 to 0777)\n'


def test_datagrams_come_back_to_their_own_clients():
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target, contextlib.ExitStack() as stack:
        target.bind(("127.0.0.1", 0))
        target.settimeout(DEADLINE)
        stack.enter_context(mapped(f"udp/127.0.0.1:{port}", f"127.0.0.1:{target.getsockname()[1]}"))
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(20)]
        for i, client in enumerate(clients):
            client.settimeout(DEADLINE)
            client.connect(("127.0.0.1", port))
            client.send(b"from %d" % i)
            heard, flow = target.recvfrom(100)
            target.sendto(b"to " + heard, flow)
        for i, client in enumerate(clients):
            assert client.recv(100) == b"to from %d" % i


def sockets_at(port: int) -> int:
    """Of UDP."""
    with open("/proc/net/udp", encoding="ascii") as table:
        return sum(line.split()[1].endswith(f":{port:04X}") for line in table)


def run_time_of_threads(pid: int) -> dict[str, int]:
    """Nanoseconds."""
    return {file.parent.name: int(file.read_text().split()[0]) for file in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")}


def wait_until_at_rest(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE
    before = None
    while (now := run_time_of_threads(pid)) != before:
        assert time.monotonic() < deadline
        before = now
        time.sleep(0.1)


@pytest.mark.parametrize("threads, arguments", [(3, lambda: ()), (2, lambda: ("--max-streams", 2048)), (1, lambda: ("--max-streams", 2047)),
                                                (1, lambda: ("--source", f"127.0.0.1:{free_port()}"))])
def test_so_many_threads_carry_a_port_of_datagrams(threads, arguments):
    with (datagram_echo() as target, contextlib.ExitStack() as clients,
          mapped("udp/127.0.0.1:0", f"127.0.0.1:{target.port}", "--threads", 3, *arguments()) as culvert):
        assert sockets_at(culvert.port) == threads
        wait_until_at_rest(culvert.popen.pid)
        before = run_time_of_threads(culvert.popen.pid)
        for _ in range(64):
            client = clients.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            client.settimeout(DEADLINE)
            client.connect(("127.0.0.1", culvert.port))
            for text in (b"one", b"two"):
                client.send(text)
                assert client.recv(100) == b"re:" + text
        after = run_time_of_threads(culvert.popen.pid)
        assert sum(after[thread] - before[thread] > 50_000 for thread in before) == threads, (before, after)
        culvert.signal(signal.SIGUSR1)
        assert "64 connections" in culvert.wait_for_match("^culvert: map udp .*bytes")


def test_a_port_of_datagrams_that_threads_share_is_in_use():
    with mapped("udp/127.0.0.1:0", "127.0.0.1:9", "--threads", 2) as culvert:
        refused = run("map", f"udp/127.0.0.1:{culvert.port}", "127.0.0.1:9", "--threads", "2")
    assert refused.status == 255 and "address already in use ('ss -uanp" in refused.stderr


def flood(client, address, count: int, size: int) -> float:
    """When it began."""
    begin = time.monotonic()
    for i in range(count):
        client.sendto(b"%03d" % i + b"x" * (size - 3), address)
    return begin


def count_until_silence(receiver) -> int:
    count = 0
    receiver.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while receiver.recv(2000):
            count += 1
    return count


def most_of(rate: float, begin: float) -> float:
    """A second's worth at once, and what the time since then has brought."""
    return rate * (1 + time.monotonic() - begin)


def test_datagrams_towards_targets_keep_to_the_rate():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        target.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{target.getsockname()[1]}"
        with mapped("udp/127.0.0.1:0", place, "udp/127.0.0.1:0", place, "--rate-out", "10000") as culvert:
            begin = time.monotonic()
            for port in culvert.ports:  # the rate is theirs together
                flood(client, ("127.0.0.1", port), 40, 1000)
            passed = count_until_silence(target)
            assert 10 <= passed <= most_of(10, begin)
            culvert.wait_for_match(rf"udp 127\.0\.0\.1:\d+ -> {place}: datagrams dropped: more than 10000 bytes a second towards targets")


def test_datagrams_back_keep_to_the_rate_and_streams_wait_for_it():
    data = test_data(15_000)

    def give(s):
        s.sendall(data)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, Server(give) as giver:
        target.bind(("127.0.0.1", 0))
        target.settimeout(DEADLINE)
        place = f"127.0.0.1:{target.getsockname()[1]}"
        with mapped("udp/127.0.0.1:0", place, "127.0.0.1:0", f"127.0.0.1:{giver.port}", "--rate-in", "10000") as culvert:
            datagrams, streams = culvert.ports
            client.sendto(b"question", ("127.0.0.1", datagrams))
            _, flow = target.recvfrom(100)
            begin = flood(target, flow, 40, 1000)
            assert 10 <= count_until_silence(client) <= most_of(10, begin)
            culvert.wait_for_match(r"datagrams dropped: more than 10000 bytes a second back")
            begin = time.monotonic()
            with connect(streams) as s:
                assert receive_all(s) == data
            assert time.monotonic() - begin > 0.4


def test_new_flows_keep_to_the_rate_of_new_streams():
    with datagram_echo() as target, mapped("udp/127.0.0.1:0", f"127.0.0.1:{target.port}", "--stream-rate", 5) as culvert, \
            contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(40)]
        begin = time.monotonic()
        for client in clients:
            client.sendto(b"x", ("127.0.0.1", culvert.port))
        culvert.wait_for_match(r"more than 5 new streams a second")
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            clients[0].sendto(b"x", ("127.0.0.1", culvert.port))  # a flow that lives goes on
            time.sleep(0.05)
        assert 5 <= len({peer for _, peer in target.heard}) <= most_of(5, begin)
        assert len(target.heard) > 10


def test_a_target_that_is_gone_costs_no_stream():
    port, gone = free_port(), free_port()
    with Server(echo) as target, mapped(f"127.0.0.1:{port}",
                                        f"127.0.0.1:{gone},127.0.0.1:{target.port}") as culvert:
        for _ in range(12):
            with connect(port) as client:
                client.sendall(b"x")
                assert receive_exactly(client, 1) == b"x"
        culvert.wait_for_match(rf"target 127\.0\.0\.1:{gone} down: .*refused")


def test_checks_bring_a_target_back():
    port, late = free_port(), free_port()
    with Server(echo) as target, mapped(f"127.0.0.1:{port}", f"127.0.0.1:{late},127.0.0.1:{target.port}", "--check",
                                        "1,1,1") as culvert:
        culvert.wait_for_match(rf"target 127\.0\.0\.1:{late} down")
        with socket.create_server(("127.0.0.1", late)):
            culvert.wait_for_match(rf"target 127\.0\.0\.1:{late} up")


@pytest.mark.parametrize("rate", [(), ("--rate-out", "1000M"), ("--rate-in", "1000M")])
def test_a_reset_arrives_at_a_target_that_takes_nothing(rate):
    with (socket.create_server(("127.0.0.1", 0)) as server,
          mapped("127.0.0.1:0", f"127.0.0.1:{server.getsockname()[1]}", *rate) as culvert, connect(culvert.port) as client):
        target, _ = server.accept()
        with target:
            client.settimeout(1)
            with pytest.raises(TimeoutError):
                for _ in range(10_000):
                    client.send(bytes(1 << 16))
            reset(client)
            events = select.poll()
            events.register(target, 0)
            assert events.poll(DEADLINE * 1000) and target.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


def test_the_target_learns_who_came():
    port = free_port()
    heard = []

    def take(client):
        heard.append(client.recv(200))

    with Server(take) as target, mapped(f"127.0.0.1:{port}", f"127.0.0.1:{target.port}", "--send-proxy", "v1"):
        with connect(port) as client:
            own = client.getsockname()[1]
            assert receive_all(client) == b""
    assert heard[0] == b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (own, port)


def test_a_trusted_proxy_says_who_came():
    port = free_port()
    heard = []

    def take(client):
        heard.append(client.recv(200))

    with Server(take) as target, mapped(f"127.0.0.1:{port}", f"127.0.0.1:{target.port}", "--accept-proxy",
                                        "127.0.0.0/8", "--send-proxy", "v1", "--deny", "192.0.2.66") as culvert:
        with connect(port) as client:
            client.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 80\r\n")
            assert receive_all(client) == b""
        assert heard[0] == b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 80\r\n"
        assert_resets(port, b"PROXY TCP4 192.0.2.66 192.0.2.1 4000 80\r\n")
        culvert.wait_for_match(r"refused 192\.0\.2\.66:4000: not allowed from there")


def test_who_may_not_come_is_turned_away():
    port = free_port()
    with Server(echo) as target, mapped(f"127.0.0.1:{port}", f"127.0.0.1:{target.port}", "--deny", "127.0.0.1",
                                        "--allow", "all") as culvert:
        assert_resets(port)
        culvert.wait_for_match(r"refused 127\.0\.0\.1:\d+: not allowed from there")


def test_the_name_in_tls_decides():
    port = free_port()
    heard = []

    def take(client):
        heard.append(client.recv(3)[:1])

    with Server(take) as target, mapped(f"127.0.0.1:{port}", "-", "--sni",
                                        f"*.example.org=127.0.0.1:{target.port}") as culvert:
        context = ssl.create_default_context()
        for name in ("a.example.org", "other.test"):
            with connect(port) as client, pytest.raises((ssl.SSLError, OSError)):
                context.wrap_socket(client, server_hostname=name)
        culvert.wait_for_match(r"other\.test")
    assert heard == [b"\x16"]


def test_bulk_behind_a_server_name_arrives_whole():
    """A ClientHello in two pieces, as those of today are, and a sender that pauses."""
    data = test_data((2 if SMALL else 16) << 20)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="a.example.org").do_handshake()
    hello = outgoing.read()
    heard = []
    # One that takes faster than it could look at: then culvert looks at nothing, either.
    with Server(lambda s: heard.append(receive_all(s))) as sink, \
            mapped("127.0.0.1:0", "-", "--sni", f"a.example.org=127.0.0.1:{sink.port}") as culvert:
        with connect(culvert.port) as client:
            for part in (hello[:100], hello[100:], data[:len(data) // 2], data[len(data) // 2:]):
                client.sendall(part)
                time.sleep(0.1)
            client.shutdown(socket.SHUT_WR)
            assert receive_all(client) == b""
    assert heard == [hello + data]


def test_the_source_address_is_the_one_asked_for():
    port = free_port()
    heard = []

    def take(client):
        heard.append(client.getpeername()[0])

    with Server(take) as target, mapped(f"127.0.0.1:{port}", f"127.0.0.1:{target.port}", "--source", "127.0.0.9"):
        with connect(port) as client:
            assert receive_all(client) == b""
    assert heard == ["127.0.0.9"]


def full_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    return reading, writing


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_standard_error_that_nobody_reads_holds_up_no_stream(form):
    """A pager, a terminal after Ctrl-S, a script that looks later."""
    port = free_port()
    reading, writing = full_pipe()
    with Server(echo) as target:
        culvert = subprocess.Popen([binary(), "map", "-vvv", "--log-format", form, f"127.0.0.1:{port}", f"127.0.0.1:{target.port}"],
                                   stdin=subprocess.DEVNULL, stderr=writing, env=environment(), start_new_session=True)
        try:
            deadline = time.monotonic() + DEADLINE
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    connect(port).close()
                    break
                assert culvert.poll() is None and time.monotonic() < deadline, "it does not listen"
                time.sleep(0.02)
            for _ in range(20):
                with connect(port) as client:
                    client.sendall(b"hello")
                    assert receive_exactly(client, 5) == b"hello"
            culvert.terminate()
            assert culvert.wait(DEADLINE) == 0
        finally:
            culvert.kill()
            culvert.wait(DEADLINE)
            os.close(writing)
            os.close(reading)


@pytest.mark.parametrize("start", [mapped, proxied])
def test_a_second_signal_ends_it_at_once(start):
    """The first one waits for live streams."""
    with Server(echo) as target:
        culvert = mapped(0, f"127.0.0.1:{target.port}") if start is mapped else proxied(0, "--connect", "127.0.0.0/8:*")
        try:
            with connect(culvert.port) as client:
                if start is proxied:
                    client.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: a\r\n\r\n" % target.port)
                client.sendall(b"hello")
                assert client.recv(1)
                culvert.signal(signal.SIGSTOP)
                os.waitpid(culvert.pid, os.WUNTRACED)
                culvert.signal(signal.SIGTERM)
                culvert.signal(signal.SIGINT)
                culvert.signal(signal.SIGCONT)
                assert culvert.wait() in (128 + signal.SIGTERM, 128 + signal.SIGINT), "whichever the system told last"
        finally:
            culvert.stop()


def test_silence_ends_a_stream():
    port = free_port()
    with Server(echo) as target, mapped(f"127.0.0.1:{port}", f"127.0.0.1:{target.port}", "--idle-time", "1"):
        with connect(port) as client:
            client.sendall(b"x")
            assert receive_exactly(client, 1) == b"x"
            assert client.recv(1) == b""


@pytest.mark.parametrize("arguments, line", [
    ((), "map: LISTEN and TARGET expected"),
    (("80",), "map: \"80\" has no TARGET"),
    (("8000-8010", "a:80"), "\"8000-8010\" has 11 ports, and \"a:80\" has 1 port: a range maps one to one"),
    (("80", "a:80", "80", "b:80"), "two forwards listen at tcp port 80"),
    (("80", "a:0"), "\"a:0\": a target has no port 0"),
    (("1", "-"), "map: a TARGET - needs --sni"),
    (("1", "a:1", "--sni", "*=b:1"), "map: --sni *= and a TARGET are for the same streams: TARGET - goes with it"),
    (("1", "-", "--sni", "a.example=b:1,"), "--sni: \"\": not host:port"),
    (("1", "-", "--sni", "a.example=127.0.0.1:1", "--sni", "a.example=127.0.0.1:2"),
     "the server name a.example is given twice: several targets stand together, with commas between them"),
    (("udp/1", "a:1,b:1", "--check", "1"), "map: --check of udp targets needs --check-port, a TCP port of theirs"),
    (("1", "a:1,b:1", "--check-port", "1"), "map: --check-port requires --check"),
    (("0", "nosuch.invalid:80"), "cannot resolve nosuch.invalid: Name or service not known"),
    (("0", "127.0.0.1:1", "--allow", "10.0.0.0/33"), "--allow: "),
    (("0", "127.0.0.1:1", "--rate-in", "0"), "--rate-in: 0 would let nothing pass"),
])
def test_bad_input_is_one_line(arguments, line):
    done = run("map", *arguments)
    assert done.status == 255
    lines = [said for said in done.stderr.splitlines() if not re.search(r" up$|: runs as ", said)]
    assert len(lines) == 1 and lines[0].startswith("culvert: " + line), done.stderr


def test_a_listener_of_ours_is_no_target():
    port = free_port()
    done = run("map", f"127.0.0.1:{port}", f"localhost:{port}")
    assert done.status == 255
    assert done.stderr.splitlines()[-1] == (
        f"culvert: cannot map to localhost:{port}: that is a listener of this culvert: a loop")


def test_a_port_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("map", f"127.0.0.1:{port}", "127.0.0.1:1")
    assert done.status == 255 and "address already in use" in done.stderr


def test_a_range_is_up_when_all_of_it_is():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        last = taken.getsockname()[1]
        done = run("map", f"127.0.0.1:{last - 1}-{last}", "127.0.0.1:1-2")
    assert done.status == 255 and "address already in use" in done.stderr and " up" not in done.stderr, done.stderr


def test_the_proxy_reaches_ordinary_addresses_alone():
    port = free_port()
    with Server(echo) as target:
        for rules, code in (((), 2), (("--connect", "127.0.0.0/8:*"), 0)):
            with proxied(f"127.0.0.1:{port}", *rules), connect(port) as client:
                client.sendall(b"\x05\x01\x00")
                assert receive_exactly(client, 2) == b"\x05\x00"
                client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + target.port.to_bytes(2, "big"))
                assert receive_exactly(client, 10)[1] == code
                if code == 0:
                    client.sendall(b"hello")
                    assert receive_exactly(client, 5) == b"hello"

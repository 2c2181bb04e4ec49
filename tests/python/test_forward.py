# SPDX-License-Identifier: Apache-2.0
"""-L in all its forms, and what a relay must keep: half-close, resets, and every stream for itself."""

import concurrent.futures
import hashlib
import os
import pathlib
import socket
import stat
import struct

import pytest

from harness.culvert import SMALL, Culvert, local_forward
from harness.sockets import (DEADLINE, Server, assert_ends, connect, echo, echo_both_ways, free_port, has_ipv6, receive_all,
                             receive_exactly, reset, silent, source_of, test_data)

SIZE = (1 if SMALL else 8) << 20
needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")


def test_port_to_port(sshd, folder, echo_server):
    forward, port = local_forward(sshd, folder, echo_server.port)
    with forward:
        assert any(line.startswith("culvert: local ") and f":{port} -> 127.0.0.1:{echo_server.port} up" in line
                   for line in forward.lines), forward.text
        echo_both_ways(port, SIZE)


@needs_ipv6
def test_a_bare_port_is_bound_on_both_loopback_addresses_and_no_other(sshd, folder, echo_server):
    forward, port = local_forward(sshd, folder, echo_server.port)
    with forward:
        for address in ("127.0.0.1", "::1"):
            with connect((address, port)) as s:
                s.sendall(b"x")
                assert receive_exactly(s, 1) == b"x"
        with pytest.raises(ConnectionRefusedError):
            connect(("127.0.0.2", port))


def test_explicit_bind_address(sshd, folder, echo_server):
    port = free_port()
    with Culvert(sshd, folder, [f"127.0.0.3:{port}:127.0.0.1:{echo_server.port}"]):
        with connect(("127.0.0.3", port)) as s:
            s.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"
        with pytest.raises(ConnectionRefusedError):
            connect(("127.0.0.1", port))


def test_localhost_is_bound_on_loopback(sshd, folder, echo_server):
    port = free_port()
    with Culvert(sshd, folder, [f"localhost:{port}:localhost:{echo_server.port}"]):
        echo_both_ways(port, 1000)


@pytest.mark.parametrize("bind", ["*", ""])
def test_every_address(sshd, folder, echo_server, bind):
    port = free_port()
    with Culvert(sshd, folder, [f"{bind}:{port}:127.0.0.1:{echo_server.port}"]):
        with connect(("127.0.0.9", port)) as s:
            s.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"


def test_gateway_ports(sshd, folder, echo_server):
    port = free_port()
    with Culvert(sshd, folder, [f"{port}:127.0.0.1:{echo_server.port}"], arguments=["-g"]):
        with connect(("127.0.0.9", port)) as s:
            s.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"


@needs_ipv6
def test_ipv6_in_brackets(sshd, folder):
    port = free_port()
    with Server(echo, address="::1") as target, Culvert(sshd, folder, [f"[::1]:{port}:[::1]:{target.port}"]):
        with connect(("::1", port)) as s:
            s.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"


def test_port_to_path(sshd, folder):
    path = str(folder / "target")
    with Server(echo, path=path):
        forward, port = local_forward(sshd, folder, path)
        with forward:
            echo_both_ways(port, SIZE)


def test_path_to_port(sshd, folder, echo_server):
    path = str(folder / "listener")
    with Culvert(sshd, folder, [f"{path}:127.0.0.1:{echo_server.port}"]) as forward:
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0, "others may connect to the socket"
        echo_both_ways(path, SIZE)
        forward.stop()
        assert not pathlib.Path(path).exists(), "the socket was left behind"


def test_path_to_path(sshd, folder):
    path, target = str(folder / "listener"), str(folder / "target")
    with Server(echo, path=target), Culvert(sshd, folder, [f"{path}:{target}"]):
        echo_both_ways(path, SIZE)


def test_several_forwards_in_one_session(sshd, folder, echo_server):
    ports = [free_port() for _ in range(5)]
    with Culvert(sshd, folder, [f"{p}:127.0.0.1:{echo_server.port}" for p in ports]) as forward:
        assert len([line for line in forward.lines if line.endswith(" up")]) >= len(ports)
        for port in ports:
            echo_both_ways(port, 10_000)


# ------------------------------------------------------------------------------------------------------------ the end

@pytest.mark.parametrize("size", [0, 1, 32767, 32768, 32769, SIZE])
def test_download_of_every_size_ends(sshd, folder, size):
    data = test_data(size)
    with Server(source_of(data)) as server:
        forward, port = local_forward(sshd, folder, server.port)
        with forward, connect(port) as s:
            assert hashlib.sha256(receive_all(s)).digest() == hashlib.sha256(data).digest()


def test_refused_destination_ends_the_client_and_says_why(sshd, folder):
    forward, port = local_forward(sshd, folder, free_port())
    with forward:
        assert_ends(port)
        line = forward.wait_for("open failed: connect failed: Connection refused")
        assert line.startswith("culvert: ")


# --------------------------------------------------------------------------------------------------- many at a time

def test_a_silent_target_holds_up_no_other_stream(sshd, folder):
    """One reader that has stopped with its window full, 99 streams that go on."""
    port_of_silent, port_of_echo = free_port(), free_port()
    with Server(silent) as stalled, Server(echo) as lively:
        forwards = [f"{port_of_silent}:127.0.0.1:{stalled.port}", f"{port_of_echo}:127.0.0.1:{lively.port}"]
        with Culvert(sshd, folder, forwards), connect(port_of_silent) as stuck:
            stuck.setblocking(False)
            sent, block = 0, b"\0" * 65536
            try:
                while sent < 256 << 20:
                    sent += stuck.send(block)
                    if sent % (1 << 20) < 65536:
                        os.sched_yield()
            except BlockingIOError:
                pass
            with concurrent.futures.ThreadPoolExecutor(max_workers=20) as pool:
                list(pool.map(lambda _: echo_both_ways(port_of_echo, 100_000), range(99)))


def test_a_stalled_client_holds_up_no_other_stream(sshd, folder):
    """A client that does not read what its target pours out."""
    with Server(source_of(b"\0" * (64 << 20))) as pouring, Server(echo) as lively:
        a, b = free_port(), free_port()
        with Culvert(sshd, folder, [f"{a}:127.0.0.1:{pouring.port}", f"{b}:127.0.0.1:{lively.port}"]):
            with connect(a) as stalled:
                receive_exactly(stalled, 1000)
                with concurrent.futures.ThreadPoolExecutor(max_workers=10) as pool:
                    list(pool.map(lambda _: echo_both_ways(b, 200_000), range(30)))
                assert len(receive_exactly(stalled, (64 << 20) - 1000)) == (64 << 20) - 1000


def test_a_destination_that_never_answers_holds_up_no_other_stream(sshd, folder, echo_server):
    """A listener with a full queue drops connection attempts: sshd waits, and the others go on."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
            fillers.append(filler)
        a, b = free_port(), free_port()
        with Culvert(sshd, folder, [f"{a}:127.0.0.1:{deaf.getsockname()[1]}", f"{b}:127.0.0.1:{echo_server.port}"]):
            waiting = [connect(a) for _ in range(5)]
            for _ in range(20):
                echo_both_ways(b, 10_000)
            for s in waiting + fillers:
                s.close()


def test_many_streams_at_once(sshd, folder, echo_server):
    count = 60 if SMALL else 200
    forward, port = local_forward(sshd, folder, echo_server.port)
    with forward:
        streams = [connect(port) for _ in range(count)]
        for i, s in enumerate(streams):
            s.sendall(struct.pack("!I", i) * 1000)
        for i, s in enumerate(streams):
            assert receive_exactly(s, 4000) == struct.pack("!I", i) * 1000
        for s in streams:
            s.close()
        assert echo_server.wait_until(lambda server: server.open_connections == 0), "streams were left open"


def test_a_thousand_streams_in_sequence(sshd, folder, echo_server):
    forward, port = local_forward(sshd, folder, echo_server.port)
    with forward:
        for i in range(200 if SMALL else 1000):
            with connect(port) as s:
                s.sendall(b"%d" % i)
                s.shutdown(socket.SHUT_WR)
                assert receive_all(s) == b"%d" % i
        assert echo_server.wait_until(lambda server: server.open_connections == 0), "streams were left open"


def test_streams_that_come_and_go_by_every_kind_of_end(sshd, folder, echo_server):
    """Clients that leave at every moment; afterwards the session carries streams as before."""
    forward, port = local_forward(sshd, folder, echo_server.port)
    with forward:
        for i in range(30 if SMALL else 150):
            s = connect(port)
            if i % 5 >= 1:
                s.sendall(b"x" * (1 << (i % 17)))
            if i % 5 == 2:
                s.shutdown(socket.SHUT_WR)
            if i % 5 == 3:
                s.recv(1)
            reset(s) if i % 2 else s.close()
        echo_both_ways(port, 1 << 20)
        assert echo_server.wait_until(lambda server: server.open_connections == 0, DEADLINE), "streams were left open"

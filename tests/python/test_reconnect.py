# SPDX-License-Identifier: Apache-2.0
"""A connection that is lost comes back: listeners stay, streams wait, remote forwards are asked for again."""

import concurrent.futures
import signal
import threading
import time

import pytest

from harness.culvert import binary, destination, environment, login_arguments, run
from harness.gate import Gate
from harness.processes import Process
from harness.sockets import DEADLINE, connect, echo_both_ways, free_port, receive_all, receive_exactly

BACK = "again after"


@pytest.fixture
def gate(sshd):
    gate = Gate(sshd.port)
    gate.open()
    yield gate
    gate.cut()


def culvert_at(gate, sshd, folder, *arguments, options=None):
    command = login_arguments(sshd, folder, options=options, known_hosts=sshd.known_hosts().replace(sshd.address, f"[127.0.0.1]:{gate.port}"))
    command[command.index("-p") + 1] = str(gate.port)
    return Process([binary(), "-N", *command, *arguments, destination(sshd)], env=environment(), start_new_session=True)


def test_comes_back_and_streams_wait(gate, sshd, folder, echo_server):
    port = free_port()
    with culvert_at(gate, sshd, folder, "-L", f"{port}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        echo_both_ways(port, 1000)
        live = connect(port)
        live.sendall(b"x")
        assert receive_exactly(live, 1) == b"x"
        gate.shut()
        culvert.wait_for("connection lost")
        with pytest.raises(OSError):  # what the connection carried went with it
            if receive_all(live) == b"":
                raise ConnectionResetError
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(echo_both_ways, port, 1000)
            time.sleep(1.5)
            assert not waiting.done()
            assert BACK not in culvert.text
            opened = time.monotonic()
            gate.open()
            culvert.wait_for(BACK)
            assert time.monotonic() - opened < 3  # a second of the design, and the machine's own delays
            waiting.result(30)
        echo_both_ways(port, 100000)


def test_remote_forwards_are_asked_for_again(gate, sshd, folder, echo_server):
    port = free_port()
    with culvert_at(gate, sshd, folder, "-R", f"{port}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        for count in range(1, 4):
            echo_both_ways(port, 1000)
            gate.cut()
            culvert.wait_for(f"remote localhost:{port} up again", count=count)
        echo_both_ways(port, 1000)


def test_a_file_that_is_left_is_told_of_once(gate, sshd, folder, echo_server):
    """sshd leaves the file of a Unix socket behind, and refuses a second one of that name."""
    there = folder / "there.sock"
    with culvert_at(gate, sshd, folder, "-R", f"{there}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        gate.cut()
        line = culvert.wait_for(f"remote {there}: the server refuses it")
        assert "StreamLocalBindUnlink" in line and "the file is left" in line
        sshd.process.wait_for(f"cannot bind to path {there}", count=3)
        there.unlink()
        culvert.wait_for(f"remote {there} up again")
        assert culvert.text.count("the server refuses it") == 1
        echo_both_ways(str(there), 1000)


def test_twenty_cuts_under_traffic(gate, sshd, folder, echo_server):
    port = free_port()
    stop = threading.Event()

    def traffic():
        done = 0
        while not stop.is_set():
            try:
                echo_both_ways(port, 50000)
                done += 1
            except (OSError, AssertionError):
                pass
        return done

    with culvert_at(gate, sshd, folder, "-L", f"{port}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            running = [pool.submit(traffic) for _ in range(2)]
            for count in range(1, 21):
                gate.cut()
                culvert.wait_for(BACK, count=count)
            stop.set()
            assert sum(r.result(60) for r in running) > 0
        echo_both_ways(port, 1000)
        assert culvert.text.count("connection lost") == culvert.text.count(BACK)


def test_a_peer_that_goes_silent_is_noticed(gate, sshd, folder, echo_server):
    port = free_port()
    with culvert_at(gate, sshd, folder, "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2", "-L",
                    f"{port}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        gate.silent = True
        culvert.wait_for("connection lost")
        assert "does not answer" in culvert.text
        gate.silent = False
        culvert.wait_for(BACK)
        echo_both_ways(port, 1000)


def test_an_answer_that_came_while_it_was_stopped_counts(gate, sshd, folder, echo_server):
    """As after a pause of a virtual machine: a question is open, and its answer waits to be read."""
    port = free_port()
    with culvert_at(gate, sshd, folder, "-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=1", "-L",
                    f"{port}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        gate.held.clear()
        gate.silent = True
        assert gate.held.wait(DEADLINE), "it asks nothing"
        culvert.signal(signal.SIGSTOP)
        gate.silent = False
        time.sleep(3)  # longer than it waits for the answer
        culvert.signal(signal.SIGCONT)
        echo_both_ways(port, 1000)
        assert "connection lost" not in culvert.text


def test_a_host_key_that_is_not_the_known_one_is_final(gate, sshd, folder):
    with culvert_at(gate, sshd, folder) as culvert:
        culvert.wait_for("culvert: ready")
        known = folder / f"known_hosts_{sshd.port}"
        known.write_text("".join("@revoked " + line + "\n" for line in known.read_text().splitlines()))
        gate.cut()
        assert culvert.wait() == 255
        assert "revoked" in culvert.text and "connected to" not in culvert.text
        assert gate.opened == 2


def test_an_accepted_host_key_is_remembered(make_sshd, folder):
    """Though no file could be told of it: the same key is good, another one is not taken for a new host's."""
    nowhere = {"UserKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "accept-new"}
    with make_sshd() as server, make_sshd(kinds=("rsa",)) as other:
        gate = Gate(server.port)
        gate.open()
        with culvert_at(gate, server, folder, options=nowhere) as culvert:
            culvert.wait_for("culvert: ready")
            gate.cut()
            culvert.wait_for(BACK)
            gate.target = other.port
            gate.cut()
            assert culvert.wait() == 255
            assert "has changed since the connection before" in culvert.text


@pytest.mark.parametrize("options, said", [
    ({}, "Permission denied"),
    ({"MaxAuthTries": "1"}, "Permission denied (the peer disconnected: Too many authentication failures)"),
], ids=["refused", "enough-attempts"])
def test_a_refused_login_is_final(make_sshd, folder, user_key, options, said):
    with make_sshd(options) as server:
        gate = Gate(server.port)
        gate.open()
        with culvert_at(gate, server, folder) as culvert:
            culvert.wait_for("culvert: ready")
            (server.folder / "authorized_keys").write_text("")
            gate.cut()
            assert culvert.wait() == 255
            assert said in culvert.text and "connected to" not in culvert.text
            assert gate.opened == 2


def test_no_reconnect(gate, sshd, folder):
    remote = free_port()
    with culvert_at(gate, sshd, folder, "--no-reconnect", "-R", f"{remote}:127.0.0.1:1") as culvert:
        culvert.wait_for("culvert: ready")
        gate.cut()
        assert culvert.wait() == 255
        assert "connecting again" not in culvert.text
        # The session knows why, and not who listened over it.
        assert culvert.lines[-1].startswith(f"culvert: 127.0.0.1 port {gate.port}: "), culvert.text


def test_the_first_connection_fails_at_once():
    done = run("-F", "none", "-N", "-p", str(free_port()), "someone@127.0.0.1", timeout=20)
    assert done.status == 255 and "Connection refused" in done.stderr


def test_wait_for_the_first(gate, sshd, folder, echo_server):
    gate.shut()
    port = free_port()
    with culvert_at(gate, sshd, folder, "--wait", "-L", f"{port}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("waiting for it")
        assert "ready" not in culvert.text
        gate.open()
        culvert.wait_for("culvert: ready")
        echo_both_ways(port, 1000)


@pytest.mark.full
def test_a_server_that_is_gone_for_minutes(gate, sshd, folder, echo_server):
    """Attempts stay ten seconds apart at most, a stream of the last moments is served, and memory does not grow."""
    port, remote = free_port(), free_port()
    with culvert_at(gate, sshd, folder, "-L", f"{port}:127.0.0.1:{echo_server.port}",
                    "-R", f"{remote}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        gate.shut()
        sshd.cut_connections()
        culvert.wait_for("connection lost")
        time.sleep(180)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(echo_both_ways, port, 1000)
            gate.open()
            opened = time.monotonic()
            culvert.wait_for(BACK)
            assert time.monotonic() - opened < 12
            waiting.result(30)
        culvert.wait_for(f"remote localhost:{remote} up again")
        echo_both_ways(remote, 100000)

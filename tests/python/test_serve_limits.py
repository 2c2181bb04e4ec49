# SPDX-License-Identifier: Apache-2.0
"""Limits of `culvert serve`: streams, listeners, rates, attempts, and quotas over restarts."""

import contextlib
import signal
import socket
import stat
import time

from harness.clients import client, client_command, is_open, wait_until
from harness.culvert import environment, run
from harness.gate import Gate
from harness.keys import make_key, public_part
from harness.processes import Process, kill
from harness.sockets import Server, connect, echo_both_ways, free_port, receive_all, receive_exactly, silent


def test_limits(serve, folder, echo_server):
    rules = f"""
[[user]]
name = "me"
connect = ["localhost:*"]
listen = ["*"]
max_streams = 2
max_listeners = 1
bytes_per_second_out = "1M"
quota = "3M"
"""
    server = serve(rules=rules)
    port, remote = free_port(), free_port()
    with client("culvert", server, folder, "-L", f"{port}:127.0.0.1:{echo_server.port}",
                "-R", f"{remote}:127.0.0.1:{echo_server.port}") as process:
        process.wait_for("ready")  # not a connection to see it: that would be one of the two streams
        with connect(port) as a, connect(port) as b:
            for s in (a, b):
                s.sendall(b"x")
                assert receive_exactly(s, 1) == b"x"
            with contextlib.suppress(ConnectionResetError), connect(port) as third:  # perhaps before connect() has seen it
                third.sendall(b"x")
                assert third.recv(1) == b""
        process.wait_for("open failed: resource shortage")
        done = run(*client_command("culvert", server, folder, "-R", f"{free_port()}:127.0.0.1:1")[1:])
        assert done.status == 255
        server.wait_for_log("max_listeners is reached")
        wait_until(lambda: server.log.count("ended, 1 bytes from the client") >= 2)
        begun = time.monotonic()
        with connect(port) as s:
            s.sendall(b"z" * 1_200_000)
            s.shutdown(socket.SHUT_WR)
            assert len(receive_all(s)) == 1_200_000
        assert time.monotonic() - begun > 0.1  # a second's worth at once, then the rate
        with connect(port) as s:  # the quota ends it
            with contextlib.suppress(OSError):
                s.sendall(b"z" * 3_000_000)
                receive_all(s)
        server.wait_for_log(" s: the quota is used up")
        # Reset, and maybe before connect() returns.
        with contextlib.suppress(ConnectionResetError, BrokenPipeError), connect(port) as s:
            s.sendall(b"z")
            assert s.recv(1) == b""


def test_a_full_server_is_no_refusal(serve, folder):
    server = serve("--allow-all", "--max-sessions", "1")
    with client("culvert", server, folder, "-L", f"{free_port()}:127.0.0.1:1") as first:
        first.wait_for("ready")
        # After a refusal a client ends, --wait or not.
        with client("culvert", server, folder, "--wait", "-L", f"{free_port()}:127.0.0.1:1") as second:
            server.wait_for_log("refused: there are too many sessions (--max-sessions)")
            second.wait_for("too many sessions")
            first.stop()
            second.wait_for("ready")


def test_sessions_of_a_user(serve, folder):
    server = serve(rules='[[user]]\nname = "me"\nlisten = ["*"]\nmax_sessions = 2\n')
    forward = ("-R", f"{free_port()}:127.0.0.1:1")
    with client("culvert", server, folder, *forward) as first, client("ssh", server, folder):
        first.wait_for("ready")
        server.wait_for_log("logged in with", count=2)
        done = run(*client_command("culvert", server, folder)[1:])
        assert done.status == 255 and "too many sessions" in done.stderr
        server.wait_for_log("refused: max_sessions is reached")
        with client("culvert", server, folder, "--wait", *forward) as next_one:
            next_one.wait_for("too many sessions")
            time.sleep(3)  # both were asked, and answered
            assert "logged in" not in server.log.split("max_sessions is reached")[-1]
            first.stop()
            next_one.wait_for("ready")


def test_a_client_that_lost_its_path_comes_back_to_its_only_session(serve, folder, echo_server):
    server = serve(rules='[[user]]\nname = "me"\nlisten = ["*"]\nmax_sessions = 1\n')
    gate = Gate(server.port)
    gate.open()
    port = free_port()
    hasty = {"ServerAliveInterval": "1", "ServerAliveCountMax": "1"}
    with client("culvert", server, folder, "-R", f"{port}:127.0.0.1:{echo_server.port}", ports=(port,), port=gate.port,
                options=hasty) as process:
        gate.lose()
        process.wait_for("again after")
        server.wait_for_log("another session took over")
        process.wait_for(f"remote localhost:{port} up again")
        echo_both_ways(port, 1000)
    gate.shut()


def test_one_key_keeps_nobody_out(serve, folder):
    """The last tenth of the sessions is for keys that have none."""
    other = make_key(folder / "other")
    server = serve("--allow-all", "--max-sessions", "10", authorized=f"{public_part(make_key(folder / 'one'))}\n{public_part(other)}\n")
    one = folder / "one"
    with contextlib.ExitStack() as stack:
        for _ in range(9):
            stack.enter_context(client("culvert", server, folder, key=one))
        server.wait_for_log("logged in with", count=9)
        done = run(*client_command("culvert", server, folder, key=one)[1:])
        assert done.status == 255 and "too many sessions" in done.stderr
        server.wait_for_log("refused: the last tenth of --max-sessions is for keys that have no session yet")
        with client("culvert", server, folder, key=other):
            server.wait_for_log("logged in with", count=10)


def test_streams_that_are_opened_at_once_keep_to_their_number(serve, folder):
    rules = """
[[user]]
name = "me"
connect = ["localhost:*"]
listen = ["*"]
max_streams = 2
"""
    server = serve(rules=rules)
    with Server(silent) as target:
        port, remote = free_port(), free_port()
        with client("ssh", server, folder, "-L", f"{port}:127.0.0.1:{target.port}", "-R", f"{remote}:127.0.0.1:{target.port}",
                    ports=(port,)):
            wait_until(lambda: server.log.count(" ended, ") >= 1)  # of the connection that looked whether it is up
            for way in (port, remote):
                before, refused = target.accepted, server.log.count("max_streams is reached")
                visitors = []
                for _ in range(20):
                    with contextlib.suppress(ConnectionResetError):  # refused before connect() has returned
                        visitors.append(connect(way))
                wait_until(lambda: server.log.count("max_streams is reached") - refused >= 18)
                assert target.accepted - before <= 2
                ended = server.log.count(" ended, ")
                for visitor in visitors:
                    visitor.close()
                wait_until(lambda: server.log.count(" ended, ") - ended >= 2)


def test_as_many_attempts_as_sshd_gives(serve, folder):
    """Six, and the first question about the methods is none."""
    server = serve("--allow-all", "--exempt", "127.0.0.0/8")
    wrong = [make_key(folder / f"wrong{i}") for i in range(6)]
    for count, status in ((5, 0), (6, 255)):
        words = [word for key in [*wrong[1:count], server.user_keys[0]] for word in ("-i", str(key))]
        port = free_port()
        command = client_command("ssh", server, folder, *words, "-L", f"{port}:127.0.0.1:9", key=wrong[0])
        with Process(command, env=environment(HOME=str(folder)), start_new_session=True) as process:
            if status == 0:
                wait_until(lambda p=port: is_open(p), process)
            else:
                assert process.wait() == status


def test_many_listeners_at_once(serve, folder):
    """ssh asks for all of them at once; those beyond the limit are refused, and the session goes on."""
    folders = [folder / f"{i}" for i in range(150)]
    asked = [word for path in folders for word in ("-R", f"{path}:127.0.0.1:9")]
    server = serve(rules=f'[[user]]\nname = "me"\nlisten = ["unix:{folder}/*"]\n')
    with client("ssh", server, folder, *asked, ports=(str(folders[-1]),)) as process:
        assert all(is_open(str(path)) for path in folders)
        assert "forwarding failed" not in process.text
    server.wait_for_log("session ended")  # its sockets are gone then
    server = serve(rules=f'[[user]]\nname = "me"\nlisten = ["unix:{folder}/*"]\nmax_listeners = 140\n')
    with client("ssh", server, folder, *asked, options={"ExitOnForwardFailure": "no"}) as process:
        process.wait_for("remote port forwarding failed for listen path", count=10)
        assert all(is_open(str(path)) for path in folders[:140])


def test_refusals_do_not_fill_the_log(serve, folder):
    server = serve(rules='[[user]]\nname = "me"\nconnect = ["*:*"]\n')
    listeners = [word for port in range(1, 601) for word in ("-R", f"{port}:127.0.0.1:1")]
    with client("ssh", server, folder, *listeners, options={"ExitOnForwardFailure": "no"}) as process:
        wait_until(lambda: process.text.count("remote port forwarding failed") == 600, process)
        assert 0 < server.log.count("refused to listen on") < 300


def test_quotas_outlive_the_server(serve, folder, echo_server):
    rules = """
[[user]]
name = "me"
connect = ["localhost:*"]
quota = "1M"
"""
    kept = folder / "used"

    def use(server, size):
        port = free_port()
        with client("culvert", server, folder, "-L", f"{port}:127.0.0.1:{echo_server.port}", ports=(port,)), connect(port) as s:
            s.sendall(b"z" * size)
            s.shutdown(socket.SHUT_WR)
            return len(receive_all(s))

    first = serve(rules=rules)
    assert "what is used of its quotas is forgotten when the server ends (--quota-file FILE keeps it)" in first.log
    first.stop()
    server = serve("--quota-file", str(kept), rules=rules)
    assert "--quota-file" not in server.log
    assert use(server, 400_000) == 400_000
    server.stop()  # in order
    assert kept.read_text() == f"{800_000:020} user me\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    server = serve("--quota-file", str(kept), rules=rules)
    assert use(server, 100_000) == 100_000
    wait_until(lambda: kept.read_text() == f"{1_000_000:020} user me\n")
    kill(server.process.popen.pid, signal.SIGKILL)
    server.stop()
    kept.write_text(f"{1_048_576:020} user me\n")  # by its operator

    server = serve("--quota-file", str(kept), rules=rules)
    done = run(*client_command("culvert", server, folder)[1:], "-o", "ConnectTimeout=5")
    assert done.status == 255
    server.wait_for_log("the quota is used up")
    second = run("serve", "-k", str(server.keys_file), "--quota-file", str(kept), "--host-key", str(server.host_keys[0]), "-l", "127.0.0.1:0")
    assert second.status == 255
    assert f"quota file {kept}: another server keeps it" in second.stderr

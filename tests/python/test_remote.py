# SPDX-License-Identifier: Apache-2.0
"""-R in all its forms: the server listens, and what comes is carried here."""

import concurrent.futures
import re
import time

import pytest

from harness.culvert import SMALL, Culvert, destination, login_arguments, run
from harness.sockets import Server, connect, echo, echo_both_ways, free_port, receive_all, silent

SIZE = (1 if SMALL else 8) << 20


def remote_forward(server, folder, *specs, options=None, arguments=(), **more) -> Culvert:
    return Culvert(server, folder, [], options=options,
                   arguments=[*[word for spec in specs for word in ("-R", spec)], *arguments], **more)


def chosen_port(forward: Culvert) -> int:
    return int(re.search(r"remote \S+:(\d+) -> ", forward.text)[1])


def test_port_to_port(sshd, folder, echo_server):
    port = free_port()
    with remote_forward(sshd, folder, f"{port}:127.0.0.1:{echo_server.port}") as forward:
        assert f"culvert: remote localhost:{port} -> 127.0.0.1:{echo_server.port} up" in forward.lines, forward.text
        echo_both_ways(port, SIZE)


def test_port_zero_is_printed_and_passed_on(sshd, folder, echo_server):
    hook = f'echo "$CULVERT_LISTEN_HOST $CULVERT_LISTEN_PORT $CULVERT_DESTINATION" > {folder}/told'
    with remote_forward(sshd, folder, f"0:127.0.0.1:{echo_server.port}", arguments=["--on-listen", hook]) as forward:
        port = chosen_port(forward)
        echo_both_ways(port, 100000)
        told = folder / "told"
        end = time.monotonic() + 20
        while not (told.exists() and told.read_text().endswith("\n")) and time.monotonic() < end:
            time.sleep(0.02)
        assert told.read_text() == f"localhost {port} 127.0.0.1:{echo_server.port}\n"


def test_a_hook_that_fails_is_told_of(sshd, folder, echo_server):
    with remote_forward(sshd, folder, f"0:127.0.0.1:{echo_server.port}", arguments=["--on-listen", "exit 3"]) as forward:
        forward.wait_for("the command of --on-listen failed: it exited with status 3")
        echo_both_ways(chosen_port(forward), 1000)


def test_unix_sockets_at_either_end(sshd, folder):
    there, here = folder / "there.sock", folder / "here.sock"
    port = free_port()
    with Server(echo, path=str(here)):
        with remote_forward(sshd, folder, f"{there}:{here}", f"{port}:{here}"):
            echo_both_ways(str(there), 100000)
            echo_both_ways(port, 100000)


@pytest.mark.parametrize("bind, sent", [("", "*"), ("*", "*"), ("127.0.0.1", "127.0.0.1"), ("localhost", "localhost")])
def test_bind_addresses(make_sshd, folder, echo_server, bind, sent):
    with make_sshd({"GatewayPorts": "clientspecified"}) as server:
        port = free_port()
        with remote_forward(server, folder, f"{bind}:{port}:127.0.0.1:{echo_server.port}") as forward:
            assert f"remote {sent}:{port} ->" in forward.text
            echo_both_ways(port, 1000)
            if sent == "*":
                connect(("127.0.0.2", port)).close()


def test_a_target_that_refuses(sshd, folder):
    port, target = free_port(), free_port()
    with remote_forward(sshd, folder, f"{port}:127.0.0.1:{target}") as forward:
        with connect(port) as s:
            assert receive_all(s) == b""
        forward.wait_for(f"localhost:{port} -> 127.0.0.1:{target}: connect failed: Connection refused")


def test_many_streams_and_a_silent_target(sshd, folder, echo_server):
    with Server(silent) as mute:
        port, dead = free_port(), free_port()
        with remote_forward(sshd, folder, f"{port}:127.0.0.1:{echo_server.port}", f"{dead}:127.0.0.1:{mute.port}"):
            with connect(dead) as waiting, concurrent.futures.ThreadPoolExecutor(50) as pool:
                waiting.sendall(b"hello")
                list(pool.map(lambda _: echo_both_ways(port, 20000), range(200)))


def test_refused_at_start(make_sshd, folder):
    with make_sshd({"AllowTcpForwarding": "local"}) as server:
        port = free_port()
        done = run(*login_arguments(server, folder), "-R", f"{port}:127.0.0.1:9", destination(server))
        assert done.status == 255
        line = next(line for line in done.lines if f"remote localhost:{port}: the server refuses to listen" in line)
        assert "AllowTcpForwarding" in line


def test_refused_and_told_not_to_mind(make_sshd, folder):
    with make_sshd({"AllowTcpForwarding": "local"}) as server:
        port = free_port()
        with remote_forward(server, folder, f"{port}:127.0.0.1:9", options={"ExitOnForwardFailure": "no"}) as forward:
            assert f"remote localhost:{port}: the server refuses to listen" in forward.text


def test_the_server_stops_listening_when_culvert_ends(sshd, folder, echo_server):
    port = free_port()
    with remote_forward(sshd, folder, f"{port}:127.0.0.1:{echo_server.port}") as forward:
        echo_both_ways(port, 10)
        forward.signal(15)
        assert forward.wait() == 0
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            connect(port).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)
    raise AssertionError("it still listens")


def test_keyword(sshd, folder, echo_server):
    port = free_port()
    with Culvert(sshd, folder, [], options={"RemoteForward": f"{port} 127.0.0.1:{echo_server.port}"}):
        echo_both_ways(port, 1000)


@pytest.mark.parametrize("spec", ["", "x:y:z:w", "1:2:3:4:5", "70000:a:1", "8080:host", "[::1:80:a:1"])
def test_bad_specs(spec):
    done = run("-F", "none", "-R", spec, "host")
    assert done.status == 255 and len(done.lines) == 1 and done.lines[0].startswith("culvert: -R: "), done.stderr

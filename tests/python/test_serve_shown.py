# SPDX-License-Identifier: Apache-2.0
"""A session channel of `culvert serve`: shows who, what and how much, and runs nothing."""

import re
import select
import subprocess

from harness.clients import client_command, is_open
from harness.culvert import environment
from harness.processes import Process
from harness.sockets import DEADLINE, free_port


def shown(process: Process) -> bytes:
    """All that a session shows next."""
    text = b""
    while b"Ctrl-C" not in text:
        assert select.select([process.popen.stdout], [], [], DEADLINE)[0], f"nothing more is shown: {text}"
        part = process.popen.stdout.read1(4096)
        assert part, process.text
        text += part
    return text


def test_a_session_shows_and_runs_nothing(serve, folder):
    server = serve("--allow-all")
    command = [word for word in client_command("ssh", server, folder, "-tt", "-R", "0:127.0.0.1:9") if word != "-N"]
    with Process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(HOME=str(folder))) as process:
        text = shown(process)
        assert b"You are me from 127.0.0.1:" in text
        port = int(re.search(rb"listening on 127\.0\.0\.1:(\d+)", text)[1])
        assert is_open(port)
        process.popen.stdin.write(b"\x03")
        process.popen.stdin.flush()
        assert process.popen.wait(20) == 0
    for request in (["ls"], ["-s", "sftp"]):
        arguments = client_command("ssh", server, folder)
        arguments.remove("-N")
        done = subprocess.run([*arguments, *request] if request[0] != "-s" else [arguments[0], "-s", *arguments[1:], "sftp"],
                              capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 255
        assert "request failed" in done.stderr
    server.wait_for_log("refused exec: this server only forwards")
    server.wait_for_log("refused subsystem: this server only forwards")


def test_a_session_shows_what_changes(serve, folder):
    """A listener that comes later, as one does that had to be taken over, and one that goes."""
    server = serve("--allow-all")
    control = folder / "control"
    command = [word for word in client_command("ssh", server, folder, "-tt", "-M", "-S", str(control)) if word != "-N"]
    with Process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(HOME=str(folder))) as process:
        assert b"  no listeners" in shown(process)
        port = free_port()
        for order, expected in (("forward", b"  listening on 127.0.0.1:"), ("cancel", b"  no listeners")):
            done = subprocess.run(["ssh", "-S", str(control), "-O", order, "-R", f"{port}:127.0.0.1:9", "me@127.0.0.1"],
                                  capture_output=True, text=True, timeout=20, check=False)
            assert done.returncode == 0, done.stderr
            assert expected in shown(process)


def test_a_session_shows_where_and_how_much(serve, folder):
    """Listeners with an address that can be typed, live streams, and all limits."""
    rules = """
[[user]]
name = "me"
listen = ["*:*"]
max_sessions = 4
max_streams = 7
max_listeners = 3
bytes_per_second_in = "1M"
bytes_per_second_out = "2M"
quota = "1G"
until = 2099-01-02T03:04:05Z
"""
    server = serve(rules=rules)
    port = free_port()
    command = [word for word in client_command("ssh", server, folder, "-R", f"0.0.0.0:{port}:127.0.0.1:9") if word != "-N"]
    with Process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(HOME=str(folder))) as process:
        text = shown(process)
    for line in (f"listening on 0.0.0.0:{port}, to be reached at 127.0.0.1:{port}", "live streams: 0",
                 "of this user: 1 of at most 4 sessions", "of this user: 0 of at most 7 streams", "of this user: 1 of at most 3 listeners",
                 "of this user: at most 1048576 bytes a second from you", "of this user: at most 2097152 bytes a second to you",
                 "of this user: 0 of 1073741824 bytes used", "of this user: until 2099-01-02 03:04:05 UTC"):
        assert f"  {line}" in text.decode().splitlines()

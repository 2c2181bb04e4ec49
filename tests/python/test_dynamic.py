# SPDX-License-Identifier: Apache-2.0
"""-D: where it listens. What its proxy does is in test_proxy.py."""

import re

import pytest

from harness.culvert import Culvert, run
from harness.proxy import SOCKS5
from harness.sockets import Server, check_echo, connect, echo, free_port


def test_the_line_says_where_it_listens(sshd, folder, echo_server):
    with Culvert(sshd, folder, [], arguments=["-D", "0"]) as process:
        ports = {re.search(r":(\d+) up", line)[1] for line in process.lines if line.startswith("culvert: dynamic ")}
        assert len(ports) == 1, process.text
        with SOCKS5.connect(int(ports.pop()), "127.0.0.1", echo_server.port) as s:
            check_echo(s)


def test_others_may_use_it_only_if_told_so(sshd, folder, echo_server):
    for arguments, may in ([], False), (["-g"], True), (["-oGatewayPorts=yes"], True):
        port = free_port()
        with Culvert(sshd, folder, [], arguments=[*arguments, f"-oDynamicForward={port}"]):
            if may:
                with SOCKS5.connect(("127.0.0.9", port), "127.0.0.1", echo_server.port) as s:
                    check_echo(s)
            else:
                with pytest.raises(ConnectionRefusedError):
                    connect(("127.0.0.9", port))


def test_on_a_unix_socket(sshd, folder, echo_server):
    path = str(folder / "socks")
    with Culvert(sshd, folder, [], arguments=["-D", path]):
        with SOCKS5.connect(path, "127.0.0.1", echo_server.port) as s:
            check_echo(s)


def test_a_port_that_is_taken_is_known_before_the_login(folder):
    with Server(echo) as other:
        done = run("-F", "none", "-D", f"localhost:{other.port}", "-p", "1", "127.0.0.1")
    assert done.status == 255
    assert len(done.lines) == 1 and "already in use" in done.stderr, done.stderr

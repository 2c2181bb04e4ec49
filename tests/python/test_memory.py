# SPDX-License-Identifier: Apache-2.0
"""What a program that waits keeps of its own code (docs/decisions/code-pages.md)."""

import re

import pytest

from harness.culvert import SMALL, Culvert, binary
from harness.proxy import SOCKS5
from harness.sockets import check_echo, connect, free_ports

pytestmark = pytest.mark.skipif(SMALL, reason="code under a sanitizer is laid out by nobody")

# A recorded order keeps it at a quarter of what it is without. More than this: scripts/record_order is due.
MOST = 1280 << 10


def code_in_memory(pid: int) -> int:
    """Bytes of the program's code that the process has mapped now."""
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        found = re.findall(rf" r-xp .*{re.escape(binary())}\n(?:\w+:.*\n)*?Rss:\s+(\d+) kB", file.read())
    assert found
    return sum(map(int, found)) * 1024


def test_code_that_runs_for_long_lies_together(sshd, folder, echo_server):
    local, dynamic, *more = free_ports(20)
    arguments = [word for port in more for word in ("-L", f"127.0.0.1:{port}:127.0.0.1:9")]
    with Culvert(sshd, folder, [f"127.0.0.1:{local}:127.0.0.1:{echo_server.port}"],
                 arguments=["-D", f"127.0.0.1:{dynamic}", *arguments], options={"ServerAliveInterval": "1"}) as culvert:
        with connect(local) as one, SOCKS5.connect(dynamic, "127.0.0.1", echo_server.port) as other:
            check_echo(one)
            check_echo(other)
            now = code_in_memory(culvert.pid)
        print(f"{now >> 10} KiB of code behind the start and two streams")
        assert now < MOST

# SPDX-License-Identifier: Apache-2.0
"""What is said on SIGUSR1, and that it ends nothing."""

import re
import signal
import socket
import time

from harness.clients import client
from harness.culvert import Culvert
from harness.direct import mapped, proxied
from harness.proxy import SOCKS5
from harness.sockets import DEADLINE, Server, check_echo, connect, datagram_echo, echo, free_port, free_range
from test_serve_log import wait_for_event


def said(process, pattern: str) -> None:
    """Asked until a line is this: what it counts may be a moment late."""
    end = time.monotonic() + DEADLINE
    while not any(re.fullmatch(pattern, line) for line in process.lines):
        assert time.monotonic() < end, f"{pattern!r} is missing:\n{process.text}"
        process.signal(signal.SIGUSR1)
        time.sleep(0.1)


def counted(connections: int, live: int, refused: int, size: int, back: int | None = None) -> str:
    return (f": {connections} connections, {live} of them live, {refused} refused, {size} bytes to the target, "
            f"{size if back is None else back} back")


def carry(port: int, size: int) -> socket.socket:
    s = connect(port)
    check_echo(s, bytes(size))
    return s


def test_map_over_all_threads_and_a_whole_range():
    port = free_port()
    with Server(echo) as target, datagram_echo() as datagrams, \
            mapped(f"127.0.0.1:{port}", f"127.0.0.1:{target.port}", "udp/127.0.0.1:0", f"127.0.0.1:{datagrams.port}",
                   "127.0.0.1:0", "127.0.0.1:9", "--threads", 3) as culvert:
        live = [carry(port, 1000) for _ in range(20)]
        carry(port, 1).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(DEADLINE)
            s.connect(("127.0.0.1", culvert.ports[1]))
            s.send(b"12345")
            assert s.recv(100) == b"re:12345"
        first = f"culvert: map 127.0.0.1:{port} -> 127.0.0.1:{target.port}"
        said(culvert, first + counted(21, 20, 0, 20_001))
        said(culvert, f"culvert: map udp 127.0.0.1:{culvert.ports[1]} -> 127.0.0.1:{datagrams.port}" + counted(1, 1, 0, 5, 8))
        said(culvert, f"culvert: map 127.0.0.1:{culvert.ports[2]} -> 127.0.0.1:9" + counted(0, 0, 0, 0))
        for s in live:
            s.close()
        said(culvert, first + counted(21, 0, 0, 20_001))


def test_a_range_is_one_mapping():
    first = free_range(3)
    listens = f"127.0.0.1:{first}-{first + 2}"
    with Server(echo) as target:
        targets = f"127.0.0.1:{target.port - 1}-{target.port + 1}"
        with mapped(listens, targets) as culvert:
            for _ in range(2):
                carry(first + 1, 10).close()
            said(culvert, f"culvert: map {listens} -> {targets}" + counted(2, 0, 0, 20))


def test_proxy():
    port = free_port()
    with Server(echo) as target, proxied(f"127.0.0.1:{port}", "--connect", "127.0.0.1:*") as culvert:
        with SOCKS5.connect(port, "127.0.0.1", target.port) as s:
            check_echo(s, b"123")
            said(culvert, f"culvert: proxy 127.0.0.1:{port}" + counted(1, 1, 0, 3))
        with connect(port) as s:
            assert SOCKS5.ask(s, "127.0.0.2", 9) != SOCKS5.success
        said(culvert, f"culvert: proxy 127.0.0.1:{port}" + counted(1, 0, 1, 3))


def test_a_client_says_how_its_connection_is(sshd, folder, echo_server):
    port, proxy = free_port(), free_port()
    with Culvert(sshd, folder, [f"127.0.0.1:{port}:127.0.0.1:{echo_server.port}"], arguments=["-D", f"127.0.0.1:{proxy}"]) as culvert:
        carry(port, 100).close()
        said(culvert, rf"culvert: connected to 127.0.0.1 port {sshd.port} for \d+\.\d s")
        said(culvert, f"culvert: local 127.0.0.1:{port} -> 127.0.0.1:{echo_server.port}" + counted(1, 0, 0, 100))
        said(culvert, f"culvert: dynamic 127.0.0.1:{proxy}" + counted(0, 0, 0, 0))
        sshd.cut_connections()
        culvert.wait_for("again after")
        said(culvert, rf"culvert: connected to 127.0.0.1 port {sshd.port} for \d+\.\d s, lost 1 time so far")
        carry(port, 100).close()
        said(culvert, f"culvert: local 127.0.0.1:{port} -> 127.0.0.1:{echo_server.port}" + counted(2, 0, 0, 200))


def test_a_server_says_who_is_there(serve, folder, echo_server):
    server = serve("--allow-all", "--log-format", "json")
    local, remote = free_port(), free_port()
    with client("ssh", server, folder, "-L", f"{local}:127.0.0.1:{echo_server.port}",
                "-R", f"127.0.0.1:{remote}:127.0.0.1:{echo_server.port}"):
        wait_for_event(server, "listener_opened")
        with carry(local, 5):
            carry(remote, 70).close()
            wait_for_event(server, "stream_ended", direction="forwarded")
            server.process.signal(signal.SIGUSR1)
            session = wait_for_event(server, "session")
    assert wait_for_event(server, "sessions").items() >= {"sessions": 1, "waiting": 0}.items()
    assert session.items() >= {"source_address": "127.0.0.1", "user": "me", "listeners": 1, "streams": 2, "live": 1, "refused": 0,
                               "bytes_from_client": 75, "bytes_to_client": 75}.items()

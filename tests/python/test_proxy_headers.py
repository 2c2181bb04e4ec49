# SPDX-License-Identifier: Apache-2.0
"""PROXY protocol headers through a tunnel: services learn who came, and proxies in front of us say so.
`culvert map` has its own in test_map.py."""

import contextlib
import ipaddress
import queue
import signal
import socket
import struct

import pytest

from harness.culvert import Culvert, binary, destination, environment, login_arguments, run
from harness.keys import public_part
from harness.processes import Process
from harness.proxy import SOCKS5
from harness.sockets import DEADLINE, Server, connect, free_port, has_ipv6, receive_all, receive_exactly

VERSIONS = ("v1", "v2")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Service(Server):
    """Wants a header in front of each stream, puts what it says into `told`, and echoes the rest."""

    def __init__(self, version: str, **more):
        self.told: queue.SimpleQueue = queue.SimpleQueue()
        self._read = read_v1 if version == "v1" else read_v2
        super().__init__(self._serve_one, **more)

    def _serve_one(self, s: socket.socket) -> None:
        self.told.put(self._read(s))
        while data := s.recv(65536):
            s.sendall(data)
        s.shutdown(socket.SHUT_WR)

    def next(self) -> tuple | None:
        return self.told.get(timeout=DEADLINE)


def read_v1(s: socket.socket) -> tuple | None:
    """Source and destination; none for UNKNOWN."""
    line = b""
    while not line.endswith(b"\r\n"):
        line += receive_exactly(s, 1)
        assert len(line) <= 107
    words = line.decode().split()
    assert words[0] == "PROXY"
    if words[1] == "UNKNOWN":
        return None
    assert words[1] == ("TCP6" if ":" in words[2] else "TCP4")
    return (words[2], int(words[4])), (words[3], int(words[5]))


def read_v2(s: socket.socket) -> tuple | None:
    assert receive_exactly(s, 12) == SIGNATURE
    command, family, length = struct.unpack(">BBH", receive_exactly(s, 4))
    body = receive_exactly(s, length)
    if command == 0x20:
        return None
    assert command == 0x21 and family in (0x11, 0x21)
    size = 4 if family == 0x11 else 16
    source, there = (str(ipaddress.ip_address(body[i:i + size])) for i in (0, size))
    source_port, port = struct.unpack(">HH", body[2 * size:2 * size + 4])
    return (source, source_port), (there, port)


def header_v2(source: tuple[str, int], there: tuple[str, int]) -> bytes:
    addresses = b"".join(ipaddress.ip_address(host).packed for host, _ in (source, there))
    body = addresses + struct.pack(">HH", source[1], there[1])
    return SIGNATURE + struct.pack(">BBH", 0x21, 0x11, len(body)) + body


def echoes(s: socket.socket, text: bytes = b"hello") -> None:
    s.sendall(text)
    assert receive_exactly(s, len(text)) == text


@contextlib.contextmanager
def tunnel(server, folder, *arguments):
    with Culvert(server, folder, [], arguments=[str(word) for word in arguments]) as culvert:
        yield culvert


# ---------------------------------------------------------------------------------------------------------------------- out

@pytest.mark.parametrize("version", VERSIONS)
def test_a_service_behind_a_remote_forward_sees_the_visitor(sshd, folder, version):
    port = free_port()
    with Service(version) as service, tunnel(sshd, folder, "-R", f"{port}:127.0.0.1:{service.port}", "--send-proxy", version):
        for address in ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",):
            with connect((address, port)) as s:
                echoes(s)
                # sshd says "localhost" for the address that it was asked to listen at.
                unspecified = "::" if ":" in address else "0.0.0.0"
                assert service.next() == (s.getsockname()[:2], (unspecified, port))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_service_behind_a_remote_forward_sees_another_machine(make_sshd, folder, version):
    port = free_port()
    with make_sshd({"GatewayPorts": "clientspecified"}) as server, Service(version) as service, tunnel(
            server, folder, "-R", f"127.0.0.1:{port}:127.0.0.1:{service.port}", "--send-proxy", version):
        with socket.create_connection(("127.0.0.1", port), DEADLINE, source_address=("127.0.0.9", 0)) as s:
            echoes(s)
            assert service.next() == (("127.0.0.9", s.getsockname()[1]), ("127.0.0.1", port))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_service_behind_a_local_forward_sees_the_visitor(sshd, folder, version):
    port = free_port()
    with Service(version) as service, tunnel(sshd, folder, "-L", f"127.0.0.1:{port}:127.0.0.1:{service.port}", "--send-proxy",
                                             version):
        with connect(port) as s:
            echoes(s)
            assert service.next() == (s.getsockname(), ("127.0.0.1", port))


@pytest.mark.parametrize("option", ["-D", "-R"])
@pytest.mark.parametrize("version", VERSIONS)
def test_so_does_one_behind_a_proxy(sshd, folder, version, option):
    port = free_port()
    with Service(version) as service, tunnel(sshd, folder, option, port, "--send-proxy", version):
        with SOCKS5.connect(port, "127.0.0.1", service.port) as s:
            echoes(s)
            source, there = service.next()
            assert source == s.getsockname() and there == ("127.0.0.1" if option == "-D" else "0.0.0.0", port)


@pytest.mark.parametrize("version", VERSIONS)
def test_nobody_came_over_a_unix_socket(sshd, folder, version):
    here, there = str(folder / "here.sock"), str(folder / "there.sock")
    with Service(version) as service, tunnel(sshd, folder, "-L", f"{here}:127.0.0.1:{service.port}", "-R",
                                             f"{there}:127.0.0.1:{service.port}", "--send-proxy", version):
        for path in (here, there):
            with connect(path) as s:
                echoes(s)
                assert service.next() is None


@pytest.mark.parametrize("version", VERSIONS)
def test_nor_over_standard_input(sshd, folder, version):
    with Service(version) as service:
        done = run(*login_arguments(sshd, folder), "--send-proxy", version, "-W", f"127.0.0.1:{service.port}",
                   destination(sshd), stdin=b"hello")
        assert (done.status, done.stdout, done.stderr) == (0, b"hello", "")
        assert service.next() is None


# ----------------------------------------------------------------------------------------------------------------------- in

VISITOR, CAME_TO = ("192.0.2.7", 4000), ("192.0.2.1", 80)
HEADERS = {"v1": b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 80\r\n", "v2": header_v2(VISITOR, CAME_TO)}
each_listener = pytest.mark.parametrize("option", ["-L", "-R"])


def forward(option: str, port: int, service: Server) -> tuple[str, str]:
    return option, f"{'127.0.0.1:' if option == '-L' else ''}{port}:127.0.0.1:{service.port}"


@each_listener
@pytest.mark.parametrize("version", VERSIONS)
def test_a_trusted_proxy_says_who_came(sshd, folder, version, option):
    port = free_port()
    with Service("v2") as service, tunnel(sshd, folder, *forward(option, port, service), "--accept-proxy", "127.0.0.0/8",
                                          "--send-proxy", "v2"):
        with connect(port) as s:
            s.sendall(HEADERS[version] + b"early")
            assert receive_exactly(s, 5) == b"early"
            echoes(s)
            assert service.next() == (VISITOR, CAME_TO)


def test_the_header_comes_before_what_a_proxy_is_asked(sshd, folder, echo_server):
    port = free_port()
    with tunnel(sshd, folder, "-D", port, "--accept-proxy", "127.0.0.1"):
        with connect(port) as s:
            s.sendall(HEADERS["v2"])
            assert SOCKS5.ask(s, "127.0.0.1", echo_server.port) == SOCKS5.success
            echoes(s)


@each_listener
def test_others_are_refused(sshd, folder, echo_server, option):
    port = free_port()
    with tunnel(sshd, folder, *forward(option, port, echo_server), "--accept-proxy", "192.0.2.0/24") as culvert:
        with contextlib.suppress(ConnectionResetError), connect(port) as s:
            s.sendall(HEADERS["v1"])
            assert receive_all(s) == b""
        assert ": no PROXY protocol header is taken from there" in culvert.wait_for("refused 127.0.0.1:")
    assert echo_server.accepted == 0


@each_listener
def test_and_so_are_streams_without_a_header(sshd, folder, echo_server, option):
    port = free_port()
    with tunnel(sshd, folder, *forward(option, port, echo_server), "--accept-proxy", "127.0.0.0/8") as culvert:
        with contextlib.suppress(ConnectionResetError), connect(port) as s:
            s.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert receive_all(s) == b""
        assert "not a PROXY protocol header" in culvert.wait_for("refused 127.0.0.1:")
    assert echo_server.accepted == 0


# ------------------------------------------------------------------------------------------------------------ culvert serve

@contextlib.contextmanager
def load_balancer(target: int):
    """A port in front of it, that tells it who came."""
    port = free_port()
    with Process([binary(), "map", f"127.0.0.1:{port}", f"127.0.0.1:{target}", "--send-proxy", "v2"], env=environment(),
                 start_new_session=True) as process:
        process.wait_for("culvert: ready")
        yield port


def test_a_server_behind_a_proxy_sees_its_clients(serve, folder, user_key, echo_server):
    """As the address that a key may be used from."""
    authorized = f'from="127.0.0.9" {public_part(user_key)}\n'
    server = serve("--accept-proxy", "127.0.0.1", "--allow-all", authorized=authorized)
    port = free_port()
    with load_balancer(server.port) as through:
        known_hosts = server.known_hosts().replace(f"[127.0.0.1]:{server.port}", "the-server")
        arguments = login_arguments(server, folder, known_hosts=known_hosts,
                                    options={"HostKeyAlias": "the-server", "BatchMode": "yes"})
        arguments[arguments.index("-p") + 1] = str(through)
        where = f"127.0.0.1:{port}:127.0.0.1:{echo_server.port}"
        with Process([binary(), *arguments, "-b", "127.0.0.9", "-L", where, destination(server)], env=environment(),
                     start_new_session=True) as culvert:
            culvert.wait_for("culvert: ready")
            with connect(port) as s:
                echoes(s)
        assert "127.0.0.9" in server.process.wait_for("logged in")
        assert run(*arguments, "-N", destination(server)).status == 255  # from 127.0.0.1


def test_a_server_behind_a_proxy_hears_no_others(serve):
    server = serve("--accept-proxy", "127.0.0.1", "--allow-all", "-v")
    with connect(server.port) as s, contextlib.suppress(ConnectionResetError):
        s.sendall(b"SSH-2.0-stranger\r\n")
        assert receive_all(s) == b""
    server.process.wait_for("127.0.0.1: not heard: not a PROXY protocol header")
    with contextlib.suppress(ConnectionResetError), socket.create_connection(("127.0.0.1", server.port), DEADLINE,
                                                                              source_address=("127.0.0.2", 0)) as s:
        s.sendall(HEADERS["v1"])
        assert receive_all(s) == b""
    server.process.wait_for("127.0.0.2: not heard: no PROXY protocol header is taken from there")
    for header in HEADERS.values():  # byte by byte, and with what follows at once
        for pieces in ([header + b"SSH-2.0-test\r\n"], [header[i:i + 1] for i in range(len(header))]):
            with connect(server.port) as s:
                for piece in pieces:
                    s.sendall(piece)
                assert receive_exactly(s, 16) == b"SSH-2.0-culvert_"
    with connect(server.port) as s:  # who waits with it does not hold up the end
        s.sendall(HEADERS["v1"][:10])
        server.process.signal(signal.SIGTERM)
        assert server.process.wait() == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_service_sees_the_visitor_of_the_proxy_in_front_of_the_server(serve, folder, version):
    server = serve("--remote-accept-proxy", "127.0.0.1", "--allow-all")
    port = free_port()
    with Service("v2") as service, tunnel(server, folder, "-R", f"127.0.0.1:{port}:127.0.0.1:{service.port}", "--send-proxy",
                                          "v2") as culvert:
        with connect(port) as s:
            s.sendall(HEADERS[version])
            echoes(s)
            assert service.next() == (VISITOR, ("127.0.0.1", port))
        with contextlib.suppress(ConnectionResetError), connect(port) as s:
            s.sendall(b"hello, who is there?")
            assert receive_all(s) == b""
        server.process.wait_for("refused 127.0.0.1:")
        assert culvert.popen.poll() is None
    assert service.accepted == 1

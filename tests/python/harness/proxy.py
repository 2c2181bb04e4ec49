# SPDX-License-Identifier: Apache-2.0
"""Clients of SOCKS and HTTP proxies, byte by byte, for what no ordinary client would send."""

import base64
import dataclasses
import ipaddress
import socket
import struct

from .sockets import DEADLINE, connect, receive_exactly

CONNECT, BIND, UDP_ASSOCIATE = 1, 2, 3

# Each way to tell curl of a proxy.
CURL_WAYS = ["--socks4", "--socks4a", "--socks5", "--socks5-hostname", "--proxytunnel --proxy"]


def address5(host: str) -> bytes:
    """ATYP and address: an IP address as such, everything else as a name."""
    try:
        packed = ipaddress.ip_address(host).packed
    except ValueError:
        return b"\x03" + bytes((len(host),)) + host.encode()
    return (b"\x01" if len(packed) == 4 else b"\x04") + packed


def request5(host: str, port: int, command: int = CONNECT) -> bytes:
    return b"\x05" + bytes((command,)) + b"\0" + address5(host) + struct.pack(">H", port)


def login5(user: str, password: str) -> bytes:
    return b"\x01" + bytes((len(user),)) + user.encode() + bytes((len(password),)) + password.encode()


def request4(host: str, port: int, command: int = CONNECT, user: bytes = b"") -> bytes:
    """SOCKS 4 for IPv4 addresses, 4a for names."""
    head = b"\x04" + bytes((command,)) + struct.pack(">H", port)
    try:
        return head + ipaddress.IPv4Address(host).packed + user + b"\0"
    except ValueError:
        return head + b"\0\0\0\x01" + user + b"\0" + host.encode() + b"\0"


def request_http(host: str, port: int, login: tuple[str, str] | None = None) -> bytes:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    fields = f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n"
    if login:
        fields += f"Proxy-Authorization: Basic {base64.b64encode(':'.join(login).encode()).decode()}\r\n"
    return (fields + "\r\n").encode()


def reply5(s: socket.socket) -> tuple[int, str, int]:
    """Code, bound address, bound port."""
    version, code, reserved, kind = receive_exactly(s, 4)
    assert (version, reserved) == (5, 0) and kind in (1, 4)
    host = ipaddress.ip_address(receive_exactly(s, 4 if kind == 1 else 16))
    return code, str(host), struct.unpack(">H", receive_exactly(s, 2))[0]


def reply4(s: socket.socket) -> int:
    reply = receive_exactly(s, 8)
    assert reply[0] == 0
    return reply[1]


def reply_http(s: socket.socket) -> int:
    """The status; reads the head and not one byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += receive_exactly(s, 1)
    version, status = head.split()[:2]
    assert version == b"HTTP/1.1"
    return int(status)


@dataclasses.dataclass
class Protocol:
    """One way to ask for host and port. `greeting` is answered by `chosen` before the request counts."""
    name: str
    request: object
    reply: object
    success: int
    refused: int
    greeting: bytes = b""
    chosen: bytes = b""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost")

    def ask(self, s: socket.socket, host: str, port: int, more: bytes = b"") -> int:
        """All of it at once, `more` behind it; the code of the reply."""
        s.sendall(self.greeting + self.request(host, port) + more)
        return self.answer(s)

    def answer(self, s: socket.socket) -> int:
        assert receive_exactly(s, len(self.chosen)) == self.chosen
        code = self.reply(s)
        return code[0] if isinstance(code, tuple) else code

    def connect(self, proxy, host: str, port: int) -> socket.socket:
        """A stream to the target; `proxy` is what sockets.connect() takes."""
        s = connect(proxy)
        code = self.ask(s, host, port)
        assert code == self.success, f"{self.name}: {host}:{port}: {code}"
        return s


SOCKS4 = Protocol("socks4", request4, reply4, 90, 91, hosts=("127.0.0.1",))
SOCKS4A = Protocol("socks4a", request4, reply4, 90, 91, hosts=("localhost",))
SOCKS5 = Protocol("socks5", request5, reply5, 0, 5, b"\x05\x01\0", b"\x05\0", ("127.0.0.1", "::1", "localhost"))
HTTP = Protocol("http", request_http, reply_http, 200, 502, hosts=("127.0.0.1", "::1", "localhost"))
PROTOCOLS = (SOCKS4, SOCKS4A, SOCKS5, HTTP)


# ------------------------------------------------------------------------------------------ UDP ASSOCIATE (RFC 1928 section 7)

def udp_header(host: str, port: int, fragment: int = 0) -> bytes:
    return b"\0\0" + bytes((fragment,)) + address5(host) + struct.pack(">H", port)


def split_datagram(datagram: bytes) -> tuple[str, int, bytes]:
    """Of one that came back: who it is from, and what it says."""
    assert datagram[:3] == b"\0\0\0" and datagram[3] in (1, 4)
    end = 8 if datagram[3] == 1 else 20
    host = ipaddress.ip_address(datagram[4:end])
    return str(host), struct.unpack(">H", datagram[end:end + 2])[0], datagram[end + 2:]


class Association:
    """A client's connection, the place that it was told to send datagrams to, and a socket to send them from."""

    def __init__(self, proxy, expected: tuple[str, int] = ("0.0.0.0", 0)):
        self.control = connect(proxy)
        self.control.sendall(b"\x05\x01\0" + request5(*expected, UDP_ASSOCIATE))
        assert receive_exactly(self.control, 2) == b"\x05\0"
        self.code, *place = reply5(self.control)
        self.place = tuple(place)
        family = socket.AF_INET6 if ":" in self.place[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE)

    def send(self, host: str, port: int, data: bytes, fragment: int = 0, to=None) -> None:
        self.socket.sendto(udp_header(host, port, fragment) + data, to or self.place)

    def receive(self) -> tuple[str, int, bytes]:
        return split_datagram(self.socket.recv(1 << 16))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control.close()
        self.socket.close()

# SPDX-License-Identifier: Apache-2.0
"""What ports are forwarded for: mail, a web site, files over FTP, a remote desktop, repositories. Each with Debian's server and a
client that people use, over every kind of forward, with a tunnel and without.

The client's end of a tunnel is 127.0.0.2, with the server's own port numbers: FTP's passive mode names a port, and the client
connects to that port of the host it already talks to.
"""

import contextlib
import email
import ftplib
import hashlib
import imaplib
import io
import os
import poplib
import socket
import struct
import subprocess
import threading

import pytest

from harness import proxy, services
from harness.culvert import SMALL, Culvert, environment
from harness.direct import mapped, proxied
from harness.sockets import CHUNK, DEADLINE, free_port, test_data

NEAR = "127.0.0.2"
LARGE = (1 if SMALL else 12) << 20


def local(sshd, folder, ports):
    return Culvert(sshd, folder, [f"{NEAR}:{port}:127.0.0.1:{port}" for port in ports])


def remote(sshd, folder, ports):
    """The server listens, on this same machine, and the services are on culvert's side."""
    arguments = [word for port in ports for word in ("-R", f"{NEAR}:{port}:127.0.0.1:{port}")]
    return Culvert(sshd, folder, [], arguments=arguments)


@contextlib.contextmanager
def dynamic(sshd, folder, ports):
    """The clients know nothing of proxies: something between them and -D does, as proxychains would."""
    front = free_port()
    with Culvert(sshd, folder, [], arguments=["-D", str(front)]), socksified(front, ports):
        yield


def without_tunnel(_sshd, _folder, ports):
    return mapped(*(word for port in ports for word in (f"{NEAR}:{port}", f"127.0.0.1:{port}")))


@contextlib.contextmanager
def through_a_proxy(_sshd, _folder, ports):
    with proxied("127.0.0.1:0", "--connect", "127.0.0.1:*") as front, socksified(front.port, ports):
        yield


@contextlib.contextmanager
def socksified(front: int, ports):
    with contextlib.ExitStack() as stack:
        for port in ports:
            stack.enter_context(Socksifier(front, port))
        yield


class Socksifier:
    """Listens at the near end, and asks the proxy for the same port of 127.0.0.1."""

    def __init__(self, front: int, port: int):
        self.front, self.port = front, port
        self.listener = socket.create_server((NEAR, port), backlog=16)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        with client, proxy.SOCKS5.connect(self.front, "127.0.0.1", self.port) as way:
            client.settimeout(DEADLINE)
            back = threading.Thread(target=copy, args=(way, client), daemon=True)
            back.start()
            copy(client, way)
            back.join(DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


def copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(CHUNK):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def bastion(make_sshd):
    with make_sshd({"GatewayPorts": "clientspecified"}) as server:
        yield server


@pytest.fixture(params=[local, remote, dynamic, without_tunnel, through_a_proxy], ids=["-L", "-R", "-D", "map", "proxy"])
def tunnel(request, bastion, folder):
    """tunnel(service): the service's ports are at NEAR as well while the block runs."""
    return lambda service: request.param(bastion, folder, service.ports)


@pytest.fixture(scope="module")
def make_service(shared_folder):
    with contextlib.ExitStack() as stack:
        yield lambda kind: stack.enter_context(kind(shared_folder))


# ----------------------------------------------------------------------------------------------------------------- mail

MESSAGE = (b"From: bob@example\r\nTo: alice@example\r\nSubject: the pipe\r\n\r\n"
           + b"".join(b"line %d of a long letter, which is longer than one packet\r\n" % i for i in range(3000)))


@pytest.fixture(scope="module")
def mail(make_service):
    server = make_service(services.Mail)
    server.deliver(MESSAGE)
    return server


def body_of(message: bytes) -> bytes:
    return email.message_from_bytes(message).get_payload().replace("\r\n", "\n").encode()


def test_mail_over_imap(tunnel, mail):
    with tunnel(mail), imaplib.IMAP4(NEAR, mail.ports[0], timeout=DEADLINE) as client:
        assert client.login(mail.login, mail.password)[0] == "OK"
        status, count = client.select("INBOX")
        assert (status, int(count[0]) >= 1) == ("OK", True)
        assert client.search(None, 'SUBJECT "the pipe"')[1][0].split()[0] == b"1"
        fetched = client.fetch("1", "(RFC822)")[1][0][1]
        assert body_of(fetched) == body_of(MESSAGE)
        before = int(count[0])
        assert client.append("INBOX", None, None, b"Subject: a draft\r\n\r\nback through the tunnel\r\n")[0] == "OK"
        assert int(client.select("INBOX")[1][0]) == before + 1


def test_mail_over_pop3(tunnel, mail):
    with tunnel(mail):
        client = poplib.POP3(NEAR, mail.ports[1], timeout=DEADLINE)
        client.user(mail.login)
        client.pass_(mail.password)
        assert client.stat()[0] >= 1
        assert body_of(b"\r\n".join(client.retr(1)[1]) + b"\r\n") == body_of(MESSAGE)
        assert client.quit().startswith(b"+OK")


# ------------------------------------------------------------------------------------------------------------- web site

@pytest.fixture(scope="module")
def web(make_service):
    server = make_service(services.Web)
    (server.site / "index.html").write_text("<title>inside</title>")
    (server.site / "large").write_bytes(test_data(LARGE))
    return server


def curl(*arguments: str) -> bytes:
    done = subprocess.run(["curl", "-qsSf", "--noproxy", "*", "--max-time", str(int(DEADLINE)), *arguments], capture_output=True,
                          env=environment(), timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_web_site(tunnel, web):
    with tunnel(web):
        site = f"http://{NEAR}:{web.ports[0]}"
        assert curl(f"{site}/") == b"<title>inside</title>"
        assert hashlib.sha256(curl(f"{site}/large")).digest() == hashlib.sha256(test_data(LARGE)).digest()
        assert curl("-r", "1000-1999", f"{site}/large") == test_data(LARGE)[1000:2000]
        # Many requests on one connection: keep-alive goes through.
        said = curl("-w", "%{num_connects} ", *["-o", "/dev/null"] * 20, *[f"{site}/"] * 20)
        assert said.split() == [b"1"] + [b"0"] * 19


# ------------------------------------------------------------------------------------------------------------------ FTP

@pytest.fixture(scope="module")
def ftp(make_service):
    return make_service(services.Ftp)


def test_ftp_in_passive_mode_with_one_port_for_data(tunnel, ftp):
    data = test_data(300_000)
    name = f"in/{os.urandom(4).hex()}"
    with tunnel(ftp), ftplib.FTP(timeout=DEADLINE) as client:
        client.connect(NEAR, ftp.ports[0])
        assert client.login().startswith("230")
        assert client.nlst() == ["in"]
        assert client.storbinary(f"STOR {name}", io.BytesIO(data)).startswith("226")
        received: list[bytes] = []
        assert client.retrbinary(f"RETR {name}", received.append).startswith("226")
        assert b"".join(received) == data
        assert name in client.nlst("in")


# -------------------------------------------------------------------------------------------------------------- desktop

@pytest.fixture(scope="module")
def desktop(make_service):
    return make_service(services.Desktop)


def snapshot(address: str, port: int, file) -> bytes:
    """vncsnapshot wants the number of a display, which is the port less 5900. Raw: each pixel comes through the tunnel; and with
    its own choice of encodings this client stops at an empty rectangle."""
    command = ["vncsnapshot", "-quiet", "-encodings", "raw", f"{address}:{port - 5900}", str(file)]
    done = subprocess.run(command, capture_output=True, env=environment(), timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return file.read_bytes()


def jpeg_size(picture: bytes) -> tuple[int, int]:
    """Of its first frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while picture[at + 1] not in (0xC0, 0xC2):
        at += 2 + struct.unpack(">H", picture[at + 2:at + 4])[0]
    height, width = struct.unpack(">HH", picture[at + 5:at + 9])
    return width, height


def test_remote_desktop(tunnel, desktop, folder):
    with tunnel(desktop):
        picture = snapshot(NEAR, desktop.ports[0], folder / "far.jpg")
    assert jpeg_size(picture) == desktop.size
    assert picture == snapshot("127.0.0.1", desktop.ports[0], folder / "near.jpg"), "another picture than without the tunnel"


# ------------------------------------------------------------------------------------------------------------------ git

@pytest.fixture(scope="module")
def repository(make_service):
    return make_service(services.Git)


def test_git(tunnel, repository, folder):
    settings = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}

    def git(*arguments: str) -> bytes:
        done = subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=main", *arguments],
                              cwd=folder, env=environment(**settings), capture_output=True, timeout=DEADLINE, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    branch = os.urandom(4).hex()
    with tunnel(repository):
        url = f"git://{NEAR}:{repository.ports[0]}/it.git"
        git("init", "-q", "here")
        (folder / "here/file").write_bytes(test_data(500_000))
        git("-C", "here", "add", "file")
        git("-C", "here", "commit", "-qm", "one")
        git("-C", "here", "push", "-q", url, f"HEAD:{branch}")
        git("clone", "-q", "-b", branch, url, "there")
    assert (folder / "there/file").read_bytes() == test_data(500_000)

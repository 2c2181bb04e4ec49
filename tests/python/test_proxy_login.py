# SPDX-License-Identifier: Apache-2.0
"""Logins to each of the proxies (harness/proxies.py): RFC 1929, the basic authentication of HTTP, and the file of users."""

import base64
import re
import subprocess

import pytest

from harness import proxy as px
from harness.culvert import environment, run
from harness.proxies import WAYS
from harness.sockets import check_echo, connect, receive_all, receive_exactly, web_server

USER, PASSWORD = "ann", "se:cret"


@pytest.fixture(scope="module", params=list(WAYS))
def guarded(request, sshd, shared_folder):
    """A proxy that wants a login."""
    users = shared_folder / "proxy_users"
    users.write_text(f"# who may\n{USER}:{PASSWORD}\nlongest:{'p' * 255}\n")
    users.chmod(0o600)
    process, port = WAYS[request.param](sshd, shared_folder, users=users)
    with process:
        yield port


def test_socks5_login(guarded, echo_server):
    with connect(guarded) as s:
        s.sendall(b"\x05\x02\0\x02" + px.login5(USER, PASSWORD) + px.request5("127.0.0.1", echo_server.port))
        assert receive_exactly(s, 4) == b"\x05\x02\x01\0"
        assert px.reply5(s)[0] == 0
        check_echo(s)


def test_login_of_the_longest_kind_byte_by_byte(guarded, echo_server):
    with connect(guarded) as s:
        for byte in b"\x05\x01\x02" + px.login5("longest", "p" * 255) + px.request5("127.0.0.1", echo_server.port):
            s.sendall(bytes((byte,)))
        assert receive_exactly(s, 4) == b"\x05\x02\x01\0"
        assert px.reply5(s)[0] == 0
        check_echo(s)


@pytest.mark.parametrize("login", [
    px.login5(USER, "wrong"), px.login5("nobody", PASSWORD), px.login5("", ""), px.login5(USER, ""), px.login5("", PASSWORD),
    px.login5("u" * 255, "p" * 255), b"\x05", b"\x02\x01a\x01b",
], ids=["password", "user", "empty", "no-password", "no-user", "longest", "version-5", "version-2"])
def test_socks5_login_that_is_wrong(guarded, echo_server, login):
    before = echo_server.accepted
    with connect(guarded) as s:
        s.sendall(b"\x05\x01\x02" + login + px.request5("127.0.0.1", echo_server.port))
        assert receive_all(s) == b"\x05\x02\x01\x01"
    assert echo_server.accepted == before


def test_no_login_where_one_is_wanted(guarded, echo_server):
    before = echo_server.accepted
    for request, answer in [
        (b"\x05\x01\0" + px.request5("127.0.0.1", echo_server.port), b"\x05\xff"),
        (px.request5("127.0.0.1", echo_server.port), b"\x05\xff"),
        (px.request4("127.0.0.1", echo_server.port, user=USER.encode()), b"\0\x5b" + bytes(6)),
        (px.request4("localhost", echo_server.port, user=USER.encode()), b"\0\x5b" + bytes(6)),
    ]:
        with connect(guarded) as s:
            s.sendall(request)
            assert receive_all(s) == answer
    assert echo_server.accepted == before


def test_http_login(guarded, echo_server):
    for login, status in [((USER, PASSWORD), 200), ((USER, "wrong"), 407), (("", ""), 407), (None, 407)]:
        with connect(guarded) as s:
            s.sendall(px.request_http("127.0.0.1", echo_server.port, login))
            assert px.reply_http(s) == status
            if status == 200:
                check_echo(s)
            else:
                assert receive_all(s) == b""
    other = base64.b64encode(f"{USER}:{PASSWORD}".encode())
    for field in (b"Proxy-Authorization: Bearer " + other, b"Authorization: Basic " + other, b"Proxy-Authorization: Basic =" + other):
        with connect(guarded) as s:
            s.sendall(px.request_http("127.0.0.1", echo_server.port)[:-2] + field + b"\r\n\r\n")
            assert px.reply_http(s) == 407


@pytest.mark.parametrize("text,mode,wanted", [
    ("a:b\n", 0o644, r"others may use .*chmod 600"),
    ("a:b\n", 0o620, r"others may use .*chmod 600"),
    ("# nobody\n", 0o600, "no user is named"),
    ("a:b\nsecret\n", 0o600, "line 2: not user:password"),
    ("a" * 256 + ":b\n", 0o600, "line 1: .*255"),
    ("x" * (2 << 20), 0o600, "larger than"),
    (None, 0, "No such file"),
], ids=["readable", "writable", "empty", "malformed", "long", "large", "missing"])
def test_files_of_users_that_are_refused(folder, text, mode, wanted):
    users = folder / "users"
    if text is not None:
        users.write_text(text)
        users.chmod(mode)
    done = run("-F", "none", "-D", "0", "--proxy-auth", str(users), "-p", "1", "127.0.0.1")
    assert done.status == 255
    assert len(done.lines) == 1 and re.search(wanted, done.stderr), done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("way", px.CURL_WAYS[2:])
def test_curl_with_a_login(guarded, folder, way):
    (folder / "page").write_bytes(b"the page")
    with web_server(folder) as web:
        for password, good in ((PASSWORD, True), ("wrong", False)):
            done = subprocess.run(["curl", "-qsSf", "-4", "--proxy-user", f"{USER}:{password}", *way.split(), f"127.0.0.1:{guarded}",
                                   f"http://127.0.0.1:{web}/page"],
                                  capture_output=True, timeout=60, check=False, env=environment(no_proxy="", NO_PROXY=""))
            assert (done.returncode == 0) == good, done.stderr
            assert done.stdout == (b"the page" if good else b"")

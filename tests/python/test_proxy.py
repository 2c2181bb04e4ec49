# SPDX-License-Identifier: Apache-2.0
"""What a proxy must do, from RFC 1928, RFC 1929, the texts of SOCKS 4 and 4a, and RFC 9110 section 9.3.6.

The same suite is run against each way to start one (harness/proxies.py).
"""

import concurrent.futures
import contextlib
import hashlib
import os
import socket
import struct
import subprocess
import time

import pytest

from harness import proxy as px
from harness.culvert import SMALL, environment
from harness.direct import proxied
from harness.proxies import WAYS, start_direct, start_dynamic, start_remote
from harness.proxy import HTTP, PROTOCOLS, SOCKS4, SOCKS4A, SOCKS5
from harness.sockets import (DEADLINE, Server, check_echo, connect, digest_sink, echo, free_port, has_ipv6, receive_all,
                             receive_exactly, reset, test_data, web_server)

SIZE = (1 if SMALL else 8) << 20


@pytest.fixture(scope="module", params=list(WAYS))
def start(request):
    return WAYS[request.param]


@pytest.fixture(scope="module")
def running(start, sshd, shared_folder):
    process, port = start(sshd, shared_folder)
    with process:
        yield process, port
        assert process.popen.poll() is None, f"it ended on the way:\n{process.text}"


@pytest.fixture
def port(running):
    return running[1]


each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)


def ends(s: socket.socket) -> bytes:
    """What comes until the end, which must be one in order."""
    return receive_all(s)


# ------------------------------------------------------------------------------------------------- asking, and what comes

@pytest.mark.parametrize("protocol,host", [(p, h) for p in PROTOCOLS for h in p.hosts], ids=lambda v: getattr(v, "name", v))
def test_every_type_of_address(port, protocol, host):
    if ":" in host and not has_ipv6():
        pytest.skip("no IPv6 loopback here")
    with Server(echo, address="::1" if ":" in host else "127.0.0.1") as target:
        with protocol.connect(port, host, target.port) as s:
            check_echo(s)


@each_protocol
def test_byte_by_byte(port, echo_server, protocol):
    with connect(port) as s:
        for byte in protocol.greeting + protocol.request(protocol.hosts[0], echo_server.port):
            s.sendall(bytes((byte,)))
            time.sleep(0.0005)
        assert protocol.answer(s) == protocol.success
        check_echo(s)


@each_protocol
def test_early_data_is_kept_and_the_reply_comes_first(port, protocol):
    early = test_data(100_000)
    got = []

    def speak_first(s):
        s.sendall(b"banner")
        got.append(receive_exactly(s, len(early)))
        s.sendall(b"thanks")
        s.shutdown(socket.SHUT_WR)
        receive_all(s)

    with Server(speak_first) as target, connect(port) as s:
        assert protocol.ask(s, protocol.hosts[0], target.port, early) == protocol.success
        assert ends(s) == b"bannerthanks"
    assert got == [early]


@each_protocol
def test_every_truncation_ends_without_an_answer(port, echo_server, protocol):
    request = protocol.greeting + protocol.request(protocol.hosts[0], echo_server.port)
    before = echo_server.accepted
    for size in range(len(request)):
        with connect(port) as s:
            s.sendall(request[:size])
            s.shutdown(socket.SHUT_WR)
            chosen = protocol.chosen if size >= len(protocol.greeting) else b""
            assert ends(s) == chosen, f"{size} bytes of {request}"
    assert echo_server.accepted == before


@pytest.mark.parametrize("size", [1, 254, 255])
def test_names_of_all_lengths_arrive_as_they_are(running, size):
    process, port = running
    name = "N" * size
    for protocol in (SOCKS4A, SOCKS5, HTTP):
        with connect(port) as s:
            code = protocol.ask(s, name, 9)
            assert code == {"socks4a": 91, "socks5": 4, "http": 502}[protocol.name]
            assert ends(s) == b""
    process.wait_for(f"127.0.0.1:{port} -> {name}:9: ", count=3)


def test_names_without_and_with_too_many_letters(port):
    for request, answer in [
        (b"\x05\x01\0\x05\x01\0\x03\0\0\x50", b"\x05\0\x05\x01\0\x01" + bytes(6)),
        (px.request4("x", 80)[:-2] + b"\0", b"\0\x5b" + bytes(6)),
        (px.request4("x" * 256, 80), b"\0\x5b" + bytes(6)),
        (px.request4("x", 80, user=b"u" * 256), b"\0\x5b" + bytes(6)),
        (b"\x05\x01\0" + px.request5("a\0b", 80), b"\x05\0\x05\x01\0\x01" + bytes(6)),
    ]:
        with connect(port) as s:
            s.sendall(request)
            assert ends(s) == answer
    with connect(port) as s:
        assert HTTP.ask(s, "", 80) == 400


@pytest.mark.parametrize("methods", [0, 1, 255])
def test_methods_of_all_lengths(port, echo_server, methods):
    offered = bytes(range(methods))
    with connect(port) as s:
        s.sendall(b"\x05" + bytes((methods,)) + offered)
        if methods == 0:
            assert ends(s) == b"\x05\xff"
        else:
            assert receive_exactly(s, 2) == b"\x05\0"
            s.sendall(px.request5("127.0.0.1", echo_server.port))
            assert px.reply5(s)[0] == 0
            check_echo(s)


# ------------------------------------------------------------------------------------------------------ what is refused

@each_protocol
def test_a_port_that_nobody_listens_on(port, protocol):
    with connect(port) as s:
        # What follows the request is never read: it must not turn the end into a reset that overtakes the answer.
        assert protocol.ask(s, protocol.hosts[0], free_port(), b"x" * 10_000) == protocol.refused
        rest = ends(s)
        assert rest == b""


@pytest.mark.parametrize("protocol,code", [(SOCKS4A, 91), (SOCKS5, 4), (HTTP, 502)], ids=lambda v: getattr(v, "name", v))
def test_a_name_that_does_not_resolve(running, protocol, code):
    process, port = running
    with connect(port) as s:
        assert protocol.ask(s, "no-such-host.invalid", 80) == code
        assert ends(s) == b""
    process.wait_for(f"127.0.0.1:{port} -> no-such-host.invalid:80: ")


def test_a_network_that_cannot_be_reached(start, running):
    """The kernel has no route for TCP to a group. sshd keeps that to itself, if it knows at once."""
    process, port = running
    from_here = start is not start_dynamic
    for protocol, code in ((SOCKS5, 3 if from_here else 4), (HTTP, 502)):
        with connect(port) as s:
            assert protocol.ask(s, "224.0.0.1", 80) == code
    if from_here:
        process.wait_for("Network is unreachable", count=2)
    else:
        assert "Network is unreachable" not in process.text


def test_what_the_client_forbids(sshd, folder, echo_server):
    process, port = start_remote(sshd, folder, "-o", f"PermitRemoteOpen=localhost:* 127.0.0.1:{echo_server.port}")
    with process:
        for protocol, code in ((SOCKS4, 91), (SOCKS5, 2), (HTTP, 403)):
            with connect(port) as s:
                assert protocol.ask(s, "127.0.0.1", 9) == code
                assert ends(s) == b""
        process.wait_for("not permitted: no rule of PermitRemoteOpen names it", count=3)
        for name in ("localhost", "127.0.0.1"):
            with SOCKS5.connect(port, name, echo_server.port) as s:
                s.sendall(b"x")
                assert receive_exactly(s, 1) == b"x"


def test_what_the_server_forbids(make_sshd, folder, echo_server):
    with make_sshd({"PermitOpen": "127.0.0.1:1"}) as server:
        process, port = start_dynamic(server, folder)
        with process:
            for protocol, code in ((SOCKS4, 91), (SOCKS5, 2), (HTTP, 403)):
                with connect(port) as s:
                    assert protocol.ask(s, "127.0.0.1", echo_server.port) == code
                    assert ends(s) == b""


@pytest.mark.parametrize("command", [0, px.UDP_ASSOCIATE, 4, 255])
def test_commands_that_are_not_supported(port, start, command):
    if command != px.UDP_ASSOCIATE or start is not start_direct:  # no tunnel carries datagrams
        with connect(port) as s:
            s.sendall(b"\x05\x01\0" + px.request5("127.0.0.1", 80, command))
            assert ends(s) == b"\x05\0\x05\x07\0\x01" + bytes(6)
    with connect(port) as s:
        s.sendall(px.request4("127.0.0.1", 80, command))
        assert ends(s) == b"\0\x5b" + bytes(6)


@pytest.mark.parametrize("kind", [0, 2, 5, 255])
def test_types_of_address_that_are_not_supported(port, kind):
    with connect(port) as s:
        s.sendall(b"\x05\x01\0\x05\x01\0" + bytes((kind,)) + b"\x01\x02\x03\x04\0\x50")
        assert ends(s) == b"\x05\0\x05\x08\0\x01" + bytes(6)


@pytest.mark.parametrize("head,status", [
    (b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000, 405),
    (b"CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n", 400),
    (b"CONNECT 127.0.0.1:0 HTTP/1.1\r\n\r\n", 400),
    (b"CONNECT 127.0.0.1:80 HTTP/2.0\r\n\r\n", 505),
    (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nbad line\r\n\r\n", 400),
    (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nA: " + b"x" * 100_000, 431),
    (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    (b"EHLO me\r\n", 400),
])
def test_http_that_is_not_a_good_connect(port, head, status):
    with connect(port) as s:
        s.sendall(head)
        assert px.reply_http(s) == status
        assert ends(s) == b""


@pytest.mark.parametrize("first", [b"\0", b"\x01", b"\x03", b"\x06", b"\x16\x03\x01\x02\0\x01", b"\x7f", b"\xff", b"\r\n\x05"])
def test_garbage_is_not_answered(port, first):
    with connect(port) as s:
        s.sendall(first + b"x" * 1000)
        assert ends(s) == b""


def test_bind(port):
    with connect(port) as s:
        s.sendall(b"\x05\x01\0" + px.request5("127.0.0.1", 0, px.BIND))
        assert receive_exactly(s, 2) == b"\x05\0"
        code, _, bound = px.reply5(s)
        assert code == 0
        with connect(bound) as peer:
            code, host, _ = px.reply5(s)
            assert (code, host) == (0, "127.0.0.1")
            peer.sendall(b"from the peer")
            assert receive_exactly(s, 13) == b"from the peer"
            s.sendall(b"to the peer")
            s.shutdown(socket.SHUT_WR)
            assert ends(peer) == b"to the peer"


def test_bind_at_the_server_is_for_whom_permit_remote_open_names(sshd, folder):
    def ask(s, host, number):
        s.sendall(b"\x05\x01\0" + px.request5(host, number, px.BIND))
        assert receive_exactly(s, 2) == b"\x05\0"
        return px.reply5(s)

    process, port = start_remote(sshd, folder, "-o", "PermitRemoteOpen=127.0.0.1:21 127.0.0.2:*")
    with process:
        for host, number in (("127.0.0.1", 22), ("localhost", 21), ("127.0.0.3", 21)):
            with connect(port) as s:
                assert ask(s, host, number)[0] == 2
                assert ends(s) == b""
        with connect(port) as s:  # the port that is expected is that of the request, and nobody's source
            code, _, bound = ask(s, "127.0.0.1", 21)
            assert code == 0
            with connect(bound) as peer:
                assert px.reply5(s)[:2] == (0, "127.0.0.1")
                peer.sendall(b"x")
                assert receive_exactly(s, 1) == b"x"
        with connect(port) as s:  # anybody: whom the rules name
            code, _, bound = ask(s, "0.0.0.0", 0)
            assert code == 0
            with pytest.raises(ConnectionResetError), connect(bound) as stranger:  # connecting may see it already
                ends(stranger)
            with socket.create_connection(("127.0.0.1", bound), DEADLINE, source_address=("127.0.0.2", 0)) as peer:
                assert px.reply5(s)[:2] == (0, "127.0.0.2")
                peer.sendall(b"x")
                assert receive_exactly(s, 1) == b"x"


# -------------------------------------------------------------------------------------------- streams, once they are joined

@each_protocol
def test_half_close_by_the_client(port, protocol):
    data = test_data(SIZE)
    with Server(digest_sink) as target, protocol.connect(port, protocol.hosts[0], target.port) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        assert ends(s) == hashlib.sha256(data).digest()


def test_half_close_right_behind_the_request(port):
    with Server(digest_sink) as target, connect(port) as s:
        s.sendall(SOCKS5.greeting + px.request5("127.0.0.1", target.port) + b"data")
        s.shutdown(socket.SHUT_WR)
        assert SOCKS5.answer(s) == 0
        assert ends(s) == hashlib.sha256(b"data").digest()


@each_protocol
def test_half_close_by_the_target(port, protocol):
    data = test_data(SIZE)
    got = []

    def send_then_listen(s):
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        got.append(receive_all(s))

    with Server(send_then_listen) as target, protocol.connect(port, protocol.hosts[0], target.port) as s:
        assert ends(s) == data
        s.sendall(b"still here")
        s.shutdown(socket.SHUT_WR)
        assert target.wait_until(lambda t: got)
    assert got == [b"still here"]


def test_a_reset_of_the_client_ends_the_stream(port, echo_server):
    s = SOCKS5.connect(port, "127.0.0.1", echo_server.port)
    check_echo(s)
    assert echo_server.open_connections == 1
    reset(s)
    assert echo_server.wait_until(lambda t: t.open_connections == 0)


def test_a_reset_of_the_target_ends_the_stream(port, start):
    # Not at once: a target that resets before its connection is looked at has refused it.
    def reset_after_a_byte(s):
        receive_exactly(s, 1)
        reset(s)

    with Server(reset_after_a_byte) as target, SOCKS5.connect(port, "127.0.0.1", target.port) as s:
        s.sendall(b"!")
        if start is start_direct:  # SSH has no message for it
            with pytest.raises(ConnectionResetError):
                s.recv(1)
        else:
            assert ends(s) == b""


@contextlib.contextmanager
def silent_target():
    """A port whose queue is full: the kernel answers no more."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            s = stack.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_many_streams_at_once_and_none_waits_for_a_silent_one(port, echo_server):
    count = 200
    with silent_target() as silent, contextlib.ExitStack() as stack:
        for quiet in (b"", b"\x05", b"CONNECT 127.0.0.1", SOCKS5.greeting + px.request5("127.0.0.1", silent)):
            s = stack.enter_context(connect(port))
            s.sendall(quiet)

        def one(i: int) -> socket.socket:
            return PROTOCOLS[i % 4].connect(port, PROTOCOLS[i % 4].hosts[0], echo_server.port)

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            streams = [stack.enter_context(s) for s in pool.map(one, range(count))]
        assert echo_server.wait_until(lambda t: t.open_connections == count)
        for i, s in enumerate(streams):
            check_echo(s, struct.pack(">I", i))


# --------------------------------------------------------------------------------------------------------- real clients

@pytest.mark.parametrize("way", px.CURL_WAYS)
def test_curl(port, folder, way):
    (folder / "page").write_bytes(test_data(1 << 20))
    with web_server(folder) as web:
        host = "127.0.0.1" if way == "--socks4" else "localhost"
        done = subprocess.run(["curl", "-qsSf", "-4", *way.split(), f"127.0.0.1:{port}", f"http://{host}:{web}/page"],
                              capture_output=True, timeout=60, check=False, env=environment(no_proxy="", NO_PROXY=""))
        assert done.returncode == 0, done.stderr
        assert done.stdout == test_data(1 << 20)


@pytest.mark.parametrize("scheme", ["socks5h", "socks4a"])
def test_git(port, folder, scheme):
    env = environment(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null", no_proxy="", NO_PROXY="")

    def git(*arguments):
        done = subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=main", *arguments],
                              capture_output=True, timeout=60, check=False, env=env, cwd=folder)
        assert done.returncode == 0, done.stderr

    git("init", "-q", "here")
    (folder / "here/file").write_text("content")
    git("-C", "here", "add", "file")
    git("-C", "here", "commit", "-qm", "one")
    git("-C", "here", "update-server-info")
    with web_server(folder) as web:
        git("-c", f"http.proxy={scheme}://127.0.0.1:{port}", "clone", "-q", f"http://localhost:{web}/here/.git", "there")
    assert (folder / "there/file").read_text() == "content"


# --------------------------------------------------------------------------------------------- `culvert proxy` by itself

def test_a_reply_tells_the_end_of_the_connection_that_is_here():
    def says_who_came(s):
        s.sendall("{} {}".format(*s.getpeername()).encode())

    with Server(says_who_came) as target, proxied("127.0.0.1:0", "--connect", "*:*", "--connect", "127.0.0.0/8:*",
                                                  "--source", "127.0.0.7") as proxy, connect(proxy.port) as s:
        s.sendall(b"\x05\x01\0" + px.request5("127.0.0.1", target.port))
        assert receive_exactly(s, 2) == b"\x05\0"
        code, *here = px.reply5(s)
        assert code == 0 and here[0] == "127.0.0.7"
        assert "{} {}".format(*here) == receive_all(s).decode()


def test_silent_names_of_one_client_hold_up_no_other(folder):
    hosts, resolv = folder / "hosts", folder / "resolv.conf"
    hosts.write_text("127.0.0.1 good.test\n")
    resolv.write_text("nameserver 127.0.53.9\n")
    mounts = f"mount --bind {hosts} /etc/hosts && mount --bind {resolv} /etc/resolv.conf && exec \"$@\""
    words = ("unshare", "--mount", "--propagation", "private", "sh", "-c", mounts, "sh")
    if os.geteuid() != 0 or subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    with contextlib.ExitStack() as stack:
        nobody = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        nobody.bind(("127.0.53.9", 53))
        nobody.settimeout(DEADLINE)
        target = stack.enter_context(Server(echo))
        proxy = stack.enter_context(proxied("127.0.0.1:0", "--connect", "*:*", "--connect", "127.0.0.0/8:*", before=words))
        for i in range(24):
            asking = stack.enter_context(connect(proxy.port))
            asking.sendall(SOCKS5.greeting + SOCKS5.request(f"silent{i}.test", 80))
        nobody.recv(512)
        other = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 4, ("127.0.0.2", 0)))
        assert SOCKS5.ask(other, "good.test", target.port) == SOCKS5.success, "a silent name takes five seconds and more"
        check_echo(other)

# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, as a table: one clear line and the right exit status each, and nothing hangs."""

import os
import pathlib
import pwd
import re
import socket
import subprocess
import threading

import pytest

from harness.culvert import Culvert, destination, login_arguments, run
from harness.keys import make_key
from harness.sockets import Server, assert_ends, connect, echo_both_ways, free_port, receive_all, reset

FAILED = 255


def one_line(done, wanted: str, status: int = FAILED) -> None:
    """Exactly one line, with the program's name in front, that says `wanted` (a regular expression)."""
    assert done.status == status, f"status {done.status}:\n{done.stderr}"
    assert len(done.lines) == 1, f"more or less than one line:\n{done.stderr}"
    assert done.lines[0].startswith("culvert: "), done.stderr
    assert re.search(wanted, done.lines[0], re.IGNORECASE), f"{wanted!r} not in: {done.lines[0]}"


def login(server, folder, *more, key=None, options=None, known_hosts=None):
    return run("-N", *login_arguments(server, folder, key, options, known_hosts), *more, destination(server))


# ---------------------------------------------------------------------------------------------- the server and its name

def test_name_that_does_not_resolve():
    one_line(run("-F", "none", "-N", "-L", f"{free_port()}:x:1", "no-such-host.invalid"), r"no-such-host\.invalid")


def test_port_that_nobody_listens_on():
    port = free_port()
    one_line(run("-F", "none", "-N", "-p", str(port), "127.0.0.1"), rf"127\.0\.0\.1 port {port}: Connection refused")


@pytest.mark.parametrize("answer,wanted", [
    (b"", "closed|ended"),
    (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "SSH|ident|protocol"),
    (b"220 mail.example ESMTP\r\n", "."),
    (b"SSH-1.5-old\r\n", "version|1\\.5|protocol"),
    (b"SSH-2.0-x\r\n", "closed|ended"),
    (b"SSH-2.0-x\r\n" + b"\xff" * 64, "."),
    (b"SSH-2.0-x\r\n" + bytes(64), "."),
    (b"\xff" * 4096, "."),
    (b"A" * (1 << 20), "."),
    (b"line\r\n" * 100_000, "."),
    (b"SSH-2.0-\x1b]0;title\x07\x1b[31m\r\n", "."),
], ids=["closes-at-once", "http", "mail", "ssh1", "closes-after-identification", "huge-length", "zero-length", "no-text",
        "endless-line", "endless-lines", "control-characters"])
def test_something_else_than_a_server(answer, wanted):
    def speak(s):
        s.sendall(answer)
        s.shutdown(socket.SHUT_WR)
        receive_all(s)

    with Server(speak) as server:
        done = run("-F", "none", "-N", "-p", str(server.port), "127.0.0.1")
    one_line(done, wanted)
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr


def test_server_that_resets():
    with Server(reset) as server:
        one_line(run("-F", "none", "-N", "-p", str(server.port), "127.0.0.1"), "reset|closed")


def test_silent_server_with_a_time_limit():
    stop = threading.Event()
    with Server(lambda s: stop.wait(60)) as server:
        done = run("-F", "none", "-N", "-o", "ConnectTimeout=1", "-p", str(server.port), "127.0.0.1")
        stop.set()
    one_line(done, "timed out|time")


@pytest.mark.parametrize("cut_after", [1, 30, 200, 900, 1200, 1500, 1700, 1800])
def test_server_that_closes_during_the_key_exchange_or_login(sshd, folder, cut_after):
    """A real conversation, cut after so many bytes from the server."""
    def pass_on_a_part(s):
        with connect(sshd.port) as behind:
            threading.Thread(target=pump, args=(s, behind), daemon=True).start()
            left = cut_after
            while left > 0 and (part := behind.recv(left)):
                s.sendall(part)
                left -= len(part)
            s.shutdown(socket.SHUT_RDWR)  # a close alone would wait for the other thread

    def pump(a, b):
        try:
            while part := a.recv(65536):
                b.sendall(part)
        except OSError:
            pass

    with Server(pass_on_a_part) as server:
        known = sshd.known_hosts().replace(f":{sshd.port} ", f":{server.port} ")
        arguments = [str(server.port) if a == str(sshd.port) else a
                     for a in login_arguments(sshd, folder, known_hosts=known)]
        done = run("-N", *arguments, destination(sshd))
    one_line(done, "closed|ended|reset")


@pytest.mark.parametrize("option,server_option,value,other", [
    ("Ciphers", "Ciphers", "aes256-ctr", "aes128-ctr"),
    ("MACs", "MACs", "hmac-sha2-256", "hmac-sha2-512"),
    ("KexAlgorithms", "KexAlgorithms", "ecdh-sha2-nistp384", "curve25519-sha256"),
    ("HostKeyAlgorithms", "HostKeyAlgorithms", "ecdsa-sha2-nistp256", "ssh-ed25519"),
])
def test_nothing_in_common(make_sshd, folder, option, server_option, value, other):
    options = {option: value, **({"Ciphers": "aes128-ctr"} if option == "MACs" else {})}
    with make_sshd({server_option: other}) as server:
        done = login(server, folder, options=options)
    one_line(done, re.escape(other))  # what the server offers is what the user has to know


# ------------------------------------------------------------------------------------------------------------- login

def test_wrong_key(sshd, folder):
    key = make_key(folder / "stranger")
    one_line(login(sshd, folder, key=key), r"Permission denied \(publickey\)")


def test_key_file_that_is_none(sshd, folder):
    key = folder / "key"
    key.write_text("this is no key\n")
    key.chmod(0o600)
    done = login(sshd, folder, key=key)
    assert done.status == FAILED
    assert str(key) in done.stderr and "Permission denied (publickey)" in done.stderr


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_damaged_key_file(sshd, folder, user_key, damage):
    text = user_key.read_text()
    key = folder / "key"
    key.write_text({"cut": text[:200], "flipped": text.replace("b3BlbnNzaC1rZXktdjE", "b3BlbnNzaC1rZXktdjF"), "empty": ""}[damage])
    key.chmod(0o600)
    done = login(sshd, folder, key=key)
    assert done.status == FAILED and "Permission denied (publickey)" in done.stderr


def test_user_that_is_not_there(sshd, folder):
    done = run("-N", *login_arguments(sshd, folder), "no-such-user@127.0.0.1")
    one_line(done, r"no-such-user@127\.0\.0\.1: Permission denied \(publickey\)")


def test_server_that_allows_few_attempts(make_sshd, folder, user_key):
    keys = [make_key(folder / f"k{i}") for i in range(4)]
    more = [word for key in keys[1:] for word in ("-i", str(key))]
    with make_sshd({"MaxAuthTries": "2"}) as server:
        done = login(server, folder, *more, key=keys[0])
    assert done.status == FAILED
    assert re.search("too many authentication failures", done.stderr, re.IGNORECASE), done.stderr
    assert len(done.lines) == 1, done.stderr


def test_unknown_host_key(sshd, folder):
    done = login(sshd, folder, known_hosts="")
    one_line(done, r"127\.0\.0\.1.*SHA256:|SHA256:.*127\.0\.0\.1")


def test_changed_host_key(sshd, folder):
    wrong = pathlib.Path(f"{make_key(folder / 'other')}.pub").read_text()
    done = login(sshd, folder, known_hosts=f"{sshd.address} {wrong}")
    assert done.status == FAILED
    assert f"{folder}/known_hosts_{sshd.port}:1" in done.stderr


# --------------------------------------------------------------------------------------------------------- forwards

def test_forwarding_is_not_allowed_by_the_server(make_sshd, folder, echo_server):
    with make_sshd({"AllowTcpForwarding": "no"}) as server:
        port = free_port()
        with Culvert(server, folder, [f"{port}:127.0.0.1:{echo_server.port}"]) as forward:
            assert_ends(port)
            forward.wait_for("open failed: administratively prohibited")


def test_destination_that_is_not_permitted(make_sshd, folder, echo_server):
    with make_sshd({"PermitOpen": "127.0.0.1:1"}) as server:
        port = free_port()
        with Culvert(server, folder, [f"{port}:127.0.0.1:{echo_server.port}"]) as forward:
            assert_ends(port)
            forward.wait_for("open failed: administratively prohibited")


def test_destination_name_that_does_not_resolve(sshd, folder):
    port = free_port()
    with Culvert(sshd, folder, [f"{port}:no-such-host.invalid:80"]) as forward:
        assert_ends(port)
        forward.wait_for("open failed: ")


def test_unix_destination_that_is_not_there(sshd, folder):
    port = free_port()
    with Culvert(sshd, folder, [f"{port}:{folder}/none"]) as forward:
        assert_ends(port)
        forward.wait_for("open failed: ")


def test_port_in_use(sshd, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = login(sshd, folder, "-L", f"127.0.0.1:{port}:x:1")
    one_line(done, rf"cannot listen on 127\.0\.0\.1:{port}: address already in use")


def test_port_in_use_by_another_culvert(sshd, folder):
    port = free_port()
    with Culvert(sshd, folder, [f"{port}:x:1"]):
        done = login(sshd, folder, "-L", f"{port}:x:1")
    assert done.status == FAILED
    assert re.search(rf"cannot listen on .*:{port}: address already in use", done.stderr, re.IGNORECASE), done.stderr
    assert "culvert: ready" not in done.stderr


def test_path_in_use(sshd, folder):
    (folder / "taken").write_text("")
    done = login(sshd, folder, "-L", f"{folder}/taken:x:1")
    one_line(done, re.escape(f"{folder}/taken"))
    assert (folder / "taken").is_file(), "what was there is gone"


def test_address_that_is_not_ours(sshd, folder):
    done = login(sshd, folder, "-L", f"192.0.2.1:{free_port()}:x:1")
    one_line(done, r"cannot listen on 192\.0\.2\.1")


def test_forward_that_cannot_listen_may_be_survived(sshd, folder, echo_server):
    good = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        forwards = [f"127.0.0.1:{taken.getsockname()[1]}:x:1", f"{good}:127.0.0.1:{echo_server.port}"]
        with Culvert(sshd, folder, forwards, options={"ExitOnForwardFailure": "no"}) as forward:
            assert "address already in use" in forward.text.lower()
            with connect(good) as s:
                s.sendall(b"x")
                assert s.recv(1) == b"x"


def test_privileged_port_without_rights(sshd, folder):
    if int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 99:
        pytest.skip("no port needs rights here")
    prefix = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"] if os.geteuid() == 0 else []
    from harness.culvert import Finished, binary, environment
    command = [*prefix, binary(), "-N", *login_arguments(sshd, folder), "-L", "127.0.0.1:99:x:1", destination(sshd)]
    raw = subprocess.run(command, capture_output=True, timeout=60, env=environment(), stdin=subprocess.DEVNULL,
                         start_new_session=True, check=False)
    one_line(Finished(raw.returncode, raw.stdout, raw.stderr.decode()), r"cannot listen on 127\.0\.0\.1:99: permission denied.*1024")


def test_session_that_is_cut_ends_the_program(sshd, make_sshd, folder, echo_server):
    with make_sshd() as server:
        port = free_port()
        with Culvert(server, folder, [f"{port}:127.0.0.1:{echo_server.port}"],
                     arguments=["--no-reconnect"]) as forward, connect(port) as s:
            s.sendall(b"x")
            assert s.recv(1) == b"x"
            server.cut_connections()
            assert forward.wait() == FAILED
            try:
                assert s.recv(1) == b""
            except ConnectionResetError:
                pass
            after_ready = forward.text.split("culvert: ready\n", 1)[1].splitlines()
            assert after_ready and re.search("closed|reset|ended", after_ready[-1]), forward.text


def test_server_that_stops_answering_is_noticed(make_sshd, folder, echo_server):
    import signal
    from harness.processes import children_of, kill
    with make_sshd() as server:
        options = {"ServerAliveInterval": "1", "ServerAliveCountMax": "2"}
        port = free_port()
        with Culvert(server, folder, [f"{port}:127.0.0.1:{echo_server.port}"], options=options,
                     arguments=["--no-reconnect"]) as forward:
            echo_both_ways(port, 1)  # sshd makes the process that answers after the login
            stopped = children_of(server.process.pid)
            for pid in stopped:
                kill(pid, signal.SIGSTOP)
            try:
                assert forward.wait() == FAILED
            finally:
                for pid in stopped:
                    kill(pid, signal.SIGCONT)
            assert re.search("not respond|timed out|no answer|alive", forward.lines[-1], re.IGNORECASE), forward.text


# ------------------------------------------------------------------------------------------------------ command line

@pytest.mark.parametrize("arguments,wanted", [
    (["-L", "x", "host"], "-L"),
    (["-L", "1:2:3:4:5:6", "host"], "-L"),
    (["-L", "99999:x:1", "host"], "99999"),
    (["-L", "8080:x:0", "host"], "0"),
    (["-L", "8080:x:no-such-service", "host"], "no-such-service"),
    (["-L", "[::1:8080:x:1", "host"], r"-L|\["),
    (["-W", "nowhere", "host"], "-W|nowhere"),
    (["-p", "0", "host"], "-p|0"),
    (["-p", "65536", "host"], "65536"),
    (["-c", "rot13", "host"], "rot13"),
    (["-m", "crc32", "host"], "crc32"),
    (["-o", "NoSuchKeyword=1", "host"], "nosuchkeyword"),
    (["-o", "Include=x", "host"], "configuration files"),
    (["-o", "HostName=%x", "-N", "host"], "unknown token"),
    (["-i", "${CULVERT_NO_SUCH}", "-N", "host"], "CULVERT_NO_SUCH"),
    (["-F", "/no/such/file", "-N", "host"], "/no/such/file"),
    (["-F", "/proc/self", "-N", "host"], "/proc/self"),
    (["-F", "/dev/zero", "-N", "host"], "larger than"),
    (["-G"], "host|destination|server"),
    (["-o", "Port", "host"], "Port"),
    (["-o", "Ciphers=rot13", "host"], "rot13"),
    (["-o", "StrictHostKeyChecking=perhaps", "host"], "perhaps"),
    (["-z", "host"], "-z"),
    (["--no-such-option", "host"], "no-such-option"),
    (["-L"], "-L"),
    (["-L", "8080:x:1"], "host|destination|server"),
    (["-b", "not an address", "-L", "8080:x:1", "127.0.0.1"], "not an address"),
    (["-L", "8080:x:1", "-oProxyCommand=;", "ho;st"], "ho;st|ProxyCommand"),
    (["-L", "8080:x:1", "--", "-host"], "host"),
    (["-L", "8080:x:1", "a@b@"], "."),
    (["host", "command"], "command"),
    (["-R", "8080:x", "host"], "-R: .*not a port"),
    (["-D", "1080:x:1", "host"], "-D"),
    (["-D", "99999", "host"], "-D: .*not a port"),
    (["--proxy-auth", "", "-D", "1080", "host"], "--proxy-auth"),
    (["-J", "ju;mp", "host"], "-J"),
    (["-t", "-t", "-X", "-L", "bad", "host"], "."),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_command_line(arguments, wanted):
    done = run(*arguments)
    assert done.status in (2, 255), f"status {done.status}: {done.stderr}"
    assert len(done.lines) == 1 and done.lines[0].startswith("culvert: "), done.stderr
    assert re.search(wanted, done.stderr), done.stderr


def test_no_arguments_is_a_usage_error():
    done = run()
    assert done.status in (2, 255)
    assert done.stderr


def test_home_that_is_not_there(sshd, folder):
    """known_hosts and keys are given, so nothing in the home folder is needed."""
    from harness.culvert import environment
    assert pwd.getpwuid(os.geteuid())
    arguments = login_arguments(sshd, folder)
    done = run("-W", f"127.0.0.1:{free_port()}", *arguments, destination(sshd), env=environment(HOME="/nonexistent"))
    one_line(done, "open failed: connect failed: Connection refused")

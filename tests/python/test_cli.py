# SPDX-License-Identifier: Apache-2.0
"""The program as a person or a script uses it: -W, -f, -E, signals, help."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from harness.algorithms import KEY_EXCHANGES
from harness.culvert import Culvert, binary, destination, environment, local_forward, login_arguments, run
from harness.processes import kill
from harness.sockets import (DEADLINE, Server, connect, digest_sink, free_port, receive_all, receive_exactly, source_of,
                             slow_reader, test_data)
from harness.terminal import Terminal


def test_help_fits_one_screen():
    done = run("--help")
    assert done.status == 0
    lines = done.stdout.decode().splitlines()
    assert 5 < len(lines) <= 50, f"{len(lines)} lines"
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    for wanted in ("-L", "-W", "-f", "user@", "culvert "):
        assert wanted in text
    assert done.stderr == ""


def test_version():
    done = run("-V")
    assert done.status == 0
    assert re.search(r"culvert \d+\.\d+", done.stdout.decode() + done.stderr)


def test_ready_comes_after_every_listener(sshd, folder, echo_server):
    ports = [free_port() for _ in range(3)]
    with Culvert(sshd, folder, [f"{p}:127.0.0.1:{echo_server.port}" for p in ports]) as forward:
        lines = forward.lines
        assert lines[-1] == "culvert: ready"
        for port in ports:
            assert f"culvert: local 127.0.0.1:{port} -> 127.0.0.1:{echo_server.port} up" in lines


def test_quiet_says_nothing(sshd, folder, echo_server):
    port = free_port()
    with Culvert(sshd, folder, [f"{port}:127.0.0.1:{echo_server.port}"], arguments=["-q"], ready=False) as forward:
        end = time.monotonic() + DEADLINE
        while True:
            try:
                connect(port).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < end
                time.sleep(0.05)
        assert forward.stop() == 0
        assert forward.text == ""


def test_verbose_says_more_and_names_the_algorithms(sshd, folder, echo_server):
    forward, _ = local_forward(sshd, folder, echo_server.port, arguments=["-v"])
    with forward:
        assert KEY_EXCHANGES[0] in forward.text


def test_algorithms_that_only_ssh_has():
    """Files are made for ssh, too: of a list ours count, and who asks is told what does not."""
    done = run("-v", "-F", "none", "-N", "-o", "Ciphers=3des-cbc,aes128-ctr", "-p", str(free_port()), "127.0.0.1")
    assert "culvert: debug1: culvert lacks 3des-cbc: the others of the list count" in done.lines
    done = run("-F", "none", "-N", "-c", "3des-cbc", "127.0.0.1")
    assert (done.status, done.lines) == (
        255, ['culvert: -c: "3des-cbc" leaves no cipher that culvert has (culvert -Q cipher lists them)'])


# ------------------------------------------------------------------------------------------------------------- -W

def stdio(sshd, folder, target, *more):
    return [binary(), "-W", target, *more, *login_arguments(sshd, folder), destination(sshd)]


def test_stdio_carries_bytes_both_ways_and_prints_nothing(sshd, folder, echo_server):
    data = test_data(3 << 20)
    done = subprocess.run(stdio(sshd, folder, f"127.0.0.1:{echo_server.port}"), input=data, capture_output=True,
                          timeout=DEADLINE, env=environment(), check=False)
    assert done.returncode == 0
    assert done.stdout == data
    assert done.stderr == b""


def test_stdio_from_and_to_files(sshd, folder, echo_server):
    data = test_data(1 << 20)
    (folder / "in").write_bytes(data)
    with open(folder / "in", "rb") as source, open(folder / "out", "wb") as sink:
        done = subprocess.run(stdio(sshd, folder, f"127.0.0.1:{echo_server.port}"), stdin=source, stdout=sink,
                              stderr=subprocess.PIPE, timeout=DEADLINE, env=environment(), check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (folder / "out").read_bytes() == data


def test_stdio_over_sockets_keeps_half_close(sshd, folder):
    import hashlib
    data = test_data(300_000)
    ours, theirs = socket.socketpair()
    ours.settimeout(DEADLINE)
    with Server(digest_sink) as server:
        process = subprocess.Popen(stdio(sshd, folder, f"127.0.0.1:{server.port}"), stdin=theirs, stdout=theirs,
                                   stderr=subprocess.PIPE, env=environment())
        theirs.close()
        with ours:
            ours.sendall(data)
            ours.shutdown(socket.SHUT_WR)
            assert receive_all(ours) == hashlib.sha256(data).digest()
        assert process.wait(DEADLINE) == 0
        assert process.stderr.read() == b""
        process.stderr.close()


def test_stdio_ends_when_all_has_arrived(sshd, folder):
    data = test_data(4 << 20)
    received = []

    with Server(slow_reader(received, 0.01)) as server:
        done = subprocess.run(stdio(sshd, folder, f"127.0.0.1:{server.port}"), input=data, capture_output=True, timeout=DEADLINE,
                              env=environment(), check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert server.wait_until(lambda _: received)
    assert received == [data]


def test_stdio_refused(sshd, folder):
    done = subprocess.run(stdio(sshd, folder, f"127.0.0.1:{free_port()}"), input=b"", capture_output=True, timeout=DEADLINE,
                          env=environment(), check=False)
    assert done.returncode == 255
    assert done.stdout == b""
    assert b"Connection refused" in done.stderr and done.stderr.count(b"\n") == 1


def test_stdio_whose_reader_is_gone_ends(sshd, folder):
    with Server(source_of(b"x" * (16 << 20))) as server:
        process = subprocess.Popen(stdio(sshd, folder, f"127.0.0.1:{server.port}"), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
        process.stdout.read(1000)
        process.stdout.close()
        process.wait(DEADLINE)


def test_proxy_command_of_a_real_ssh(sshd, make_sshd, folder, user_key):
    """ssh reaches an inner server through culvert, as `ssh -o ProxyCommand='culvert -W %h:%p bastion' inner` does."""
    if sshd.user == "daemon":
        pytest.skip("the account has no shell")
    with make_sshd() as inner:
        known = folder / "inner_known_hosts"
        known.write_text(inner.known_hosts())
        command = " ".join([binary(), "-W", "%h:%p", *login_arguments(sshd, folder), destination(sshd)])
        done = subprocess.run(
            ["ssh", "-F", "none", "-o", f"ProxyCommand={command}", "-o", f"UserKnownHostsFile={known}", "-i", str(user_key),
             "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-p", str(inner.port), f"{inner.user}@127.0.0.1",
             "echo from the inside"],
            capture_output=True, timeout=DEADLINE, env=environment(), stdin=subprocess.DEVNULL, check=False)
        assert done.stdout == b"from the inside\n", done.stderr.decode()
        assert done.returncode == 0


def test_a_port_given_twice_is_its_own(sshd, folder):
    port = free_port()
    done = run("-N", "-L", f"{port}:127.0.0.1:9", "-D", str(port), *login_arguments(sshd, folder), destination(sshd))
    assert done.status == 255
    assert done.lines[-1] == (f"culvert: cannot listen on 127.0.0.1:{port}: address already in use "
                              "(this culvert listens there already)"), done.stderr


# ------------------------------------------------------------------------------------------------------ its descriptors

@pytest.fixture
def pipe():
    """Both ends at numbers that no program takes by itself."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 60) for end in ends]
    for end in ends:
        os.close(end)
    yield high
    for end in high:
        with contextlib.suppress(OSError):
            os.close(end)


def test_programs_get_no_inherited_descriptor(sshd, folder, pipe):
    command = " ".join([binary(), *login_arguments(sshd, folder), "-W", "%h:%p", destination(sshd)])
    (folder / "config").write_text(
        f'Match exec "ls /proc/$$/fd > {folder}/matched"\n Port {sshd.port}\n'
        f"ProxyCommand sh -c 'ls /proc/$$/fd > {folder}/proxied; exec {command}'\n")
    port = free_port()
    with Culvert(sshd, folder, [f"{port}:127.0.0.1:9"], arguments=["-F", str(folder / "config")], pass_fds=pipe):
        for name in ("matched", "proxied"):
            seen = set((folder / name).read_text().split())
            assert {"0", "1", "2"} <= seen, name
            assert not seen & {str(end) for end in pipe}, name


def test_server_holds_no_inherited_descriptor(serve, pipe):
    reading, writing = pipe
    serve("--allow-all", pass_fds=(writing,))  # as root its helper as well
    os.close(writing)
    assert select.select([reading], [], [], DEADLINE)[0], "somebody holds it"
    assert os.read(reading, 1) == b""


def test_descriptors_that_options_name_are_read(pipe):
    """As a shell passes `-F <(...)`."""
    reading, writing = pipe
    os.write(writing, b"Port 1234\nUser somebody\n")
    os.close(writing)
    done = run("-G", "-F", f"/dev/fd/{reading}", "host", pass_fds=(reading,))
    assert done.status == 0, done.stderr
    assert {"port 1234", "user somebody"} <= set(done.stdout.decode().splitlines())


# -------------------------------------------------------------------------------------------------------------- -f

def test_background_leaves_when_ready(sshd, folder, echo_server):
    port = free_port()
    log = folder / "log"
    done = run("-f", "-N", "-E", str(log), "-L", f"{port}:127.0.0.1:{echo_server.port}", *login_arguments(sshd, folder),
               destination(sshd))
    pid = None
    try:
        assert done.status == 0, done.stderr
        with connect(port) as s:  # at once: the parent leaves when it is ready
            s.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"
        assert "culvert: ready" in log.read_text() or "ready" in log.read_text()
    finally:
        pid = listener_of(port)
        if pid:
            kill(pid, signal.SIGTERM)
    assert pid
    end = time.monotonic() + DEADLINE
    while pathlib.Path(f"/proc/{pid}").exists() and not is_zombie(pid):
        assert time.monotonic() < end, "the child does not end"
        time.sleep(0.05)


def test_background_lets_a_pipeline_end(sshd, folder):
    port = free_port()
    command = [binary(), "-f", "-N", "-L", f"{port}:127.0.0.1:9", *login_arguments(sshd, folder), destination(sshd)]
    try:
        done = subprocess.run(["bash", "-c", 'exec 5>&1 1>&2; exec "$@" 2>/dev/null', "-", *command], stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=DEADLINE, env=environment(), check=False)
        assert done.returncode == 0
    finally:
        pid = listener_of(port)
        if pid:
            kill(pid, signal.SIGTERM)
    assert pid


def test_background_reports_failure(sshd, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("-f", "-N", "-L", f"127.0.0.1:{taken.getsockname()[1]}:x:1", *login_arguments(sshd, folder),
                   destination(sshd))
    assert done.status == 255
    assert "cannot listen" in done.stderr


def is_zombie(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def listener_of(port: int) -> int | None:
    """The process that listens on 127.0.0.1:port, by the kernel's tables."""
    wanted = f"0100007F:{port:04X}"
    inodes = {fields[9] for fields in (line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:])
              if fields[1] == wanted and fields[3] == "0A"}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            links = [os.readlink(fd) for fd in (entry / "fd").iterdir()]
        except OSError:
            continue
        if any(link == f"socket:[{inode}]" for link in links for inode in inodes):
            return int(entry.name)
    return None


# --------------------------------------------------------------------------------------------------------- log file

def test_log_file(sshd, folder, echo_server):
    log = folder / "log"
    port = free_port()
    with Culvert(sshd, folder, [f"{port}:127.0.0.1:{echo_server.port}"], arguments=["-E", str(log)], ready=False) as forward:
        end = time.monotonic() + DEADLINE
        while not log.exists() or "ready" not in log.read_text():
            assert time.monotonic() < end, forward.text
            time.sleep(0.05)
        assert forward.stop() == 0
        assert forward.text == ""


def test_log_file_that_cannot_be_written(sshd, folder):
    done = run("-N", "-E", str(folder / "no" / "such"), *login_arguments(sshd, folder), destination(sshd))
    assert done.status in (2, 255)
    assert len(done.lines) == 1 and str(folder / "no" / "such") in done.stderr


# ---------------------------------------------------------------------------------------------------------- signals

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_without_streams_ends_at_once(sshd, folder, number):
    with Culvert(sshd, folder, [f"{free_port()}:127.0.0.1:9"]) as forward:
        begin = time.monotonic()
        forward.signal(number)
        assert forward.wait() == 0
        assert time.monotonic() - begin < 1.9, "nothing had to be waited for"


def test_ctrl_c_on_a_terminal(sshd, folder):
    with Terminal([binary(), "-N", *login_arguments(sshd, folder), "-L", f"{free_port()}:x:1", destination(sshd)],
                  env=environment()) as terminal:
        terminal.expect("culvert: ready")
        terminal.interrupt()
        assert terminal.wait() == 0


def test_live_streams_may_finish_after_a_signal(sshd, folder):
    """A transfer that needs a moment ends whole; new connections are refused meanwhile."""
    go_on = threading.Event()
    data = test_data(2 << 20)

    def in_two_parts(s):
        s.sendall(data[:1000])
        go_on.wait(DEADLINE)
        s.sendall(data[1000:])
        s.shutdown(socket.SHUT_WR)
        receive_all(s)

    with Server(in_two_parts) as server:
        forward, port = local_forward(sshd, folder, server.port)
        with forward, connect(port) as s:
            received = receive_exactly(s, 1000)
            forward.signal(signal.SIGTERM)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                try:
                    connect(port).close()
                    time.sleep(0.02)
                except ConnectionResetError:
                    continue  # it closed between the handshake and its end: the next one tells
                except ConnectionRefusedError:
                    break
            else:
                pytest.fail("the listener is still open")
            go_on.set()
            received += receive_all(s)
            s.close()
            assert received == data
            assert forward.wait() == 0


def test_streams_that_do_not_end_are_given_up_after_two_seconds(sshd, folder, echo_server):
    forward, port = local_forward(sshd, folder, echo_server.port)
    with forward, connect(port) as s:
        s.sendall(b"x")
        assert receive_exactly(s, 1) == b"x"
        begin = time.monotonic()
        forward.signal(signal.SIGTERM)
        assert forward.wait() == 0
        assert 1.5 < time.monotonic() - begin < 20
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass


def test_second_signal_ends_at_once(sshd, folder, echo_server):
    forward, port = local_forward(sshd, folder, echo_server.port)
    with forward, connect(port) as s:
        s.sendall(b"x")
        assert receive_exactly(s, 1) == b"x"
        begin = time.monotonic()
        forward.signal(signal.SIGINT)
        time.sleep(0.3)
        assert forward.popen.poll() is None
        forward.signal(signal.SIGINT)
        forward.wait()
        assert time.monotonic() - begin < 1.5, "it drained all the same"


def test_signal_during_login_ends_it():
    stop = threading.Event()
    with Server(lambda s: stop.wait(60)) as silent:
        process = subprocess.Popen([binary(), "-F", "none", "-N", "-p", str(silent.port), "127.0.0.1"], env=environment(),
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert silent.wait_until(lambda s: s.accepted == 1)
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE)
        process.stderr.close()
        stop.set()


# ------------------------------------------------------------------------------------------------- letters of ssh

@pytest.mark.parametrize("letters", [["-n"], ["-T"], ["-a"], ["-x"], ["-k"], ["-4"], ["-nNT"], ["-Tq", "-v"]],
                         ids=lambda letters: " ".join(letters))
def test_letters_that_change_nothing_here(sshd, folder, letters):
    done = run(*letters, "-W", f"127.0.0.1:{free_port()}", *login_arguments(sshd, folder), destination(sshd))
    assert done.status == 255
    assert "usage" not in done.stderr.lower()
    assert "Connection refused" in done.stderr or "-Tq" in letters


@pytest.mark.parametrize("letters", [["-A"], ["-X"], ["-Y"], ["-M"], ["-S", "x"], ["-w", "0"], ["-R", "1:x:1"], ["-D", "1080"],
                                     ["-J", "x;"], ["-C"], ["-K"], ["-O", "check"], ["-t"], ["-s"], ["-e", "none"],
                                     ["-I", "x"], ["-Q", "cipher"], ["-G"], ["-y"]],
                         ids=lambda letters: " ".join(letters))
def test_every_other_letter_is_accepted_or_refused_in_one_line(letters):
    done = run("-F", "none", *letters, "-N", "-p", "1", "-o", "ConnectTimeout=5", "127.0.0.1")
    assert len(done.lines) <= 1, done.stderr
    if done.status == 0:
        return
    assert done.lines[0].startswith("culvert: ")
    assert letters[0] in done.lines[0] or "Connection refused" in done.lines[0], done.stderr


# In a network namespace of its own: who connects to us from where. The arguments are one command line each.
FROM_WHERE = r"""
import json, socket, subprocess, sys
def ip(*words): subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)
def ask(line, is_heard=True):
    done = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peer = ""
    if is_heard:
        connection, (peer, *_) = server.accept()
        connection.close()
    return peer.removeprefix("::ffff:"), done.communicate(timeout=60)[1].decode()
server = socket.create_server(("::", 2222), family=socket.AF_INET6, dualstack_ipv6=True)
server.settimeout(60)
program, *lines = json.loads(sys.argv[1])
out = [ask([*program, "-B", "lo", "127.0.0.1"], False)[1]]
ip("link", "set", "lo", "up")
out.append(ask([*program, "-B", "lo", "127.0.0.1"])[0])
ip("addr", "add", "10.83.72.1/32", "dev", "lo")
ip("addr", "add", "fd83::1/128", "dev", "lo", "nodad")
out += [ask(line)[0] for line in lines]
print(json.dumps(out))
"""


def test_from_an_interface(folder):
    """-B takes the address that ssh takes."""
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("network namespaces cannot be made here")
    ours = [binary(), "-F", "none", "-N", "-p", "2222", "-l", "x"]
    ssh = ["ssh", "-F", "none", "-N", "-p", "2222", "-l", "x", "-o", "BatchMode=yes"]
    ways = (["-B", "lo", "127.0.0.1"], ["-B", "lo", "::1"], ["-B", "none", "-o", "BindInterface=x", "-B", "lo", "127.0.0.1"],
            ["-B", "lo", "-b", "127.0.0.9", "127.0.0.1"])
    done = subprocess.run(["unshare", "-n", sys.executable, "-c", FROM_WHERE,
                           json.dumps([ours, *([*program, *way] for program in (ours, ssh) for way in ways)])],
                          check=True, capture_output=True, timeout=120, env=environment())
    down, loopback, *peers = json.loads(done.stdout)
    assert down == "culvert: cannot connect from interface lo: it is down\n"
    assert loopback == "127.0.0.1"
    assert peers[:4] == peers[4:] == ["10.83.72.1", "fd83::1", "10.83.72.1", "127.0.0.9"]

    done = run("-F", "none", "-N", "-B", "nowhere0", "127.0.0.1")
    assert (done.status, done.lines) == (255, ["culvert: cannot connect from interface nowhere0: there is no such interface"])
    done = run("-F", "none", "-N", "-b", "127.0.0.1", "::1")
    assert done.lines == ["culvert: cannot connect to ::1 port 22 from 127.0.0.1: they are of different families"]


def test_double_dash_and_options_after_the_host(sshd, folder):
    arguments = login_arguments(sshd, folder)
    done = run(*arguments, destination(sshd), "-W", f"127.0.0.1:{free_port()}")
    assert "Connection refused" in done.stderr

# SPDX-License-Identifier: Apache-2.0
"""Ways to the server that are not a plain connection: jump hosts, programs, proxies."""

import shutil
import sys
import time

import pytest

from harness.culvert import SMALL, binary, destination, environment, login_arguments, run
from harness.keys import make_key
from harness.processes import Process
from harness.sockets import DEADLINE, connect, echo_both_ways, free_port, receive_exactly
from harness.terminal import Terminal

SIZE = (1 if SMALL else 8) << 20


@pytest.fixture
def hops(make_sshd, folder, user_key):
    """Two servers, and a home whose files know both: hops take nothing from the command line."""
    with make_sshd() as first, make_sshd() as second:
        ssh = folder / "home" / ".ssh"
        ssh.mkdir(parents=True, mode=0o700)
        shutil.copy(user_key, ssh / "id_ed25519")
        (ssh / "id_ed25519").chmod(0o600)
        (ssh / "known_hosts").write_text(first.known_hosts() + second.known_hosts())
        yield first, second, environment(HOME=str(folder / "home"))


def hop(server) -> str:
    return f"{server.user}@127.0.0.1:{server.port}"


def started(server, folder, env, *arguments):
    return Process([binary(), *login_arguments(server, folder), *arguments, destination(server)], env=env,
                   start_new_session=True)


@pytest.mark.parametrize("count", [1, 2])
def test_through_hops(sshd, hops, folder, echo_server, count):
    first, second, env = hops
    port = free_port()
    chain = ",".join(hop(s) for s in (first, second)[:count])
    with started(sshd, folder, env, "-J", chain, "-L", f"{port}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        echo_both_ways(port, SIZE)
        with connect(port) as s:
            s.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"
            culvert.signal(15)
            s.close()
        assert culvert.wait() == 0


def test_comes_back_through_a_hop(sshd, hops, folder, echo_server):
    first, _, env = hops
    port = free_port()
    with started(sshd, folder, env, "-J", hop(first), "-R", f"{port}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        echo_both_ways(port, 1000)
        first.cut_connections()
        culvert.wait_for("again after")
        culvert.wait_for(f"remote localhost:{port} up again")
        echo_both_ways(port, 1000)


def test_a_passphrase_for_a_hop_is_asked_for_once(sshd, make_sshd, hops, folder):
    _, _, env = hops
    ssh = folder / "home" / ".ssh"
    (ssh / "id_ed25519").unlink()
    with make_sshd(user_keys=[make_key(ssh / "id_ed25519", passphrase="secret")]) as first:
        (ssh / "known_hosts").write_text(first.known_hosts())
        with Terminal([binary(), "-N", *login_arguments(sshd, folder), "-J", hop(first), destination(sshd)], env=env) as terminal:
            terminal.expect("Enter passphrase for key")
            terminal.send_line("secret")
            terminal.expect("culvert: ready")
            first.cut_connections()
            terminal.expect("again after", timeout=20)
            assert terminal.text.count("Enter passphrase") == 1


def test_stdio_through_a_hop(sshd, hops, folder, echo_server):
    first, _, env = hops
    done = run(*login_arguments(sshd, folder), "-J", hop(first), "-W", f"127.0.0.1:{echo_server.port}",
               destination(sshd), stdin=b"x" * 100000, env=env)
    assert (done.status, done.stdout, done.stderr) == (0, b"x" * 100000, "")


def test_errors_name_the_hop(sshd, hops, make_sshd, folder):
    first, _, env = hops
    words = [*login_arguments(sshd, folder), "-N", destination(sshd)]
    nobody = free_port()
    done = run("-J", f"127.0.0.1:{nobody}", *words, env=env)
    assert done.status == 255 and done.lines == [f"culvert: cannot connect to 127.0.0.1 port {nobody}: Connection refused"]
    done = run("-J", f"stranger@127.0.0.1:{first.port}", *words, env=env)
    assert done.status == 255 and "stranger@127.0.0.1: Permission denied" in done.lines[-1]
    with make_sshd({"AllowTcpForwarding": "no"}) as strict:
        known = folder / "home" / ".ssh" / "known_hosts"
        known.write_text(known.read_text() + strict.known_hosts())
        done = run("-J", hop(strict), *words, env=env)
        assert done.status == 255 and "through 127.0.0.1: open failed: administratively prohibited" in done.lines[-1]


def test_bad_hops():
    for value, wanted in (("", "host name"), ("a,,b", "host name"), ("a;b", "host name"), ("a:99999", "port")):
        done = run("-F", "none", "-N", "-J", value, "host")
        assert done.status == 255 and len(done.lines) == 1 and done.lines[0].startswith("culvert: -J"), done.stderr
        assert wanted in done.stderr or "no value" in done.stderr, done.stderr


def test_proxy_command(sshd, folder, echo_server):
    port = free_port()
    program = folder / "relay.py"
    program.write_text("import os, socket, sys, threading\n"
                       "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
                       "def up():\n"
                       "    while data := os.read(0, 65536): s.sendall(data)\n"
                       "    s.shutdown(socket.SHUT_WR)\n"
                       "threading.Thread(target=up, daemon=True).start()\n"
                       "while data := s.recv(65536):\n"
                       "    while data: data = data[os.write(1, data):]\n")
    relay = f"{sys.executable} {program} %h %p"
    with started(sshd, folder, environment(), "-o", f"ProxyCommand={relay}", "-L",
                 f"{port}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        echo_both_ways(port, SIZE)


def test_proxy_command_that_fails(sshd, folder):
    done = run(*login_arguments(sshd, folder), "-N", "-o", "ProxyCommand=echo no such way >&2; exit 1", destination(sshd))
    assert done.status == 255
    assert "no such way" in done.stderr and done.lines[-1].startswith("culvert: 127.0.0.1 port ")


@pytest.mark.parametrize("command, how", [
    ("exit 7", "exited with status 7"),
    ("kill -15 $$", "was killed by signal 15"),
    ("printf \"SSH-2.0-x\\r\\n\"; head -c 1 >/dev/null; exit 3", "exited with status 3"),
], ids=["status", "signal", "in the key exchange"])
def test_the_status_of_a_proxy_command_is_told(sshd, folder, command, how):
    done = run(*login_arguments(sshd, folder), "-N", "-o", f"ProxyCommand=sh -c '{command}'", destination(sshd))
    assert done.status == 255
    assert done.lines[-1].startswith("culvert: 127.0.0.1 port ") and done.lines[-1].endswith(f" (ProxyCommand {how})"), done.stderr


@pytest.fixture
def passer(folder):
    """passer(lines of Python) -> options for a proxy command whose output is the socket `out`; it ends with those lines."""
    def write(*lines):
        program = folder / "passer.py"
        program.write_text("import os, signal, socket, sys, time\nhost, port = sys.argv[1], int(sys.argv[2])\n"
                           "out = socket.socket(fileno=1)\n"
                           "def give(what): socket.send_fds(out, [b'x'], [what.fileno()])\n" + "".join(f"{line}\n" for line in lines))
        return ["-o", f"ProxyCommand={sys.executable} {program} %h %p", "-o", "ProxyUseFdpass=yes"]
    return write


def appears(path):
    end = time.monotonic() + DEADLINE
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not appear"
        time.sleep(0.01)


PASS = "give(socket.create_connection((host, port)))"


def test_proxy_command_that_passes_its_socket(sshd, folder, echo_server, passer):
    port = free_port()
    arguments = passer(PASS, f"open('{folder}/ended', 'w').close()")
    with started(sshd, folder, environment(), *arguments, "-v", "-L", f"{port}:127.0.0.1:{echo_server.port}") as culvert:
        culvert.wait_for("culvert: ready")
        assert f"connected to 127.0.0.1 port {sshd.port} ([127.0.0.1]:{sshd.port})" in culvert.text
        echo_both_ways(port, SIZE)
        appears(folder / "ended")
        culvert.signal(15)
        assert culvert.wait() == 0


def test_proxy_command_that_passes_its_socket_and_stays(sshd, folder, passer):
    """ssh would wait for its end. Here it is told of the end of the connection."""
    arguments = passer(f"signal.signal(1, lambda *_: (open('{folder}/hung up', 'w').close(), os._exit(0)))", PASS,
                       "time.sleep(100)")
    with started(sshd, folder, environment(), *arguments, "-N") as culvert:
        culvert.wait_for("culvert: ready")
        culvert.signal(15)
        assert culvert.wait() == 0
    appears(folder / "hung up")


@pytest.mark.parametrize("line, patience, why", [
    ("", 60, "it ended without passing a connection (ProxyCommand exited with status 0)"),
    ("out.send(b'SSH-2.0-x')", 60, "it wrote data and passed no connection"),
    ("give(sys.stderr)", 60, "what it passed is no socket"),
    ("give(socket.socket())", 60, "the socket that it passed is not connected"),
    ("time.sleep(100)", 1, "it passed no connection in time (ConnectTimeout)"),
], ids=["nothing", "data", "no socket", "not connected", "late"])
def test_proxy_command_that_passes_no_connection(sshd, folder, passer, line, patience, why):
    done = run(*login_arguments(sshd, folder), *passer(line), "-N", "-o", f"ConnectTimeout={patience}", destination(sshd))
    assert done.status == 255
    assert done.lines[-1].startswith("culvert: ProxyCommand ") and done.lines[-1].endswith(why), done.stderr


@pytest.mark.parametrize("scheme", ["socks5", "http"])
def test_proxy_on_the_way(sshd, hops, folder, echo_server, scheme):
    first, _, env = hops
    users = folder / "users"
    users.write_text("me:secret\n")
    users.chmod(0o600)
    proxy, port = free_port(), free_port()
    with started(first, folder, env, "-D", str(proxy), "--proxy-auth", str(users)) as front:
        front.wait_for("culvert: ready")
        with started(sshd, folder, env, "-o", f"ProxyVia={scheme}://me:secret@127.0.0.1:{proxy}", "-L",
                     f"{port}:127.0.0.1:{echo_server.port}") as culvert:
            culvert.wait_for("culvert: ready")
            echo_both_ways(port, SIZE)
        words = [*login_arguments(sshd, folder), "-N", destination(sshd)]
        done = run("-o", f"ProxyVia={scheme}://me:wrong@127.0.0.1:{proxy}", *words, env=env)
        assert done.status == 255 and f"through 127.0.0.1 port {proxy}" in done.stderr and "wrong" not in done.stderr

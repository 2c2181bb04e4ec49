# SPDX-License-Identifier: Apache-2.0
"""`culvert serve`, `map` and `proxy` give up what they do not need, and what they still do then."""

import contextlib
import os
import pathlib
import pwd
import signal
import socket
import subprocess
import sys
import time

import pytest

from harness.culvert import binary, environment, run
from harness.culvert_server import CulvertServer
from harness.files import write_whole
from harness.keys import public_part
from harness.processes import Process, children_of, kill
from harness.proxy import reply_http, request_http
from harness.sockets import DEADLINE, Server, connect, echo, echo_both_ways, free_port, receive_all
from test_serve import client, client_command

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="what root gives up, only root has")
OTHER = 65534  # nobody


@pytest.fixture(name="serve")
def make_server(folder, account, host_keys, user_key):
    with contextlib.ExitStack() as stack:
        def make(*arguments, **more):
            own = pathlib.Path(folder / "server")
            own.mkdir(mode=0o700)
            return stack.enter_context(CulvertServer(own, account, [host_keys["ed25519"]], [user_key], arguments=arguments, **more))
        yield make


def status_of(pid: int) -> dict[str, str]:
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def ends_soon(pid: int) -> bool:
    for _ in range(100):
        try:
            if status_of(pid)["State"].startswith("Z"):
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_the_process_that_talks_to_clients_has_no_rights(serve, folder, echo_server):
    """Files that it may not read are opened for it, when they change too."""
    server = serve("--allow-all")
    worker = status_of(server.process.pid)
    assert set(worker["Uid"].split()) == {str(OTHER)}
    assert set(worker["Gid"].split()) == {str(pwd.getpwuid(OTHER).pw_gid)}
    assert {worker[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert (worker["NoNewPrivs"], worker["Seccomp"]) == ("1", "2")
    [helper] = children_of(server.process.pid)
    kept = status_of(helper)
    assert kept["Uid"].split()[0] == "0"
    assert int(kept["CapPrm"], 16) == int(kept["CapEff"], 16) == 1 << 2 | 1 << 10  # CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE
    assert (kept["NoNewPrivs"], kept["Seccomp"]) == ("1", "2")
    port = free_port()
    with client("ssh", server, folder, "-L", f"{port}:127.0.0.1:{echo_server.port}", ports=(port,)):
        echo_both_ways(port, 1000)
    write_whole(server.keys_file, "")
    done = subprocess.run(client_command("ssh", server, folder), capture_output=True, text=True, timeout=20, check=False)
    assert "Permission denied" in done.stderr


def test_the_helper_ends_with_the_worker(serve):
    server = serve("--allow-all")
    [helper] = children_of(server.process.pid)
    kill(server.process.pid, signal.SIGKILL)
    assert ends_soon(helper)


def test_a_worker_ends_without_its_helper(serve):
    server = serve("--allow-all")
    [helper] = children_of(server.process.pid)
    kill(helper, signal.SIGKILL)
    assert server.process.wait() == 255
    assert server.process.lines[-1] == "culvert: the privileged helper has ended; nobody could log in any more"


def test_the_terminal_does_not_end_the_helper_first(serve):
    """Ctrl-C goes to both."""
    server = serve("--allow-all")
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.process.wait() == 0
    assert not any("helper has ended" in line for line in server.process.lines)


# In a network namespace, where ports below 1024 are root's.
IN_NAMESPACE = ["unshare", "-n", "sh", "-c", "ip link set lo up && echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start "
                '&& exec "$0" "$@"']


@pytest.fixture(name="namespace")
def in_namespace():
    if subprocess.run([*IN_NAMESPACE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("network namespaces cannot be made here")


@pytest.mark.usefixtures("namespace")
def test_ports_of_root(folder, user_key, host_keys):
    """Where the options or a rule say so, and nowhere else."""
    keys, rules = folder / "keys", folder / "rules.toml"
    write_whole(keys, public_part(user_key) + "\n")
    write_whole(rules, '[[user]]\nname = "me"\nlisten = ["443", "8443"]\n')
    with Process([*IN_NAMESPACE, binary(), "serve", "-k", str(keys), "-r", str(rules), "--host-key", str(host_keys["ed25519"]),
                  "-l", "127.0.0.1:222"], env=environment(), start_new_session=True) as server:
        server.wait_for("ready")
        inside = ["nsenter", "-t", str(server.pid), "-n"]
        with Process([*inside, "ssh", "-F", "none", "-N", "-p", "222", "-i", str(user_key), "-o", "StrictHostKeyChecking=no",
                      "-o", "UserKnownHostsFile=/dev/null", *(word for port in (443, 444, 8443) for word in
                                                              ("-R", f"{port}:127.0.0.1:9")), "me@127.0.0.1"],
                     env=environment(HOME=str(folder)), start_new_session=True) as ssh:
            ssh.wait_for("failed for listen port 444")
            server.wait_for("listens on 127.0.0.1:8443")
            server.wait_for("listens on 127.0.0.1:443")
        assert "444: not permitted" in server.text
        # The worker itself has no way to more than that.
        probe = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 80))"
        done = subprocess.run([*inside, sys.executable, "-c", probe], user=OTHER, capture_output=True, text=True, check=False,
                              timeout=20)
        assert "Permission denied" in done.stderr or "Operation not permitted" in done.stderr


def test_who_it_becomes(serve):
    assert "--user root: all of it runs with the rights of root" in serve("--allow-all", "--user", "root").process.text


def test_users_that_make_no_sense(folder, user_key):
    keys = folder / "keys"
    write_whole(keys, public_part(user_key) + "\n")

    def words(account, **more):
        done = subprocess.run([binary(), "serve", "-k", str(keys), "--allow-all", "-l", "127.0.0.1:0", "--user", account], text=True,
                              capture_output=True, env=environment(HOME=str(folder)), timeout=20, check=False, **more)
        return done.returncode, done.stderr.splitlines()

    assert words("no-such-user") == (255, ["culvert: --user: there is no account no-such-user"])
    assert words("root", user=OTHER) == \
        (255, ["culvert: --user: only root can run as somebody else (start it as root, or leave that out)"])


# ------------------------------------------------------------------------------------------------------------ map and proxy

NET_BIND_SERVICE, NET_RAW = 1 << 10, 1 << 13


@contextlib.contextmanager
def direct(*arguments, inside=()):
    """A `culvert map` or `culvert proxy` that is ready."""
    with Process([*inside, binary(), *map(str, arguments)], env=environment(), start_new_session=True) as process:
        process.wait_for("culvert: ready")
        yield process


def threads_of(pid: int) -> list[dict[str, str]]:
    return [status_of(int(thread.name)) for thread in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def assert_unprivileged(process: Process, capabilities: int = 0) -> None:
    threads = threads_of(process.pid)
    for thread in threads:
        assert set(thread["Uid"].split()) == {str(OTHER)}
        assert set(thread["Gid"].split()) == {str(pwd.getpwuid(OTHER).pw_gid)}
        assert {int(thread[name], 16) for name in ("CapPrm", "CapEff")} == {capabilities}
        assert {int(thread[name], 16) for name in ("CapInh", "CapAmb")} == {0}
        assert (thread["NoNewPrivs"], thread["Seccomp"]) == ("1", "2")


def test_a_map_has_no_rights_once_it_listens(echo_server):
    """On none of its threads, one that looks names up among them."""
    port = free_port()
    with direct("map", f"127.0.0.1:{port}", f"localhost:{echo_server.port}", "--threads", 3) as process:
        assert "culvert: runs as nobody" in process.lines
        echo_both_ways(port, 100000)
        assert len(threads_of(process.pid)) >= 4
        assert_unprivileged(process)


@pytest.mark.usefixtures("namespace")
def test_a_map_at_ports_of_root(folder):
    """On every thread; and the target is a Unix socket, since the namespace has no other way out."""
    path = str(folder / "echo.sock")
    with Server(echo, path=path), direct("map", "127.0.0.1:80", path, "udp/127.0.0.1:53", "127.0.0.1:5353", "--threads", 3,
                                         inside=IN_NAMESPACE) as process:
        assert_unprivileged(process)
        probe = ("import socket; s = socket.create_connection(('127.0.0.1', 80)); s.sendall(b'hello'); "
                 "print(s.recv(5))")
        for _ in range(8):  # they are spread over the threads
            done = subprocess.run(["nsenter", "-t", str(process.pid), "-n", sys.executable, "-c", probe], capture_output=True,
                                  text=True, check=False, timeout=DEADLINE)
            assert done.stdout == "b'hello'\n", done.stderr


def test_the_users_of_a_proxy_are_for_root_to_read(folder, echo_server):
    users = folder / "users"
    users.write_text("me:secret\n")
    users.chmod(0o600)
    port = free_port()
    with direct("proxy", f"127.0.0.1:{port}", "--users", users, "--connect", "127.0.0.0/8:*") as process:
        assert_unprivileged(process)
        with connect(port) as s:
            s.sendall(request_http("127.0.0.1", echo_server.port, ("me", "secret")))
            assert reply_http(s) == 200


def test_the_account_makes_unix_sockets_and_removes_them(folder, echo_server):
    path = folder / "here.sock"
    with direct("map", path, f"127.0.0.1:{echo_server.port}") as process:
        assert path.stat().st_uid == OTHER
        echo_both_ways(str(path), 1000)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    assert not path.exists()


@pytest.mark.parametrize("arguments, capabilities", [
    (["--source", "127.0.0.1:700"], NET_BIND_SERVICE),
    (["--source", "127.0.0.1:7000"], 0),
    (["--transparent"], NET_RAW),
    (["--transparent", "udp/127.0.0.1:0", "127.0.0.1:9"], NET_RAW | NET_BIND_SERVICE),
])
def test_what_connecting_needs_is_kept(arguments, capabilities, folder):
    """And it works: a target sees the address and port."""
    seen = []

    def see(s):
        seen.append(s.getpeername())

    port = free_port()
    with Server(see) as target, direct("map", f"127.0.0.1:{port}", f"127.0.0.1:{target.port}", *arguments) as process:
        assert_unprivileged(process, capabilities)
        with socket.create_connection(("127.0.0.1", port), DEADLINE, source_address=("127.0.0.7", 0)) as s:
            assert receive_all(s) == b""
    assert seen[0][0] == ("127.0.0.7" if "--transparent" in arguments else "127.0.0.1")
    if "--source" in arguments:
        assert seen[0][1] == int(arguments[1].split(":")[1])


def test_who_a_map_becomes(folder):
    with direct("map", "127.0.0.1:0", "127.0.0.1:9", "--user", "root", "--no-sandbox") as process:
        assert "--user root: all of it runs with the rights of root" in process.text
        assert status_of(process.pid)["Seccomp"] == "0"
    for account, more, why in (("no-such-user", {}, "--user: there is no account no-such-user"),
                               ("root", {"user": OTHER}, "--user: only root can run as somebody else (start it as root, or "
                                                         "leave that out)")):
        done = run("map", "127.0.0.1:0", "127.0.0.1:9", "--user", account, **more)
        assert (done.status, done.lines) == (255, [f"culvert: {why}"])


def test_a_map_of_somebody_else(echo_server):
    port = free_port()
    with direct("map", f"127.0.0.1:{port}", f"127.0.0.1:{echo_server.port}", inside=["setpriv", "--reuid", str(OTHER), "--clear-groups"]
                ) as process:
        echo_both_ways(port, 100000)
        [thread, *_] = threads_of(process.pid)
        assert (thread["NoNewPrivs"], thread["Seccomp"], int(thread["CapPrm"], 16)) == ("1", "2", 0)

# SPDX-License-Identifier: Apache-2.0
"""culvert under a service manager: what it tells one (sd_notify), and the systemd unit that make install puts there."""

import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness.culvert import ROOT, Culvert, binary, destination, environment, local_forward, login_arguments, run
from harness.processes import Process, kill
from harness.sockets import DEADLINE, connect, free_port


class Manager:
    """A service manager's ear: a datagram socket at a path, or at @ and an abstract name."""

    def __init__(self, name: str):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE)
        self.socket.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)

    def environment(self, **more: str) -> dict[str, str]:
        return environment(NOTIFY_SOCKET=self.name, **more)

    def hear(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(65536).decode().split("\n"))

    def hear_until(self, name: str) -> dict[str, str]:
        while name not in (message := self.hear()):
            pass
        return message

    def has_more(self) -> bool:
        return bool(select.select([self.socket], [], [], 0)[0])


@pytest.fixture
def manager(folder):
    ear = Manager(str(folder / "notify"))
    yield ear
    ear.socket.close()


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_service_manager_hears_of_every_step(sshd, folder, echo_server, kind):
    ear = Manager(str(folder / "notify") if kind == "path" else f"@culvert-test-{folder.name}")
    forward, port = local_forward(sshd, folder, echo_server.port, env=ear.environment(), ready=False)
    with ear.socket, forward:
        assert ear.hear() == {"STATUS": f"logging in as {destination(sshd)}"}
        assert ear.hear() == {"READY": "1", "STATUS": f"1 forward through {destination(sshd)}"}
        connect(port).close()  # at once: ready means that it listens
        forward.signal(signal.SIGTERM)
        message = ear.hear()
        assert (message["STOPPING"], message["STATUS"]) == ("1", "signal 15: live streams may end by themselves")
        assert forward.wait() == 0
        assert not ear.has_more()


def test_a_login_that_is_refused_is_a_status_and_never_ready(make_sshd, folder, manager):
    with make_sshd({"PubkeyAuthentication": "no"}) as refusing:
        done = run("-N", *login_arguments(refusing, folder), destination(refusing), env=manager.environment())
    assert done.status == 255
    assert manager.hear()["STATUS"].startswith("logging in as ")
    message = manager.hear()
    assert "READY" not in message and "Permission denied" in message["STATUS"]
    assert done.lines == [f"culvert: {message['STATUS']}"]
    assert not manager.has_more()


def test_a_lost_connection_and_the_next_one_are_states(make_sshd, folder, manager):
    with make_sshd() as server:
        forward, _ = local_forward(server, folder, 9, env=manager.environment(), ready=False)
        with forward:
            manager.hear_until("READY")
            server.cut_connections()
            assert manager.hear()["STATUS"].startswith("connection lost: ")
            assert manager.hear()["STATUS"].startswith(f"connected to 127.0.0.1 port {server.port} again after ")


def test_in_the_background_the_child_is_named_before_its_parent_leaves(sshd, folder, manager):
    port = free_port()
    done = run("-f", "-L", f"{port}:127.0.0.1:9", *login_arguments(sshd, folder), destination(sshd),
               env=manager.environment())
    assert done.status == 0, done.stderr
    manager.hear()
    assert manager.has_more(), "systemd would see its main process leave first"
    message = manager.hear()
    child = int(message["MAINPID"])
    assert message["READY"] == "1" and child != os.getpid()
    kill(child, signal.SIGTERM)
    assert manager.hear_until("STOPPING")["STOPPING"] == "1"


def test_the_watchdog_is_fed_twice_as_often_as_it_wants(sshd, folder, manager):
    begin = time.monotonic()
    with Culvert(sshd, folder, [f"{free_port()}:127.0.0.1:9"], env=manager.environment(WATCHDOG_USEC="400000")):
        for _ in range(4):
            assert manager.hear_until("WATCHDOG") == {"WATCHDOG": "1"}
        assert time.monotonic() - begin >= 0.6, "far more often than wanted"


def test_an_address_that_is_no_socket_is_a_warning(sshd, folder):
    forward, _ = local_forward(sshd, folder, 9, env=environment(NOTIFY_SOCKET="vsock:2:9"))
    with forward:
        assert forward.lines[0] == ("culvert: warning: NOTIFY_SOCKET: vsock:2:9 is neither a path nor @ and a name; "
                                    "the service manager is told nothing")


# ------------------------------------------------------------------------------------------------------ make install

@pytest.fixture(scope="module")
def installed(shared_folder):
    """What make install puts under a prefix, with the program that is tested."""
    prefix = shared_folder / "prefix"
    release = shared_folder / "release"
    release.mkdir()
    shutil.copy(binary(), release / "culvert")
    done = subprocess.run(["make", "-s", "install", f"PREFIX={prefix}", f"RELEASE={release}"], cwd=ROOT, capture_output=True,
                          text=True, check=False, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    yield prefix
    done = subprocess.run(["make", "-s", "uninstall", f"PREFIX={prefix}"], cwd=ROOT, check=False, timeout=DEADLINE)
    assert done.returncode == 0
    assert not [path for path in prefix.rglob("*") if path.is_file()], "uninstall leaves something behind"


def test_install_puts_everything_in_its_place(installed):
    files = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert files == {"bin/culvert", "share/man/man1/culvert.1", "share/man/man1/culvert-map.1", "share/man/man1/culvert-open.1",
                     "share/man/man1/culvert-serve.1", "lib/systemd/system/culvert@.service",
                     "lib/systemd/system/culvert-serve.service", "share/doc/culvert/README.md", "share/doc/culvert/LICENSE", "share/doc/culvert/options.md",
                     "share/doc/culvert/rules.md"}
    for path in files:
        assert os.stat(installed / path).st_mode & 0o777 == (0o755 if path == "bin/culvert" else 0o644)


def unit_lines(installed) -> list[str]:
    text = (installed / "lib/systemd/system/culvert@.service").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_unit_starts_the_installed_program(installed):
    lines = unit_lines(installed)
    start = next(line for line in lines if line.startswith("ExecStart="))
    assert start.startswith(f"ExecStart={installed}/bin/culvert $ARGS ")
    assert "@" not in start
    assert "Type=notify" in lines


@pytest.mark.parametrize("name", ["culvert@", "culvert-serve"])
def test_systemd_accepts_the_unit(installed, name):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    unit = installed / f"lib/systemd/system/{name}.service"
    pages = "--man=yes" if shutil.which("man") else "--man=no"  # it lets man look for what Documentation= names
    done = subprocess.run(["systemd-analyze", "verify", pages, str(unit)], capture_output=True, text=True, check=False,
                          timeout=DEADLINE, env=environment(MANPATH=f"{installed}/share/man", SYSTEMD_COLORS="0"))
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_unit_adds_to_the_arguments_is_accepted_and_counts_least(installed, sshd, folder, echo_server):
    """As systemd does it: ARGS split at white space, and the rest of ExecStart behind it."""
    start = next(line for line in unit_lines(installed) if line.startswith("ExecStart=")).removeprefix("ExecStart=")
    program, _, *more = start.split()
    port = free_port()
    arguments = ["-L", f"{port}:127.0.0.1:{echo_server.port}", *login_arguments(sshd, folder), destination(sshd)]
    with Process([program, *arguments, *more], env=environment()) as tunnel:
        tunnel.wait_for("culvert: ready")
        connect(port).close()
        tunnel.signal(signal.SIGTERM)
        assert tunnel.wait() == 0


def test_the_account_of_the_unit_finds_its_keys_by_home(installed, sshd, folder, user_key):
    """HOME=/var/lib/culvert: ~/.ssh/id_ed25519 and known_hosts are found there without a word in ARGS."""
    assert "Environment=HOME=%S/culvert" in unit_lines(installed)
    ssh = pathlib.Path(folder / ".ssh")
    ssh.mkdir(mode=0o700)
    shutil.copy(user_key, ssh / "id_ed25519")
    (ssh / "known_hosts").write_text(sshd.known_hosts())
    port = free_port()
    command = [binary(), "-o", "BatchMode=yes", "-p", str(sshd.port), "-L", f"{port}:127.0.0.1:9", destination(sshd)]
    with Process(command, env=environment(HOME=str(folder))) as tunnel:
        tunnel.wait_for("culvert: ready")

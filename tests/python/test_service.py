# SPDX-License-Identifier: Apache-2.0
"""culvert under a service manager: what it tells one (sd_notify)."""

import os
import select
import signal
import socket
import time

import pytest

from harness.culvert import Culvert, destination, environment, local_forward, login_arguments, run
from harness.processes import kill
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

# SPDX-License-Identifier: Apache-2.0
"""What happens to a laptop: its address goes and another one comes, its link is lost. In two network namespaces of the
test's own, joined by a pair of interfaces."""

import os
import subprocess
import time

import pytest

from harness.culvert import binary, environment
from harness.keys import make_key, public_part
from harness.openssh import sshd_program
from harness.processes import Process

SERVER, PORT = "10.83.71.1", 2222


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@pytest.fixture
def two_machines():
    """(here, there): namespaces, with 10.83.71.2 here and .1 there."""
    here, there = (f"culvert-{os.getpid()}-{name}" for name in ("here", "there"))
    made = []
    try:
        try:
            for name in (here, there):
                ip("netns", "add", name)
                made.append(name)
            ip("link", "add", "wire", "netns", here, "type", "veth", "peer", "name", "wire", "netns", there)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("network namespaces cannot be made here")
        for name, address in ((here, "10.83.71.2/24"), (there, f"{SERVER}/24")):
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "addr", "add", address, "dev", "wire")
            ip("-n", name, "link", "set", "wire", "up")
        yield here, there
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=20)


ASKS_SOON = ("-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=1")


@pytest.fixture
def tunnel(request, two_machines, account, folder):
    """Its parameter: options."""
    here, there = two_machines
    host, user = make_key(folder / "host"), make_key(folder / "user")
    (folder / "authorized").write_text(public_part(user) + "\n")
    (folder / "known").write_text(f"[{SERVER}]:{PORT} {public_part(host)}\n")
    (folder / "config").write_text(f"Port {PORT}\nListenAddress {SERVER}\nHostKey {host}\nPidFile none\nStrictModes no\n"
                                   f"UsePAM no\nUseDNS no\nAuthorizedKeysFile {folder}/authorized\n"
                                   "PermitRootLogin prohibit-password\n")
    account.own(folder, host)
    server = Process(["ip", "netns", "exec", there, *account.prefix, sshd_program(), "-D", "-e", "-f",
                      str(folder / "config")], **account.popen)
    with server:
        server.wait_for("Server listening on")
        command = [binary(), "-F", "none", "-N", "-p", str(PORT), "-i", str(user), "-o", f"UserKnownHostsFile={folder}/known",
                   *getattr(request, "param", ASKS_SOON), f"{account.user}@{SERVER}"]
        with Process(["ip", "netns", "exec", here, *command], env=environment(), start_new_session=True) as culvert:
            culvert.wait_for("culvert: ready")
            yield here, there, culvert


def test_another_address(tunnel):
    here, _, culvert = tunnel
    ip("-n", here, "addr", "del", "10.83.71.2/24", "dev", "wire")
    culvert.wait_for("has lost the address that it was connected from; connecting again")
    time.sleep(1)
    begin = time.monotonic()
    ip("-n", here, "addr", "add", "10.83.71.3/24", "dev", "wire")
    culvert.wait_for("again after")
    assert time.monotonic() - begin < 3  # a second is wanted; the rest is for a busy machine


def test_a_link_that_is_lost_and_comes_back(tunnel):
    here, _, culvert = tunnel
    ip("-n", here, "link", "set", "wire", "down")
    culvert.wait_for("does not answer")
    begin = time.monotonic()
    ip("-n", here, "link", "set", "wire", "up")
    culvert.wait_for("again after")
    assert time.monotonic() - begin < 3


def test_traffic_that_vanishes(tunnel):
    _, there, culvert = tunnel
    ip("-n", there, "link", "set", "wire", "down")
    culvert.wait_for("does not answer")
    time.sleep(2)
    begin = time.monotonic()
    ip("-n", there, "link", "set", "wire", "up")
    culvert.wait_for("again after")
    assert time.monotonic() - begin < 5


@pytest.mark.full
@pytest.mark.parametrize("tunnel", [()], indirect=True, ids=["defaults"])
def test_the_kernel_notices_within_half_a_minute(tunnel):
    """The session itself would ask after a minute."""
    _, there, culvert = tunnel
    begin = time.monotonic()
    ip("-n", there, "link", "set", "wire", "down")
    culvert.wait_for("Connection timed out")
    assert 15 < time.monotonic() - begin < 32
    ip("-n", there, "link", "set", "wire", "up")
    culvert.wait_for("again after")

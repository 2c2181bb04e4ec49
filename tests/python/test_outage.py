# SPDX-License-Identifier: Apache-2.0
"""What happens to a laptop: its address goes and another one comes, its link is lost. In two network namespaces of the
test's own, joined by a pair of interfaces."""

import subprocess
import time

import pytest

from harness.culvert import binary, environment
from harness.keys import make_key, public_part
from harness.machines import join, machines
from harness.openssh import sshd_program

SERVER, PORT = "10.83.71.1", 2222


@pytest.fixture
def two_machines():
    """(here, there), with 10.83.71.2 here and .1 there."""
    try:
        with machines("here", "there") as (here, there):
            join(here, there, "wire", ("10.83.71.2/24", f"{SERVER}/24"))
            yield here, there
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("network namespaces cannot be made here")


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
    with there.start(*account.prefix, sshd_program(), "-D", "-e", "-f", str(folder / "config"), **account.popen) as server:
        server.wait_for("Server listening on")
        command = [binary(), "-F", "none", "-N", "-p", str(PORT), "-i", str(user), "-o", f"UserKnownHostsFile={folder}/known",
                   *getattr(request, "param", ASKS_SOON), f"{account.user}@{SERVER}"]
        with here.start(*command, env=environment(), start_new_session=True) as culvert:
            culvert.wait_for("culvert: ready")
            yield here, there, culvert


def test_another_address(tunnel):
    here, _, culvert = tunnel
    here.ip("addr", "del", "10.83.71.2/24", "dev", "wire")
    culvert.wait_for("has lost the address that it was connected from; connecting again")
    time.sleep(1)
    begin = time.monotonic()
    here.ip("addr", "add", "10.83.71.3/24", "dev", "wire")
    culvert.wait_for("again after")
    assert time.monotonic() - begin < 3  # a second is wanted; the rest is for a busy machine


def test_a_link_that_is_lost_and_comes_back(tunnel):
    here, _, culvert = tunnel
    here.ip("link", "set", "wire", "down")
    culvert.wait_for("does not answer")
    begin = time.monotonic()
    here.ip("link", "set", "wire", "up")
    culvert.wait_for("again after")
    assert time.monotonic() - begin < 3


@pytest.mark.waits
def test_traffic_that_vanishes(tunnel):
    _, there, culvert = tunnel
    there.ip("link", "set", "wire", "down")
    culvert.wait_for("does not answer")
    time.sleep(2)
    begin = time.monotonic()
    there.ip("link", "set", "wire", "up")
    culvert.wait_for("again after")
    assert time.monotonic() - begin < 5


@pytest.mark.full
@pytest.mark.parametrize("tunnel", [()], indirect=True, ids=["defaults"])
def test_the_kernel_notices_within_half_a_minute(tunnel):
    """The session itself would ask after a minute."""
    _, there, culvert = tunnel
    begin = time.monotonic()
    there.ip("link", "set", "wire", "down")
    culvert.wait_for("Connection timed out")
    assert 15 < time.monotonic() - begin < 32
    there.ip("link", "set", "wire", "up")
    culvert.wait_for("again after")

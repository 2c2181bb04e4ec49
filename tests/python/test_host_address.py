# SPDX-License-Identifier: Apache-2.0
"""CheckHostIP, beside ssh: it is for addresses that are not loopback's, so the server has a machine of its own."""

import os
import subprocess

import pytest

from harness.culvert import binary, environment
from harness.keys import make_key, public_part
from harness.machines import machines
from harness.processes import Process

NAME, ADDRESS = "web.example", "192.0.2.1"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Client(Process):
    def is_ready(self) -> bool:
        """Or it has ended."""
        try:
            return bool(self.wait_for("culvert: ready"))
        except AssertionError:
            self.popen.wait(10)  # it is no answer that nothing came
            return False


class Place:
    """A server at ADDRESS, and clients beside it, for whom it is NAME."""

    def __init__(self, machine, server, folder):
        self.machine, self.server, self.folder = machine, server, folder
        self.key = public_part(server.host_keys[0])
        self.other = public_part(make_key(folder / "other"))
        self.host, self.address = f"[{NAME}]:{server.port}", f"[{ADDRESS}]:{server.port}"
        (folder / "hosts").write_text(f"{ADDRESS} {NAME}\n")

    def known(self, text: str) -> str:
        return text.format(host=self.host, address=self.address, key=self.key, other=self.other)

    def tries(self, program: str, before: str, *more: str, **options: str) -> tuple[bool, str, str]:
        """Whether it goes on, what is in known_hosts behind it, and what it said."""
        file = self.folder / f"known_{program}"
        file.write_text(self.known(before))
        words = ["-F", "none", "-p", str(self.server.port), "-i", str(self.server.user_keys[0])]
        for keyword, value in {"UserKnownHostsFile": file, "GlobalKnownHostsFile": "/dev/null", "IdentitiesOnly": "yes",
                               "BatchMode": "yes", "CheckHostIP": "yes", "HashKnownHosts": "no", **options}.items():
            words += ["-o", f"{keyword}={value}"]
        within = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                  f"mount --bind {self.folder}/hosts /etc/hosts && exec \"$@\"", "sh"]
        words += [*more, f"{self.server.user}@{NAME}"]
        with self.machine.entered():
            if program == "ssh":
                done = subprocess.run([*within, "ssh", *words, "true"], env=environment(), stdin=subprocess.DEVNULL,
                                      capture_output=True, text=True, timeout=60, check=False)
                goes_on, text = done.returncode == 0, done.stderr
            else:
                with Client([*within, binary(), "-N", *words], env=environment(), start_new_session=True) as process:
                    goes_on = process.is_ready()
                    process.stop()
                    text = process.text
        return goes_on, file.read_text(), text


@pytest.fixture(scope="module")
def place(make_sshd, shared_folder):
    folder = shared_folder / "host_address"
    folder.mkdir()
    try:
        with machines("host") as (machine,):
            machine.ip("addr", "add", f"{ADDRESS}/32", "dev", "lo")
            with machine.entered():
                server = make_sshd({"ListenAddress": "0.0.0.0"})
            with server:
                yield Place(machine, server, folder)
    except (OSError, subprocess.CalledProcessError) as e:
        pytest.skip(f"network namespaces cannot be made here: {e}")


BOTH = "{host} {key}\n{address} {key}\n"
CASES = {
    "nothing known": "",
    "both known": BOTH,
    "both on one line": "{host},{address} {key}\n",
    "the address is new": "{host} {key}\n",
    "the address has another key": "{host} {key}\n{address} {other}\n",
    "the name has another key": "{host} {other}\n{address} {key}\n",
    "the name has another key, the address is new": "{host} {other}\n",
    "both have another key": "{host},{address} {other}\n",
    "the name is new": "{address} {key}\n",
}


@pytest.mark.parametrize("policy", ["yes", "accept-new", "ask", "no"])
@pytest.mark.parametrize("case", CASES)
def test_as_with_ssh(place, case, policy):
    ours = place.tries("culvert", CASES[case], StrictHostKeyChecking=policy)
    theirs = place.tries("ssh", CASES[case], StrictHostKeyChecking=policy)
    if policy == "no" and "the name has another key" in case or case == "both have another key":
        assert not ours[0]  # ssh goes on without forwarding
    else:
        assert ours[0] == theirs[0], ours[2] + theirs[2]
    assert ours[1] == theirs[1]


@pytest.mark.parametrize("options", [
    {"HostKeyAlias": "alias"},
    {"ProxyCommand": "socat - TCP:%h:%p"},
    {"CheckHostIP": "no"},
    {"UserKnownHostsFile": "/dev/null"},
], ids=str)
def test_as_with_ssh_where_it_is_not_the_plain_case(place, options):
    ours = place.tries("culvert", "", StrictHostKeyChecking="accept-new", **options)
    theirs = place.tries("ssh", "", StrictHostKeyChecking="accept-new", **options)
    assert ours[:2] == theirs[:2], ours[2] + theirs[2]
    assert ours[0]


def test_each_name_is_hashed(place):
    learned = place.tries("culvert", "", StrictHostKeyChecking="accept-new", HashKnownHosts="yes")[1]
    assert learned.count("|1|") == 2 and place.host not in learned and place.address not in learned
    for program in ("culvert", "ssh"):
        again = place.tries(program, learned, StrictHostKeyChecking="yes")
        assert again[:2] == (True, learned), again


def test_known_hosts_command_is_asked_about_the_address(place):
    script = place.folder / "lookup"
    script.write_text(place.known("#!/bin/sh\necho \"$*\" >>$1\ntest $3 != {address} || echo '{address} {key}'\n"))
    script.chmod(0o755)
    told = {}
    for program in ("culvert", "ssh"):
        log = place.folder / f"{program}.log"
        goes_on, after, text = place.tries(program, "{host} {key}\n", StrictHostKeyChecking="yes",
                                           KnownHostsCommand=f"{script} {log} %I %H %t %f %K")
        assert goes_on and after == place.known("{host} {key}\n"), text
        told[program] = [line.split()[1:] for line in log.read_text().splitlines()]
    assert [words[:2] for words in told["culvert"]] == [["ORDER", NAME], ["HOSTNAME", place.host], ["ADDRESS", place.address]]
    assert told["culvert"][1:] == told["ssh"][1:]  # ssh 10 names the port too when it asks for the order

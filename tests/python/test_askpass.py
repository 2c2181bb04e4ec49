# SPDX-License-Identifier: Apache-2.0
"""SSH_ASKPASS: questions that a program asks."""

import pathlib
import signal
import time

import pytest

from harness.accounts import PASSWORD
from harness.culvert import Culvert, binary, destination, environment, local_forward, login_arguments, run
from harness.keys import fingerprint, make_key
from harness.processes import kill
from harness.sockets import DEADLINE, echo_both_ways
from harness.terminal import Terminal

PASSPHRASE = "open sesame \u00fc"


@pytest.fixture
def askpass(folder):
    """askpass(commands, NAME=value...) -> an environment whose askpass program notes the question and runs these."""
    def make(commands: str, **more: str) -> dict[str, str]:
        program = folder / "askpass"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >>{folder}/asked\n{commands}\n')
        program.chmod(0o755)
        return environment(SSH_ASKPASS=str(program), **(more or {"SSH_ASKPASS_REQUIRE": "force"}))
    return make


def asked(folder) -> str:
    path = folder / "asked"
    return path.read_text() if path.exists() else ""


def is_gone(pid: int) -> bool:
    """Or a zombie that some init has yet to see."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def words(server, folder, *more: str, key=None, **login) -> list[str]:
    return ["-N", *login_arguments(server, folder, key, **login), *more, destination(server)]


def test_passphrase(make_sshd, folder, askpass, echo_server):
    key = make_key(folder / "id", passphrase=PASSPHRASE)
    env = askpass(f"echo '{PASSPHRASE}'")
    with make_sshd(user_keys=[key]) as server:
        culvert, port = local_forward(server, folder, echo_server.port, key=key, env=env)
        with culvert:
            echo_both_ways(port, 1000)  # all processes of the server are there then, to be cut
            server.cut_connections()
            culvert.wait_for("again after")
    assert asked(folder) == f"Enter passphrase for key '{key}': \n"


def test_before_it_goes_to_the_background(make_sshd, folder, askpass):
    key = make_key(folder / "id", passphrase=PASSPHRASE)
    env = askpass(f"echo $PPID >{folder}/pid; echo '{PASSPHRASE}'")
    with make_sshd(user_keys=[key]) as server:
        done = run("-f", *words(server, folder, key=key), env=env)
        assert done.status == 0, done.stderr
        pid = int((folder / "pid").read_text())
        kill(pid, signal.SIGTERM)
        wait_until(lambda: is_gone(pid))


def test_password(make_sshd, account, folder, askpass):
    if account.password is None:
        pytest.skip("the server can check passwords only as root in a mount namespace of its own")
    env = askpass(f"echo '{PASSWORD}'", DISPLAY=":nowhere")  # there is no terminal
    with make_sshd({"PasswordAuthentication": "yes", "PubkeyAuthentication": "no"}) as server:
        with Culvert(server, folder, [], env=env):
            assert asked(folder) == f"{server.user}@127.0.0.1's password: \n"


@pytest.mark.parametrize("answer", ["yes", "fingerprint", "no"])
def test_unknown_host(sshd, folder, askpass, answer):
    told = fingerprint(sshd.host_keys[0])
    env = askpass(f"echo {told if answer == 'fingerprint' else answer}")
    if answer == "no":
        done = run(*words(sshd, folder, known_hosts=""), env=env)
        assert done.status == 255 and "you did not accept it" in done.lines[-1]
    else:
        with Culvert(sshd, folder, [], known_hosts="", env=env) as culvert:
            assert "Permanently added" in culvert.text
    assert told in asked(folder) and asked(folder).endswith("(yes/no/[fingerprint])? \n")
    assert bool((folder / f"known_hosts_{sshd.port}").read_text()) == (answer != "no")


def test_programs_that_do_not_answer(sshd, folder, askpass):
    for commands, wanted in (("echo yes; exit 1", "gave no answer: it exited with status 1"),
                             ("exec yes", "prints too much")):
        done = run(*words(sshd, folder, known_hosts=""), env=askpass(commands))
        assert done.status == 255 and len(done.lines) == 1 and wanted in done.stderr, done.stderr


def test_a_program_that_is_not_there(make_sshd, folder, askpass):
    keys = [make_key(folder / name, passphrase=PASSPHRASE) for name in ("id", "other")]
    env = askpass("") | {"SSH_ASKPASS": str(folder / "missing")}
    line = (f"culvert: cannot run the askpass program {folder}/missing: No such file or directory: install it, or name "
            "another one in SSH_ASKPASS")
    with make_sshd(user_keys=keys) as server:
        done = run(*words(server, folder, known_hosts=""), env=env)
        assert done.status == 255 and done.lines == [line]
        done = run(*words(server, folder, "-i", str(keys[1]), key=keys[0]), env=env)
        assert done.status == 255 and done.lines[0] == line and "Permission denied" in done.lines[-1], done.lines
        assert [text for text in done.lines[1:-1] if "needs a passphrase" not in text] == []
        assert len(done.lines) == 4  # one for each key


def test_a_signal_ends_a_program_that_hangs(sshd, folder, askpass):
    env = askpass(f"sleep 100 & echo $$ $! >{folder}/new; mv {folder}/new {folder}/pids; wait")
    with Culvert(sshd, folder, [], known_hosts="", env=env, ready=False) as culvert:
        wait_until((folder / "pids").exists)
        culvert.signal(signal.SIGTERM)
        assert culvert.wait() == 128 + signal.SIGTERM
        for pid in (folder / "pids").read_text().split():
            wait_until(lambda: is_gone(int(pid)))


def test_nobody_is_asked_in_batch_mode_or_without_a_display(sshd, folder, askpass):
    for options, more in (({"BatchMode": "yes"}, {}), ({}, {"SSH_ASKPASS_REQUIRE": "prefer"}),
                          ({}, {"SSH_ASKPASS_REQUIRE": "never", "DISPLAY": ":nowhere"})):
        done = run(*words(sshd, folder, known_hosts="", options=options), env=askpass("echo yes", **more))
        assert done.status == 255 and "not known" in done.stderr and not asked(folder)


def test_the_terminal_comes_first_unless_said_otherwise(sshd, folder, askpass):
    for more, by_askpass in (({"DISPLAY": ":nowhere"}, False), ({"DISPLAY": ":nowhere", "SSH_ASKPASS_REQUIRE": "prefer"}, True)):
        with Terminal([binary(), *words(sshd, folder, known_hosts="")], env=askpass("echo yes", **more)) as terminal:
            terminal.expect("culvert: ready" if by_askpass else "(yes/no/[fingerprint])?")
        assert bool(asked(folder)) == by_askpass

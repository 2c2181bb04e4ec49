# SPDX-License-Identifier: Apache-2.0
"""Logging in: key types and formats, passphrases, the agent, passwords."""

import base64
import os
import re
import signal
import struct
import subprocess

import pytest

from harness.accounts import PASSWORD
from harness.culvert import binary, destination, environment, local_forward, login_arguments, run
from harness.keys import make_key, public_part
from harness.processes import Process
from harness.servers import Dropbear
from harness.sockets import Server, echo_both_ways, free_port, receive_all, receive_exactly
from harness.terminal import Terminal

KINDS = {"ed25519": ("ed25519", None), "ecdsa256": ("ecdsa", 256), "ecdsa384": ("ecdsa", 384), "ecdsa521": ("ecdsa", 521),
         "rsa2048": ("rsa", 2048), "rsa4096": ("rsa", 4096)}
FORMATS = [(name, False) for name in KINDS] + [(name, True) for name in KINDS if name != "ed25519"]
PASSPHRASE = "open sesame \u00fc"


def key_of(folder, name, pem=False, passphrase=""):
    kind, bits = KINDS[name]
    return make_key(folder / f"id_{name}", kind, bits, passphrase, pem)


def works(forward_and_port, size=50_000):
    forward, port = forward_and_port
    with forward:
        echo_both_ways(port, size)


def on_terminal(server, folder, key, *more, options=None, env=None) -> Terminal:
    return Terminal([binary(), "-N", *login_arguments(server, folder, key, options), *more, destination(server)],
                    env=env or environment())


def leave(terminal: Terminal) -> None:
    terminal.expect("culvert: ready")
    terminal.popen.send_signal(signal.SIGTERM)
    assert terminal.wait() == 0


@pytest.fixture
def agent(folder):
    """A real ssh-agent; agent(key, ...) adds keys and gives the environment to reach it."""
    path = folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE)
    process.stdout.readline()
    env = environment(SSH_AUTH_SOCK=str(path))

    def add(*keys):
        for key in keys:
            subprocess.run(["ssh-add", "-q", str(key)], env=env, check=True, stdin=subprocess.DEVNULL)
        return env

    yield add
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize("name,pem", FORMATS, ids=lambda v: {True: "pem", False: "openssh"}.get(v, v))
def test_keys_from_files(make_sshd, folder, echo_server, name, pem):
    key = key_of(folder, name, pem)
    with make_sshd(user_keys=[key]) as server:
        works(local_forward(server, folder, echo_server.port, key=key))


def test_pkcs8_key(make_sshd, folder, echo_server):
    key = key_of(folder, "rsa2048")
    subprocess.run(["ssh-keygen", "-q", "-p", "-m", "PKCS8", "-N", "", "-f", str(key)], check=True, stdin=subprocess.DEVNULL,
                   capture_output=True)
    assert "BEGIN PRIVATE KEY" in key.read_text()
    with make_sshd(user_keys=[key]) as server:
        works(local_forward(server, folder, echo_server.port, key=key))


@pytest.mark.parametrize("algorithm", ["rsa-sha2-256", "rsa-sha2-512"])
def test_both_rsa_signatures(make_sshd, folder, echo_server, algorithm):
    key = key_of(folder, "rsa2048")
    with make_sshd({"PubkeyAcceptedAlgorithms": algorithm}, user_keys=[key]) as server:
        # sshd 9.2 does not say which of the two it takes.
        works(local_forward(server, folder, echo_server.port, key=key, options={"PubkeyAcceptedAlgorithms": algorithm}))


@pytest.mark.parametrize("name,pem", [("ed25519", False), ("ecdsa256", False), ("rsa2048", False), ("rsa2048", True),
                                      ("ecdsa384", True)], ids=lambda v: {True: "pem", False: "openssh"}.get(v, v))
def test_passphrase_is_asked_for_on_the_terminal(make_sshd, folder, name, pem):
    key = key_of(folder, name, pem, PASSPHRASE)
    with make_sshd(user_keys=[key]) as server, on_terminal(server, folder, key) as terminal:
        terminal.expect(str(key))
        terminal.expect(":")
        assert terminal.echo_is_off()
        terminal.send_line(PASSPHRASE)
        leave(terminal)
        assert PASSPHRASE not in terminal.text


def test_wrong_passphrase_may_be_tried_again(make_sshd, folder):
    key = key_of(folder, "ed25519", passphrase=PASSPHRASE)
    with make_sshd(user_keys=[key]) as server, on_terminal(server, folder, key) as terminal:
        for answer in ("wrong", PASSPHRASE):
            terminal.expect("assphrase")
            terminal.expect(":")
            terminal.send_line(answer)
        leave(terminal)


def test_encrypted_key_without_a_terminal_ends_with_one_line(make_sshd, folder):
    key = key_of(folder, "ed25519", passphrase=PASSPHRASE)
    with make_sshd(user_keys=[key]) as server:
        done = run("-N", *login_arguments(server, folder, key), destination(server))
    assert done.status == 255
    assert "Permission denied (publickey)" in done.stderr


def test_a_key_that_is_not_unlocked_leaves_the_others(make_sshd, folder, echo_server):
    locked, free = key_of(folder, "ed25519", passphrase=PASSPHRASE), key_of(folder, "ecdsa256")
    with make_sshd(user_keys=[locked, free]) as server:
        works(local_forward(server, folder, echo_server.port, key=locked, arguments=["-i", str(free)]))


def test_keys_that_are_not_unlocked_are_offered_once_after_a_partial_success(make_sshd, folder):
    locked = [make_key(folder / f"locked{i}", "ed25519", None, PASSPHRASE) for i in range(2)]
    free = key_of(folder, "ecdsa256")
    with make_sshd({"AuthenticationMethods": "publickey,publickey"}, user_keys=[*locked, free]) as server:
        done = run("-v", "-N", *login_arguments(server, folder, free), "-i", str(locked[0]), "-i", str(locked[1]),
                   destination(server))
    assert done.status == 255 and "Permission denied (publickey)" in done.stderr
    assert done.stderr.count("offering public key") <= 4, done.stderr


def test_an_agent_that_never_answers_does_not_outlive_the_session(make_sshd, folder):
    """What the agent is asked for is not wanted any more when the server has given up."""
    key, path = key_of(folder, "ed25519"), folder / "agent"
    blob = base64.b64decode(public_part(key).split()[1])
    body = b"\x0c" + struct.pack(">II", 1, len(blob)) + blob + struct.pack(">I", 0)

    def list_and_hang(s):
        request_identities, sign_request, failure = b"\x0b", b"\x0d", b"\x05"
        while True:
            request = receive_exactly(s, *struct.unpack(">I", receive_exactly(s, 4)))
            if request[:1] == sign_request:
                break
            answer = body if request[:1] == request_identities else failure  # of what binds it to the session
            s.sendall(struct.pack(">I", len(answer)) + answer)
        receive_all(s)

    with Server(list_and_hang, str(path)), make_sshd({"LoginGraceTime": "2"}, user_keys=[key]) as server:
        done = run("-N", *login_arguments(server, folder, folder / "none", {"IdentitiesOnly": "no"}), destination(server),
                   env=environment(SSH_AUTH_SOCK=str(path)), timeout=30)
    assert done.status == 255 and re.search("closed|ended|reset", done.lines[-1]), done.stderr


def test_a_passphrase_is_asked_for_once_however_often_the_connection_is_lost(make_sshd, folder):
    key = key_of(folder, "ed25519", passphrase=PASSPHRASE)
    with make_sshd(user_keys=[key]) as server, on_terminal(server, folder, key) as terminal:
        terminal.expect("Enter passphrase for key")
        terminal.send_line(PASSPHRASE)
        terminal.expect("culvert: ready")
        for _ in range(2):
            server.cut_connections()
            terminal.expect("again after", timeout=20)
        assert terminal.text.count("Enter passphrase") == 1


def test_agent(make_sshd, folder, echo_server, agent):
    keys = [key_of(folder, name) for name in ("ed25519", "ecdsa256", "rsa2048")]
    env = agent(*keys)
    for key in keys:
        with make_sshd(user_keys=[key]) as server:
            works(local_forward(server, folder, echo_server.port, env=env, options={"IdentitiesOnly": "no"},
                                key=folder / "no_such_key"))


def test_agent_signs_for_a_key_whose_public_half_is_on_disk(make_sshd, folder, echo_server, agent):
    key = key_of(folder, "ed25519")
    other = key_of(folder, "ecdsa256")
    env = agent(other, key)
    (folder / "elsewhere").mkdir()
    key.rename(folder / "elsewhere" / key.name)
    with make_sshd(user_keys=[key]) as server:
        works(local_forward(server, folder, echo_server.port, env=env, key=folder / f"{key.name}.pub"))


def test_agent_that_is_gone_is_passed_over(make_sshd, folder, echo_server):
    key = key_of(folder, "ed25519")
    with make_sshd(user_keys=[key]) as server:
        works(local_forward(server, folder, echo_server.port, key=key, env=environment(SSH_AUTH_SOCK=str(folder / "gone"))))


def test_second_of_two_keys_is_accepted(make_sshd, folder, echo_server):
    wrong, right = key_of(folder, "ecdsa256"), key_of(folder, "ed25519")
    with make_sshd(user_keys=[right]) as server:
        works(local_forward(server, folder, echo_server.port, key=wrong, arguments=["-i", str(right)]))


def test_two_keys_are_asked_for(make_sshd, folder, echo_server):
    first, second = key_of(folder, "ecdsa256"), key_of(folder, "ed25519")
    options = {"AuthenticationMethods": "publickey,publickey"}
    with make_sshd(options, user_keys=[first, second]) as server:
        works(local_forward(server, folder, echo_server.port, key=first, arguments=["-i", str(second)]))


def test_refused_key(sshd, folder):
    key = make_key(folder / "stranger")
    done = run("-N", *login_arguments(sshd, folder, key), destination(sshd))
    assert done.status == 255
    assert re.fullmatch(rf"culvert: {sshd.user}@127\.0\.0\.1: Permission denied \(publickey\).*", done.stderr.strip())


# ------------------------------------------------------------------------------------------------------- passwords

def needs_passwords(account):
    if account.password is None:
        pytest.skip("the server can check passwords only as root in a mount namespace of its own")


PASSWORD_ONLY = {"PubkeyAuthentication": "no"}


def test_password(make_sshd, account, folder):
    needs_passwords(account)
    with make_sshd({"PasswordAuthentication": "yes", **PASSWORD_ONLY}) as server:
        with on_terminal(server, folder, None) as terminal:
            terminal.expect(f"{server.user}@127.0.0.1's password:")
            assert terminal.echo_is_off()
            terminal.send_line(PASSWORD)
            leave(terminal)
            assert PASSWORD not in terminal.text


def test_wrong_passwords(make_sshd, account, folder):
    needs_passwords(account)
    with make_sshd({"PasswordAuthentication": "yes", **PASSWORD_ONLY}) as server:
        with on_terminal(server, folder, None, options={"NumberOfPasswordPrompts": "2"}) as terminal:
            for _ in range(2):
                terminal.expect("password:")
                terminal.send_line("wrong")
            terminal.expect("Permission denied (password)")
            assert terminal.wait() == 255


def test_keyboard_interactive(make_sshd, account, folder):
    needs_passwords(account)
    with make_sshd({"UsePAM": "yes", "KbdInteractiveAuthentication": "yes", **PASSWORD_ONLY}) as server:
        with on_terminal(server, folder, None) as terminal:
            terminal.expect("Password:")
            assert terminal.echo_is_off()
            terminal.send_line(PASSWORD)
            leave(terminal)


def test_key_and_password_are_asked_for(make_sshd, account, folder, user_key):
    needs_passwords(account)
    options = {"PasswordAuthentication": "yes", "AuthenticationMethods": "publickey,password"}
    with make_sshd(options) as server, on_terminal(server, folder, user_key) as terminal:
        terminal.expect("password:")
        terminal.send_line(PASSWORD)
        leave(terminal)


def test_no_password_is_asked_for_in_batch_mode(make_sshd, account, folder):
    needs_passwords(account)
    with make_sshd({"PasswordAuthentication": "yes", **PASSWORD_ONLY}) as server:
        with on_terminal(server, folder, None, options={"BatchMode": "yes"}) as terminal:
            assert terminal.wait() == 255
            assert "password:" not in terminal.text
            assert "Permission denied" in terminal.text


def test_dropbear_password(shared_folder, account, folder, user_key):
    needs_passwords(account)
    with Dropbear(shared_folder, account, [user_key]) as server:
        with on_terminal(server, folder, None, options={"PubkeyAuthentication": "no"}) as terminal:
            terminal.expect("password:")
            terminal.send_line(PASSWORD)
            leave(terminal)


def test_a_key_file_that_others_can_read_is_refused(make_sshd, folder):
    key = key_of(folder, "ed25519")
    os.chmod(key, 0o644)
    with make_sshd(user_keys=[key]) as server:
        done = run("-N", *login_arguments(server, folder, key), destination(server))
    assert done.status == 255
    assert str(key) in done.stderr and "Permission denied (publickey)" in done.stderr


def test_an_identity_that_is_not_there_is_named(make_sshd, folder, user_key):
    missing = folder / "missing"
    with make_sshd() as server:
        done = run("-N", *login_arguments(server, folder, missing), destination(server))
    assert done.status == 255
    assert str(missing) in done.stderr


def test_user_from_option_and_from_destination(sshd, folder, user_key):
    arguments = ["-N", *login_arguments(sshd, folder, user_key), "-L", f"{free_port()}:127.0.0.1:9"]
    with Process([binary(), *arguments, "-l", sshd.user, "127.0.0.1"], env=environment()) as process:
        process.wait_for("culvert: ready")
    with Process([binary(), *arguments, f"ssh://{sshd.user}@127.0.0.1:{sshd.port}"], env=environment()) as process:
        process.wait_for("culvert: ready")


def test_public_part_is_not_needed_beside_the_key(make_sshd, folder, echo_server):
    key = key_of(folder, "rsa2048", pem=True)
    with make_sshd(user_keys=[key]) as server:
        assert public_part(key)
        (folder / f"{key.name}.pub").unlink()
        forward, port = local_forward(server, folder, echo_server.port, key=key)
        with forward:
            echo_both_ways(port, 1000)

# SPDX-License-Identifier: Apache-2.0
"""Certificates of our own keys, from files and from the agent; keys that the agent holds for some hosts, in a token, or
is given by us."""

import base64
import hashlib
import struct
import subprocess

import pytest

from harness.culvert import Culvert, binary, destination, environment, local_forward, login_arguments, run
from harness.keys import certify, fingerprint, make_key, public_part
from harness.sockets import Server, echo_both_ways
from harness.terminal import Terminal

FOREVER = ("-V", "always:forever")
CERTIFICATE = "-CERT "


@pytest.fixture(scope="module")
def authority(shared_folder):
    return make_key(shared_folder / "user_authority")


@pytest.fixture(scope="module")
def server(make_sshd, authority):
    """Takes what the authority signed, and no key by itself."""
    with make_sshd({"AuthorizedKeysFile": "none", "TrustedUserCAKeys": f"{authority}.pub", "MaxAuthTries": "3"}) as sshd:
        yield sshd


@pytest.fixture
def agent(folder):
    path = folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE, env=environment())
    process.stdout.readline()
    yield environment(SSH_AUTH_SOCK=str(path))
    process.terminate()
    process.wait(10)


def ssh_add(env, *arguments, **more) -> str:
    return subprocess.run(["ssh-add", *map(str, arguments)], env=env, check=False, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **more).stdout


def logs_in(server, folder, key, *, options=None, env=None) -> str:
    with Culvert(server, folder, [], key=key, options={"LogLevel": "VERBOSE", **(options or {})}, env=env) as process:
        assert process.stop() == 0
        return process.text


def is_refused(server, folder, key, *, options=None, env=None) -> str:
    done = run("-N", *login_arguments(server, folder, key, options), destination(server), env=env)
    assert done.status == 255 and "Permission denied (publickey)" in done.stderr, done.stderr
    return done.stderr


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_certificate_beside_the_key(server, folder, authority, kind):
    key = make_key(folder / "id", kind, 2048 if kind == "rsa" else None)
    certify(key, authority, "-n", server.user, *FOREVER)
    assert CERTIFICATE in logs_in(server, folder, key)
    (folder / "id-cert.pub").unlink()
    is_refused(server, folder, key)


def test_algorithms_of_certificates_can_be_chosen(server, folder, authority):
    key = make_key(folder / "id", "rsa", 2048)
    certify(key, authority, "-n", server.user, *FOREVER)
    logs_in(server, folder, key, options={"PubkeyAcceptedAlgorithms": "rsa-sha2-256-cert-v01@openssh.com"})
    is_refused(server, folder, key, options={"PubkeyAcceptedAlgorithms": "-*-cert-v01@openssh.com"})


def test_certificate_file(server, folder, authority):
    key = make_key(folder / "id")
    moved = folder / "moved"
    certify(key, authority, "-n", server.user, *FOREVER).rename(moved)
    is_refused(server, folder, key)
    assert CERTIFICATE in logs_in(server, folder, key, options={"CertificateFile": str(moved)})
    said = is_refused(server, folder, key, options={"CertificateFile": str(folder / "missing")})
    assert str(folder / "missing") in said


@pytest.mark.parametrize("arguments, said", [
    (("-n", "somebody-else", *FOREVER), ""),
    (FOREVER, ""),  # OpenSSH before 10.3 takes none for all in AuthorizedKeysFile, never with TrustedUserCAKeys
    (("-n", "tester,daemon,root", "-V", "20200101:20210101"), "it expired on 202"),
])
def test_certificates_that_do_not_fit(server, folder, authority, arguments, said):
    key = make_key(folder / "id")
    certify(key, authority, *arguments)
    assert said in is_refused(server, folder, key)


def test_of_another_authority_and_for_hosts(server, folder, authority):
    key = make_key(folder / "id")
    certify(key, make_key(folder / "other"), "-n", server.user, *FOREVER)
    is_refused(server, folder, key)
    certify(key, authority, "-h", "-n", server.user, *FOREVER)
    assert "it is for a host, not for a user" in is_refused(server, folder, key)


def test_certificate_that_the_agent_holds(server, folder, authority, agent):
    key = make_key(folder / "id")
    certify(key, authority, "-n", server.user, *FOREVER)
    ssh_add(agent, "-q", key)
    key.unlink()
    (folder / "id-cert.pub").unlink()
    text = logs_in(server, folder, folder / "none", options={"IdentitiesOnly": "no"}, env=agent)
    assert "-CERT " in text and " agent" in text
    is_refused(server, folder, folder / "none", env=agent)  # IdentitiesOnly


def test_certificate_in_a_file_for_a_key_in_the_agent(server, folder, authority, agent):
    key = make_key(folder / "id", "rsa", 2048)
    ssh_add(agent, "-q", key)
    certificate = certify(key, authority, "-n", server.user, *FOREVER)
    key.rename(folder / "gone")
    logs_in(server, folder, f"{key}.pub", options={"CertificateFile": str(certificate)}, env=agent)


# ---------------------------------------------------------------------------------------------- keys for certain hosts

def test_keys_for_certain_hosts(make_sshd, folder, agent, host_keys):
    """ssh-add -h: the agent signs for a session that is bound to it, with the host's key, and for no other host."""
    key = make_key(folder / "id")
    known = folder / "hosts"
    known.write_text(f"here {public_part(host_keys['ed25519'])}\nelsewhere {public_part(host_keys['rsa'])}\n")
    with make_sshd(user_keys=[key]) as sshd:
        options = {"IdentitiesOnly": "no"}
        ssh_add(agent, "-q", "-H", known, "-h", "here", key)
        assert fingerprint(key) in ssh_add(agent, "-l")
        logs_in(sshd, folder, folder / "none", options=options, env=agent)
        ssh_add(agent, "-q", "-D")
        ssh_add(agent, "-q", "-H", known, "-h", "elsewhere", key)
        is_refused(sshd, folder, folder / "none", options=options, env=agent)


def test_logins_are_bound_to_the_host_key(make_sshd, folder):
    key = make_key(folder / "id")
    with make_sshd({"LogLevel": "DEBUG3"}, user_keys=[key]) as sshd:
        logs_in(sshd, folder, key)
        assert "publickey-hostbound-v00@openssh.com" in sshd.log
    with make_sshd({"LogLevel": "DEBUG3"}, user_keys=[key]) as sshd:
        logs_in(sshd, folder, key, options={"PubkeyAuthentication": "unbound"})
        assert "method publickey-hostbound" not in sshd.log


# ---------------------------------------------------------------------------------------------------- hardware tokens

def string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


class SoftwareToken:
    """An agent with one security key, whose private half is openssl's. `agent` speaks the agent's protocol."""

    TYPE = b"sk-ssh-ed25519@openssh.com"

    def __init__(self, folder):
        self.pem = folder / "token.pem"
        self.folder = folder
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(self.pem)], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", str(self.pem), "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        self.blob = string(self.TYPE) + string(der[-32:]) + string(b"ssh:")
        self.public = folder / "id_token"
        (folder / "id_token.pub").write_text(f"{self.TYPE.decode()} {base64.b64encode(self.blob).decode()} token\n")
        self.signed = 0

    def sign(self, message: bytes) -> bytes:
        self.signed += 1
        seen = b"\x01" + struct.pack(">I", self.signed)
        file = self.folder / "to_sign"
        file.write_bytes(hashlib.sha256(b"ssh:").digest() + seen + hashlib.sha256(message).digest())
        raw = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(self.pem), "-in", str(file)], check=True,
                             capture_output=True).stdout
        return string(self.TYPE) + string(raw) + seen

    def agent(self, s) -> None:
        stream = s.makefile("rwb")
        while len(head := stream.read(4)) == 4:
            request = stream.read(struct.unpack(">I", head)[0])
            answer = b"\x05"
            if request[0] == 11:
                answer = b"\x0c" + struct.pack(">I", 1) + string(self.blob) + string(b"token")
            elif request[0] == 13:
                size = struct.unpack(">I", request[1:5])[0]
                assert request[5:5 + size] == self.blob
                rest = request[5 + size:]
                answer = b"\x0e" + string(self.sign(rest[4:4 + struct.unpack(">I", rest[:4])[0]]))
            stream.write(string(answer))
            stream.flush()


def test_security_key_in_the_agent(make_sshd, folder):
    token, path = SoftwareToken(folder), folder / "agent"
    with Server(token.agent, str(path)), make_sshd(user_keys=[token.public]) as sshd:
        env = environment(SSH_AUTH_SOCK=str(path))
        text = logs_in(sshd, folder, folder / "id_token.pub", env=env)  # IdentitiesOnly: the file names it
        assert "ED25519-SK SHA256:" in text and "Confirm user presence for key" in text
        assert token.signed == 1
        is_refused(sshd, folder, folder / "id_token.pub", env=environment())


# ----------------------------------------------------------------------------------------------------- AddKeysToAgent

def test_keys_are_added_to_the_agent(make_sshd, folder, agent):
    keys = [make_key(folder / f"id_{kind}", kind, bits) for kind, bits in
            (("ed25519", None), ("ecdsa", 256), ("ecdsa", 521), ("rsa", 2048)) if not (folder / f"id_{kind}").exists()]
    for key in keys:
        with make_sshd(user_keys=[key]) as sshd:
            logs_in(sshd, folder, key, options={"AddKeysToAgent": "no"}, env=agent)
            assert fingerprint(key) not in ssh_add(agent, "-l")
            logs_in(sshd, folder, key, options={"AddKeysToAgent": "yes"}, env=agent)
            assert fingerprint(key) in ssh_add(agent, "-l")
            key.rename(folder / "gone")
            logs_in(sshd, folder, f"{key}.pub", env=agent)  # and it signs


def test_a_key_that_no_server_takes_is_not_added(make_sshd, folder, agent):
    with make_sshd() as sshd:
        is_refused(sshd, folder, make_key(folder / "stranger"), options={"AddKeysToAgent": "yes"}, env=agent)
    assert "no identities" in ssh_add(agent, "-l")


def test_keys_are_added_for_a_time(make_sshd, folder, agent):
    key = make_key(folder / "id")
    with make_sshd(user_keys=[key]) as sshd:
        logs_in(sshd, folder, key, options={"AddKeysToAgent": "2s"}, env=agent)
    assert fingerprint(key) in ssh_add(agent, "-l")
    for _ in range(100):
        if "no identities" in ssh_add(agent, "-l"):
            return
        subprocess.run(["sleep", "0.1"], check=True)
    raise AssertionError("the agent keeps it")


@pytest.fixture
def asking(folder, agent):
    """asking(commands, NAME=value...) -> an environment whose askpass program notes what it is told, and runs these."""
    def make(commands: str, **more: str) -> dict[str, str]:
        program = folder / "askpass"
        program.write_text(f'#!/bin/sh\necho "$SSH_ASKPASS_PROMPT: $1" >>{folder}/asked\n{commands}\n')
        program.chmod(0o755)
        (folder / "asked").write_text("")
        return agent | {"SSH_ASKPASS": str(program)} | (more or {"SSH_ASKPASS_REQUIRE": "force"})
    return make


@pytest.mark.parametrize("commands, added", [("exit 0", True), ("exit 1", False), ("echo Yes", True), ("echo no", False),
                                             ("echo yes; exit 1", False)])
def test_adding_a_key_can_be_asked_for(make_sshd, folder, asking, echo_server, commands, added):
    """Once, before it is added, and by its button or its word."""
    key, env = make_key(folder / "id"), asking(commands)
    with make_sshd(user_keys=[key]) as sshd:
        culvert, port = local_forward(sshd, folder, echo_server.port, key=key, options={"AddKeysToAgent": "ask"}, env=env)
        with culvert:
            assert (fingerprint(key) in ssh_add(env, "-l")) == added
            echo_both_ways(port, 1000)  # all processes of the server are there then, to be cut
            sshd.cut_connections()
            culvert.wait_for("again after")
    assert (folder / "asked").read_text() == f"confirm: Add key {key} (test) to agent?\n"
    assert (fingerprint(key) in ssh_add(env, "-l")) == added


@pytest.mark.parametrize("more, by_program", [
    ({"DISPLAY": ":nowhere"}, True),
    ({"WAYLAND_DISPLAY": "nowhere"}, True),
    ({"SSH_ASKPASS_REQUIRE": "force"}, True),
    ({"SSH_ASKPASS_REQUIRE": "prefer"}, False),
    ({"SSH_ASKPASS_REQUIRE": "never", "DISPLAY": ":nowhere"}, False),
    ({"SSH_ASKPASS": "", "DISPLAY": ":nowhere"}, False),
], ids=str)
def test_the_terminal_is_not_asked_whether_to_add_a_key(make_sshd, folder, asking, more, by_program):
    """As with ssh: one who has no program goes on without a question."""
    key, env = make_key(folder / "id"), asking("", **more)
    with make_sshd(user_keys=[key]) as sshd:
        with Terminal([binary(), "-N", *login_arguments(sshd, folder, key, {"AddKeysToAgent": "ask"}), destination(sshd)],
                      env=env) as terminal:
            terminal.expect("culvert: ready")
            assert "Add key" not in terminal.text
    assert bool((folder / "asked").read_text()) == by_program
    assert (fingerprint(key) in ssh_add(env, "-l")) == by_program


def test_the_agent_asks_for_keys_that_are_added_to_be_confirmed(make_sshd, folder, agent):
    """It is not we who ask then, but the agent, by the askpass program of its own environment; here it has none."""
    key = make_key(folder / "id")
    with make_sshd(user_keys=[key]) as sshd:
        logs_in(sshd, folder, key, options={"AddKeysToAgent": "confirm 1h"}, env=agent)
        assert fingerprint(key) in ssh_add(agent, "-l")
        key.rename(folder / "gone")
        is_refused(sshd, folder, f"{key}.pub", env=agent)

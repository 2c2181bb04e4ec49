# SPDX-License-Identifier: Apache-2.0
"""`culvert serve --revoked-keys`: keys and certificates that count no more, in the lists that ssh-keygen makes."""

import contextlib
import pathlib
import subprocess

import pytest

from harness.clients import client, client_command
from harness.culvert import environment
from harness.files import write_whole
from harness.keys import certify, make_key, public_part
from harness.sockets import connect, echo_both_ways, free_port, receive_exactly


def make_list(path: pathlib.Path, *sources: pathlib.Path, authority: pathlib.Path | None = None) -> pathlib.Path:
    """A key revocation list by ssh-keygen. In place of what is there, as whoever distributes it should."""
    made = path.with_suffix(".new")
    by = ["-s", f"{authority}.pub"] if authority else []
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(made), *by, *map(str, sources)], check=True, capture_output=True)
    made.chmod(0o600)  # for the server of root, too, which reads with the rights of another account
    return made.rename(path)


def is_let_in(server, folder, key, kind: str = "ssh") -> bool:
    done = subprocess.run(client_command(kind, server, folder, "-W", "127.0.0.1:9", key=key), capture_output=True, text=True,
                          timeout=20, stdin=subprocess.DEVNULL, env=environment(HOME=str(folder)), check=False)
    assert done.returncode == 255
    return "Permission denied" not in done.stderr


@pytest.fixture(name="keys")
def make_keys(folder):
    """{name: key}: plain, its neighbour, and one with a certificate (serial 7, id "seven") of `ca`."""
    made = {name: make_key(folder / name) for name in ("plain", "other", "certified", "ca", "other_ca")}
    certify(made["certified"], made["ca"], "-n", "me", "-I", "seven", "-z", "7")
    return made


@pytest.fixture(name="revoking")
def make_revoking(serve, keys):
    """revoking(*files) -> a server that lets in `plain`, `other` and what `ca` certifies."""
    lines = [public_part(keys["plain"]), public_part(keys["other"]), f"cert-authority {public_part(keys['ca'])}"]

    def make(*files, **more):
        options = [word for file in files for word in ("--revoked-keys", str(file))]
        return serve("--allow-all", "--exempt", "127.0.0.0/8", *options, authorized="\n".join(lines) + "\n",
                     user_keys=[keys["plain"]], **more)
    return make


def test_lists_of_keys(revoking, keys, folder):
    """Each way to revoke, as text or as KRL: what is named is out and nothing else."""
    pub = {name: pathlib.Path(f"{key}.pub") for name, key in keys.items()}
    revoked = write_whole(folder / "revoked", "# nothing yet\n\n")
    server = revoking(revoked)

    def let_in() -> set[str]:
        return {name for name in ("plain", "other", "certified") if is_let_in(server, folder, keys[name])}

    everybody = {"plain", "other", "certified"}
    assert let_in() == everybody
    without_plain, without_certified = {"other", "certified"}, {"plain", "other"}
    specification = folder / "specification"

    def by(text: str, authority: str | None = "ca"):
        specification.write_text(text)
        return lambda: make_list(revoked, specification, authority=keys[authority] if authority else None)

    for how, expected in (
            (lambda: write_whole(revoked, pub["plain"].read_text()), without_plain),
            (lambda: write_whole(revoked, pub["ca"].read_text()), without_certified),
            (lambda: write_whole(revoked, pathlib.Path(f"{keys['certified']}-cert.pub").read_text()), without_certified),
            (lambda: write_whole(revoked, ""), everybody),
            (lambda: make_list(revoked, pub["plain"]), without_plain),
            (lambda: make_list(revoked, pub["certified"]), without_certified),
            (lambda: make_list(revoked, pub["ca"]), without_certified),
            (lambda: make_list(revoked, pub["other_ca"]), everybody)):
        how()
        assert let_in() == expected
    for text, authority, expected in (
            ("serial: 7\n", "ca", without_certified), ("serial: 5-9\n", "ca", without_certified),
            ("serial: 8\n", "ca", everybody), ("serial: 7\n", "other_ca", everybody),
            ("id: seven\n", "ca", without_certified), ("id: eight\n", "ca", everybody),
            (f"sha256: {public_part(keys['plain'])}\n", None, without_plain),
            (f"sha1: {public_part(keys['plain'])}\n", None, without_plain)):
        by(text, authority)()
        assert let_in() == expected, (text, authority)
    server.wait_for_log(f"refused: the certificate is revoked by {revoked}")
    server.wait_for_log(f"refused: the key is revoked by {revoked}")


@pytest.mark.parametrize("kind", ["dbclient", "culvert"])
def test_other_clients_are_refused_too(revoking, keys, folder, kind):
    server = revoking(write_whole(folder / "revoked", public_part(keys["plain"]) + "\n"))
    done = subprocess.run(client_command(kind, server, folder, key=keys["plain"]), capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL, env=environment(HOME=str(folder)), check=False)
    assert done.returncode != 0
    server.wait_for_log("refused: the key is revoked")


def test_several_lists(revoking, keys, folder):
    first = write_whole(folder / "first", public_part(keys["plain"]) + "\n")
    second = make_list(folder / "second", pathlib.Path(f"{keys['ca']}.pub"))
    server = revoking(first, second)
    assert [name for name in ("plain", "other", "certified") if is_let_in(server, folder, keys[name])] == ["other"]


def test_a_list_that_cannot_be_read_lets_nobody_in(revoking, keys, folder, echo_server):
    revoked = write_whole(folder / "revoked", "")
    server = revoking(revoked)
    port = free_port()
    with client("culvert", server, folder, "-L", f"{port}:127.0.0.1:{echo_server.port}", key=keys["plain"], ports=(port,)):
        write_whole(revoked, "nonsense\n")
        assert not is_let_in(server, folder, keys["other"])
        assert not is_let_in(server, folder, keys["certified"])
        server.wait_for_log(f"revoked keys: {revoked}: line 1: not a public key; until it is mended nobody may log in")
        server.wait_for_log(f"refused: cannot tell whether the key is revoked: {revoked}: line 1")
        echo_both_ways(port, 1000)  # who is in stays in
        revoked.write_bytes(make_list(folder / "whole", pathlib.Path(f"{keys['plain']}.pub")).read_bytes()[:-1])
        assert not is_let_in(server, folder, keys["other"])
        revoked.unlink()
        assert not is_let_in(server, folder, keys["other"])
        echo_both_ways(port, 1000)
        write_whole(revoked, "")
        assert is_let_in(server, folder, keys["other"])
        revoked.chmod(0o666)
        assert not is_let_in(server, folder, keys["other"])
        revoked.chmod(0o600)
        assert is_let_in(server, folder, keys["other"])


def test_at_the_start_a_list_must_be_right(revoking, keys, folder):
    whole = make_list(folder / "whole", pathlib.Path(f"{keys['plain']}.pub")).read_bytes()
    (folder / "half").write_bytes(whole[:-1])
    for file, wanted in ((folder / "none", "none does not exist"), (write_whole(folder / "text", "nonsense\n"), "text: line 1: "),
                         (folder / "half", "half: key revocation list: ")):
        server = revoking(file, ready=False)
        assert server.process.wait() == 255
        assert server.process.lines[-1].startswith("culvert: revoked keys: ")
        assert wanted in server.process.lines[-1]


def test_a_session_ends_when_its_key_is_revoked(revoking, keys, folder, echo_server):
    """The one that was revoked, with what it carries, and no other."""
    revoked = write_whole(folder / "revoked", "")
    server = revoking(revoked)
    target = f"127.0.0.1:{echo_server.port}"
    ports = {name: (free_port(), free_port()) for name in ("plain", "certified", "other")}

    def one(name):
        local, remote = ports[name]
        return client("ssh", server, folder, "-L", f"{local}:{target}", "-R", f"{remote}:{target}", key=keys[name],
                      ports=(local, remote))

    with one("plain") as plain, one("certified") as certified, one("other") as other:
        streams = {name: connect(ports[name][0]) for name in ports}
        for s in streams.values():
            s.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"
        make_list(revoked, pathlib.Path(f"{keys['plain']}.pub"))
        for port in reversed(ports["plain"]):  # nothing is opened any more, whoever opens it
            with contextlib.suppress(ConnectionResetError, ConnectionRefusedError, BrokenPipeError), connect(port) as s:
                s.sendall(b"x")
                assert s.recv(1) == b""
        assert plain.wait(20) == 255
        specification = folder / "specification"
        specification.write_text("id: seven\n")
        make_list(revoked, pathlib.Path(f"{keys['plain']}.pub"), specification, authority=keys["ca"])
        assert certified.wait(20) == 255  # it opened nothing
        for name in ("plain", "certified"):
            assert streams[name].recv(1) == b""
        echo_both_ways(ports["other"][0], 1000)
        echo_both_ways(ports["other"][1], 1000)
        streams["other"].sendall(b"y")
        assert receive_exactly(streams["other"], 1) == b"y"
        assert other.popen.poll() is None
        for s in streams.values():
            s.close()
    server.wait_for_log("the key was revoked")

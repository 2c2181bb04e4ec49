# SPDX-License-Identifier: Apache-2.0
"""Is this the right server? Known, unknown, changed and revoked host keys."""

import os
import signal
import subprocess

import pytest

from harness.culvert import Culvert, binary, destination, environment, login_arguments, run
from harness.keys import fingerprint, make_key, public_part
from harness.sockets import free_port
from harness.terminal import Terminal


def attempt(server, folder, known_hosts, **options):
    """Runs culvert until it is ready (None) or has failed (what it said)."""
    return run("-W", "127.0.0.1:9", *login_arguments(server, folder, options=options, known_hosts=known_hosts),
               destination(server), env=environment())


def accepts(server, folder, known_hosts, **options) -> str:
    with Culvert(server, folder, [f"{free_port()}:127.0.0.1:9"], known_hosts=known_hosts, options=options) as process:
        assert process.stop() == 0
        return process.text


def refuses(server, folder, known_hosts, *wanted, **options) -> None:
    done = attempt(server, folder, known_hosts, **options)
    assert done.status == 255, done.stderr
    for text in wanted:
        assert text.lower() in done.stderr.lower(), done.stderr
    assert all(line.startswith("culvert: ") for line in done.lines), done.stderr


def file_of(server, folder):
    return folder / f"known_hosts_{server.port}"


@pytest.fixture
def ask(sshd, folder):
    """ask(known_hosts, options) -> culvert on a terminal."""
    opened = []

    def start(known_hosts="", **options):
        opened.append(Terminal([binary(), "-N", *login_arguments(sshd, folder, options=options, known_hosts=known_hosts),
                                destination(sshd)], env=environment()))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def end(terminal):
    terminal.expect("culvert: ready")
    terminal.popen.send_signal(signal.SIGTERM)
    assert terminal.wait() == 0


def other_key(folder, kind="ed25519"):
    return public_part(make_key(folder / "other", kind))


def test_known(sshd, folder):
    accepts(sshd, folder, sshd.known_hosts())


def test_unknown_is_refused_without_a_terminal(sshd, folder):
    refuses(sshd, folder, "", "127.0.0.1", "SHA256:")
    refuses(sshd, folder, "", "127.0.0.1", StrictHostKeyChecking="yes")
    assert file_of(sshd, folder).read_text() == ""


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_the_type_that_is_known_is_asked_for_first(sshd, folder, kind):
    line = next(line for line in sshd.known_hosts().splitlines(keepends=True) if f" {kind} " in line)
    accepts(sshd, folder, line)


def test_port_counts(sshd, folder):
    without_port = sshd.known_hosts().replace(sshd.address, "127.0.0.1")
    refuses(sshd, folder, without_port, "127.0.0.1", StrictHostKeyChecking="yes")
    accepts(sshd, folder, sshd.known_hosts().replace(sshd.address, f"[127.0.0.*]:{sshd.port}"))
    refuses(sshd, folder, sshd.known_hosts().replace(sshd.address, f"[127.0.0.*]:{sshd.port},!{sshd.address}"), "127.0.0.1")


def test_hashed_names(sshd, folder):
    path = folder / "hashed"
    path.write_text(sshd.known_hosts())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    text = path.read_text()
    assert text.startswith("|1|") and "127.0.0.1" not in text
    accepts(sshd, folder, text)


def test_changed_key_names_line_and_file(sshd, folder):
    wrong = "# a comment\n\n" + f"{sshd.address} {other_key(folder)}\n"
    for policy in ("ask", "yes", "accept-new"):
        refuses(sshd, folder, wrong, f"{file_of(sshd, folder)}:3", fingerprint(sshd.host_keys[0]), StrictHostKeyChecking=policy)


def test_changed_key_with_checking_off_forwards_nothing(sshd, folder):
    """ssh logs in, and disables port forwarding."""
    refuses(sshd, folder, f"{sshd.address} {other_key(folder)}\n", "changed", StrictHostKeyChecking="no")


def test_a_list_of_algorithms_keeps_the_known_type_first(sshd, folder):
    known = f"{sshd.address} {public_part(next(key for key in sshd.host_keys if 'rsa' in str(key)))}\n"
    for algorithms in ("-ecdsa*", "+rsa-sha2-256", "ssh-ed25519,rsa-sha2-512"):
        accepts(sshd, folder, known, StrictHostKeyChecking="yes", HostKeyAlgorithms=algorithms)


def test_unreadable_file_of_known_hosts_keeps_new_keys_out(sshd, folder):
    (folder / "is_a_folder").mkdir()
    for policy in ("accept-new", "no"):
        refuses(sshd, folder, "", "could be read", StrictHostKeyChecking=policy,
                GlobalKnownHostsFile=str(folder / "is_a_folder"))


def test_a_pipe_that_nobody_writes_is_not_waited_for(sshd, folder):
    os.mkfifo(folder / "pipe")
    for policy in ("accept-new", "no"):
        refuses(sshd, folder, "", "nobody writes to it", "could be read", StrictHostKeyChecking=policy, LogLevel="INFO",
                GlobalKnownHostsFile=str(folder / "pipe"))
    refuses(sshd, folder, sshd.known_hosts(), "nobody writes to it", RevokedHostKeys=str(folder / "pipe"))
    for option in ("GlobalKnownHostsFile", "IdentityFile"):
        accepts(sshd, folder, sshd.known_hosts(), StrictHostKeyChecking="yes", **{option: str(folder / "pipe")})


def test_changed_key_on_a_terminal_is_not_asked_about(sshd, ask, folder):
    terminal = ask(f"{sshd.address} {other_key(folder)}\n")
    assert terminal.wait() == 255
    assert "?" not in terminal.text.split("SHA256:")[-1]


def test_revoked_key(sshd, folder):
    known = sshd.known_hosts()
    revoked = "".join(f"@revoked * {public_part(key)}\n" for key in sshd.host_keys)
    for policy in ("ask", "no", "accept-new"):
        refuses(sshd, folder, known + revoked, "revoked", StrictHostKeyChecking=policy)


def test_revoked_host_keys(sshd, folder):
    """A file of keys, or a list of ssh-keygen; one that cannot be read lets no host pass."""
    key, other = public_part(sshd.host_keys[0]), other_key(folder)
    keys, revoked = folder / "keys", folder / "revoked"
    for text, is_revoked in ((f"# some\n{other} comment\n{key}\n", True), (f"{other}\n", False)):
        keys.write_text(text)
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(revoked), str(keys)], check=True, capture_output=True)
        for file in (keys, revoked):
            if is_revoked:
                refuses(sshd, folder, sshd.known_hosts(), fingerprint(sshd.host_keys[0]), f"is revoked by {file}",
                        RevokedHostKeys=str(file), HostKeyAlgorithms="ssh-ed25519")
            else:
                accepts(sshd, folder, sshd.known_hosts(), RevokedHostKeys=str(file))
    keys.write_text("no key\n")
    for file, why in ((keys, "line 1"), (folder / "nowhere", "does not exist"), (folder, "directory")):
        refuses(sshd, folder, sshd.known_hosts(), "cannot tell whether the ED25519 host key", str(file), why,
                RevokedHostKeys=str(file), StrictHostKeyChecking="no")
    accepts(sshd, folder, sshd.known_hosts(), RevokedHostKeys="none")


def test_known_hosts_command(sshd, folder):
    """Its lines count as those of a file do; it is told what ssh tells it."""
    script = folder / "lookup"
    script.write_text(f"#!/bin/sh\necho \"$*\" | cut -d' ' -f3- >>{folder}/$2.log\ncat {folder}/lines\n")
    script.chmod(0o755)
    lines = folder / "lines"
    lines.write_text(sshd.known_hosts())
    words = "%I %H %t %f %K %h %k %n %p %r %u %d %i %L %l %C %% 'a  b' # $HOME"
    options = {"KnownHostsCommand": f"{script} log ours {words}", "StrictHostKeyChecking": "yes"}
    accepts(sshd, folder, "", **options)
    options["KnownHostsCommand"] = f"{script} log ssh {words}"
    subprocess.run(["ssh", *login_arguments(sshd, folder, options=options, known_hosts=""), destination(sshd), "true"],
                   check=True, env=environment(), capture_output=True, timeout=60)
    ours = (folder / "ours.log").read_text()
    assert ours.startswith("ORDER 127.0.0.1 NONE ")
    # ssh 10 names the port too when it asks for the order of algorithms.
    assert (folder / "ssh.log").read_text() in (ours, ours.replace("127.0.0.1", sshd.address, 1))

    lines.write_text(f"{sshd.address} {other_key(folder)}\n")
    refuses(sshd, folder, "", "has changed (KnownHostsCommand-HOSTNAME:1)", KnownHostsCommand=f"{script} log x",
            StrictHostKeyChecking="yes")
    for command, why in (("/bin/false", "it exited with status 1"), ("/nowhere", "No such file"), ("lookup", "absolute path")):
        refuses(sshd, folder, sshd.known_hosts(), "KnownHostsCommand", why, KnownHostsCommand=command,
                StrictHostKeyChecking="no")


def test_accept_new(sshd, folder):
    with Culvert(sshd, folder, [], known_hosts="", options={"StrictHostKeyChecking": "accept-new"}) as process:
        process.stop()
    learned = file_of(sshd, folder).read_text()
    assert learned.startswith(f"{sshd.address} ssh-ed25519 ") and learned.count("\n") == 1
    accepts(sshd, folder, learned, StrictHostKeyChecking="yes")


def test_new_keys_are_learned_hashed_if_wanted(sshd, folder):
    options = {"StrictHostKeyChecking": "accept-new", "HashKnownHosts": "yes"}
    with Culvert(sshd, folder, [], known_hosts="", options=options) as process:
        process.stop()
    learned = file_of(sshd, folder).read_text()
    assert learned.startswith("|1|") and "127.0.0.1" not in learned
    found = subprocess.run(["ssh-keygen", "-F", sshd.address, "-f", str(file_of(sshd, folder))], capture_output=True, text=True,
                           check=False)
    assert "ssh-ed25519" in found.stdout
    accepts(sshd, folder, learned, StrictHostKeyChecking="yes")


def test_yes_on_a_terminal_learns_the_key(sshd, ask, folder):
    terminal = ask()
    shown = terminal.expect("(yes/no")
    assert fingerprint(sshd.host_keys[0]) in shown
    terminal.send_line("yes")
    end(terminal)
    assert public_part(sshd.host_keys[0]) in file_of(sshd, folder).read_text()


def test_the_fingerprint_itself_is_a_yes(sshd, ask, folder):
    terminal = ask()
    terminal.expect("(yes/no")
    terminal.send_line(fingerprint(sshd.host_keys[0]))
    end(terminal)


def test_no_on_a_terminal_refuses(sshd, ask, folder):
    terminal = ask()
    terminal.expect("(yes/no")
    terminal.send_line("maybe")
    terminal.expect("yes")  # it is asked again
    terminal.send_line("no")
    assert terminal.wait() == 255
    assert file_of(sshd, folder).read_text() == ""


def test_second_file_and_system_file_count_too(sshd, folder):
    (folder / "second").write_text(sshd.known_hosts())
    accepts(sshd, folder, "", UserKnownHostsFile=f"{folder}/none {folder}/second", StrictHostKeyChecking="yes")
    accepts(sshd, folder, "", GlobalKnownHostsFile=f"{folder}/second", StrictHostKeyChecking="yes")


def test_host_key_alias(sshd, folder):
    accepts(sshd, folder, sshd.known_hosts().replace(sshd.address, "bastion"), HostKeyAlias="bastion")


def test_rubbish_in_the_file_is_passed_over(sshd, folder):
    rubbish = "\0\0\0\n" + "x" * 100_000 + "\n127.0.0.1\n|1|bad|bad ssh-ed25519 AAAA\n@unknown * ssh-rsa AAAA\n"
    accepts(sshd, folder, rubbish + sshd.known_hosts(), StrictHostKeyChecking="yes")

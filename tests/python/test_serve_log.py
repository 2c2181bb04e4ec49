# SPDX-License-Identifier: Apache-2.0
"""The log of `culvert serve` for programs: --log-format json."""

import json
import re
import subprocess

from harness.clients import client, client_command, reply_of, wait_until
from harness.culvert import binary, environment, run
from harness.files import write_whole
from harness.keys import certify, fingerprint, make_key, public_part
from harness.processes import Process
from harness.sockets import Server, connect, echo_both_ways, free_port, receive_exactly

LEVELS = {"error", "warning", "notice", "verbose", "debug", "trace"}
CONTROL = re.compile("[\x00-\x1f\x7f\u0080-\u009f]")


def events(lines) -> list[dict]:
    """Every line is an object with what every line has, and with nothing that could steer a terminal."""
    found = []
    for line in lines:
        assert not CONTROL.search(line), line
        event = json.loads(line)
        assert list(event)[:4] == ["time", "level", "event", "message"], line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
        assert event["level"] in LEVELS
        found.append(event)
    return found


def events_of(server, name: str) -> list[dict]:
    return [event for event in events(server.process.lines) if event["event"] == name]


def wait_for_event(server, name: str, **wanted) -> dict:
    """The first one with these fields."""
    found = []

    def is_there() -> bool:
        found[:] = [event for event in events_of(server, name) if wanted.items() <= event.items()]
        return bool(found)

    wait_until(is_there, server.process)
    return found[0]


def ends(event: dict) -> dict:
    """Its fields but for those of every line, and for what differs from run to run."""
    return {name: value for name, value in event.items()
            if name not in ("time", "level", "event", "message", "source_port", "origin_port", "duration")}


def test_logins_streams_and_listeners(serve, folder, user_key, echo_server):
    local, remote = free_port(), free_port()
    rules = f'[[user]]\nname = "me"\nconnect = ["127.0.0.1:{echo_server.port}"]\nlisten = ["127.0.0.1:{remote}"]\n'
    server = serve("--log-format", "json", "-v", "--exempt", "127.0.0.0/8", rules=rules)
    who = {"source_address": "127.0.0.1", "user": "me", "fingerprint": fingerprint(user_key)}

    assert wait_for_event(server, "ready")["message"] == "ready"
    assert wait_for_event(server, "server_up")["listener"] == f"127.0.0.1:{server.port}"
    assert wait_for_event(server, "host_key")["fingerprint"] == fingerprint(server.host_keys[0])

    with client("ssh", server, folder, "-L", f"{local}:127.0.0.1:{echo_server.port}",
                "-R", f"127.0.0.1:{remote}:127.0.0.1:{echo_server.port}", ports=(local, remote)):
        echo_both_ways(local, 100_000)
        direct = wait_for_event(server, "stream_ended", direction="direct", bytes_to_client=100_000)
        echo_both_ways(remote, 5000)
        forwarded = wait_for_event(server, "stream_ended", direction="forwarded", bytes_from_client=5000)
        login = wait_for_event(server, "login")
        opened = wait_for_event(server, "listener_opened")
    ended = wait_for_event(server, "session_ended")

    assert ends(login) == {**who, "key_type": "ssh-ed25519", **({"key_name": "test"} if "key_name" in login else {})}
    port = login["source_port"]
    assert login["message"].startswith(f"me@127.0.0.1:{port}: logged in with ssh-ed25519 SHA256:")
    assert ends(opened) == {**who, "listener": f"127.0.0.1:{remote}", "asked": f"127.0.0.1:{remote}"}
    assert ends(direct) == {**who, "direction": "direct", "destination_host": "127.0.0.1", "destination_port": echo_server.port,
                            "origin_host": "127.0.0.1", "bytes_from_client": 100_000, "bytes_to_client": 100_000}
    assert direct["message"].startswith(f"me@127.0.0.1:{port} -> 127.0.0.1:{echo_server.port}: ended, 100000 bytes from the client, ")
    assert ends(forwarded) == {**who, "direction": "forwarded", "destination_host": "127.0.0.1", "destination_port": remote,
                               "origin_host": "127.0.0.1", "bytes_from_client": 5000, "bytes_to_client": 5000}
    assert ends(ended).keys() == {*who, "reason"}
    assert 0 < direct["duration"] < ended["duration"] < 60
    assert {event["source_port"] for event in (login, opened, direct, forwarded, ended)} == {port}
    assert wait_for_event(server, "listener_closed")["listener"] == f"127.0.0.1:{remote}"


def test_refusals(serve, folder, user_key, echo_server):
    port = echo_server.port
    other = make_key(folder / "other")
    rules = f'[[user]]\nname = "me"\nconnect = ["127.0.0.1:{port}"]\nlisten = ["127.0.0.1:20001"]\n'
    server = serve("--log-format", "json", "-v", "--exempt", "127.0.0.0/8", rules=rules)
    who = {"source_address": "127.0.0.1", "user": "me", "fingerprint": fingerprint(user_key)}

    reply_of(server, folder, "127.0.0.2", port)
    refused = wait_for_event(server, "stream_refused")
    assert refused["rule"] == f'connect = ["127.0.0.2:{port}"]'
    assert refused["reason"].startswith("not permitted: ")
    assert refused["message"].endswith(f'{refused["reason"]}; this rule would: {refused["rule"]}')
    assert ends(refused).items() >= {**who, "direction": "direct", "destination_host": "127.0.0.2", "destination_port": port}.items()

    closed = free_port()
    write_whole(server.rules_file, rules.replace(f":{port}", f":{closed}"))
    reply_of(server, folder, "127.0.0.1", closed)
    failed = wait_for_event(server, "stream_refused", destination_port=closed)
    assert failed["reason"] == "connect failed: Connection refused"
    assert "rule" not in failed

    done = run(*client_command("culvert", server, folder, "-R", "127.0.0.1:20002:127.0.0.1:1")[1:])
    assert done.status == 255
    line = next(line for line in done.lines if "remote 127.0.0.1:20002: the server refuses to listen" in line)
    assert "see listen in its rules" in line and "sshd_config" not in line
    refused = wait_for_event(server, "listener_refused")
    assert refused["asked"] == "127.0.0.1:20002"
    assert refused["reason"].startswith("not permitted: ") and "20002" in refused["rule"]
    assert ends(refused).items() >= who.items()

    assert "Permission denied" in reply_of(server, folder, "127.0.0.1", port, key=other)
    refused = wait_for_event(server, "login_refused", fingerprint=fingerprint(other))
    assert ends(refused) == {"source_address": "127.0.0.1", "user": "me", "key_type": "ssh-ed25519",
                             "fingerprint": fingerprint(other), "signed": True,
                             "reason": f"the key is not in {server.keys_file}"}
    assert wait_for_event(server, "no_login")["source_address"] == "127.0.0.1"

    arguments = client_command("ssh", server, folder)
    arguments.remove("-N")
    subprocess.run([*arguments, "ls"], capture_output=True, timeout=20, stdin=subprocess.DEVNULL, check=False)
    assert ends(wait_for_event(server, "request_refused")) == {**who, "request": "exec", "reason": "this server only forwards"}


def test_names_that_are_hostile(serve, folder):
    """Bytes that are no UTF-8, quotes, control characters and line breaks, in whatever a client can name."""
    authority, key = make_key(folder / "ca"), make_key(folder / "id")
    server = serve("--log-format", "json", "-v", "--exempt", "127.0.0.0/8", "--allow-all", user_keys=[key],
                   authorized=f"cert-authority {public_part(authority)}\n")
    user = b'm\xff\xc3\xa9\xe2\x80\xae\x1b[2J\n"}{"event":"ready"}\\'.decode("utf-8", "surrogateescape")
    host = b'a\\b"},{"event":"login\xff'.decode("utf-8", "surrogateescape")
    certify(key, authority, "-n", "me", "-I", 'id "\x1b[2J\n{"event":"ready"}')

    for command in (client_command("dbclient", server, folder, user=user),
                    client_command("ssh", server, folder, "-W", f"[{host}]:80")):
        done = subprocess.run(command, capture_output=True, timeout=20, env=environment(HOME=str(folder)),
                              stdin=subprocess.DEVNULL, check=False)
        assert done.returncode != 0
    assert wait_for_event(server, "login")["key_name"] == 'id "\\x1b[2J\\x0a{"event":"ready"}'
    refused = wait_for_event(server, "stream_refused")
    assert refused["destination_host"] == 'a\\\\b"},{"event":"login\\xff'
    assert refused["destination_host"] in refused["message"]
    assert len(events_of(server, "ready")) == 1
    refused = wait_for_event(server, "login_refused",
                             user='m\\xffé\\xe2\\x80\\xae\\x1b[2J\\x0a"}{"event":"ready"}\\\\')
    assert refused["user"] in refused["message"]


def test_every_line_at_every_level_and_in_a_file(serve, folder, echo_server):
    log = folder / "log"
    command = [binary(), "serve", "--allow-all", "-vvv", "--log-format", "json", "-E", str(log)]
    server = serve("--allow-all", "-vvv", "--log-format", "json",
                   authorized=f"{public_part(make_key(folder / 'k'))}\nno-such-option x\n")
    port = free_port()
    write_whole(server.keys_file, public_part(server.user_keys[0]) + "\n")
    with client("culvert", server, folder, "-L", f"{port}:127.0.0.1:{echo_server.port}", ports=(port,)), connect(port) as s:
        s.sendall(b"x")
        assert receive_exactly(s, 1) == b"x"
        server.process.stop()
    assert {event["level"] for event in events(server.process.lines)} >= {"warning", "notice", "verbose", "debug"}
    assert wait_for_event(server, "stopped")["signal"] == 15

    command += ["-k", str(server.keys_file), "--host-key", str(server.host_keys[0]), "-l", "127.0.0.1:0"]
    with Process(command, env=environment()) as process:
        wait_until(lambda: log.exists() and '"event":"ready"' in log.read_text(), process)
    assert process.lines == []
    assert events(log.read_text().splitlines())[-1]["event"] == "stopped"


def test_what_fails_at_the_start(folder, user_key, host_keys):
    keys = folder / "keys"
    keys.write_text(public_part(user_key) + "\n")
    keys.chmod(0o600)
    good = ["--log-format", "json", "-k", str(keys), "--host-key", str(host_keys["ed25519"])]
    with Server(lambda s: s.close()) as taken:
        for arguments, wanted in (([*good, "-l", f"127.0.0.1:{taken.port}"], "address already in use"),
                                  ([*good, "--exempt", "x"], "--exempt: "), ([*good, "-E", str(folder / "no/log")], "-E: "),
                                  ([*good, "-r", str(folder / "none")], "none does not exist")):
            done = run("serve", *arguments, timeout=20)
            assert done.status == 255
            found = events(done.lines)
            assert (found[-1]["event"], found[-1]["level"]) == ("failed", "error")
            assert wanted in found[-1]["message"]
    done = run("serve", "--log-format", "xml", timeout=20)
    assert done.status == 255 and "--log-format" in done.lines[-1] and "json" in done.lines[-1]

# SPDX-License-Identifier: Apache-2.0
"""`culvert serve`, with stock ssh, dbclient and culvert as its clients."""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from harness.clients import client, client_command, is_open, reply_of, wait_until
from harness.culvert import SMALL, binary, environment, run
from harness.files import write_whole
from harness.gate import Gate
from harness.keys import certify, fingerprint, make_key, public_part
from harness.processes import Process, kill
from harness.proxy import SOCKS5
from harness.sockets import Server, assert_ends, check_echo, connect, digest_sink, echo, echo_both_ways, free_port, free_ports, receive_exactly, silent, slow_reader, test_data

SIZE = (1 if SMALL else 8) << 20
CLIENTS = ["ssh", "dbclient", "culvert"]


# ------------------------------------------------------------------------------------------------------------- forwards

@pytest.mark.parametrize("kind", CLIENTS)
def test_ports_both_ways(serve, folder, echo_server, kind):
    server = serve("--allow-all")
    local, remote = free_port(), free_port()
    with client(kind, server, folder, "-L", f"{local}:127.0.0.1:{echo_server.port}",
                "-R", f"{remote}:127.0.0.1:{echo_server.port}", ports=(local, remote)):
        for port in (local, remote):
            echo_both_ways(port, SIZE)
        with connect(local) as s:
            with Server(digest_sink):
                s.sendall(b"still")
                assert receive_exactly(s, 5) == b"still"
    server.wait_for_log("session ended")
    wait_until(lambda: not is_open(remote))


@pytest.mark.parametrize("kind", ["ssh", "culvert"])
def test_proxies_and_unix_sockets(serve, folder, echo_server, kind):
    rules = f"""
[[user]]
name = "me"
connect = ["localhost:*", "unix:{folder}/*.sock"]
listen = ["*", "unix:{folder}/*.sock"]
"""
    server = serve(rules=rules)
    assert "do nothing" not in server.log
    dynamic, both, local = (free_port() for _ in range(3))
    near, far, there = (str(folder / name) for name in ("near.sock", "far.sock", "there.sock"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(there)  # what a server that was killed has left
        os.chmod(there, 0o777)
    with Server(echo, path=far), client(
            kind, server, folder, "-D", str(dynamic), "-R", str(both), "-L", f"{near}:{far}", "-L", f"{local}:{far}",
            "-R", f"{there}:127.0.0.1:{echo_server.port}", ports=(dynamic, both, near, local)):
        for port in (dynamic, both):
            for host in ("127.0.0.1", "localhost"):
                with SOCKS5.connect(port, host, echo_server.port) as s:
                    s.sendall(b"through")
                    assert receive_exactly(s, 7) == b"through"
        for place in (near, local, there):
            echo_both_ways(place, 100_000)


def test_a_client_that_goes_after_its_last_stream_waits_until_all_has_arrived(serve, folder):
    """By our close it knows that it has."""
    server = serve("--allow-all")
    data = test_data(5 << 20)
    received = []

    local = free_port()
    # ssh counts whole seconds: 1 may be over at once.
    with Server(slow_reader(received, 0.1)) as target, client("ssh", server, folder, "-M", "-S", str(folder / "control"),
                                                  "-L", f"{local}:127.0.0.1:{target.port}", options={"ControlPersist": "2"}):
        wait_until(lambda: (folder / "control").exists())
        with connect(local) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            assert s.recv(1) == b""
        assert target.wait_until(lambda _: received, 60)
    assert received == [data]


def test_a_client_that_is_told_to_stop_waits_until_all_has_arrived(serve, folder):
    server = serve("--allow-all")
    data = test_data(6 << 20)
    received = []

    local = free_port()
    with Server(slow_reader(received, 0.004)) as target, \
            client("culvert", server, folder, "-L", f"{local}:127.0.0.1:{target.port}") as process:
        process.wait_for("ready")
        with connect(local) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            assert s.recv(1) == b""
        assert process.stop() == 0
        assert target.wait_until(lambda _: received)
    assert received == [data]


def test_port_zero_and_cancel(serve, folder, echo_server):
    """ssh cancels through its control socket, so that the session lives on."""
    server = serve("--allow-all")
    control = folder / "control"
    with client("ssh", server, folder, "-M", "-S", str(control), "-R", f"0:127.0.0.1:{echo_server.port}") as process:
        process.wait_for("Allocated port")
        port = int(re.search(r"Allocated port (\d+)", process.text)[1])
        echo_both_ways(port, 1000)
        live = connect(port)
        live.sendall(b"x")
        assert receive_exactly(live, 1) == b"x"
        subprocess.run(["ssh", "-S", str(control), "-O", "cancel", "-R", f"0:127.0.0.1:{echo_server.port}", "x"], check=True)
        wait_until(lambda: not is_open(port))
        more = free_port()
        subprocess.run(["ssh", "-S", str(control), "-O", "forward", "-R", f"{more}:127.0.0.1:{echo_server.port}", "x"], check=True)
        echo_both_ways(more, 1000)
        live.sendall(b"y")
        assert receive_exactly(live, 1) == b"y"  # what runs goes on
        live.close()


def test_bind_addresses(serve, folder, echo_server):
    rules = """
[[user]]
name = "me"
connect = ["localhost:*"]
listen = ["10240-32000", "127.0.0.9:*"]
listen_default = "127.0.0.5"
"""
    server = serve(rules=rules)
    port = free_port()
    target = f"127.0.0.1:{echo_server.port}"
    with client("culvert", server, folder, "-R", f"{port}:{target}", "-R", f"127.0.0.9:{port}:{target}"):
        wait_until(lambda: is_open(("127.0.0.5", port)) and is_open(("127.0.0.9", port)))
        assert not is_open(port)
    for bind in ("127.0.0.8", "0.0.0.0"):
        done = run(*client_command("culvert", server, folder, "-R", f"{bind}:{port}:{target}")[1:])
        assert done.status == 255
    server.wait_for_log(f"refused to listen on 0.0.0.0:{port}: not permitted: ")


# ---------------------------------------------------------------------------------------------------------- who may what

def test_rules_decide_by_address(serve, folder):
    """The tricks with addresses, each against a rule by name and one by address."""
    with Server(lambda s: s.close()) as target:
        port = target.port
        rules = f"""
[[user]]
name = "me"
connect = ["*:{port}", "127.0.0.7:{port}"]
"""
        server = serve(rules=rules)
        for host in ("127.0.0.1", "localhost", "0.0.0.0", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "169.254.169.254", "::1",
                     "127.0.0.8", "2130706433", "0x7f.0.0.1"):
            answer = reply_of(server, folder, host, port)
            assert answer != "connected" and "refused" not in answer, (host, answer)
        with Server(lambda s: s.close(), path=None):
            assert "no rule names" in reply_of(server, folder, "127.0.0.7", port + 1)


def test_a_rule_by_address_opens_it(serve, folder):
    with Server(lambda s: s.close()) as target:
        server = serve(rules=f'[[user]]\nname = "me"\nconnect = ["127.0.0.1:{target.port}", "!localhost:1-1000"]\n')
        assert reply_of(server, folder, "127.0.0.1", target.port) == "connected"
        assert reply_of(server, folder, "localhost", target.port) == "connected"
        assert reply_of(server, folder, "::ffff:127.0.0.1", target.port) == "connected"
        assert f'127.0.0.1:{free_port()}' not in reply_of(server, folder, "127.0.0.1", 80)
        hint = reply_of(server, folder, "127.0.0.2", target.port)
        assert f'connect = ["127.0.0.2:{target.port}"]' in hint


def test_options_of_keys(serve, folder, user_key, echo_server):
    port = echo_server.port
    other = make_key(folder / "other")
    key, second = public_part(user_key), public_part(other)
    server = serve(authorized=f'restrict,port-forwarding,permitopen="127.0.0.1:{port}",permitlisten="20001" {key}\nrestrict {second}\n'
                              "bad-option x y\n")
    assert "unknown key option" in server.log or "passed over" in server.log
    listen = free_port()
    for kind in ("ssh", "culvert"):
        with client(kind, server, folder, "-L", f"{listen}:127.0.0.1:{port}", ports=(listen,)):
            echo_both_ways(listen, 1000)
    assert "no rule names" in reply_of(server, folder, "127.0.0.1", 1)
    assert "not allowed for this key" in reply_of(server, folder, "127.0.0.1", port, key=other)
    assert server.log.count("may log in and do nothing") == 1  # the restricted one
    done = run(*client_command("culvert", server, folder, "-R", f"{free_port()}:127.0.0.1:1")[1:])
    assert done.status == 255


@pytest.mark.parametrize("options, ok", [
    ('from="127.0.0.0/8"', True), ('from="10.0.0.0/8"', False), ('from="!127.0.0.1,*"', False),
    ('expiry-time="20200101Z"', False), ('expiry-time="20991231Z"', True), ("cert-authority", False), ("no-such", False)])
def test_options_decide_about_the_login(serve, folder, user_key, options, ok):
    server = serve("--allow-all", authorized=f"{options} {public_part(user_key)}\n")
    done = run(*client_command("culvert", server, folder, "-W", "127.0.0.1:9")[1:])
    assert ("Permission denied (publickey)" not in done.stderr) == ok, done.stderr


def test_certificates(serve, folder, echo_server):
    authority = make_key(folder / "ca")
    key = make_key(folder / "id")
    port = echo_server.port
    server = serve("--exempt", "127.0.0.0/8", user_keys=[key],
                   authorized=f'cert-authority,principals="me,ops" {public_part(authority)}\n',
                   rules=f'[[user]]\nname = "me"\nconnect = ["localhost:{port}"]\n')

    def answer(*arguments, by=authority):
        certify(key, by, *arguments)
        done = run(*client_command("culvert", server, folder, "-W", f"127.0.0.1:{port}")[1:])
        return "in" if done.status == 0 else done.lines[-1]

    assert answer("-n", "me") == "in"
    assert answer("-n", "ops,x") == "in"
    for wrong in (("-n", "you"), ("-n", "me", "-V", "20200101:20200201"), ("-n", "me", "-O", "source-address=10.0.0.0/8"), ()):
        assert "Permission denied" in answer(*wrong), wrong
    assert "Permission denied" in answer("-n", "me", by=make_key(folder / "other_ca"))
    assert "administratively prohibited" in answer("-n", "me", "-O", "no-port-forwarding")
    for kind in ("ssh",):
        certify(key, authority, "-n", "me")
        listen = free_port()
        with client(kind, server, folder, "-L", f"{listen}:127.0.0.1:{port}", ports=(listen,)):
            echo_both_ways(listen, 1000)


def test_several_users(serve, folder, user_key):
    other = make_key(folder / "bobs")
    keys = folder / "bob.keys"
    keys.write_text(public_part(other) + "\n")
    keys.chmod(0o600)
    server = serve("--allow-all", "-k", f"bob={keys}")
    for user, key, ok in (("bob", other, True), ("bob", user_key, False), ("me", user_key, True), ("me", other, False)):
        done = run(*client_command("culvert", server, folder, "-W", "127.0.0.1:9", user=user, key=key)[1:])
        assert ("Permission denied" not in done.stderr) == ok, (user, done.stderr)


def test_files_are_read_again(serve, folder, user_key):
    other = make_key(folder / "new")
    server = serve("--exempt", "127.0.0.0/8", rules='[[user]]\nname = "me"\n')
    assert "Permission denied" in reply_of(server, folder, "127.0.0.1", 9, key=other)
    write_whole(server.keys_file, public_part(other) + "\n")
    assert "no rule names" in reply_of(server, folder, "127.0.0.1", 9, key=other)
    assert "Permission denied" in reply_of(server, folder, "127.0.0.1", 9)
    write_whole(server.rules_file, '[[user]]\nname = "me"\nconnect = ["127.0.0.1:9"]\n')
    assert "Connection refused" in reply_of(server, folder, "127.0.0.1", 9, key=other)
    write_whole(server.rules_file, "nonsense\n")
    assert "Connection refused" in reply_of(server, folder, "127.0.0.1", 9, key=other)
    assert "the rules from before stay" in server.log


def test_rules_are_for_live_sessions_too(serve, folder, echo_server):
    rules = f'[[user]]\nname = "me"\nconnect = ["127.0.0.1:{echo_server.port}"]\n'
    server = serve(rules=rules)
    port = free_port()
    with client("culvert", server, folder, "-L", f"{port}:127.0.0.1:{echo_server.port}", ports=(port,)) as process:
        echo_both_ways(port, 1000)
        write_whole(server.rules_file, rules.replace("127.0.0.1", "127.0.0.2"))
        assert_ends(port)
        process.wait_for("administratively prohibited")
        write_whole(server.rules_file, rules + "until = 2020-01-01T00:00:00Z\n")
        assert_ends(port)
        server.wait_for_log("its time is over")
    assert "Permission denied" in reply_of(server, folder, "127.0.0.1", 9)


def test_a_listener_that_the_rules_withdraw_is_closed(serve, folder, echo_server):
    kept, withdrawn = free_ports(2)
    path = folder / "withdrawn"
    rules = '[[user]]\nname = "me"\nlisten = [{}]\n'
    server = serve(rules=rules.format(f'"{kept}", "{withdrawn}", "unix:{path}"'))
    words = [f"{place}:127.0.0.1:{echo_server.port}" for place in (kept, withdrawn, path)]
    with client("culvert", server, folder, *(word for place in words for word in ("-R", place))) as process:
        process.wait_for("ready")
        with connect(withdrawn) as live:
            check_echo(live)
            write_whole(server.rules_file, rules.format(f'"{kept}"'))
            server.wait_for_log(f"may listen on {path} no longer: no rule allows")
            assert not is_open(withdrawn)
            check_echo(live)
            echo_both_ways(kept, 1000)


# ------------------------------------------------------------------------------------------------- whom it does not serve

def test_a_dead_session_gives_way_to_one_of_the_same_key(serve, folder, echo_server):
    server = serve("--allow-all")
    port = free_port()
    forward = ("-R", f"{port}:127.0.0.1:{echo_server.port}")
    with client("ssh", server, folder, *forward, ports=(port,)) as first:
        done = run(*client_command("culvert", server, folder, *forward)[1:])
        assert done.status == 255  # the first one lives
        server.wait_for_log("is held by another session of the same key, which is alive")
        os.kill(first.pid, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            with client("culvert", server, folder, *forward) as second:
                second.wait_for("culvert: ready")
                assert 1.5 < time.monotonic() - begun < 10
                echo_both_ways(port, 1000)
        finally:
            os.kill(first.pid, signal.SIGCONT)
    other = make_key(folder / "other")
    write_whole(server.keys_file, f"{public_part(server.user_keys[0])}\n{public_part(other)}\n")
    with client("ssh", server, folder, *forward, ports=(port,)) as first:
        os.kill(first.pid, signal.SIGSTOP)
        done = run(*client_command("culvert", server, folder, *forward, key=other)[1:])
        os.kill(first.pid, signal.SIGCONT)
        assert done.status == 255


def test_a_session_that_sends_is_alive(serve, folder, echo_server):
    """Its answer is behind much else, on a slow path."""
    server = serve("--allow-all")
    gate = Gate(server.port)
    gate.open()
    listens, local = free_port(), free_port()
    with Server(digest_sink) as sink, client("ssh", server, folder, "-R", f"{listens}:127.0.0.1:{echo_server.port}",
                                             "-L", f"{local}:127.0.0.1:{sink.port}", ports=(listens, local), port=gate.port):
        gate.up_rate = 60_000
        with connect(local) as s:
            s.settimeout(1)
            with contextlib.suppress(TimeoutError):
                while True:
                    s.sendall(b"z" * 65536)
            begun = time.monotonic()
            done = run(*client_command("culvert", server, folder, "-R", f"{listens}:127.0.0.1:9")[1:])
            assert done.status == 255
            assert time.monotonic() - begun < 10
        server.wait_for_log("is held by another session of the same key, which is alive")
        assert "took over" not in server.log
    gate.shut()


def test_the_same_culvert_has_its_listeners_back_at_once(serve, folder, echo_server):
    """Its path goes silent, and the server's end of it stands as before."""
    server = serve(rules='[[user]]\nname = "me"\nlisten = ["*"]\nmax_listeners = 1\n')
    gate = Gate(server.port)
    gate.open()
    port = free_port()
    forward = ("-R", f"{port}:127.0.0.1:{echo_server.port}")
    hasty = {"ServerAliveInterval": "1", "ServerAliveCountMax": "1"}
    with client("culvert", server, folder, *forward, ports=(port,), port=gate.port, options=hasty) as process:
        for count in (1, 2):
            with connect(port) as live:
                live.sendall(b"x")
                assert receive_exactly(live, 1) == b"x"
                gate.lose()
                process.wait_for("again after", count=count)
                back = time.monotonic()
                process.wait_for(f"remote localhost:{port} up again", count=count)
                assert time.monotonic() - back < 1  # others wait for two
                echo_both_ways(port, 1000)
                with contextlib.suppress(ConnectionResetError):
                    assert live.recv(1) == b""  # what the lost path carried is over
        server.wait_for_log("is the same culvert as", count=2)
        assert "does not answer" not in server.log and "the server refuses it" not in process.text
        done = run(*client_command("culvert", server, folder, *forward)[1:])
        assert done.status == 255  # the same key, another culvert
        server.wait_for_log("is held by another session of the same key, which is alive")
        echo_both_ways(port, 1000)
        assert process.text.count("connection lost") == 2
    gate.shut()


def test_what_a_dead_session_holds_does_not_count_against_the_next(serve, folder, echo_server):
    server = serve(rules='[[user]]\nname = "me"\nlisten = ["*"]\nmax_listeners = 1\n')
    port = free_port()
    forward = ("-R", f"{port}:127.0.0.1:{echo_server.port}")
    with client("ssh", server, folder, *forward, ports=(port,)) as first:
        os.kill(first.pid, signal.SIGSTOP)
        try:
            with client("culvert", server, folder, *forward) as second:
                second.wait_for("culvert: ready")
                echo_both_ways(port, 1000)
        finally:
            os.kill(first.pid, signal.SIGCONT)


def test_clients_that_are_killed_leave_nothing(serve, folder, echo_server):
    server = serve("--allow-all")
    descriptors = pathlib.Path(f"/proc/{server.process.pid}/fd")
    ports = [free_port() for _ in range(6)]
    before = len(list(descriptors.iterdir()))
    clients = []
    for i, port in enumerate(ports):
        local = free_port()
        process = Process(client_command(("ssh", "culvert")[i % 2], server, folder, "-R", f"{port}:127.0.0.1:{echo_server.port}",
                                         "-L", f"{local}:127.0.0.1:{echo_server.port}"),
                          env=environment(HOME=str(folder)), start_new_session=True)
        clients.append((process, port, local))
    streams = []
    for process, port, local in clients:
        for place in (port, local):
            wait_until(lambda p=place: is_open(p), process)
            s = connect(place)
            s.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"
            streams.append(s)
    assert len(list(descriptors.iterdir())) > before + 20
    for process, _, _ in clients:
        kill(process.pid, 9)
    wait_until(lambda: len(list(descriptors.iterdir())) <= before)
    assert not any(is_open(port) for port in ports)
    for s in streams:
        s.close()
    for process, _, _ in clients:
        process.stop()


def test_a_flood_without_logins_leaves_the_honest_their_way_in(serve, folder):
    server = serve("--allow-all")
    sockets = []
    for i in range(1000):
        s = socket.socket()
        s.setblocking(False)
        s.bind((f"127.{1 + i // 250}.{i % 250}.2", 0))
        s.connect_ex(("127.0.0.1", server.port))
        sockets.append(s)
    begun = time.monotonic()
    # By stock ssh: how long a client of ours takes to start, which is long under ASan, is not what is asked here.
    done = subprocess.run(client_command("ssh", server, folder, "-W", "127.0.0.1:9"), capture_output=True, text=True, timeout=60)
    assert "Connection refused" in done.stderr
    assert time.monotonic() - begun < 3  # one second of the issue, and the machine's own delays
    wait_until(lambda: len(list(pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir())) < 300)
    for s in sockets:
        s.close()


def test_who_fails_too_often_is_not_heard(serve, folder):
    stranger = make_key(folder / "stranger")
    server = serve("--allow-all", "-v")
    for _ in range(4):
        run(*client_command("culvert", server, folder, "-W", "127.0.0.1:9", key=stranger)[1:])
    wait_until(lambda: "not heard: penalized" in server.log or not run(
        *client_command("culvert", server, folder, "-W", "127.0.0.1:9", key=stranger)[1:]) is None and
        "not heard: penalized" in server.log)
    exempt = serve("--allow-all", "--exempt", "127.0.0.0/8")
    for _ in range(5):
        run(*client_command("culvert", exempt, folder, "-W", "127.0.0.1:9", key=stranger)[1:])
    assert "Connection refused" in reply_of(exempt, folder, "127.0.0.1", 9)


def test_a_login_that_takes_too_long(serve):
    server = serve("--allow-all", "--login-time", "1")
    with connect(server.port) as s:
        assert s.recv(100).startswith(b"SSH-2.0-")
        begun = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            while s.recv(4096):
                pass
        assert time.monotonic() - begun < 10


# ------------------------------------------------------------------------------------------------------------ bad input

def said(folder, *arguments) -> list[str]:
    done = run("serve", *arguments, env=environment(HOME=str(folder), XDG_CONFIG_HOME=str(folder / "config")), timeout=20)
    assert done.status == 255, done.stderr
    return done.lines


def test_what_is_refused_at_the_start(folder, host_keys, user_key):
    keys = folder / "keys"
    keys.write_text(public_part(user_key) + "\n")
    keys.chmod(0o600)
    good = ["-k", str(keys), "-l", "127.0.0.1:0"]
    open_key = folder / "open_key"
    shutil.copy(host_keys["ed25519"], open_key)
    open_key.chmod(0o644)
    locked = make_key(folder / "locked", passphrase="secret")
    rules = folder / "rules"
    rules.write_text('[[user]]\nname = "me"\nconect = []\n')
    rules.chmod(0o600)
    with Server(silent) as taken:
        for arguments, expected in (
                ([], "nobody could log in"), (["--no-such"], "--no-such"), (["-k"], "-k|authorized-keys"),
                (["-k", str(keys), "-l", "x:y:z"], "--listen"), ([*good, "--host-key", str(folder / "none")], "none"),
                ([*good, "--host-key", str(open_key)], "others may read it"),
                ([*good, "--host-key", str(locked)], "encrypted"),
                ([*good, "--host-key", str(host_keys["ed25519"]), "--host-certificate", str(keys)], "host certificate"),
                ([*good, "--host-key", str(host_keys["ed25519"]), "-r", str(rules)], "conect"),
                ([*good, "--exempt", "10.0.0.1/8"], "--exempt"), ([*good, "--login-time", "x"], "--login-time"),
                ([*good, "--banner", str(folder / "none")], "--banner"),
                (["-k", str(keys), "-l", f"127.0.0.1:{taken.port}", "--host-key", str(host_keys["ed25519"])],
                 "address already in use")):
            lines = said(folder, *arguments)
            assert len(lines) <= 3 and re.search(expected, lines[-1]), (arguments, lines)
            assert lines[-1].startswith("culvert: ")


def test_a_host_key_is_made_once(folder, user_key):
    keys = folder / "keys"
    keys.write_text(public_part(user_key) + "\n")
    keys.chmod(0o600)
    command = [binary(), "serve", "-k", str(keys), "--allow-all", "-l", "127.0.0.1:0"]
    env = environment(HOME=str(folder), XDG_CONFIG_HOME=str(folder / "config"))
    place = folder / "config/culvert/host_ed25519_key"
    if os.getuid() == 0:  # root's is beside the system's configuration, which is not ours to write to
        place = folder / "key"
        subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "true"], check=True)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        os.chown(keys, 65534, 65534)
        place = folder / "config/culvert/host_ed25519_key"
    shown = []
    for _ in range(2):
        with Process(command, env=env) as process:
            process.wait_for("culvert: ready")
            shown.append(re.search(r"host key ssh-ed25519 (SHA256:\S+)", process.text)[1])
    assert shown[0] == shown[1]
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    public = subprocess.run(["ssh-keygen", "-y", "-f", str(place)], capture_output=True, text=True, check=True).stdout
    (folder / "made.pub").write_text(public)
    assert fingerprint(folder / "made") == shown[0]


def test_many_streams_over_many_sessions(serve, folder, echo_server):
    server = serve("--allow-all")
    sessions = 5 if SMALL else 20
    with contextlib.ExitStack() as stack:
        ports = [free_port() for _ in range(sessions)]
        clients = [stack.enter_context(client(("culvert", "ssh")[i % 2], server, folder, "-L",
                                              f"{port}:127.0.0.1:{echo_server.port}")) for i, port in enumerate(ports)]
        for port, process in zip(ports, clients):
            wait_until(lambda p=port: is_open(p), process)
        waiting = [connect(port) for port in ports]  # some say nothing
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            list(pool.map(lambda i: echo_both_ways(ports[i % sessions], 20_000), range(400)))
        for s in waiting:
            s.close()


@pytest.mark.skipif(SMALL, reason="a sanitizer opens a pipe to check an object's type, and takes a lack of descriptors for "
                                  "a bad object")
def test_a_lack_of_descriptors_passes(serve, folder, echo_server):
    """Streams are refused and clients wait, until there are some again; who is there stays."""
    server = serve("--allow-all", prefix=("sh", "-c", 'ulimit -n 48 && exec "$0" "$@"'))
    port = free_port()
    with client("culvert", server, folder, "-L", f"{port}:127.0.0.1:{echo_server.port}") as process:
        process.wait_for("ready")
        with contextlib.ExitStack() as stack:
            streams = []
            for _ in range(80):
                with contextlib.suppress(ConnectionResetError):  # refused before connect() has returned
                    streams.append(stack.enter_context(connect(port)))
            process.wait_for("resource shortage")
            server.wait_for_log("connect failed: Too many open files")
            alive = 0
            for s in streams:
                with contextlib.suppress(OSError):
                    s.sendall(b"x")
                    alive += s.recv(1) == b"x"
            assert 10 <= alive < 48, process.text
        wait_until(lambda: echo_server.open_connections == 0)
        with connect(port) as s:
            echo_both_ways(port, 1000)
            s.sendall(b"x")
            assert receive_exactly(s, 1) == b"x"
        with client("ssh", server, folder, "-L", f"{free_port()}:127.0.0.1:9"):
            server.wait_for_log("logged in")

# SPDX-License-Identifier: Apache-2.0
"""`culvert map --kernel`: real traffic through a router that is a network namespace, what stands in its way, and the life of
its rules. Needs root."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from harness import sctp
from harness.culvert import SMALL, binary, environment, run
from harness.street import Street
from harness.clients import wait_until
from harness.processes import Process, children_of, kill
from harness.sockets import DEADLINE, receive_all, test_data

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nft")

ON = ("--enable-forwarding",)


@pytest.fixture
def street():
    with contextlib.ExitStack() as stack:
        yield Street(stack)


@contextlib.contextmanager
def mapped(street, *words, ready=True, ends=True):
    with Process(street.router.command(binary(), "map", "--kernel", *words), env=environment()) as culvert:
        if ready:
            culvert.wait_for("culvert: ready")
        yield culvert
        if ends and culvert.popen.poll() is None:
            culvert.signal(signal.SIGTERM)
            assert culvert.wait() == 0, culvert.text


def keeper_of(culvert):
    """The process that keeps the rules."""
    (keeper,) = children_of(culvert.pid)
    return keeper


def kill_all(culvert):
    """At once, as a lack of memory or of electricity does."""
    for process in (keeper_of(culvert), culvert.pid):
        kill(process, signal.SIGKILL)
    culvert.wait()


def listener(machine, address, port, backlog=16):
    return machine.does(lambda: socket.create_server((address, port), family=socket.AF_INET6 if ":" in address
                                                     else socket.AF_INET, backlog=backlog))


def bound(machine, address, port=0, kind=socket.SOCK_DGRAM, protocol=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = machine.does(lambda: socket.socket(family, kind, protocol))
    made.settimeout(DEADLINE)
    made.bind((address, port))
    return made


def connected(machine, address, port, timeout=DEADLINE):
    return machine.does(lambda: socket.create_connection((address, port), timeout))


def digest_through(street, machine, address, port, target, size=(1 if SMALL else 16) << 20):
    """Sends to `address`, where `target` answers with the digest of what it got; who came, as that saw it."""
    data = test_data(size)
    peer = []

    def serve():
        accepted, who = target.accept()
        peer.append(who[0])
        with accepted:
            accepted.settimeout(DEADLINE)
            accepted.sendall(hashlib.sha256(receive_all(accepted)).digest())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with connected(machine, address, port) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == hashlib.sha256(data).digest()
    thread.join(DEADLINE)
    return peer[0]


def passes(street, address=Street.OUTSIDE, port=8080, machine=None, timeout=1.0):
    """Whether a connection gets to port 80 of the server."""
    with listener(street.server, Street.SERVER, 80):
        try:
            connected(machine or street.client, address, port, timeout).close()
        except OSError:
            return False
        return True


@pytest.mark.parametrize("outside, client, server", [(Street.OUTSIDE, Street.CLIENT, Street.SERVER),
                                                     (Street.OUTSIDE6, Street.CLIENT6, Street.SERVER6)], ids=["v4", "v6"])
class TestTraffic:
    def test_streams(self, street, outside, client, server):
        host = f"[{server}]" if ":" in server else server
        with mapped(street, *ON, "*:8080", f"{host}:80", f"[{outside}]:8081", f"{host}:80") as culvert, \
                listener(street.server, server, 80) as target:
            assert digest_through(street, street.client, outside, 8080, target) == client
            assert digest_through(street, street.client, outside, 8081, target) == client
            assert digest_through(street, street.router, outside, 8080, target, 1000) in (Street.INSIDE, Street.INSIDE6)
            loopback = "::1" if ":" in outside else "127.0.0.1"
            assert digest_through(street, street.router, loopback, 8080, target, 1000) in (Street.INSIDE, Street.INSIDE6)
            culvert.signal(signal.SIGUSR1)
            counted = re.search(r": 2 connections, (\d+) bytes in (\d+) packets to the target, (\d+) in (\d+) back",
                                culvert.wait_for("2 connections"))
            assert int(counted[1]) > (1 << 20) and all(int(counted[i]) > 0 for i in (2, 3, 4)), counted[0]

    def test_datagrams_and_a_range(self, street, outside, client, server):
        host = f"[{server}]" if ":" in server else server
        with mapped(street, *ON, "udp/*:5000-5004", f"{host}:6000-6004"), contextlib.ExitStack() as stack:
            targets = [stack.enter_context(bound(street.server, server, 6000 + i)) for i in range(5)]
            for i, target in enumerate(targets):
                sender = stack.enter_context(bound(street.client, client))
                for size in (0, 1, 1200, 20_000):
                    data = test_data(size, seed=i)
                    sender.sendto(data, (outside, 5000 + i))
                    heard, who = target.recvfrom(65536)
                    assert (heard, who[0]) == (data, client)
                    target.sendto(data[::-1], who)
                    back, where = sender.recvfrom(65536)
                    assert (back, where[:2]) == (data[::-1], (outside, 5000 + i))

    def test_a_whole_protocol(self, street, outside, client, server):
        for protocol in (47, 253):
            with mapped(street, *ON, f"{protocol}/*", server), \
                    bound(street.server, server, kind=socket.SOCK_RAW, protocol=protocol) as target, \
                    bound(street.client, client, kind=socket.SOCK_RAW, protocol=protocol) as sender:
                skipped = 0 if ":" in server else 20  # the IPv4 header
                # Of GRE: no flags, version 0, IPv4 inside.
                data = bytes.fromhex("00000800") + test_data(1000)
                sender.sendto(data, (outside, 0))
                heard, who = target.recvfrom(65536)
                assert (heard[skipped:], who[0]) == (data, client)
                target.sendto(data[::-1] if protocol == 253 else data, (client, 0))
                back, where = sender.recvfrom(65536)
                assert back[skipped:] == (data[::-1] if protocol == 253 else data) and where[0] == outside

    def test_sctp(self, street, outside, client, server):
        host = f"[{server}]" if ":" in server else server
        skipped = 0 if ":" in server else 20
        with mapped(street, *ON, "sctp/*:5000", f"{host}:6000"), \
                bound(street.server, server, kind=socket.SOCK_RAW, protocol=sctp.PROTOCOL) as target, \
                bound(street.client, client, kind=socket.SOCK_RAW, protocol=sctp.PROTOCOL) as sender:
            def to_server(tag, chunks):
                sender.sendto(sctp.packet(4000, 5000, tag, chunks), (outside, 0))
                source, destination, got_tag, kind, body = sctp.read(target.recv(65536)[skipped:])
                assert (source, destination, got_tag) == (4000, 6000, tag)
                return kind, body

            def to_client(tag, chunks):
                target.sendto(sctp.packet(6000, 4000, tag, chunks), (client, 0))
                source, destination, got_tag, kind, body = sctp.read(sender.recv(65536)[skipped:])
                assert (source, destination, got_tag) == (5000, 4000, tag)
                return kind, body

            data = struct.pack(">IHHI", 1, 0, 0, 0) + test_data(1000)
            assert to_server(0, sctp.init(sctp.INIT, 11))[0] == sctp.INIT
            assert to_client(11, sctp.init(sctp.INIT_ACK, 22))[0] == sctp.INIT_ACK
            assert to_server(22, sctp.chunk(sctp.COOKIE_ECHO, b"cook"))[0] == sctp.COOKIE_ECHO
            assert to_client(11, sctp.chunk(sctp.COOKIE_ACK, b""))[0] == sctp.COOKIE_ACK
            assert to_server(22, sctp.chunk(sctp.DATA, data)) == (sctp.DATA, data)
            assert to_client(11, sctp.chunk(sctp.DATA, data)) == (sctp.DATA, data)


def test_dccp_is_refused_by_newer_kernels_and_said(street):
    with mapped(street, *ON, "dccp/*:5000", f"{Street.SERVER}:6000") as culvert:
        there = street.router.run("sh", "-c", "ls /proc/sys/net/netfilter")
        says = "the NAT of this kernel knows no DCCP (Linux has dropped it in 6.17): dccp/ does not work" in culvert.text
        assert says == ("nf_conntrack_dccp_timeout_open" not in there)


def test_a_target_on_this_machine_needs_no_forwarding(street):
    with mapped(street, "*:8080", f"{Street.INSIDE}:80") as culvert, listener(street.router, Street.INSIDE, 80) as target:
        assert digest_through(street, street.client, Street.OUTSIDE, 8080, target) == Street.CLIENT
        assert "warning" not in culvert.text
        culvert.signal(signal.SIGUSR1)
        culvert.wait_for(": 1 connections")


def test_masquerade(street):
    with mapped(street, *ON, "--masquerade", "*:8080", f"{Street.SERVER}:80"), \
            listener(street.server, Street.SERVER, 80) as target:
        assert digest_through(street, street.client, Street.OUTSIDE, 8080, target) == Street.INSIDE


def test_a_target_that_may_answer_past_us(street):
    line = (f"culvert: warning: {Street.CLIENT} is on out, where clients come from too, and may answer them past this machine: "
            "--masquerade lets it see this machine as the client")
    with mapped(street, *ON, "*:8080", f"{Street.CLIENT}:80") as culvert:
        assert line in culvert.lines
    with mapped(street, *ON, "--masquerade", "*:8080", f"{Street.CLIENT}:80") as culvert:
        assert "warning" not in culvert.text


def test_forwarding_that_is_off(street):
    def setting():
        return street.router.run("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding").split()

    words = ("*:8080", f"{Street.SERVER}:80", "*:8081", f"[{Street.SERVER6}]:80")
    with mapped(street, *words) as culvert:
        for name, server in (("net.ipv4.ip_forward", Street.SERVER), ("net.ipv6.conf.all.forwarding", Street.SERVER6)):
            assert (f"culvert: warning: {name} is 0, so nothing is passed on to {server}: --enable-forwarding sets it while "
                    "culvert runs") in culvert.lines
        assert not passes(street)
        for _ in range(10):  # what is gone and back before the next look, a second later, is not told again
            street.router.run("sysctl", "net.ipv4.ip_forward=1")
            assert passes(street)
            time.sleep(1)
            street.router.run("sysctl", "net.ipv4.ip_forward=0")
            with contextlib.suppress(AssertionError):
                culvert.wait_for("warning: net.ipv4.ip_forward is 0", timeout=3, count=2)
                break
        else:
            pytest.fail(culvert.text)
    with mapped(street, *ON, *words):
        assert passes(street) and setting() == ["1", "1"]
    assert setting() == ["0", "0"]
    with mapped(street, *ON, *words, ends=False) as culvert:
        kill_all(culvert)
        assert setting() == ["1", "1"]
        street.router.run(binary(), "map", "--clean")
        assert setting() == ["0", "0"] and street.router.tables() == ""


def test_forwarding_of_single_interfaces(street):
    own = [f"net.ipv4.conf.{name}.forwarding" for name in ("out", "in")]
    street.router.run("sysctl", *(f"{name}=1" for name in own))
    with mapped(street, "*:8080", f"{Street.SERVER}:80") as culvert:
        assert "warning" not in culvert.text and passes(street)
    with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80", "*:8081", f"[{Street.SERVER6}]:80") as culvert:
        assert "ip_forward" not in culvert.text
        # Somebody switches all of it off.
        street.router.run("sysctl", "net.ipv4.ip_forward=1")
        street.router.run("sysctl", "net.ipv4.ip_forward=0")
        culvert.wait_for("net.ipv4.ip_forward was 0: set it to 1")
        assert passes(street)
    assert street.router.run("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding").split() == ["0", "0"]

    street.router.run("sysctl", "net.ipv4.ip_forward=1")
    street.router.run("sysctl", f"{own[1]}=0")
    with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80") as culvert:
        assert ("culvert: warning: net/ipv4/conf/in/forwarding is 0, so nothing that arrives there is passed on to "
                f"{Street.SERVER} or back: sysctl net/ipv4/conf/in/forwarding=1") in culvert.lines


FILTER = """table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan0" accept
  }
}
"""
FIREWALLD = """table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    iifname "lo" accept
    jump filter_FORWARD_ZONES
    ct state { invalid } drop
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_ZONES {
    iifname "out" goto filter_FWD_public
  }
  chain filter_FWD_public {
    meta l4proto { icmp, ipv6-icmp } accept
  }
}
"""
DROPS = "drops what its own rules do not accept, whatever other tables accept; to let mapped connections through: "


def test_a_filter_that_drops(street):
    street.router.nft(FILTER)
    with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80") as culvert:
        remedy = "nft insert rule inet filter forward ct status dnat accept"
        assert f"culvert: warning: table inet filter, chain forward, {DROPS}{remedy}" in culvert.lines
        assert not passes(street)
        street.router.run(*remedy.split())
        assert passes(street)
        time.sleep(1.5)  # others' rules are looked at once a second at most: so it has seen that they let them through
        # It is said again when it comes again, without a restart.
        street.router.nft("flush ruleset\n" + FILTER)
        culvert.wait_for(remedy, count=2)
    street.router.run(*remedy.split())
    with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80") as culvert:
        assert "warning" not in culvert.text


def test_firewalld_that_is_strict(street):
    street.router.nft(FIREWALLD)
    with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80") as culvert:
        assert (f"culvert: warning: firewalld: table inet firewalld, chain filter_FORWARD, {DROPS}StrictForwardPorts=no in "
                "/etc/firewalld/firewalld.conf, then: firewall-cmd --reload") in culvert.lines
        assert not passes(street)
    # As it is by default, and with that setting.
    street.router.nft("flush ruleset\n" + FIREWALLD.replace('iifname "lo"', 'ct status dnat accept\niifname "lo"'))
    with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80") as culvert:
        assert "warning" not in culvert.text and passes(street)


def test_a_table_that_belongs_to_a_process(street):
    owner = subprocess.Popen(street.router.command("nft", "-i"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        owner.stdin.write("add table inet own { flags owner; }\n"
                          "add chain inet own forward { type filter hook forward priority 0; policy drop; }\n")
        owner.stdin.flush()
        with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80") as culvert:
            culvert.wait_for(f"table inet own, chain forward, {DROPS}the table belongs to a process, which has to "
                             "begin the chain with: ct status dnat accept")
    finally:
        owner.stdin.close()
        owner.wait(DEADLINE)


@pytest.mark.skipif(shutil.which("iptables-nft") is None, reason="needs iptables-nft")
def test_docker(street):
    for rule in ("-P FORWARD DROP", "-N DOCKER-USER", "-N DOCKER-FORWARD", "-A FORWARD -j DOCKER-USER",
                 "-A FORWARD -j DOCKER-FORWARD", "-A DOCKER-FORWARD -i docker0 -j ACCEPT",
                 "-A DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"):
        street.router.run("iptables-nft", *rule.split())
    with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80") as culvert:
        remedy = "iptables -I DOCKER-USER -m conntrack --ctstate DNAT -j ACCEPT"
        assert f"culvert: warning: Docker: table ip filter, chain FORWARD, {DROPS}{remedy}" in culvert.lines
        assert not passes(street)
        street.router.run("iptables-nft", *remedy.split()[1:])
        assert passes(street)
        assert "DOCKER-USER" in street.router.run("iptables-nft", "-S")
    with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80") as culvert:
        assert "warning" not in culvert.text


def test_rules_come_back_and_others_stay(street):
    street.router.nft("add table inet mine\nadd chain inet mine c")
    with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80") as culvert:
        whole = street.router.run("nft", "-s", "list", "table", "inet", "culvert")
        for harm in ("delete table inet culvert", "flush ruleset", "flush chain inet culvert translate",
                     "delete element inet culvert tcp4 { 8080 }"):
            street.router.nft(harm)
            begun = time.monotonic()
            while street.router.run("nft", "-s", "list", "table", "inet", "culvert", check=False) != whole:
                assert time.monotonic() - begun < DEADLINE, harm
            print(f"{harm}: {(time.monotonic() - begun) * 1000:.0f} ms")
        assert passes(street)
        assert "culvert: warning: somebody has changed table inet culvert: put it back" in culvert.lines
        # Another table is loaded anew, and ours is as it was.
        said = len(culvert.lines)
        street.router.nft("add table inet mine\ndelete table inet mine\nadd table inet mine\nadd chain inet mine d")
        assert street.router.run("nft", "-s", "list", "table", "inet", "culvert") == whole
        assert len(culvert.lines) == said and passes(street)
    assert street.router.tables() == "table inet mine\n"


def test_the_rules_go_with_who_forwards(street):
    with mapped(street, *ON, "*:8080", f"{Street.SERVER}:80", ends=False) as culvert:
        assert passes(street)
        culvert.popen.kill()
        culvert.wait()
        wait_until(lambda: street.router.tables() == "" and street.router.run("sysctl", "-n", "net.ipv4.ip_forward") == "0\n")


def test_who_forwards_goes_with_the_rules(street):
    with mapped(street, "*:8080", f"{Street.SERVER}:80", ends=False) as culvert:
        kill(keeper_of(culvert), 9)
        assert culvert.wait() == 255
        assert culvert.lines[-1] == ("culvert: the helper that keeps the rules has ended, and may have left them: the next start "
                                     "removes them, or 'culvert map --clean'")
    street.router.run(binary(), "map", "--clean")


def test_what_a_killed_one_leaves_behind(street):
    words = ("*:8080", f"{Street.SERVER}:80")
    for _ in range(2):
        with mapped(street, *words, ends=False) as culvert:
            kill_all(culvert)
        assert street.router.tables() == "table inet culvert\n"
    with mapped(street, "*:9090", f"{Street.SERVER}:80") as culvert:
        assert "culvert: removed table inet culvert, which was left behind" in culvert.lines
        assert "8080" not in street.router.run("nft", "list", "table", "inet", "culvert")
        # What lives is nobody's leftover.
        street.router.run(binary(), "map", "--clean")
        assert street.router.tables() == "table inet culvert\n"
    assert street.router.tables() == ""


def test_persist(street):
    words = ("--persist", *ON, "*:8080", f"{Street.SERVER}:80")
    with mapped(street, *words):
        pass
    assert passes(street)
    with mapped(street, "*:9090", f"{Street.SERVER}:80") as culvert:
        tables = "table inet culvert\ntable inet culvert-2\ntable inet culvert-forwarding\n"
        assert street.router.tables() == tables
        with mapped(street, *words, ends=False) as again:  # an upgrade in place
            assert "culvert: map tcp/*:8080 -> 10.83.72.5:80 up, in the kernel, for IPv4 alone" in again.lines
            assert street.router.tables() == tables
        assert "left behind" not in culvert.text
    assert passes(street)
    done = subprocess.run(street.router.command(binary(), "map", "--clean"), capture_output=True, text=True, timeout=DEADLINE,
                          check=True)
    assert done.stderr.splitlines()[-1] == "culvert: removed table inet culvert, which was left behind"
    assert street.router.tables() == "" and not passes(street)


def with_files(street, folder, *words, **texts):
    """Of /etc, it alone sees these: hosts, nsswitch_conf, resolv_conf."""
    mounts = ""
    for name, text in texts.items():
        file = folder / name
        file.write_text(text)
        file.chmod(0o644)
        mounts += f"mount --bind {file} /etc/{name.replace('_', '.')} && "
    return Process(street.router.command("unshare", "-m", "sh", "-c", f'{mounts} exec "$@"', "sh", binary(), "map", "--kernel",
                                         *words), env=environment())


# Names are looked up every 30 seconds.
@pytest.mark.full
def test_a_name_with_another_address(street, folder):
    hosts = folder / "hosts"
    with with_files(street, folder, *ON, "*:8080", "web.culvert:80", "*:8081", "gone.culvert:80", nsswitch_conf="hosts: files\n",
                    hosts=f"192.0.2.99 web.culvert\n{Street.SERVER} gone.culvert\n") as culvert:
        culvert.wait_for("ready")
        assert not passes(street)
        hosts.write_text(f"{Street.SERVER} web.culvert\n")
        culvert.wait_for("names have other addresses now: changed table inet culvert")
        assert passes(street)
        # What is not known now stays.
        culvert.wait_for("cannot resolve gone.culvert: ")
        assert passes(street, port=8081)
        # One of several stays. Another family is another address, and needs its own forwarding.
        assert street.router.run("sysctl", "-n", "net.ipv6.conf.all.forwarding") == "0\n"
        hosts.write_text(f"192.0.2.99 web.culvert\n{Street.SERVER} web.culvert\n{Street.SERVER6} web.culvert\n")
        culvert.wait_for("names have other addresses now", count=2, timeout=60)
        assert passes(street)
        culvert.wait_for("net.ipv6.conf.all.forwarding was 0: set it to 1")


@pytest.mark.skipif(SMALL, reason="takes as long")
def test_a_name_server_that_is_silent(street, folder):
    words = ("*:8080", "web.culvert:80")
    with bound(street.router, "127.0.0.53", 53) as silent, \
            with_files(street, folder, *words, hosts=f"{Street.SERVER} web.culvert\n", nsswitch_conf="hosts: files dns\n",
                       resolv_conf="nameserver 127.0.0.53\noptions timeout:30 attempts:2\n") as culvert:
        culvert.wait_for("ready")
        (folder / "hosts").write_text("")
        silent.settimeout(60)
        silent.recvfrom(512)
        street.router.nft("flush ruleset")
        culvert.wait_for("somebody has changed table inet culvert: put it back")
        begun = time.monotonic()
        culvert.signal(signal.SIGTERM)
        assert culvert.wait() == 0 and time.monotonic() - begun < 5
        assert street.router.tables() == ""


def test_the_same_port_twice(street):
    with mapped(street, "*:8080", f"{Street.SERVER}:80"):
        with mapped(street, "*:8080", f"{Street.SERVER}:81", ready=False) as second:
            assert second.wait() == 255
            assert second.lines[-1] == (f"culvert: cannot map tcp/*:8080 -> {Street.SERVER}:81: another culvert does already "
                                        "(table inet culvert)")
    with mapped(street, f"{Street.OUTSIDE}:8080", f"{Street.SERVER}:80"):
        with mapped(street, f"{Street.OUTSIDE}:8080", f"{Street.SERVER}:81", ready=False) as second:
            assert second.wait() == 255
            assert second.lines[-1] == (f"culvert: cannot map tcp/{Street.OUTSIDE}:8080 -> {Street.SERVER}:81: another culvert "
                                        "does already (table inet culvert)")


def test_who_fails_or_is_stopped_early_leaves_nothing(street):
    words = street.router.command(binary(), "map", "--kernel", *ON, "*:8080", f"{Street.SERVER}:80")
    with listener(street.router, "127.0.0.1", 9090):
        done = subprocess.run([*words, "9090", f"{Street.SERVER}:80"], capture_output=True, text=True, timeout=DEADLINE,
                              check=False)
        assert done.returncode == 255 and "address already in use" in done.stderr
        assert street.router.tables() == ""
    for delay in range(0, 60, 3):
        with Process(words, env=environment()) as culvert:
            time.sleep(delay / 1000)
            culvert.signal(signal.SIGTERM)
            culvert.wait()
        assert street.router.tables() == "" and street.router.run("sysctl", "-n", "net.ipv4.ip_forward") == "0\n"


def test_a_port_of_loopback_that_is_taken(street):
    with listener(street.router, "127.0.0.1", 8080), mapped(street, *ON, "*:8080", f"[{Street.SERVER6}]:80") as culvert, \
            listener(street.server, Street.SERVER6, 80) as target:
        assert any(line.startswith("culvert: warning: cannot listen on 127.0.0.1:8080: address already in use") and
                   line.endswith("; going on without") for line in culvert.lines), culvert.text
        assert f"culvert: map tcp/*:8080 -> [{Street.SERVER6}]:80 up, in the kernel, for IPv6 alone" in culvert.lines
        assert digest_through(street, street.client, Street.OUTSIDE6, 8080, target, 1000) == Street.CLIENT6


def test_a_thousand_mappings(street):
    words = [word for i in range(1000) for word in (f"{Street.OUTSIDE}:{20000 + i}", f"{Street.SERVER}:80")]
    begun = time.monotonic()
    with mapped(street, *ON, *words, "*:8080", f"{Street.SERVER}:80") as culvert:
        print(f"ready after {(time.monotonic() - begun) * 1000:.0f} ms")
        assert passes(street, port=20000) and passes(street, port=20999) and passes(street)
        culvert.signal(signal.SIGUSR1)
        culvert.wait_for(f"tcp/{Street.OUTSIDE}:20999 -> {Street.SERVER}:80: 1 connections")


def test_the_log_for_programs(street):
    with Process(street.router.command(binary(), "map", "--kernel", *ON, "--log-format", "json", "*:8080",
                                       f"{Street.SERVER}:80"), env=environment()) as culvert:
        culvert.wait_for('"event":"ready"')
        assert passes(street)
        culvert.signal(signal.SIGTERM)
        assert culvert.wait() == 0
        events = [json.loads(line) for line in culvert.lines]
        up = next(event for event in events if event["event"] == "forward_up" and "table" in event)
        assert (up["mapping"], up["table"]) == ("tcp/*:8080 -> 10.83.72.5:80", "culvert")
        traffic = next(event for event in events if event["event"] == "traffic")
        assert (traffic["mapping"], traffic["connections"]) == (up["mapping"], 1)
        assert traffic["bytes_to"] > 40 and traffic["packets_back"] > 1


def test_its_rights(street):
    with mapped(street, "*:80", f"{Street.SERVER}:80") as culvert:
        for process, capabilities in ((culvert.pid, 0), (keeper_of(culvert), 1 << 12)):
            status = dict(line.split(":\t", 1) for line in open(f"/proc/{process}/status", encoding="utf-8") if ":\t" in line)
            assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == capabilities
            assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2" and "0" not in status["Uid"].split()


def test_without_rights():
    unprivileged = ["setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set", "-all"]
    done = subprocess.run([*unprivileged, binary(), "map", "--kernel", "*:8080", "192.0.2.9:80"], capture_output=True, text=True,
                          timeout=DEADLINE, check=False)
    assert (done.returncode, done.stderr) == (255, (
        "culvert: map --kernel needs CAP_NET_ADMIN: start it as root, or give culvert that with 'setcap cap_net_admin+ep'; "
        "without --kernel the same mappings work in user space\n"))
    done = subprocess.run([*unprivileged, binary(), "map", "--kernel", "--print", "*:8080", "192.0.2.9:80"],
                          capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert "      8080 : 192.0.2.9 . 80\n" in done.stdout and done.stderr == ""


def test_what_is_printed_can_be_loaded(street):
    words = ("--kernel", "--print", "*:8080", f"{Street.SERVER}:80", "udp/192.0.2.1:1-100", f"{Street.SERVER}:1001-1100", "47/*",
             Street.SERVER6)
    street.router.nft(run("map", *words).stdout.decode())
    assert street.router.tables() == "table inet culvert\n"
    street.router.run(binary(), "map", "--clean")
    assert street.router.tables() == ""


@pytest.mark.parametrize("words, line", [
    (("8080", "192.0.2.9:80"), "map: nothing for --kernel to do: without a bind address, port is on this machine alone (say "
     "*:port), and the kernel does not map loopback"),
    (("--rate-in", "5M", "*:80", "192.0.2.9:80"), "map: --rate-in is for user space: it does not go with --kernel"),
    (("*:80", "192.0.2.9:80", "*:80", "192.0.2.8:80"), "two forwards listen at tcp port 80"),
    (("sctp/*:80", "192.0.2.9:80", "sctp/*:79-80", "192.0.2.8:79-80"),
     "sctp/*:80 -> 192.0.2.9:80 and sctp/*:79-80 -> 192.0.2.8:79-80 take the same port"),
    (("--print", "*:80", "127.0.0.1:80"), "cannot map tcp/*:80 -> 127.0.0.1:80 in the kernel: 127.0.0.1 is a loopback address, "
     "where packets from elsewhere do not go (without --kernel it works)"),
    (("--print", "192.0.2.1:80", "[2001:db8::1]:80"), "cannot map tcp/192.0.2.1:80 -> [2001:db8::1]:80 in the kernel: a packet "
     "keeps its family, and 2001:db8::1 has no address of that of 192.0.2.1"),
    (("--print", "*:80", "nosuch.invalid:80"), "cannot resolve nosuch.invalid: "),
    (("--clean", "*:80", "192.0.2.9:80"), "map: --clean takes no mapping"),
])
def test_bad_input_is_one_line(words, line, street):
    done = subprocess.run(street.router.command(binary(), "map", "--kernel", *words), capture_output=True, text=True,
                          timeout=DEADLINE, check=False)
    said = [one for one in done.stderr.splitlines() if not one.startswith("culvert: runs as ")]
    assert done.returncode == 255 and len(said) == 1 and said[0].startswith("culvert: " + line), done.stderr

# SPDX-License-Identifier: Apache-2.0
"""culvert open: a home router in namespaces (harness/home.py): miniupnpd, and ones of our own that do wrong."""

import contextlib
import json
import pathlib
import re
import signal
import sys
import time

import pytest

from harness.culvert import ROOT, SMALL, binary, environment
from harness.home import (FLUSH, MACHINE, MACHINE_V6, OUTSIDE_OF_ROUTER, ROUTER, ROUTER_V6, Home, needs_short_leases)
from harness.keys import make_key, public_part
from harness.processes import Process, kill

ECHO = "import socket,sys\ns=socket.socket(socket.AF_INET6); s.setsockopt(41,26,0); s.bind(('::',int(sys.argv[1]))); s.listen()\n" \
       "print('up',file=sys.stderr,flush=True)\nwhile True:\n c,a=s.accept(); c.sendall(b'from '+c.recv(100)); c.close()\n"
ASK = "import socket,sys\nc=socket.create_connection((sys.argv[1],int(sys.argv[2])),float(sys.argv[3])); c.sendall(b'here'); print(c.recv(100).decode())"


@pytest.fixture
def home(folder):
    home = Home(pathlib.Path(folder))
    try:
        home.up()
        yield home
    finally:
        home.down()


def opening(home: Home, *arguments: str):
    return home.process(home.machine, binary(), "open", *arguments, env=environment(XDG_RUNTIME_DIR=str(home.folder)))


@contextlib.contextmanager
def service(home: Home, port: int = 8080, namespace: str | None = None):
    with home.process(namespace or home.machine, sys.executable, "-c", ECHO, str(port)) as server:
        server.wait_for("up")
        yield


def is_reached(home: Home, address: str = OUTSIDE_OF_ROUTER, port: int = 8080, patience: float = 5) -> bool:
    try:
        return home.run(home.outside, sys.executable, "-c", ASK, address, str(port), str(patience)).strip() == "from here"
    except AssertionError:
        return False


@contextlib.contextmanager
def fake(home: Home, *behaviour: str, namespace: str | None = None, address: str = ROUTER):
    program = str(ROOT / "tests/python/harness/fake_router.py")
    with home.process(namespace or home.router, sys.executable, program, address, *behaviour) as router:
        router.wait_for("router is up")
        yield router


def end(culvert, number: int = signal.SIGTERM) -> int:
    kill(culvert.pid, number)
    return culvert.wait(10)


@pytest.mark.parametrize("settings, by", [((), "PCP"), (("enable_natpmp=no",), "UPnP"),
                                          (("enable_natpmp=no", "force_igd_desc_v1=yes"), "UPnP")], ids=["pcp", "igd2", "igd1"])
def test_a_port_is_open_as_long_as_it_runs(home, settings, by):
    with home.miniupnpd(*settings), service(home):
        assert not is_reached(home, patience=1)
        with opening(home, "8080") as culvert:
            line = culvert.wait_for("open ")
            assert line == f"culvert: open {OUTSIDE_OF_ROUTER}:8080 -> {MACHINE}:8080 up ({by}, router {ROUTER})"
            culvert.wait_for("ready")
            assert is_reached(home)
            culvert.signal(signal.SIGUSR1)
            culvert.wait_for("more if not renewed")
            assert re.fullmatch(rf"culvert: open {OUTSIDE_OF_ROUTER}:8080 -> {MACHINE}:8080 for \d+ s more if not renewed "
                                rf"\({by}, router {ROUTER}\)", culvert.lines[-1]), culvert.text
            assert end(culvert) == 0
        assert not is_reached(home, patience=1)
        assert "8080" not in home.run(home.router, "nft", "list", "ruleset")


@pytest.mark.parametrize("settings, longest", [((), 120), (("enable_natpmp=no",), 600)], ids=["pcp", "upnp"])
def test_who_is_stopped_while_asking_leaves_nothing(home, settings, longest):
    """Also what the router gives after that."""
    with home.miniupnpd(*settings), service(home):
        for i in range(6 if SMALL else 10):
            with opening(home, "8080") as culvert:
                time.sleep(i * longest / 10 / 1000)
                end(culvert, signal.SIGINT)
            assert "8080" not in home.run(home.router, "nft", "list", "ruleset"), culvert.text


@pytest.mark.parametrize("settings, by", [((), "PCP"), (("enable_natpmp=no",), "UPnP")], ids=["pcp", "igd2"])
def test_a_pinhole_lets_ipv6_in(home, settings, by):
    home.with_ipv6()
    if by == "UPnP":  # miniupnpd speaks PCP with IPv6, whatever its settings say
        home.run(home.router, "nft", "add chain inet filter in { type filter hook input priority 0; }; "
                 "add rule inet filter in udp dport 5351 reject")
    with home.miniupnpd(*settings), service(home):
        assert not is_reached(home, MACHINE_V6, patience=1)
        with opening(home, "8080") as culvert:
            culvert.wait_for(f"open [{MACHINE_V6}]:8080 -> [{MACHINE_V6}]:8080 up ({by}, router {ROUTER_V6})")
            culvert.wait_for(f"open {OUTSIDE_OF_ROUTER}:8080")
            assert is_reached(home, MACHINE_V6)
            assert is_reached(home)
            assert end(culvert) == 0
        deadline = time.monotonic() + 10  # one that the router does not end runs out
        while is_reached(home, MACHINE_V6, patience=1) and time.monotonic() < deadline:
            pass
        assert not is_reached(home, MACHINE_V6, patience=1)


def test_a_pinhole_of_a_router_with_a_link_local_address(home):
    """As routers announce themselves."""
    link_local = re.search(r"inet6 (fe80\S+)/64", home.run(home.router, "ip", "addr", "show", "dev", "lan"))[1]
    home.ip(home.machine, "-6", "route", "add", "default", "via", link_local, "dev", "lan")
    with home.miniupnpd(), service(home), opening(home, "8080") as culvert:
        culvert.wait_for(f"open [{MACHINE_V6}]:8080 -> [{MACHINE_V6}]:8080 up (PCP, router {link_local}%lan)")
        assert is_reached(home, MACHINE_V6)


def test_nobody_who_listens_is_told(home):
    with home.miniupnpd(), service(home, 8443), opening(home, "8080", "8443") as culvert:
        culvert.wait_for(f"nobody listens at tcp {MACHINE}:8080 yet (what listens on this machine alone is reached with --to localhost:8080)")
        assert "nobody listens at tcp 192.168.77.2:8443" not in culvert.text


def test_udp_and_ranges(home):
    with home.miniupnpd(), opening(home, "7000-7002/tcp+udp", "9000/udp") as culvert:
        culvert.wait_for("ready")
        for port in (7000, 7001, 7002):
            culvert.wait_for(f"open {OUTSIDE_OF_ROUTER}:{port} -> {MACHINE}:{port} up")
            culvert.wait_for(f"open udp {OUTSIDE_OF_ROUTER}:{port} -> udp {MACHINE}:{port} up")
        culvert.wait_for(f"open udp {OUTSIDE_OF_ROUTER}:9000")


@pytest.mark.waits
@pytest.mark.parametrize("settings", [(), pytest.param(("enable_natpmp=no",), marks=pytest.mark.full)], ids=["pcp", "upnp"])
def test_it_is_renewed_and_otherwise_runs_out(home, settings):
    if not settings:
        needs_short_leases()
    with home.miniupnpd(*settings, "max_lifetime=86400"), service(home), opening(home, "8080", "--lifetime", "10", "-v") as culvert:
        begin = time.monotonic()
        culvert.wait_for("ready")
        culvert.wait_for("renewed", count=2)
        culvert.wait_for("renewed", count=3)
        while time.monotonic() < begin + 14:
            time.sleep(0.2)
        assert is_reached(home)
        end(culvert, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while is_reached(home, patience=1) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert not is_reached(home, patience=1)


@pytest.mark.waits
def test_a_router_that_starts_again_is_asked_again(home):
    with service(home), opening_after(home) as culvert:
        home.run(home.router, "nft", FLUSH)
        time.sleep(2.5)  # its epoch begins anew; an earlier one of two seconds could be a clock's
        with home.miniupnpd():
            culvert.wait_for(f"router {ROUTER} has started again", timeout=30)
            deadline = time.monotonic() + 20
            while not is_reached(home, patience=1) and time.monotonic() < deadline:
                time.sleep(0.3)
            assert is_reached(home)


def test_what_upnp_has_lost_is_opened_again(home):
    with service(home), opening_after(home, "enable_natpmp=no") as culvert:
        home.run(home.router, "nft", FLUSH)
        (home.folder / "leases").unlink(missing_ok=True)
        with home.miniupnpd("enable_natpmp=no"):
            home.ip(home.machine, "addr", "add", "192.168.77.3/24", "dev", "lan")  # it looks when networks change, not once a minute only
            culvert.wait_for(f"router {ROUTER} has started again", timeout=30)
            deadline = time.monotonic() + 20
            while not is_reached(home, patience=1) and time.monotonic() < deadline:
                time.sleep(0.3)
            assert is_reached(home)


@contextlib.contextmanager
def opening_after(home, *settings):
    """One whose router has just ended without a word."""
    with contextlib.ExitStack() as stack:
        with home.miniupnpd(*settings) as daemon:
            culvert = stack.enter_context(opening(home, "8080"))
            culvert.wait_for("ready")
            time.sleep(3)
            kill(daemon.pid, signal.SIGKILL)
        yield culvert


@pytest.mark.waits
def test_a_changed_address_outside_is_told(home):
    needs_short_leases()
    with home.miniupnpd() as daemon, opening(home, "8080", "--lifetime", "10") as culvert:
        culvert.wait_for("ready")
        home.ip(home.router, "addr", "del", f"{OUTSIDE_OF_ROUTER}/24", "dev", "wan")
        home.ip(home.router, "addr", "add", "11.0.0.6/24", "dev", "wan")
        kill(daemon.pid, signal.SIGUSR1)
        culvert.wait_for(f"open 11.0.0.6:8080 -> {MACHINE}:8080 now (it was {OUTSIDE_OF_ROUTER}:8080)", timeout=30)


def test_a_refusal_is_explained(home):
    with fake(home, "refuse", "upnp"), opening(home, "8080") as culvert:
        assert culvert.wait(20) == 255
        assert (f"cannot open tcp 8080: router {ROUTER}: PCP: it does not allow that (its settings may have a switch for UPnP or port "
                "mapping); NAT-PMP: no answer; UPnP: it does not allow that (error 606) (switch UPnP or PCP on in the router's "
                f"settings, or forward the port there by hand to {MACHINE})") in culvert.text


def test_a_port_that_the_router_does_not_give(home):
    with home.miniupnpd("deny 8080-8089 0.0.0.0/0 1-65535"), opening(home, "8080") as culvert:
        culvert.wait_for("since 8080 could not be had")


def test_without_a_router_there_is_nobody_to_ask(home):
    home.ip(home.machine, "route", "del", "default")
    with opening(home, "8080") as culvert:
        assert culvert.wait(10) == 255
        assert "there is no router to open ports: no default route" in culvert.text


def test_a_router_that_knows_nothing(home):
    begin = time.monotonic()
    with opening(home, "8080") as culvert:
        assert culvert.wait(20) == 255
    assert "PCP: it does not speak it; NAT-PMP: it does not speak it; UPnP: no answer" in culvert.text
    assert time.monotonic() - begin < 8


def test_nat_pmp_where_pcp_is_not_known(home):
    with fake(home, "nat-pmp"), opening(home, "8080") as culvert:
        culvert.wait_for(f"open {OUTSIDE_OF_ROUTER}:8080 -> {MACHINE}:8080 up (NAT-PMP, router {ROUTER})")
        culvert.wait_for("ready")
        assert end(culvert) == 0


@pytest.mark.parametrize("address, why", [("100.64.3.2", "carrier-grade NAT"), ("192.168.1.5", "double NAT"), ("10.0.0.4", "double NAT")])
def test_an_address_that_nobody_reaches_is_explained(home, address, why):
    with fake(home, "pcp", f"address={address}"), opening(home, "8080") as culvert:
        assert why in culvert.wait_for(f"router {ROUTER} is {address} outside")


def test_leases_without_an_end(home):
    with fake(home, "permanent") as router, opening(home, "8080") as culvert:
        culvert.wait_for("up (UPnP")
        router.wait_for("'NewLeaseDuration': '0'")
        culvert.wait_for("ready")
        assert end(culvert) == 0
        router.wait_for("DeletePortMapping {'NewExternalPort': '8080'}")


def look(home: Home) -> None:
    """UPnP is looked at when something changes on the way, not once a minute only."""
    home.ip(home.machine, "addr", "add", "192.168.77.3/24", "dev", "lan")


def test_a_router_of_upnp_that_moves_is_found_again(home):
    with fake(home, "upnp") as router, opening(home, "8080") as culvert:
        culvert.wait_for("ready")
        kill(router.pid, signal.SIGKILL)
        router.wait(10)
        with fake(home, "upnp", "port=5001") as moved:
            look(home)
            moved.wait_for("AddPortMapping")
            culvert.wait_for(f"router {ROUTER} has started again")
            assert end(culvert) == 0
            moved.wait_for("DeletePortMapping")


def test_a_port_that_a_router_was_too_slow_to_tell_of_is_closed(home):
    with fake(home, "upnp", "late=4") as router, opening(home, "8080") as culvert:
        culvert.wait_for("no answer in time", timeout=20)
        assert culvert.wait(20) == 255
        router.wait_for("DeletePortMapping {'NewExternalPort': '8080'}")


def test_a_route_that_is_back_before_its_router_was_let_go(home):
    with fake(home, "pcp", "late=0.5") as router, opening(home, *map(str, range(7001, 7007))) as culvert:
        culvert.wait_for("ready")
        culvert.wait_for("up (PCP", count=6)
        route = ("default", "via", ROUTER)
        home.ip(home.machine, "route", "del", *route)
        culvert.wait_for("closing what it has open")
        router.wait_for("lifetime 0")
        home.ip(home.machine, "route", "add", *route)
        culvert.wait_for("up (PCP", count=12, timeout=30)


def test_a_port_that_somebody_else_has_taken_is_left_to_him(home):
    with fake(home, "taken") as router, opening(home, "8080") as culvert:
        culvert.wait_for("ready")
        look(home)
        culvert.wait_for(f"router {ROUTER}: {MACHINE}:8080 is no longer open: somebody else has the port now")
        culvert.wait_for("since 8080 could not be had")
        assert end(culvert) == 0
        router.wait_for("DeletePortMapping")
        assert "DeletePortMapping {'NewExternalPort': '8080'}" not in router.text


def test_answers_of_strangers_to_a_search_are_none(home):
    home.ip(home.router, "addr", "add", "192.168.77.66/24", "dev", "lan")
    with fake(home, "upnp", "stranger=192.168.77.66") as router, opening(home, "8080") as culvert:
        culvert.wait_for("up (UPnP")
        assert "GET /reboot" not in router.text


def test_only_changes_on_the_way_to_a_router_count(home):
    with fake(home, "pcp") as router, opening(home, "8080") as culvert:
        culvert.wait_for("ready")
        home.ip(home.machine, "link", "add", "elsewhere", "type", "veth", "peer", "name", "elsewhere2")
        home.ip(home.machine, "addr", "add", "172.30.0.1/24", "dev", "elsewhere")
        home.ip(home.machine, "link", "set", "elsewhere", "up")
        time.sleep(0.8)  # it gives changes half a second
        assert router.text.count("asked version 2") == 1
        home.ip(home.machine, "route", "del", "default")
        culvert.wait_for(f"no default route leads to router {ROUTER} any more: closing what it has open")
        router.wait_for("asked version 2 opcode 1 lifetime 0")


def test_a_port_that_somebody_else_has(home):
    with fake(home, "conflict"), opening(home, "8080") as culvert:
        culvert.wait_for("since 8080 could not be had")
        assert re.search(rf"open {OUTSIDE_OF_ROUTER}:\d+ -> {MACHINE}:8080 up \(UPnP", culvert.text)


@pytest.mark.parametrize("behaviour", ["silent", "garbage", "truncated", "wrong-source", "flood"])
def test_hostile_answers_open_nothing(home, behaviour):
    begin = time.monotonic()
    with fake(home, behaviour), opening(home, "8080") as culvert:
        assert culvert.wait(20) == 255
        assert "cannot open tcp 8080" in culvert.text
    assert time.monotonic() - begin < 12


@pytest.mark.parametrize("behaviour, why", [
    ("http=endless", "its answer is too long"), ("http=slow", "no answer in time"), ("http=garbage", "its answer is not HTTP"),
    ("http=huge-head", "its answer is too long"), ("http=half", "before its answer was whole"), ("http=hang", "no answer in time"),
    ("elsewhere", "no answer")])
def test_hostile_upnp(home, behaviour, why):
    begin = time.monotonic()
    with fake(home, behaviour) as router, opening(home, "8080") as culvert:
        assert culvert.wait(20) == 255
        assert why in culvert.text
        assert behaviour != "elsewhere" or "GET" not in router.text
    assert time.monotonic() - begin < 12


@pytest.mark.parametrize("xml", ["", "<", "<root>" * 20000, "no XML at all", "<root><device></device></root>", "<![CDATA[" + "x" * 1000,
                                 "<controlURL>" + "a" * 100000, "<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>",
                                 "<?xml" + "\0" * 100 + "?>"], ids=range(9))
def test_bad_descriptions(home, xml):
    (home.folder / "xml").write_text(xml, encoding="latin-1")
    with fake(home, f"xml={home.folder}/xml"), opening(home, "8080") as culvert:
        assert culvert.wait(20) == 255
        assert "UPnP: " in culvert.text


def test_each_of_two_routers_opens_it(home):
    home.wire(home.machine, "lan2", home.outside, "lan2")
    for namespace, address in ((home.machine, "192.168.78.2/24"), (home.outside, "192.168.78.1/24")):
        home.ip(namespace, "addr", "add", address, "dev", "lan2")
        home.ip(namespace, "link", "set", "lan2", "up")
    home.ip(home.machine, "route", "add", "default", "via", "192.168.78.1", "metric", "100")
    with home.miniupnpd(), fake(home, "pcp", "address=12.0.0.7", namespace=home.outside, address="192.168.78.1"):
        with opening(home, "8080") as culvert:
            culvert.wait_for(f"open {OUTSIDE_OF_ROUTER}:8080 -> {MACHINE}:8080 up")
            culvert.wait_for("open 12.0.0.7:8080 -> 192.168.78.2:8080 up (PCP, router 192.168.78.1)")


def test_a_router_that_comes_later_is_asked(home):
    home.wire(home.machine, "lan2", home.outside, "lan2")
    for namespace, address in ((home.machine, "192.168.78.2/24"), (home.outside, "192.168.78.1/24")):
        home.ip(namespace, "addr", "add", address, "dev", "lan2")
        home.ip(namespace, "link", "set", "lan2", "up")
    with home.miniupnpd(), fake(home, "pcp", "address=12.0.0.7", namespace=home.outside, address="192.168.78.1"):
        with opening(home, "8080") as culvert:
            culvert.wait_for("ready")
            home.ip(home.machine, "route", "add", "default", "via", "192.168.78.1", "metric", "100")
            culvert.wait_for("open 12.0.0.7:8080 -> 192.168.78.2:8080 up")


def test_another_port_of_this_machine(home):
    with home.miniupnpd(), service(home, 8443), opening(home, "443", "--to", "8443") as culvert:
        culvert.wait_for(f"open {OUTSIDE_OF_ROUTER}:443 -> {MACHINE}:8443 up")
        assert is_reached(home, port=443)


@pytest.mark.parametrize("to", ["127.0.0.1:8443", "192.168.77.1:9000"], ids=["loopback", "another machine"])
def test_where_the_router_cannot_lead_culvert_does(home, to):
    with home.miniupnpd(), service(home, 8443), service(home, 9000, home.router), opening(home, "8080", "--to", to) as culvert:
        culvert.wait_for(f"open {OUTSIDE_OF_ROUTER}:8080 -> {MACHINE}:8080 up")
        assert is_reached(home)
        assert end(culvert) == 0


def test_a_taken_port_is_led_to_another_one(home):
    with home.miniupnpd(), service(home, 8080, home.machine), service(home, 8443), opening(home, "8080", "--to", "127.0.0.1:8443") as culvert:
        line = culvert.wait_for(f"open {OUTSIDE_OF_ROUTER}:8080 -> ")
        assert not line.split(" up ")[0].endswith(f"{MACHINE}:8080")
        assert is_reached(home)


def test_map_opens_what_others_can_reach(home):
    with home.miniupnpd(), service(home, 8443):
        with home.process(home.machine, binary(), "map", "--open-gateway", "*:8080", "127.0.0.1:8443", "7070", "127.0.0.1:8443",
                          "udp/*:53", "127.0.0.1:5353", env=environment()) as culvert:
            culvert.wait_for(f"open {OUTSIDE_OF_ROUTER}:8080 -> {MACHINE}:8080 up")
            culvert.wait_for(f"open udp {OUTSIDE_OF_ROUTER}:53 -> udp {MACHINE}:53 up")
            assert is_reached(home)
            assert "7070" not in home.run(home.router, "nft", "list", "ruleset")
            assert end(culvert) == 0
        assert "8080" not in home.run(home.router, "nft", "list", "ruleset")


def test_map_goes_on_without_a_router(home):
    with home.process(home.machine, binary(), "map", "--open-gateway", "*:8080", "127.0.0.1:8443", env=environment()) as culvert:
        culvert.wait_for("ready")
        culvert.wait_for("router 192.168.77.1 opens no port")
        assert end(culvert) == 0


@pytest.mark.parametrize("is_lost", [False, True], ids=["ended", "lost"])
def test_a_tunnel_opens_what_others_can_reach(home, folder, is_lost):
    host, user = make_key(folder / "host"), make_key(folder / "user")
    server = [binary(), "serve", "--listen", "2222", "--allow-all", "--authorized-keys", str(user) + ".pub", "--host-key", str(host)]
    client = [binary(), "-F", "none", "-N", "-p", "2222", "-i", str(user), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
              "--open-gateway", "--no-reconnect", "-g", "-L", "8080:127.0.0.1:9000", "-L", "127.0.0.1:7070:127.0.0.1:9000", f"me@{ROUTER}"]
    (folder / "user.pub").write_text(public_part(user) + "\n")
    with home.miniupnpd(), service(home, 9000, home.router), home.process(home.router, *server, env=environment()) as sshd:
        sshd.wait_for("ready")
        with home.process(home.machine, *client, env=environment()) as culvert:
            culvert.wait_for(f"open {OUTSIDE_OF_ROUTER}:8080 -> {MACHINE}:8080 up")
            assert is_reached(home)
            assert "7070" not in home.run(home.router, "nft", "list", "ruleset")
            if is_lost:
                kill(sshd.pid, signal.SIGKILL)
                assert culvert.wait(10) == 255
            else:
                assert end(culvert) == 0
        assert "8080" not in home.run(home.router, "nft", "list", "ruleset")


def test_serve_opens_its_port(home, folder):
    with home.miniupnpd():
        with home.process(home.machine, binary(), "serve", "--open-gateway", "--allow-all", "--authorized-keys", "/dev/null", "--host-key",
                          str(make_key(folder / "host")), env=environment()) as culvert:
            culvert.wait_for("2222 up (PCP")
            assert end(culvert) == 0


def asked(home: Home, *arguments: str) -> str:
    return home.run(home.machine, "env", f"XDG_RUNTIME_DIR={home.folder}", binary(), "open", *arguments)


def test_list_and_close(home):
    with home.miniupnpd(), opening(home, "8080") as first, opening(home, "9001/udp", "9000/udp", "7000/udp") as second:
        for culvert in (first, second):
            culvert.wait_for("ready")
        second.wait_for("7000 up")
        deadline = time.monotonic() + 10
        while asked(home, "--list").count("\n") < 4 and time.monotonic() < deadline:
            pass
        assert f"tcp {OUTSIDE_OF_ROUTER}:8080 -> {MACHINE}:8080 (PCP, router {ROUTER}, process " in asked(home, "--list")
        listed = [json.loads(line) for line in asked(home, "--list", "--json").splitlines()]
        of_test = {(one["protocol"], one["port"]): one for one in listed if one["router"] == ROUTER and one["running"]}
        assert list(of_test) == [("udp", 7000), ("tcp", 8080), ("udp", 9000), ("udp", 9001)]
        assert 7000 < of_test["udp", 9000]["until"] - time.time() < 7300
        with pytest.raises(AssertionError, match="keeps udp .*:9001 open, too"):
            asked(home, "--close", "9000/udp")
        with pytest.raises(AssertionError, match="no culvert of this user keeps that open"):
            asked(home, "--close", "8080/udp")
        assert "8080" in asked(home, "--close", "8080")
        assert first.wait(10) == 0
        asked(home, "--close", "9000-9001/udp", "7000/udp")
        assert second.wait(10) == 0
        assert asked(home, "--list", "--json") == ""


def listed_by_now(home: Home) -> list[dict]:
    deadline = time.monotonic() + 10
    while not (lines := asked(home, "--list", "--json")) and time.monotonic() < deadline:
        pass
    return [json.loads(line) for line in lines.splitlines()]


def test_what_a_killed_one_left_goes_with_the_next(home):
    with fake(home, "pcp", "strict") as router:
        with opening(home, "8080") as killed:
            killed.wait_for("up (PCP")
            assert len(listed_by_now(home)) == 1
            end(killed, signal.SIGKILL)
        with pytest.raises(AssertionError, match="was killed"):
            asked(home, "--close", "8080")
        with opening(home, "8080") as culvert:
            culvert.wait_for("up (PCP")  # with the same nonce
            culvert.wait_for("ready")
            deadline = time.monotonic() + 10
            while any(not one["running"] for one in listed_by_now(home)) and time.monotonic() < deadline:
                pass
            assert [one["running"] for one in listed_by_now(home)] == [True]
            with opening(home, "8080") as second:
                assert second.wait(10) == 255
                assert "keeps tcp 8080 open already" in second.text
            assert "8080" in asked(home, "--close", "8080")
            assert culvert.wait(10) == 0
            router.wait_for("lifetime 0")


def test_one_that_gave_up_root_is_listed_and_closed(home):
    with fake(home, "pcp"), opening(home, "8080", "--to", "127.0.0.1:8443") as culvert:
        culvert.wait_for("runs as ")
        culvert.wait_for("ready")
        assert [one["port"] for one in listed_by_now(home)] == [8080]
        asked(home, "--close", "8080")
        assert culvert.wait(10) == 0
        assert asked(home, "--list") == ""


@pytest.mark.parametrize("arguments, why", [
    ((), "PORT expected"), (("80/sctp",), "not port[-port]"), (("0",), ""), (("90-80",), "ends before it begins"),
    (("1-1000",), "256 at most"), (("80", "--lifetime", "9"), "10 seconds to 7 days"), (("80-81", "--to", "90"), "one PORT at a time")])
def test_mistakes(arguments, why):
    with Process([binary(), "open", *arguments], env=environment()) as culvert:
        assert culvert.wait(10) == 255
        assert why in culvert.text


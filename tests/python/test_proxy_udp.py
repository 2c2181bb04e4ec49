# SPDX-License-Identifier: Apache-2.0
"""SOCKS5 UDP ASSOCIATE (RFC 1928 section 7) of `culvert proxy`, from the client's connection to the datagrams."""

import socket
import struct
import time

import pytest

from harness import proxy as px
from harness.direct import proxied
from harness.proxies import HERE
from harness.proxy import Association
from harness.resources import descriptors
from harness.sockets import connect, datagram_echo, receive_all, receive_exactly, reset

OPEN = [word for rule in HERE for word in ("--connect", rule)]


@pytest.fixture(scope="module")
def proxy():
    with proxied("-v", "127.0.0.1:0", *OPEN, "--connect", "*:*") as running:
        yield running


@pytest.fixture
def target():
    with datagram_echo() as echo:
        yield echo


def until(condition, what):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_datagrams_go_and_come_with_their_addresses(proxy, target):
    with Association(proxy.port) as client, datagram_echo(prefix=b"other:") as other:
        assert client.code == 0 and client.place[0] == "127.0.0.1"
        for echo, answer in ((target, b"re:"), (other, b"other:"), (target, b"re:")):
            for data in (b"one", b"", b"x" * 8000):
                client.send("127.0.0.1", echo.port, data)
                assert client.receive() == ("127.0.0.1", echo.port, answer + data)
        assert len({peer for _, peer in target.heard + other.heard}) == 1, "all of one client come from one place"


def test_the_largest_datagram(proxy, target):
    data = bytes(65507 - 10 - 3)  # with its header, and with the prefix in the answer
    with Association(proxy.port) as client:
        client.send("127.0.0.1", target.port, data)
        assert client.receive() == ("127.0.0.1", target.port, b"re:" + data)


def test_names_and_ipv6(proxy, target):
    with Association(proxy.port) as client, datagram_echo("::1") as six:
        client.send("::1", six.port, b"six")
        assert client.receive() == ("::1", six.port, b"re:six")
        client.send("::ffff:127.0.0.1", target.port, b"mapped")
        assert client.receive() == ("127.0.0.1", target.port, b"re:mapped")
        for i in range(20):  # the first ones wait for the look-up
            client.send("ip4-literal.invalid" if i % 2 else "127.0.0.1", target.port, b"%d" % i)
        assert [client.receive()[2] for _ in range(10)] == [b"re:%d" % i for i in range(0, 20, 2)]
        proxy.wait_for(f"-> ip4-literal.invalid:{target.port}: cannot resolve")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_name_with_two_families(proxy, address):
    """Whichever address localhost leads to first: a target of that family hears it."""
    first = socket.getaddrinfo("localhost", 9, type=socket.SOCK_DGRAM)[0][4][0]
    with datagram_echo(address) as echo, Association(proxy.port) as client:
        client.send("localhost", echo.port, b"x")
        if address == first:
            assert client.receive() == (first, echo.port, b"re:x")
        else:
            client.send(address, echo.port, b"by address")
            assert client.receive()[2] == b"re:by address"


def test_over_ipv6_to_the_proxy():
    with proxied("[::1]:0", *OPEN) as proxy, datagram_echo() as target:
        with Association(("::1", proxy.port), ("::", 0)) as client:
            assert client.place[0] == "::1"
            client.send("127.0.0.1", target.port, b"x")
            assert client.receive() == ("127.0.0.1", target.port, b"re:x")


def test_fragments_are_dropped(proxy, target):
    with Association(proxy.port) as client:
        for fragment in (1, 2, 0x81, 0xff):
            client.send("127.0.0.1", target.port, b"fragment", fragment)
        client.send("127.0.0.1", target.port, b"whole")
        assert client.receive()[2] == b"re:whole"
    assert [data for data, _ in target.heard] == [b"whole"]


def test_what_is_no_datagram_of_socks_is_dropped(proxy, target):
    good = px.udp_header("127.0.0.1", target.port)
    with Association(proxy.port) as client:
        for size in range(len(good)):
            client.socket.sendto(good[:size], client.place)
        for bad in (good[:3] + b"\x02" + good[4:], good[:3] + b"\x03\xffshort", good[:8] + b"\0\0"):
            client.socket.sendto(bad + b"x", client.place)
        client.socket.sendto(b"\xff\xff" + good[2:] + b"good", client.place)  # reserved, and nothing more
        assert client.receive()[2] == b"re:good"
    assert [data for data, _ in target.heard] == [b"good"]


@pytest.mark.parametrize("end", [socket.socket.close, reset, lambda s: s.shutdown(socket.SHUT_WR)], ids=["close", "reset", "half-close"])
def test_it_ends_with_its_connection(proxy, target, end):
    before = descriptors(proxy.pid)
    with Association(proxy.port) as client:
        client.send("127.0.0.1", target.port, b"x")
        client.receive()
        end(client.control)
        until(lambda: descriptors(proxy.pid) <= before, "its sockets are left")
        client.socket.connect(client.place)
        with pytest.raises(ConnectionRefusedError):
            for _ in range(100):  # the refusal shows at the call behind it
                client.socket.send(px.udp_header("127.0.0.1", target.port) + b"late")
                time.sleep(0.01)
    assert [data for data, _ in target.heard] == [b"x"]


def test_bytes_on_its_connection_mean_nothing(proxy, target):
    with Association(proxy.port) as client:
        client.control.sendall(b"x" * 100_000)
        client.send("127.0.0.1", target.port, b"x")
        assert client.receive()[2] == b"re:x"


def test_strangers_are_not_carried(proxy, target):
    """Who has another address than the client's connection, or another port once the client has spoken."""
    datagram = px.udp_header("127.0.0.1", target.port)
    with Association(proxy.port) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
        far.bind(("127.0.0.9", 0))
        far.sendto(datagram + b"before", client.place)
        client.send("127.0.0.1", target.port, b"mine")
        assert client.receive()[2] == b"re:mine"
        far.sendto(datagram + b"far", client.place)
        near.sendto(datagram + b"near", client.place)
        client.send("127.0.0.1", target.port, b"again")
        assert client.receive()[2] == b"re:again"
    assert [data for data, _ in target.heard] == [b"mine", b"again"]


def test_the_client_may_say_where_it_will_send_from(proxy, target):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.7", 0))
        own.settimeout(60)
        with Association(proxy.port, own.getsockname()) as client:
            client.send("127.0.0.1", target.port, b"from elsewhere")
            own.sendto(px.udp_header("127.0.0.1", target.port) + b"mine", client.place)
            assert px.split_datagram(own.recv(100))[2] == b"re:mine"
    assert [data for data, _ in target.heard] == [b"mine"]


def test_answers_come_from_those_alone_who_were_written_to(proxy, target):
    with Association(proxy.port) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        client.send("127.0.0.1", target.port, b"x")
        client.receive()
        outside = target.heard[0][1]
        stranger.bind(("127.0.0.1", 0))
        stranger.sendto(b"unasked", outside)
        client.send("127.0.0.1", target.port, b"y")
        assert client.receive() == ("127.0.0.1", target.port, b"re:y")
        stranger.settimeout(60)
        client.send("127.0.0.1", stranger.getsockname()[1], b"hello")
        while stranger.recv(100) != b"hello":
            pass
        stranger.sendto(b"asked", outside)
        assert client.receive()[2] == b"asked"


def test_the_address_outside_of_a_nat_is_told(target):
    with proxied("127.0.0.1:0", *OPEN, "--advertise", "192.0.2.77") as proxy, Association(proxy.port) as client:
        assert client.place[0] == "192.0.2.77"
        client.send("127.0.0.1", target.port, b"x", to=("127.0.0.1", client.place[1]))  # what the NAT does
        assert client.receive()[2] == b"re:x"


def test_rules_are_about_each_datagram(target):
    with datagram_echo() as other, datagram_echo("127.0.0.2") as third:
        rules = ("--connect", f"127.0.0.1:{target.port}", "--connect", f"127.0.0.2:{third.port}", "--connect", "!*.forbidden:*")
        with proxied("127.0.0.1:0", *rules) as proxy, Association(proxy.port) as client:
            for host, port in (("127.0.0.1", other.port), ("127.0.0.2", target.port), ("a.forbidden", target.port)):
                client.send(host, port, b"no")
            for host, echo in (("127.0.0.1", target), ("127.0.0.2", third), ("127.0.0.1", target)):
                client.send(host, echo.port, b"yes")
                assert client.receive() == (host, echo.port, b"re:yes")
            proxy.wait_for(f"-> 127.0.0.1:{other.port}: not permitted: ")
        assert not other.heard and {data for data, _ in target.heard + third.heard} == {b"yes"}


def test_ordinary_addresses_alone_unless_a_rule_says_more(target):
    with proxied("127.0.0.1:0") as proxy, Association(proxy.port) as client:
        client.send("127.0.0.1", target.port, b"no")
        proxy.wait_for(f"-> 127.0.0.1:{target.port}: not permitted: ")
    assert not target.heard


def test_a_login_is_wanted_here_too(folder, target):
    users = folder / "users"
    users.write_text("ann:secret\n")
    users.chmod(0o600)
    with proxied("127.0.0.1:0", *OPEN, "--users", users) as proxy:
        with connect(proxy.port) as s:
            s.sendall(b"\x05\x01\0" + px.request5("0.0.0.0", 0, px.UDP_ASSOCIATE))
            assert receive_all(s) == b"\x05\xff"
        with connect(proxy.port) as s:
            s.sendall(b"\x05\x01\x02" + px.login5("ann", "secret") + px.request5("0.0.0.0", 0, px.UDP_ASSOCIATE))
            assert receive_exactly(s, 4) == b"\x05\x02\x01\0"
            code, host, port = px.reply5(s)
            assert code == 0
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
                own.settimeout(60)
                own.sendto(px.udp_header("127.0.0.1", target.port) + b"x", (host, port))
                assert px.split_datagram(own.recv(100))[2] == b"re:x"


def test_many_clients_at_once(proxy, target):
    clients = [Association(proxy.port) for _ in range(100)]
    try:
        for i, client in enumerate(clients):
            client.send("127.0.0.1", target.port, struct.pack(">I", i))
        for i, client in enumerate(clients):
            assert client.receive() == ("127.0.0.1", target.port, b"re:" + struct.pack(">I", i))
    finally:
        for client in clients:
            client.__exit__()


def test_datagrams_leave_from_the_source(target):
    with proxied("-v", "127.0.0.1:0", *OPEN, "--source", "127.0.0.7") as proxy, Association(proxy.port) as client:
        for host in ("127.0.0.1", "localhost"):
            client.send(host, target.port, b"from where")
            assert client.receive()[2] == b"re:from where"
        assert {peer[0] for _, peer in target.heard} == {"127.0.0.7"}
        client.send("::1", target.port, b"")
        proxy.wait_for(f"-> [::1]:{target.port}: not of the family of the source, 127.0.0.7")


def test_a_silent_association_ends(target):
    with proxied("-v", "127.0.0.1:0", *OPEN, "--idle-time", "2") as proxy:
        with Association(proxy.port) as client, Association(proxy.port) as silent:
            began = time.monotonic()
            while time.monotonic() - began < 4:
                client.send("127.0.0.1", target.port, b"")
                assert client.receive()[2] == b"re:"
                time.sleep(0.2)
            with pytest.raises(ConnectionResetError):
                silent.control.recv(1)
            client.send("127.0.0.1", target.port, b"still")
            assert client.receive()[2] == b"re:still"
            proxy.wait_for_match("datagrams ended: .*: idle for 2 s")

# SPDX-License-Identifier: Apache-2.0
"""`--transparent` between machines: a visitor, culvert on the targets' gateway, a target. What routing it takes is what the
program prints, and is set up by running exactly that."""

import contextlib
import os
import re
import socket
import subprocess

import pytest

from harness.culvert import binary, environment
from harness.machines import join, machines, who_comes
from harness.sockets import DEADLINE, assert_resets, receive_all, receive_exactly

PORT = 8080
VISITOR, NEAR = {4: "10.83.1.2", 6: "fd83:1::2"}, {4: "10.83.1.1", 6: "fd83:1::1"}
TARGET, FAR = {4: "10.83.2.2", 6: "fd83:2::2"}, {4: "10.83.2.1", 6: "fd83:2::1"}
EVERY_VISIT = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture
def three():
    """(visitor, gateway, target): only what is beside it can be reached from each of them."""
    try:
        with machines("visitor", "gateway", "target") as (visitor, gateway, target):
            join(visitor, gateway, "near", *((f"{VISITOR[f]}/{b}", f"{NEAR[f]}/{b}") for f, b in ((4, 24), (6, 64))))
            join(gateway, target, "far", *((f"{FAR[f]}/{b}", f"{TARGET[f]}/{b}") for f, b in ((4, 24), (6, 64))))
            yield visitor, gateway, target
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("network namespaces cannot be made here")


def host(address):
    return f"[{address}]" if ":" in address else address


def start(gateway, *arguments):
    culvert = gateway.start(binary(), "map", "--transparent", *arguments, env=environment(), start_new_session=True)
    try:
        culvert.wait_for("culvert: ready")
    except BaseException:
        culvert.stop()
        raise
    return culvert


def obey(lines, gateway, target):
    """Runs what was printed, where it says."""
    commands = [line.removeprefix("culvert:").strip() for line in lines if line.startswith("culvert:   ")]
    assert commands
    for command in commands:
        if there := re.fullmatch(r"on \S+, unless .*?: (.*)", command):
            target.run("sh", "-c", there[1])
        else:
            gateway.run("sh", "-c", command)


def stream(visitor, family, port=PORT):
    with visitor.entered():
        return socket.create_connection((NEAR[family], port), timeout=DEADLINE)


def datagrams(visitor, family, port=PORT):
    with visitor.entered():
        s = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(DEADLINE)
    s.connect((NEAR[family], port))
    return s


def read_line(s):
    line = b""
    while not line.endswith(b"\n"):
        line += receive_exactly(s, 1)
    return line.decode().split()


@EVERY_VISIT
def test_the_target_sees_the_visitor(three, family):
    visitor, gateway, target = three
    with target.start(*who_comes(TARGET[family], PORT)) as server:
        server.wait_for("listening")
        with start(gateway, f"tcp+udp/{host(NEAR[family])}:{PORT}", f"{host(TARGET[family])}:{PORT}") as culvert:
            obey(culvert.lines, gateway, target)
            for _ in range(3):
                with stream(visitor, family) as s:
                    assert read_line(s)[0] == VISITOR[family]
                    data = b"x" * 300_000
                    s.sendall(data)
                    assert receive_exactly(s, len(data)) == data
                    s.shutdown(socket.SHUT_WR)
                    assert receive_all(s) == b""
            for _ in range(3):
                with datagrams(visitor, family) as s:
                    own = s.getsockname()
                    for text in (b"one", b"two"):
                        s.send(text)
                        assert s.recv(100) == f"{VISITOR[family]} {own[1]} ".encode() + text


@EVERY_VISIT
def test_a_target_on_the_gateway_itself(three, family):
    visitor, gateway, target = three
    local = "::1" if family == 6 else "127.0.0.1"
    with gateway.start(*who_comes(local, PORT + 1)) as server:
        server.wait_for("listening")
        with start(gateway, f"tcp+udp/{host(NEAR[family])}:{PORT}", f"{host(local)}:{PORT + 1}") as culvert:
            obey(culvert.lines, gateway, target)
            with stream(visitor, family) as s:
                assert read_line(s)[0] == VISITOR[family]
            with datagrams(visitor, family) as s:
                s.send(b"one")
                assert s.recv(100).decode().split()[::2] == [VISITOR[family], "one"]


def test_one_client_of_two_ports_has_two_flows(three):
    visitor, gateway, target = three
    with contextlib.ExitStack() as stack:
        for port in (PORT, PORT + 1):
            stack.enter_context(target.start(*who_comes(TARGET[4], port))).wait_for("listening")
        culvert = stack.enter_context(start(gateway, f"udp/{NEAR[4]}:{PORT}-{PORT + 1}", f"{TARGET[4]}:{PORT}-{PORT + 1}"))
        obey(culvert.lines, gateway, target)
        s = stack.enter_context(datagrams(visitor, 4))
        heard = []
        for port in (PORT, PORT + 1, PORT):
            s.connect((NEAR[4], port))
            s.send(b"x")
            heard.append(s.recv(100).decode().split())
        assert [words[0] for words in heard] == [VISITOR[4]] * 3
        assert heard[0][1] == heard[2][1] == str(s.getsockname()[1])


def test_a_visitor_has_no_way_to_a_target_of_the_other_family(three):
    visitor, gateway, _ = three
    with start(gateway, f"tcp+udp/{NEAR[4]}:{PORT}", f"{host(TARGET[6])}:{PORT}") as culvert:
        with visitor.entered():
            assert_resets((NEAR[4], PORT))
        culvert.wait_for(f"Address family not supported by protocol (from {VISITOR[4]})")
        with datagrams(visitor, 4) as s:
            s.send(b"x")
            culvert.wait_for(f"has no address of the visitor's family ({VISITOR[4]})")


def test_without_the_privilege_it_says_which_one():
    drop = ["setpriv", "--bounding-set", "-net_admin,-net_raw", "--inh-caps", "-net_admin,-net_raw"] if os.geteuid() == 0 else []
    done = subprocess.run([*drop, binary(), "map", "--transparent", "127.0.0.1:0", "127.0.0.1:9"], capture_output=True, text=True,
                          timeout=DEADLINE, check=False, env=environment())
    assert done.returncode == 255
    assert len(done.stderr.splitlines()) == 1 and "CAP_NET_ADMIN (setcap " in done.stderr, done.stderr

# SPDX-License-Identifier: Apache-2.0
"""Relays and proxies that need no tunnel, each set up as its users have it, and culvert among them."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
from collections.abc import Callable

from scene import ECHO, READER, SINK, SOURCE, UDP_ECHO, UDP_SINK, Scene, Way
from table import FLOOR

HAPROXY, TUNED, NGINX, DANTE, MICROSOCKS = "haproxy", "haproxy tuned", "nginx", "dante", "microsocks"
MANY = 4_000  # connections: more than any figure opens at once, and files for them that a container allows


class Use(enum.Enum):
    """What is measured; the value is the title of its table."""

    TCP = "culvert map beside relays of TCP"
    UDP = "culvert map beside relays of UDP"
    PROXY = "culvert proxy beside SOCKS 5 proxies"

    def about(self) -> str:
        """What a reader of the table should know."""
        return {
            Use.TCP: f"{HAPROXY}: splice-auto; {TUNED}: splicing forced, pipes of 1 MiB; {NGINX}: as it comes; "
                     f"{FLOOR}: the least that a relay can cost (bench/relay_floor.cpp)",
            Use.UDP: "several datagrams of a flow that are due at once are sent as one (GSO); goodput is paced by receipts",
            Use.PROXY: "SOCKS 5 without authentication, to IPv4 addresses",
        }[self]

    def servers(self) -> tuple[int, ...]:
        """Which it forwards to; a proxy is told by its clients."""
        return {Use.TCP: (SINK, SOURCE, ECHO, READER), Use.UDP: (UDP_ECHO, UDP_SINK), Use.PROXY: ()}[self]


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a peer shall do, all of it on 127.0.0.1."""

    binary: str
    use: Use
    ports: dict[int, int]  # of a relay: where it listens -> the server
    port: int  # of a proxy
    folder: pathlib.Path  # for what it needs to be written

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)


Commands = list[list[str]]


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    binary: str
    package: str | None  # of Debian; None: our own
    commands: Callable[[Setup], Commands]  # what runs in the foreground, and does all that Setup says
    half_closes: bool = True  # Way.half_closes


# ---- culvert


def culvert(setup: Setup) -> Commands:
    if setup.use is Use.PROXY:
        loopback = ["--connect", "127.0.0.0/8:*"]  # refused unless it is named
        return [[setup.binary, "proxy", f"127.0.0.1:{setup.port}", *loopback]]
    kind = "udp/" if setup.use is Use.UDP else ""
    pairs = [word for port, server in setup.ports.items() for word in (f"{kind}127.0.0.1:{port}", f"127.0.0.1:{server}")]
    return [[setup.binary, "map", *pairs]]


# ---- what costs least


def floor(setup: Setup) -> Commands:
    return [[setup.binary, *(word for port, server in setup.ports.items() for word in (f"127.0.0.1:{port}", f"127.0.0.1:{server}"))]]


# ---- relays


def haproxy(setup: Setup, options: tuple[str, ...] = ("splice-auto",), tuning: str = "") -> Commands:
    """Time-outs as its manual's examples have them; they are said because it warns without."""
    lines = ["global", f" maxconn {MANY}", f" {tuning}", "defaults", " mode tcp", " timeout connect 5s", " timeout client 1m",
             " timeout server 1m", *(f" option {option}" for option in options)]
    for port, server in setup.ports.items():
        lines += [f"listen at_{port}", f" bind 127.0.0.1:{port}", f" server it 127.0.0.1:{server}"]
    return [[setup.binary, "-db", "-f", setup.file("haproxy.cfg", "\n".join(lines) + "\n")]]


def haproxy_tuned(setup: Setup) -> Commands:
    return haproxy(setup, ("splice-request", "splice-response"), f"tune.pipesize {1 << 20}")


def nginx(setup: Setup) -> Commands:
    """As Debian's file has it, but for the number of connections: 768 are not enough for the idle streams."""
    kind = " udp" if setup.use is Use.UDP else ""
    servers = "\n".join(f" server {{ listen 127.0.0.1:{port}{kind}; proxy_pass 127.0.0.1:{server}; }}"
                        for port, server in setup.ports.items())
    text = (f"load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nuser www-data;\nworker_processes auto;\n"
            f"worker_rlimit_nofile {3 * MANY};\npid {setup.folder}/nginx.pid;\nevents {{ worker_connections {2 * MANY}; }}\n"
            f"stream {{\n{servers}\n}}\n")
    return [[setup.binary, "-e", "stderr", "-c", setup.file("nginx.conf", text)]]


def rinetd(setup: Setup) -> Commands:
    kind = "/udp" if setup.use is Use.UDP else "/tcp"
    lines = [f"127.0.0.1 {port}{kind} 127.0.0.1 {server}{kind}" for port, server in setup.ports.items()]
    return [[setup.binary, "-f", "-c", setup.file("rinetd.conf", "\n".join(lines) + "\n")]]


def socat(setup: Setup) -> Commands:
    """With a longer backlog than its 5, which would have connections wait for a second attempt; for UDP with an end of idle
    flows, since it has a process for each."""
    if setup.use is Use.UDP:
        return [[setup.binary, "-T", "5", f"UDP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork", f"UDP4:127.0.0.1:{server}"]
                for port, server in setup.ports.items()]
    return [[setup.binary, f"TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,backlog=1024", f"TCP4:127.0.0.1:{server}"]
            for port, server in setup.ports.items()]


def redir(setup: Setup) -> Commands:
    """Its process for each connection is no child of it: tini adopts that, or nobody could say what it spends."""
    return [["/usr/bin/tini", "-s", "--", setup.binary, "-n", f"127.0.0.1:{port}", f"127.0.0.1:{server}"]
            for port, server in setup.ports.items()]


# ---- proxies


def dante(setup: Setup) -> Commands:
    text = (f"logoutput: {setup.folder}/danted.log\ninternal: 127.0.0.1 port = {setup.port}\nexternal: 127.0.0.1\n"
            "clientmethod: none\nsocksmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\n"
            "client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\nsocks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\n")
    return [[setup.binary, "-f", setup.file("danted.conf", text), "-p", str(setup.folder / "danted.pid")]]


def microsocks(setup: Setup) -> Commands:
    return [[setup.binary, "-i", "127.0.0.1", "-p", str(setup.port)]]


_HAPROXY = Peer(HAPROXY, "/usr/sbin/haproxy", "haproxy", haproxy)
_TUNED = Peer(TUNED, "/usr/sbin/haproxy", "haproxy", haproxy_tuned)
_NGINX = Peer(NGINX, "/usr/sbin/nginx", "libnginx-mod-stream", nginx, half_closes=False)
_RINETD = Peer("rinetd", "/usr/sbin/rinetd", "rinetd", rinetd, half_closes=False)
_SOCAT = Peer("socat", "/usr/bin/socat", "socat", socat)
_REDIR = Peer("redir", "/usr/bin/redir", "redir", redir, half_closes=False)

PEERS = {
    Use.TCP: [_HAPROXY, _TUNED, _NGINX, _RINETD, _SOCAT, _REDIR],
    Use.UDP: [_NGINX, _RINETD, _SOCAT],
    Use.PROXY: [Peer(DANTE, "/usr/sbin/danted", "dante-server", dante),
                Peer(MICROSOCKS, "/usr/bin/microsocks", "microsocks", microsocks, half_closes=False)],
}


class Relay(Way):
    """A peer that is up."""

    def __init__(self, scene: Scene, peer: Peer, base: int, use: Use):
        super().__init__(scene, peer.name)
        self.half_closes = peer.half_closes
        self._base, self._use = base, use
        self._port_of = {server: base + i for i, server in enumerate(use.servers())}
        folder = scene.lab.folder / f"peer-{base}"
        folder.mkdir(exist_ok=True)
        ports = {port: server for server, port in self._port_of.items()}
        for command in peer.commands(Setup(peer.binary, use, ports, base, folder)):
            self.start(command)
        if use is Use.UDP:
            for server in use.servers():
                first = "echoes" if server == UDP_ECHO else "goodput"
                self.wait(first, *self.route(server), "--flows", 1, "--warmup", 0, "--seconds", 0.1)
        else:
            self.wait("latency", *self.route(ECHO), "--count", 1, "--warmup", 0)

    def route(self, port: int) -> list[str]:
        if self._use is Use.PROXY:
            return ["--to", f"127.0.0.1:{port}", "--socks", f"127.0.0.1:{self._base}"]
        return ["--to", f"127.0.0.1:{self._port_of[port]}"]

# SPDX-License-Identifier: Apache-2.0
"""A home: a machine, its router and somebody outside, in network namespaces of the test's own.

    machine 192.168.77.2, 2001:db8:77::2  --lan--  .1, ::1 router 11.0.0.5, 2001:db8:1::5  --wan--  .9, ::9 outside
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from .processes import Process

MACHINE, ROUTER, OUTSIDE_OF_ROUTER, STRANGER = "192.168.77.2", "192.168.77.1", "11.0.0.5", "11.0.0.9"
MACHINE_V6, ROUTER_V6, STRANGER_V6 = "2001:db8:77::2", "2001:db8:77::1", "2001:db8:1::9"

# What miniupnpd wants to be there, and no way in but its own.
RULES = """
table inet filter {
  chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "lan" accept; meta l4proto ipv6-icmp accept; jump miniupnpd; }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 100; meta nfproto ipv4 oifname "wan" masquerade; jump postrouting_miniupnpd; }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
"""
FLUSH = "flush chain inet filter miniupnpd; flush chain inet filter prerouting_miniupnpd; flush chain inet filter postrouting_miniupnpd"


def miniupnpd_program() -> str:
    path = shutil.which("miniupnpd", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert path, "miniupnpd is missing: scripts/setup test"
    return path


def needs_short_leases() -> None:
    """Of PCP. After Debian 12's version miniupnpd gives 120 seconds at least, whatever its min_lifetime."""
    said = subprocess.run([miniupnpd_program(), "--version"], capture_output=True, text=True, check=False, timeout=10)
    version = tuple(map(int, re.search(r"miniupnpd (\d+)\.(\d+)\.(\d+)", said.stdout + said.stderr).groups()))
    if version > (2, 3, 1):
        pytest.skip("this miniupnpd gives no short leases by PCP")


class Home:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.machine, self.router, self.outside = (f"culvert-{os.getpid()}-{name}" for name in ("machine", "router", "outside"))
        self.made: list[str] = []

    def ip(self, namespace: str, *words: str) -> None:
        subprocess.run(["ip", "-n", namespace, *words], check=True, capture_output=True, timeout=20)

    def run(self, namespace: str, *command: str, stdin: str = "", timeout: float = 60) -> str:
        done = subprocess.run(["ip", "netns", "exec", namespace, *command], input=stdin, capture_output=True, text=True,
                              timeout=timeout, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def process(self, namespace: str, *command: str, **options) -> Process:
        return Process(["ip", "netns", "exec", namespace, *command], start_new_session=True, **options)

    def up(self) -> None:
        try:
            for name in (self.machine, self.router, self.outside):
                subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True, timeout=20)
                self.made.append(name)
            self.wire(self.machine, "lan", self.router, "lan")
            self.wire(self.router, "wan", self.outside, "wan")
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("network namespaces cannot be made here")
        for name in self.made:  # addresses are there at once
            self.run(name, "sh", "-c", "for f in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 >$f; done")
        for namespace, device, *addresses in ((self.machine, "lan", f"{MACHINE}/24", f"{MACHINE_V6}/64"),
                                              (self.router, "lan", f"{ROUTER}/24", f"{ROUTER_V6}/64"),
                                              (self.router, "wan", f"{OUTSIDE_OF_ROUTER}/24", "2001:db8:1::5/64"),
                                              (self.outside, "wan", f"{STRANGER}/24", f"{STRANGER_V6}/64")):
            self.ip(namespace, "link", "set", "lo", "up")
            for address in addresses:
                self.ip(namespace, "addr", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
            self.ip(namespace, "link", "set", device, "up")
        self.run(self.router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
        self.ip(self.machine, "route", "add", "default", "via", ROUTER)
        self.ip(self.outside, "-6", "route", "add", "2001:db8:77::/64", "via", "2001:db8:1::5")
        self.run(self.router, "nft", "-f", "-", stdin=RULES)

    def with_ipv6(self) -> None:
        self.ip(self.machine, "-6", "route", "add", "default", "via", ROUTER_V6)

    def wire(self, here: str, name: str, there: str, other: str) -> None:
        subprocess.run(["ip", "link", "add", name, "netns", here, "type", "veth", "peer", "name", other, "netns", there],
                       check=True, capture_output=True, timeout=20)

    def down(self) -> None:
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=20)

    @contextlib.contextmanager
    def miniupnpd(self, *settings: str, device: str = "lan", flush: bool = True):
        """Its standard settings, and others."""
        if flush:
            self.run(self.router, "nft", FLUSH)
        given = {line.split("=")[0] for line in settings}
        standard = ["ext_ifname=wan", f"listening_ip={device}", "http_port=5000", "enable_natpmp=yes", "enable_upnp=yes", "secure_mode=yes",
                    "uuid=b7fb0e7c-57a6-4d4b-8b8c-111111111111", "upnp_table_name=filter", "upnp_nat_table_name=filter",
                    "upnp_forward_chain=miniupnpd", "upnp_nat_chain=prerouting_miniupnpd",
                    "upnp_nat_postrouting_chain=postrouting_miniupnpd", "min_lifetime=1", "system_uptime=no",
                    f"lease_file={self.folder}/leases", "allow 1-65535 0.0.0.0/0 1-65535"]
        file = self.folder / "miniupnpd.conf"
        file.write_text("\n".join([*settings, *(line for line in standard if line.split("=")[0] not in given)]) + "\n")
        with self.process(self.router, miniupnpd_program(), "-d", "-f", str(file), "-P", str(self.folder / "pid")) as daemon:
            without = "enable_natpmp=no" in settings  # its sockets are opened last: who asks before that is refused, and takes UPnP
            daemon.wait_for("HTTP listening on port" if without else "Listening for NAT-PMP/PCP traffic")
            yield daemon

# SPDX-License-Identifier: Apache-2.0
"""Machines that are network namespaces of the test's own, joined by pairs of interfaces."""

import contextlib
import ctypes
import itertools
import os
import subprocess
import threading

import pytest

from .sockets import DEADLINE

CLONE_NEWNET = 0x40000000

_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=DEADLINE)


class Machine:
    def __init__(self, name: str):
        self.name = f"culvert-{os.getpid()}-{next(_numbers)}-{name}"
        ip("netns", "add", self.name)

    def command(self, *words) -> list[str]:
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def run(self, *words, stdin: str = "", check: bool = True) -> str:
        done = subprocess.run(self.command(*words), input=stdin, capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def nft(self, rules: str) -> None:
        self.run("nft", "-f", "-", stdin=rules)

    def tables(self) -> str:
        return "".join(sorted(self.run("nft", "list", "tables").splitlines(keepends=True)))

    def does(self, make):
        """What `make` returns there: a socket stays in the namespace that it was made in."""
        result = []

        def work():
            with open(f"/run/netns/{self.name}", "rb") as namespace:
                assert _libc.setns(namespace.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                result.append(make())
            except BaseException as e:  # noqa: BLE001: raised again below
                result.append(e)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(DEADLINE)
        if isinstance(result[0], BaseException):
            raise result[0]
        return result[0]

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True, timeout=DEADLINE)


class Street:
    """client - router - server, IPv4 and IPv6. The router's way out is to the client; the server's is the router."""

    CLIENT, OUTSIDE, INSIDE, SERVER = "192.0.2.2", "192.0.2.1", "10.83.72.1", "10.83.72.5"
    CLIENT6, OUTSIDE6, INSIDE6, SERVER6 = "2001:db8:1::2", "2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::5"

    def __init__(self, stack: contextlib.ExitStack):
        try:
            self.client, self.router, self.server = (self._made(stack, name) for name in ("client", "router", "server"))
            self._join(self.client, self.CLIENT, self.CLIENT6, self.OUTSIDE, self.OUTSIDE6, "out")
            self._join(self.server, self.SERVER, self.SERVER6, self.INSIDE, self.INSIDE6, "in")
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("network namespaces cannot be made here")
        ip("-n", self.server.name, "route", "add", "default", "via", self.INSIDE)
        ip("-n", self.server.name, "-6", "route", "add", "default", "via", self.INSIDE6)
        ip("-n", self.router.name, "route", "add", "default", "via", self.CLIENT)
        ip("-n", self.router.name, "-6", "route", "add", "default", "via", self.CLIENT6)

    @staticmethod
    def _made(stack, name: str) -> Machine:
        machine = Machine(name)
        stack.callback(machine.remove)
        ip("-n", machine.name, "link", "set", "lo", "up")
        return machine

    def _join(self, machine: Machine, here: str, here6: str, there: str, there6: str, name: str) -> None:
        ip("link", "add", "wire", "netns", machine.name, "type", "veth", "peer", "name", name, "netns", self.router.name)
        for end, interface, v4, v6 in ((machine, "wire", here, here6), (self.router, name, there, there6)):
            ip("-n", end.name, "addr", "add", f"{v4}/24", "dev", interface)
            ip("-n", end.name, "addr", "add", f"{v6}/64", "dev", interface, "nodad")
            ip("-n", end.name, "link", "set", interface, "up")

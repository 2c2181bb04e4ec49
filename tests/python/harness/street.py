# SPDX-License-Identifier: Apache-2.0
"""A client, a router and a server: machines in a row, for what is forwarded without a listener."""

import contextlib
import itertools
import subprocess

import pytest

from .machines import Machine, join, machines

_numbers = itertools.count()


class Host:
    def __init__(self, machine: Machine):
        self._machine = machine

    def command(self, *words) -> list[str]:
        return ["ip", "netns", "exec", self._machine.name, *map(str, words)]

    def run(self, *words, stdin: str = "", check: bool = True) -> str:
        return self._machine.run(*map(str, words), input=stdin, check=check).stdout

    def nft(self, rules: str) -> None:
        self.run("nft", "-f", "-", stdin=rules)

    def tables(self) -> str:
        return "".join(sorted(self.run("nft", "list", "tables").splitlines(keepends=True)))

    def does(self, make):
        """What `make` returns there: a socket stays where it was made."""
        with self._machine.entered():
            return make()


class Street:
    """IPv4 and IPv6. The router's way out is to the client, by `out`; the server's is the router."""

    CLIENT, OUTSIDE, INSIDE, SERVER = "192.0.2.2", "192.0.2.1", "10.83.72.1", "10.83.72.5"
    CLIENT6, OUTSIDE6, INSIDE6, SERVER6 = "2001:db8:1::2", "2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::5"

    def __init__(self, stack: contextlib.ExitStack):
        number = next(_numbers)
        try:
            client, router, server = stack.enter_context(
                machines(*(f"{name}-{number}" for name in ("client", "router", "server"))))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("network namespaces cannot be made here")
        join(client, router, "out", (f"{self.CLIENT}/24", f"{self.OUTSIDE}/24"), (f"{self.CLIENT6}/64", f"{self.OUTSIDE6}/64"))
        join(server, router, "in", (f"{self.SERVER}/24", f"{self.INSIDE}/24"), (f"{self.SERVER6}/64", f"{self.INSIDE6}/64"))
        for machine, way, way6 in ((server, self.INSIDE, self.INSIDE6), (router, self.CLIENT, self.CLIENT6)):
            machine.ip("route", "add", "default", "via", way)
            machine.ip("-6", "route", "add", "default", "via", way6)
        self.client, self.router, self.server = Host(client), Host(router), Host(server)

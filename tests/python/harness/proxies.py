# SPDX-License-Identifier: Apache-2.0
"""Each way to start a proxy: start(server, folder, *options, users=None) gives a running program and its proxy's port."""

import pathlib
import re

from .culvert import Culvert
from .direct import proxied
from .processes import Process
from .servers import SshServer
from .sockets import free_port

# What the tests have on their own machine, which is not meant by "everything".
HERE = ("127.0.0.0/8:*", "[::1]:*")


def start_dynamic(server: SshServer, folder: pathlib.Path, *options, users=None) -> tuple[Process, int]:
    """-D: the proxy listens here, the server connects."""
    for _ in range(5):  # the port may be taken between the choice and the start
        port = free_port()
        try:
            return Culvert(server, folder, [], arguments=["-v", "-D", f"127.0.0.1:{port}", *options, *tunnel_users(users)]), port
        except AssertionError as e:
            if not re.search("address already in use", str(e), re.IGNORECASE):
                raise
    raise AssertionError("no free port found")


def start_remote(server: SshServer, folder: pathlib.Path, *options, users=None) -> tuple[Process, int]:
    """-R with a port alone: the server listens for the proxy, and it connects from here."""
    process = Culvert(server, folder, [], arguments=["-v", "-R", "127.0.0.1:0", *options, *tunnel_users(users)])
    return process, int(re.search(r"remote 127\.0\.0\.1:(\d+) -> proxy up", process.text)[1])


def start_direct(_server, _folder, *options, users=None) -> tuple[Process, int]:
    """`culvert proxy`: no tunnel, so no server. It may go everywhere that a tunnel's far end may."""
    everywhere = [word for rule in ("*:*", "224.0.0.0/4:*", *HERE) for word in ("--connect", rule)]
    process = proxied("-v", "127.0.0.1:0", *everywhere, *options, *(["--users", str(users)] if users else []))
    return process, process.port


def tunnel_users(users) -> list[str]:
    return ["--proxy-auth", str(users)] if users else []


WAYS = {"dynamic": start_dynamic, "remote": start_remote, "direct": start_direct}

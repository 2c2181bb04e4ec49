# SPDX-License-Identifier: Apache-2.0
"""Clients of `culvert serve`: stock ssh, dbclient and culvert."""

import contextlib
import pathlib
import re
import subprocess
import time

from .culvert import binary, environment, run
from .files import write_whole
from .processes import Process
from .sockets import connect


def client_command(kind: str, server, folder: pathlib.Path, *arguments: str, key: pathlib.Path | None = None,
                   options: dict[str, str] | None = None, user: str = "me", port: int | None = None) -> list[str]:
    """`port`: of a path to the server, not its own."""
    key = key or server.user_keys[0]
    port = port or server.port
    if kind == "dbclient":
        converted = folder / "dropbear_key"
        if not converted.exists():
            subprocess.run(["dropbearconvert", "openssh", "dropbear", str(key), str(converted)], check=True,
                           capture_output=True)
        return ["dbclient", "-y", "-N", "-p", str(port), "-i", str(converted), *arguments, f"{user}@127.0.0.1"]
    known = folder / f"known_hosts_{port}"
    if not known.exists():
        write_whole(known, server.known_hosts().replace(server.address, f"[127.0.0.1]:{port}"))
    settings = {"UserKnownHostsFile": str(known), "GlobalKnownHostsFile": "/dev/null", "IdentitiesOnly": "yes",
                "ExitOnForwardFailure": "yes", "BatchMode": "yes", **(options or {})}
    program = [binary()] if kind == "culvert" else ["ssh"]
    return [*program, "-F", "none", "-N", "-p", str(port), "-i", str(key),
            *(word for name, value in settings.items() for word in ("-o", f"{name}={value}")), *arguments,
            f"{user}@127.0.0.1"]


@contextlib.contextmanager
def client(kind, server, folder, *arguments, ports=(), **more):
    """Runs until all `ports` listen."""
    with Process(client_command(kind, server, folder, *arguments, **more), env=environment(HOME=str(folder)),
                 start_new_session=True) as process:
        if kind == "culvert" and ports:
            process.wait_for("culvert: ready")  # before, it looks for a moment whether it may listen there
        for port in ports:
            wait_until(lambda p=port: is_open(p), process)
        yield process


def is_open(port: int | str) -> bool:
    try:
        connect(port).close()
    except ConnectionResetError:
        return True  # whoever took it has ended it already
    except OSError:
        return False
    return True


def wait_until(condition, process=None, timeout=20.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, process.text if process else "never"
        assert process is None or process.popen.poll() is None, process.text
        time.sleep(0.03)


def reply_of(server, folder, host, port, **more) -> str:
    """What a client learns who wants to go there, and what the log says."""
    seen = len(server.process.lines)
    done = run(*client_command("culvert", server, folder, "-W", f"[{host}]:{port}", **more)[1:], timeout=20)
    lines = "\n".join(server.process.lines[seen:])
    if done.status == 0:
        return "connected"
    refusal = re.search(r"not permitted: ([^\n]*)", lines)
    if refusal:
        assert "administratively prohibited" in done.stderr, "the peer learns little"
        assert refusal[1] not in done.stderr
        return refusal[1]
    return done.lines[-1] if done.lines else "?"

# SPDX-License-Identifier: Apache-2.0
"""Runs the program that is tested."""

import dataclasses
import os
import pathlib
import re
import subprocess

from .files import write_whole
from .processes import Process
from .servers import SshServer
from .sockets import DEADLINE, free_port

ROOT = pathlib.Path(__file__).resolve().parents[3]
SMALL = os.environ.get("CULVERT_SMALL") == "1"  # under a sanitizer: short transfers


def binary() -> str:
    return str((ROOT / os.environ.get("CULVERT", "build/release/culvert")).resolve())


def environment(**more: str) -> dict[str, str]:
    """Ours without what would let the user's own agent or terminal helpers in."""
    dropped = ("SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY")
    return {**{k: v for k, v in os.environ.items() if k not in dropped}, **more}


@dataclasses.dataclass
class Finished:
    status: int
    stdout: bytes
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stderr.splitlines()


def run(*arguments: str, timeout: float = DEADLINE, stdin: bytes = b"", env: dict | None = None, **options) -> Finished:
    """Runs it to its end, without a terminal."""
    try:
        done = subprocess.run([binary(), *arguments], input=stdin, capture_output=True, timeout=timeout,
                              env=env or environment(), start_new_session=True, check=False, **options)
    except subprocess.TimeoutExpired as e:
        raise AssertionError(f"culvert {' '.join(arguments)} hangs; it said:\n{(e.stderr or b'').decode()}") from None
    return Finished(done.returncode, done.stdout, done.stderr.decode("utf-8", "backslashreplace"))


def login_arguments(server: SshServer, folder: pathlib.Path, key: pathlib.Path | None = None,
                    options: dict[str, str] | None = None, known_hosts: str | None = None) -> list[str]:
    """All that makes a login work and independent of who runs the tests. The destination comes last, by itself."""
    file = folder / f"known_hosts_{server.port}"
    wanted = server.known_hosts() if known_hosts is None else known_hosts
    if not file.exists() or file.read_text() != wanted:
        write_whole(file, wanted)
    settings = {
        "UserKnownHostsFile": str(file),
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        **(options or {}),
    }
    arguments = ["-F", "none", "-p", str(server.port)]
    if key is not None or server.user_keys:
        arguments += ["-i", str(key or server.user_keys[0])]
    for name, value in settings.items():
        arguments += ["-o", f"{name}={value}"]
    return arguments


def destination(server: SshServer) -> str:
    return f"{server.user}@127.0.0.1"


class Culvert(Process):
    """A running culvert with forwards, ready to carry streams."""

    def __init__(self, server: SshServer, folder: pathlib.Path, forwards: list[str], *, key: pathlib.Path | None = None,
                 options: dict[str, str] | None = None, arguments: list[str] | None = None, env: dict | None = None,
                 known_hosts: str | None = None, ready: bool = True, **popen):
        command = [binary(), "-N", *login_arguments(server, folder, key, options, known_hosts), *(arguments or [])]
        for forward in forwards:
            command += ["-L", forward]
        super().__init__([*command, destination(server)], env=env or environment(), start_new_session=True, **popen)
        if ready:
            try:
                self.wait_for("culvert: ready")
            except BaseException:
                self.stop()
                raise


def local_forward(server: SshServer, folder: pathlib.Path, target: int | str, **more) -> tuple[Culvert, int]:
    """A culvert with one forward to a port of 127.0.0.1 or to a Unix path; and the local port."""
    for _ in range(5):  # the port may be taken between the choice and the start
        port = free_port()
        to = target if isinstance(target, str) else f"127.0.0.1:{target}"
        try:
            return Culvert(server, folder, [f"{port}:{to}"], **more), port
        except AssertionError as e:
            if not re.search("address already in use", str(e), re.IGNORECASE):
                raise
    raise AssertionError("no free port found")

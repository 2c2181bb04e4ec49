# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of our own: a fresh database folder, one loopback port, nothing else."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess

from .processes import Process
from .sockets import DEADLINE, free_port


def programs() -> pathlib.Path:
    """Debian keeps them out of the way, one folder for each version: the newest one."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    if where := shutil.which("initdb"):
        return pathlib.Path(where).parent
    raise RuntimeError("PostgreSQL's server programs are not installed")


class Postgres:
    """It refuses to run as root; started by root, it runs as `postgres` or `nobody`."""

    def __init__(self, folder: pathlib.Path, password: str):
        self.user, self.password = "demo", password
        self.folder = folder / "postgres"
        self.folder.mkdir(mode=0o700)
        self._as: dict = {}
        if os.geteuid() == 0:
            runner = next(pwd.getpwnam(name) for name in ("postgres", "nobody") if has_account(name))
            os.chown(self.folder, runner.pw_uid, runner.pw_gid)
            self._as = {"user": runner.pw_uid, "group": runner.pw_gid, "extra_groups": []}
        secret = self.folder / "password"
        secret.write_text(password + "\n")
        secret.chmod(0o600)
        if self._as:
            os.chown(secret, self._as["user"], self._as["group"])
        data = self.folder / "data"
        env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
        done = subprocess.run([programs() / "initdb", "-D", data, "-U", self.user, "-A", "scram-sha-256", "--pwfile", secret,
                               "-E", "UTF8", "--no-sync"], cwd=self.folder, env=env, capture_output=True, text=True,
                              check=False, **self._as)
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stderr}")
        for _ in range(5):  # the port may be taken between the choice and the start
            self.port = free_port()
            self.process = Process([str(programs() / "postgres"), "-D", str(data), "-p", str(self.port), "-h", "127.0.0.1",
                                    "-k", str(self.folder), "-c", "fsync=off", "-c", "logging_collector=off"],
                                   cwd=self.folder, env=env, **self._as)
            try:
                self.process.wait_for("ready to accept connections", DEADLINE)
                return
            except BaseException:
                self.process.stop()
                if "Address already in use" not in self.process.text:
                    raise
        raise RuntimeError("PostgreSQL found no port")

    @property
    def version(self) -> str:
        out = subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        match = re.search(r"\d[\d.]*", out)
        return match[0] if match else out.strip()

    def stop(self) -> None:
        if self.process.popen.poll() is None:
            self.process.signal(signal.SIGINT)  # its "fast shutdown": connections are ended
            try:
                self.process.wait(20)
            except AssertionError:
                pass
        self.process.stop()


def has_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True

# SPDX-License-Identifier: Apache-2.0
"""Where measurements happen: network namespaces, keys, and processes.

Whatever is started here ends with the Lab; if this process is killed, the kernel ends it (parent-death signal), and a
namespace without processes is gone by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

SSH_PORT, SERVE_PORT = 2222, 2223
CIPHER, CHACHA = "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"
FAR = "10.99.0.2"

SSHD_CONFIG = """\
ListenAddress 0.0.0.0:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
UseDNS no
PrintMotd no
MaxStartups 1000
LogLevel ERROR
ClientAliveInterval 15
ClientAliveCountMax 2
Ciphers {ciphers}
"""


class MeasurementFailed(Exception):
    """One figure of one program could not be had; the others go on."""


class Namespace:
    """A network namespace, for as long as the process that holds it lives."""

    def __init__(self, lab: Lab, congestion_control: str | None, long_path: bool = False):
        self.holder = lab.start(["unshare", "--net", "--", "cat"])
        self.path = f"/proc/{self.holder.pid}/ns/net"
        own = os.readlink("/proc/self/ns/net")
        lab.until(lambda: os.readlink(self.path) != own, 5, "a network namespace of our own")
        settings = {
            # Thousands of connections a second must not run out of ports within the minute that TIME-WAIT lasts, nor
            # take one that a client is going to listen at (ports_of).
            "net.ipv4.ip_local_port_range": "10240 65535",
            "net.ipv4.tcp_tw_reuse": "1",
        }
        if congestion_control:
            settings["net.ipv4.tcp_congestion_control"] = congestion_control
        if long_path:
            settings["net.ipv4.tcp_rmem"] = "4096 131072 67108864"
            settings["net.ipv4.tcp_wmem"] = "4096 16384 67108864"
        lab.run(self, ["ip", "link", "set", "lo", "up"])
        for name, value in settings.items():
            lab.run(self, ["sysctl", "-qw", f"{name}={value}"])
        self.congestion_control = lab.run(self, ["sysctl", "-n", "net.ipv4.tcp_congestion_control"]).strip()


class Lab:
    def __init__(self, load: pathlib.Path, sshd: str):
        self.load = str(load)
        self.sshd = sshd
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="culvert-bench-"))
        self._endings = contextlib.ExitStack()
        self._endings.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._logs = 0
        for key in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / key], check=True)
        host_key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        (self.folder / "user_key.pub").chmod(0o600)
        self.folder.chmod(0o755)
        lines = (f"[{host}]:{port} {host_key}\n" for host in ("127.0.0.1", FAR) for port in (SSH_PORT, SERVE_PORT))
        (self.folder / "known_hosts").write_text("".join(lines))
        (self.folder / "sshd_config").write_text(SSHD_CONFIG.format(port=SSH_PORT, folder=self.folder, ciphers=f"{CIPHER},{CHACHA}"))

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self._endings.close()

    @contextlib.contextmanager
    def scope(self):
        """What is started inside ends at its end."""
        outer, self._endings = self._endings, contextlib.ExitStack()
        try:
            yield
        finally:
            inner, self._endings = self._endings, outer
            inner.close()

    # ---- processes

    @staticmethod
    def _inside(namespace: Namespace | None) -> list[str]:
        enter = ["nsenter", f"--net={namespace.path}"] if namespace else []
        return [*enter, "setpriv", "--pdeathsig", "KILL"]

    def start(self, command: list[str], namespace: Namespace | None = None) -> subprocess.Popen:
        """Runs in the background until its scope or the lab ends; its standard input stays open as long."""
        self._logs += 1
        log = self.folder / f"{self._logs}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen([*self._inside(namespace), *command], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=errors)
        process.log = log  # type: ignore[attr-defined]
        self._endings.callback(self.stop, process)
        return process

    @staticmethod
    def descendants(pid: int) -> list[int]:
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                children = [int(word) for word in file.read().split()]
        except OSError:
            return []
        return [*children, *(below for child in children for below in Lab.descendants(child))]

    @staticmethod
    def stop(process: subprocess.Popen) -> None:
        """With all that it started: a session of sshd would outlast a path that is gone before the goodbye arrives."""
        below = Lab.descendants(process.pid) if process.poll() is None else []
        if process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if process.stdout:
            process.stdout.close()

    def run(self, namespace: Namespace | None, command: list[str], seconds: float = 120) -> str:
        """Runs to its end and returns what it printed."""
        try:
            done = subprocess.run([*self._inside(namespace), *command], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as error:
            raise MeasurementFailed(f"{command[0]}: not done after {seconds:.0f} s") from error
        if done.returncode != 0:
            raise MeasurementFailed(f"{' '.join(command[:2])}: {done.stderr.strip() or f'status {done.returncode}'}")
        return done.stdout

    def measure(self, namespace: Namespace | None, *words: object, seconds: float = 120) -> dict:
        """One subcommand of the load generator: the JSON that it printed."""
        return json.loads(self.run(namespace, [self.load, *map(str, words)], seconds))

    def first_line(self, process: subprocess.Popen, seconds: float = 60) -> dict:
        """What a generator that stays says when it is ready."""
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        line = process.stdout.readline() if ready else b""
        if not line:
            raise MeasurementFailed(f"{process.args[-1]}: {self.last_words(process) or 'says nothing'}")
        return json.loads(line)

    @staticmethod
    def last_words(process: subprocess.Popen) -> str:
        return process.log.read_text(errors="replace").strip()[-500:]  # type: ignore[attr-defined]

    @staticmethod
    def until(condition, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise MeasurementFailed(f"no {what} within {seconds:.0f} s")
            time.sleep(0.02)


def with_descendants(process: subprocess.Popen) -> list[int]:
    return [process.pid, *Lab.descendants(process.pid)]


def cpu_ns(pids: list[int]) -> int:
    """Of all their threads that live, to the nanosecond: /proc/PID/stat counts in steps of 10 ms."""
    total = 0
    for file in (file for pid in pids for file in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")):
        with contextlib.suppress(OSError):  # it has just ended
            total += int(file.read_text(encoding="ascii").split()[0])
    return total


def pss_kib(pids: list[int]) -> float:
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += next((float(line.split()[1]) for line in file if line.startswith("Pss:")), 0)
    return total

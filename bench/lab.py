# SPDX-License-Identifier: Apache-2.0
"""Where measurements happen: network namespaces, a stock sshd, the load generator's servers, and the programs compared.

Whatever is started here ends with the Lab; if this process is killed, the kernel ends it (parent-death signal), and a
namespace without processes is gone by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
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
SINK, SOURCE, ECHO = 7001, 7002, 7003
SERVERS = (SINK, SOURCE, ECHO)
CIPHER, CHACHA = "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"
NEAR, FAR = "10.99.0.1", "10.99.0.2"

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


def ports_of(place: int) -> int:
    """The first of a hundred ports for a client: a scene has several, and no connection is given one of these."""
    return 8000 + 100 * place


class MeasurementFailed(Exception):
    """One figure of one program could not be had; the others go on."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A program that forwards ports; no binary means the direct path, which checks the generator. `server`: the
    culvert whose `serve` is at the far end, in place of sshd."""

    name: str
    binary: str | None = None
    server: str | None = None

    @property
    def port(self) -> int:
        """Of its server."""
        return SSH_PORT if self.server is None else SERVE_PORT


class Kind(enum.Enum):
    """Of a forward; the value is its option."""

    LOCAL = "-L"
    REMOTE = "-R"
    DYNAMIC = "-D"


@dataclasses.dataclass(frozen=True)
class Forward:
    """From a port of 127.0.0.1, at the end that its kind listens at, to a port of the other end's 127.0.0.1."""

    kind: Kind
    listen: int
    to: int = 0  # DYNAMIC: each client says it

    def words(self) -> list[str]:
        here = f"127.0.0.1:{self.listen}"
        return [self.kind.value, here if self.kind is Kind.DYNAMIC else f"{here}:127.0.0.1:{self.to}"]


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


class Scene:
    """A client's namespace, a server's (the same without a path between them), and what runs in both."""

    def __init__(self, lab: Lab, congestion_control: str | None, path: list[str] | None = None, long_path: bool = False):
        self.lab = lab
        self.near = Namespace(lab, congestion_control, long_path)
        self.far = self.near
        self.server = "127.0.0.1"
        if path is not None:
            self.far = Namespace(lab, congestion_control, long_path)
            self.server = FAR
            link = lab.start([lab.load, "link", "--near", self.near.path, "--far", self.far.path,
                              "--near-address", NEAR, "--far-address", FAR, *path])
            lab.first_line(link)
        servers = lab.start([lab.load, "serve", "--bind", "0.0.0.0", "--sink-port", str(SINK), "--source-port",
                             str(SOURCE), "--echo-port", str(ECHO)], self.far)
        lab.first_line(servers)
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it for its privilege separation
        self._servers: dict[str | None, subprocess.Popen] = {}
        self.server_of(None)

    def server_of(self, binary: str | None) -> subprocess.Popen:
        """`culvert serve` of this binary, or sshd: started when it is first asked for."""
        if binary not in self._servers:
            folder = self.lab.folder
            command = [self.lab.sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
            if binary is not None:
                command = [binary, "serve", "-q", "-k", str(folder / "user_key.pub"), "--host-key", str(folder / "host_key"),
                           "--allow-all", "-l", f"0.0.0.0:{SERVE_PORT}", "--exempt", "0.0.0.0/0"]
            process = self._servers[binary] = self.lab.start(command, self.far)
            port = SSH_PORT if binary is None else SERVE_PORT
            self.lab.until(lambda: self._listens(process, port), 10, "server")
        return self._servers[binary]

    def _listens(self, server: subprocess.Popen, port: int) -> bool:
        if server.poll() is not None:
            raise MeasurementFailed(f"the server ended: {self.lab.last_words(server)}")
        with open(f"/proc/{self.far.holder.pid}/net/tcp", encoding="ascii") as file:
            sockets = [line.split() for line in file][1:]
        listening = "0A"
        return any(fields[1].endswith(f":{port:04X}") and fields[3] == listening for fields in sockets)

    def command(self, contestant: Contestant, forwards: list[Forward], options: tuple[str, ...] = (),
                cipher: str = CIPHER) -> list[str]:
        """The same words for every program."""
        folder = self.lab.folder
        words = [str(contestant.binary), "-N", "-F", "none", "-c", cipher, "-i", str(folder / "user_key"), "-p",
                 str(contestant.port)]
        for option in ("IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "StrictHostKeyChecking=yes",
                       f"UserKnownHostsFile={folder}/known_hosts", "GlobalKnownHostsFile=/dev/null",
                       "ExitOnForwardFailure=yes", *options):
            words += ["-o", option]
        for forward in forwards:
            words += forward.words()
        return [*words, f"root@{self.server}"]

    def tunnel(self, contestant: Contestant, place: int = 0, kind: Kind = Kind.LOCAL, forwards: int = 0,
               options: tuple[str, ...] = (), cipher: str = CIPHER) -> Tunnel:
        return Tunnel(self, contestant, ports_of(place), kind, forwards, options, cipher)


class Tunnel:
    """A contestant that is up, seen from the load generator: it forwards to all servers in one way. Forwards of all
    kinds, which nobody uses, make it `forwards` in all.

    Servers are at the far end and visitors at the near one, so Kind.REMOTE needs a scene without a path.
    """

    def __init__(self, scene: Scene, contestant: Contestant, base: int, kind: Kind, forwards: int,
                 options: tuple[str, ...], cipher: str):
        self.scene = scene
        self.name = contestant.name
        self.pid = 0
        self._base, self._kind = base, kind
        self._direct = contestant.binary is None
        if self._direct:
            return
        self.server = scene.server_of(contestant.server)
        used = [Forward(kind, base + i, port) for i, port in enumerate(SERVERS)]
        if kind is Kind.DYNAMIC:
            used = [Forward(kind, base)]
        idle = [Forward(list(Kind)[i % len(Kind)], base + i, ECHO) for i in range(len(used), forwards)]
        lab = scene.lab
        self.process = lab.start(scene.command(contestant, [*used, *idle], options, cipher), scene.near)
        self.pid = self.process.pid
        try:
            lab.until(self._is_up, 20, f"byte through {self.name}")
        except MeasurementFailed as error:
            raise MeasurementFailed(f"{error}; {lab.last_words(self.process)}") from error

    def _is_up(self) -> bool:
        if self.process.poll() is not None:
            raise MeasurementFailed(f"{self.name} ended ({self.process.returncode})")
        try:
            self.scene.lab.measure(self.scene.near, "latency", *self.route(ECHO), "--count", 1, "--warmup", 0)
        except MeasurementFailed:
            return False
        return True

    def route(self, port: int) -> list[str]:
        """The way to a server, in words of the load generator."""
        if self._direct:
            return ["--to", f"{self.scene.server}:{port}"]
        if self._kind is Kind.DYNAMIC:
            return ["--to", f"127.0.0.1:{port}", "--socks", f"127.0.0.1:{self._base}"]
        return ["--to", f"127.0.0.1:{self._base + SERVERS.index(port)}"]

    def cpu_ns(self) -> int:
        if self.process.poll() is not None:
            raise MeasurementFailed(f"{self.name} ended ({self.process.returncode})")
        return cpu_ns([self.pid])

    def cpu_ns_of_both(self) -> int:
        """With the server's processes."""
        return self.cpu_ns() + cpu_ns(self.server_pids())

    def server_pids(self) -> list[int]:
        return with_descendants(self.server)

    def pss_kib(self) -> float:
        return pss_kib([self.pid])

    def pss_kib_of_both(self) -> float:
        return pss_kib([self.pid, *self.server_pids()])


def with_descendants(process: subprocess.Popen) -> list[int]:
    return [process.pid, *Lab.descendants(process.pid)]


def cpu_ns(pids: list[int]) -> int:
    """Of all their threads, to the nanosecond: /proc/PID/stat counts in steps of 10 ms."""
    files = (file for pid in pids for file in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(file.read_text(encoding="ascii").split()[0]) for file in files)


def pss_kib(pids: list[int]) -> float:
    total = 0.0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += next(float(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total

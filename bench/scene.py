# SPDX-License-Identifier: Apache-2.0
"""Who is measured where: a path with its servers, and programs that are up on it."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
import subprocess

from lab import CIPHER, FAR, SERVE_PORT, SSH_PORT, Lab, MeasurementFailed, Namespace, cpu_ns, pss_kib, with_descendants
from table import FLOOR

SINK, SOURCE, ECHO, READER, UDP_ECHO, UDP_SINK = range(7001, 7007)  # the servers (bench/load/serve.cpp)
SERVERS = (SINK, SOURCE, ECHO)
NEAR = "10.99.0.1"


def ports_of(place: int) -> int:
    """The first of a hundred ports for a client: a scene has several, and no connection is given one of these."""
    return 8000 + 100 * place


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
        ports = {"sink": SINK, "reader": READER, "source": SOURCE, "echo": ECHO, "udp-echo": UDP_ECHO, "udp-sink": UDP_SINK}
        words = [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]
        lab.first_line(lab.start([lab.load, "serve", "--bind", "0.0.0.0", *words], self.far))
        self._servers: dict[str | None, subprocess.Popen] = {}

    def server_of(self, binary: str | None) -> subprocess.Popen:
        """`culvert serve` of this binary, or sshd: started when it is first asked for."""
        if binary not in self._servers:
            folder = self.lab.folder
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it for its privilege separation
            command = [self.lab.sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
            if binary is not None:
                command = [binary, "serve", "-q", "-k", str(folder / "user_key.pub"), "--host-key", str(folder / "host_key"),
                           "--allow-all", "-l", f"0.0.0.0:{SERVE_PORT}", "--exempt", "0.0.0.0/0"]
            process = self._servers[binary] = self.lab.start(command, self.far)
            port = SSH_PORT if binary is None else SERVE_PORT
            self.lab.until(lambda: self.listens(process, port), 10, "server")
        return self._servers[binary]

    def listens(self, server: subprocess.Popen, port: int) -> bool:
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
               options: tuple[str, ...] = (), cipher: str = CIPHER, with_server: bool = False) -> Way:
        if contestant.binary is None:
            return Way(self, contestant.name)
        if contestant.name == FLOOR:
            return Floor(self, contestant, ports_of(place), cipher, with_server)
        return Tunnel(self, contestant, ports_of(place), kind, forwards, options, cipher, with_server)


class Way:
    """A contestant that is up, seen from the load generator: a way to the servers. This one is the direct way."""

    def __init__(self, scene: Scene, name: str):
        self.scene = scene
        self.name = name
        self.processes: list[subprocess.Popen] = []  # whose processor time and memory are figures
        self.half_closes = True  # passes on the end of one direction, and keeps the other

    def route(self, port: int) -> list[str]:
        """To the server of this port, in words of the load generator."""
        return ["--to", f"{self.scene.server}:{port}"]

    @staticmethod
    def through(base: int, port: int) -> list[str]:
        """The same, of a way that listens at a port for each of SERVERS, from `base` on."""
        return ["--to", f"127.0.0.1:{base + SERVERS.index(port)}"]

    def start(self, command: list[str]) -> None:
        self.processes.append(self.scene.lab.start(command, self.scene.near))

    def wait(self, *first: object) -> None:
        """Until this measurement succeeds."""
        lab = self.scene.lab

        def is_up() -> bool:
            self.check_alive()
            try:
                lab.measure(self.scene.near, *first)
            except MeasurementFailed:
                return False
            return True

        try:
            lab.until(is_up, 20, f"byte through {self.name}")
        except MeasurementFailed as error:
            said = " ".join(lab.last_words(process) for process in self.processes)
            raise MeasurementFailed(f"{error}; {said}") from error

    def check_alive(self) -> None:
        for process in self.processes:
            if process.poll() is not None:
                raise MeasurementFailed(f"{self.name} ended ({process.returncode})")

    def cpu_of(self) -> list[str]:
        """An option of the load generator: what it tells the processor time of."""
        return ["--cpu-of", ",".join(str(process.pid) for process in self.processes)] if self.processes else []

    def pids(self) -> list[int]:
        return [pid for process in self.processes for pid in with_descendants(process)]

    def cpu_ns(self) -> int:
        self.check_alive()
        return cpu_ns(self.pids())

    def pss_kib(self) -> float:
        self.check_alive()
        return pss_kib(self.pids())


class Tunnel(Way):
    """A client that forwards to all servers in one way. Forwards of all kinds, which nobody uses, make it `forwards` in
    all. `with_server`: what both ends spend counts.

    Servers are at the far end and visitors at the near one, so Kind.REMOTE needs a scene without a path.
    """

    def __init__(self, scene: Scene, contestant: Contestant, base: int, kind: Kind, forwards: int,
                 options: tuple[str, ...], cipher: str, with_server: bool):
        super().__init__(scene, contestant.name)
        self._base, self._kind = base, kind
        server = scene.server_of(contestant.server)
        used = [Forward(kind, base + i, port) for i, port in enumerate(SERVERS)]
        if kind is Kind.DYNAMIC:
            used = [Forward(kind, base)]
        idle = [Forward(list(Kind)[i % len(Kind)], base + i, ECHO) for i in range(len(used), forwards)]
        self.start(scene.command(contestant, [*used, *idle], options, cipher))
        self.wait("latency", *self.route(ECHO), "--count", 1, "--warmup", 0)
        if with_server:
            self.processes.append(server)

    def route(self, port: int) -> list[str]:
        if self._kind is Kind.DYNAMIC:
            return ["--to", f"127.0.0.1:{port}", "--socks", f"127.0.0.1:{self._base}"]
        return self.through(self._base, port)


class Floor(Way):
    """Both ends of what costs least, with a connection of its own for each stream. `with_server`: what both spend counts."""

    def __init__(self, scene: Scene, contestant: Contestant, base: int, cipher: str, with_server: bool):
        super().__init__(scene, contestant.name)
        self._base = base
        here = range(base, base + len(SERVERS))
        between = range(here.stop, here.stop + len(SERVERS))
        for end, listen, to in (("far", between, SERVERS), ("near", here, between)):
            words = [f"127.0.0.1:{port}" for pair in zip(listen, to) for port in pair]
            self.start([str(contestant.binary), end, cipher, *words])
            # The near end dials the far one at once, and ends if that is not there.
            scene.lab.until(lambda ports=listen: all(scene.listens(self.processes[-1], port) for port in ports), 10, "floor")
        self.wait("latency", *self.route(ECHO), "--count", 1, "--warmup", 0)
        if not with_server:
            self.processes = self.processes[1:]

    def route(self, port: int) -> list[str]:
        return self.through(self._base, port)

# SPDX-License-Identifier: Apache-2.0
"""How to measure: a group is a scene with its figures; its programs take turns in it."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import itertools
import time
from collections.abc import Callable, Iterator

from lab import CIPHER, Lab, MeasurementFailed
from peers import Peer, Relay, Use
from scene import ECHO, READER, SINK, SOURCE, Contestant, Kind, Scene, Way, ports_of
from table import FLOOR, Row

IDLE_STREAMS = 1000
Values = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Settings:
    contestants: list[Contestant | Peer]
    runs: int
    seconds: float
    session_bench: str
    login_bench: str


class Ends(enum.Enum):
    """What is compared."""

    CLIENT = "the client: sshd is at the far end of all"
    BOTH = "both ends: sshd and ssh, culvert serve and culvert"
    SERVER = "the server: ssh is the client of sshd and of culvert serve"

    def contestants(self, of: list[Contestant | Peer]) -> list[Contestant | Peer]:
        programs = {c.name: c for c in of}
        if self is Ends.CLIENT or "culvert" not in programs:
            return of
        culvert = programs["culvert"].binary
        client = culvert if self is Ends.BOTH else programs["ssh"].binary if "ssh" in programs else None
        return [dataclasses.replace(c, binary=client, server=culvert) if c.name == "culvert" else c for c in of
                if c.name != "culvert" or client]


@dataclasses.dataclass(frozen=True)
class Group:
    name: str
    congestion_control: str | None  # None: the system's own
    rows: list[Row]
    measure: Callable[[Lab, "Group", Settings], Iterator[tuple[str, Values | MeasurementFailed]]]
    kind: Kind | Use = Kind.LOCAL
    ends: Ends = Ends.CLIENT
    cipher: str = CIPHER
    has_floor: bool = False

    def contestants(self, settings: Settings) -> list[Contestant | Peer]:
        return self.ends.contestants([c for c in settings.contestants if self.has_floor or c.name != FLOOR])


Turns = Iterator[tuple[str, Values | MeasurementFailed]]


def attempt(name: str, measure: Callable[[], Values]) -> tuple[str, Values | MeasurementFailed]:
    try:
        return name, measure()
    except MeasurementFailed as error:
        return name, error


def opened(scene: Scene, group: Group, contestant: Contestant | Peer, place: int) -> Way:
    if isinstance(contestant, Peer):
        return Relay(scene, contestant, ports_of(place), group.kind)
    if isinstance(group.kind, Use):
        return Way(scene, contestant.name)
    return scene.tunnel(contestant, place, group.kind, cipher=group.cipher, with_server=group.ends is not Ends.CLIENT)


def in_turns(scene: Scene, group: Group, settings: Settings, measure: Callable[[Way], Values]) -> Turns:
    """ABAB: all programs are up the whole time, one at a time is used."""
    ways = []
    for i, contestant in enumerate(group.contestants(settings)):
        try:
            ways.append(opened(scene, group, contestant, i))
        except MeasurementFailed as error:
            yield contestant.name, error
    for _ in range(settings.runs):
        for way in ways:
            yield attempt(way.name, lambda way=way: measure(way))
            time.sleep(0.2)  # what is left of its streams ends outside the next one's time


# ---- throughput


class Receiver(enum.Enum):
    """How the end that receives takes what comes; the value ends the keys of its rows."""

    DISCARDS = ""  # in the kernel
    READS = "-read"

    def server(self) -> int:
        return SINK if self is Receiver.DISCARDS else READER

    def option(self) -> list[str]:
        return [] if self is Receiver.DISCARDS else ["--read"]


DOWN, UP = "down", "up"


def bulk(stream_counts: tuple[int, ...], directions: tuple[str, ...] = (DOWN, UP),
         receivers: tuple[Receiver, ...] = (Receiver.DISCARDS,)):
    def measure(lab: Lab, group: Group, settings: Settings) -> Turns:
        scene = Scene(lab, group.congestion_control)

        def one(way: Way) -> Values:
            values = {}
            for streams, direction, receiver in itertools.product(stream_counts, directions, receivers):
                if direction == UP and not way.half_closes:
                    continue  # that is how the sink is asked what has arrived
                to = way.route(SOURCE) if direction == DOWN else way.route(receiver.server())
                how = receiver.option() if direction == DOWN else []
                result = lab.measure(scene.near, "throughput", *to, "--direction", direction, "--streams", streams, *how,
                                     "--seconds", settings.seconds, *way.cpu_of())
                key = f"{direction}-{streams}{receiver.value}"
                values[key] = result["mb_per_s"]
                if way.processes:
                    values[f"{key}-cpu"] = result["cpu_s_per_gb"]
            return values

        yield from in_turns(scene, group, settings, one)

    return measure


# ---- round trips and connections


def round_trip(lab: Lab, group: Group, settings: Settings) -> Turns:
    scene = Scene(lab, group.congestion_control)

    def one(tunnel: Way) -> Values:
        result = lab.measure(scene.near, "latency", *tunnel.route(ECHO), "--size", 64, "--count", 10_000,
                             "--seconds", settings.seconds)
        return {"p50": result["p50_us"], "p99": result["p99_us"]}

    yield from in_turns(scene, group, settings, one)


def connections(lab: Lab, group: Group, settings: Settings) -> Turns:
    scene = Scene(lab, group.congestion_control)

    def one(tunnel: Way) -> Values:
        result = lab.measure(scene.near, "connections", *tunnel.route(ECHO), "--seconds", settings.seconds, *tunnel.cpu_of())
        return {"rate": result["per_s"], **({"cpu": result["cpu_us_each"]} if tunnel.processes else {})}

    yield from in_turns(scene, group, settings, one)


# ---- streams that wait


@contextlib.contextmanager
def idle_streams(lab: Lab, way: Way) -> Iterator[None]:
    """IDLE_STREAMS of them, which have moved one byte each and then do nothing."""
    with lab.scope():
        holder = lab.start([lab.load, "idle", *way.route(ECHO), "--streams", str(IDLE_STREAMS)], way.scene.near)
        lab.first_line(holder)
        time.sleep(1)
        yield


def idle_stream_kib(lab: Lab, way: Way) -> float:
    before = way.pss_kib()
    with idle_streams(lab, way):
        return (way.pss_kib() - before) / IDLE_STREAMS

# SPDX-License-Identifier: Apache-2.0
"""What is measured of `culvert map` and `culvert proxy`, beside programs that forward without a tunnel."""

from __future__ import annotations

import time

from lab import Lab
from measures import (DOWN, IDLE_STREAMS, UP, Group, Receiver, Settings, Turns, Values, attempt, bulk, connections, idle_streams,
                      in_turns, opened, round_trip)
from peers import DANTE, HAPROXY, MICROSOCKS, TUNED, Peer, Use
from scene import UDP_ECHO, UDP_SINK, Contestant, Scene, Way
from table import BEST, ITSELF, Row, Targets, at_least, at_most


def memory(lab: Lab, group: Group, settings: Settings) -> Turns:
    """A fresh program each time: some keep what they have had once."""
    scene = Scene(lab, group.congestion_control)

    def one(contestant: Contestant | Peer, place: int) -> Values:
        with lab.scope():
            way = opened(scene, group, contestant, place)
            before = way.pss_kib()
            with idle_streams(lab, way):
                memory_then, cpu_then = way.pss_kib(), way.cpu_ns()
                time.sleep(settings.seconds)
                return {"per-stream": (memory_then - before) / IDLE_STREAMS,
                        "idle": (way.cpu_ns() - cpu_then) / 1e3 / settings.seconds}

    for _ in range(settings.runs):
        for i, contestant in enumerate(c for c in group.contestants(settings) if c.binary):
            yield attempt(contestant.name, lambda c=contestant, i=i: one(c, i))


ECHOES = {"64-1": (64, 1), "8-16": (8, 16)}  # flows, datagrams of each that are under way
GOODPUT_FLOWS = (1, 8)


def datagrams(lab: Lab, group: Group, settings: Settings) -> Turns:
    scene = Scene(lab, group.congestion_control)

    def one(way: Way) -> Values:
        values = {}

        def figure(key: str, server: int, unit: str, cpu_unit: str, *words: object) -> None:
            result = lab.measure(scene.near, *words, *way.route(server), "--seconds", settings.seconds, *way.cpu_of())
            values[key] = result[unit]
            if way.processes:
                values[f"{key}-cpu"] = result[cpu_unit]

        for key, (flows, window) in ECHOES.items():
            figure(f"echoes-{key}", UDP_ECHO, "per_s", "cpu_us_each", "echoes", "--flows", flows, "--window", window)
        for flows in GOODPUT_FLOWS:
            figure(f"goodput-{flows}", UDP_SINK, "mb_per_s", "cpu_s_per_gb", "goodput", "--flows", flows)
        return values

    yield from in_turns(scene, group, settings, one)


# ---- rows


def bulk_rows(stream_counts: tuple[int, ...], direction: str, speed: Targets, cpu: Targets, mark: str = "",
              receivers: tuple[Receiver, ...] = tuple(Receiver)) -> list[Row]:
    rows = []
    for streams in stream_counts:
        for receiver in receivers:
            key = f"{direction}-{streams}{receiver.value}"
            title = f"{streams} {'stream' if streams == 1 else 'streams'} {direction}, receiver {receiver.name.lower()}{mark}"
            rows += [Row(key, title, "MB/s", speed), Row(f"{key}-cpu", f"CPU, {title}", "s/GB", cpu, digits=3)]
    return rows


def round_trip_rows(wanted: Targets, mark: str = "") -> list[Row]:
    return [Row("p50", f"64-byte round trip, p50{mark}", "µs", wanted, digits=1),
            Row("p99", f"64-byte round trip, p99{mark}", "µs", digits=1)]


def connection_rows(rate: Targets, cpu: Targets, mark: str = "") -> list[Row]:
    return [Row("rate", f"connections, 16 at a time{mark}", "1/s", rate),
            Row("cpu", f"CPU for each connection{mark}", "µs", cpu, digits=1)]


def memory_rows(wanted: Targets, mark: str = "") -> list[Row]:
    return [Row("per-stream", f"memory per idle stream ({IDLE_STREAMS}){mark}", "KiB", wanted, digits=1),
            Row("idle", f"CPU with {IDLE_STREAMS} idle streams{mark}", "µs/s", digits=1)]


def datagram_rows(wanted: Targets) -> list[Row]:
    rows = []
    for key, (flows, window) in ECHOES.items():
        title = f"64-byte echoes, {flows} flows with {window} under way each"
        rows += [Row(f"echoes-{key}", title, "1/s", wanted), Row(f"echoes-{key}-cpu", f"CPU, {title}", "µs", digits=2)]
    for flows in GOODPUT_FLOWS:
        title = f"goodput of 1,200-byte datagrams, {flows} {'flow' if flows == 1 else 'flows'}"
        rows += [Row(f"goodput-{flows}", title, "MB/s", wanted), Row(f"goodput-{flows}-cpu", f"CPU, {title}", "s/GB", digits=3)]
    return rows


SPEED = at_least(0.95, TUNED) + at_least(4, HAPROXY)
CPU = at_most(1.0, TUNED)
BOTH = (1, 8)
PROXY_SPEED, PROXY_CPU = at_least(2.5, DANTE), at_most(0.35, DANTE)

GROUPS = [
    Group("map-bulk", "reno", bulk_rows(BOTH, DOWN, SPEED, CPU), bulk(BOTH, (DOWN,), tuple(Receiver)), Use.TCP),
    Group("map-bulk-up", "reno", bulk_rows((1,), UP, SPEED, CPU), bulk((1,), (UP,), tuple(Receiver)), Use.TCP),
    Group("map-round-trip", "reno", round_trip_rows(at_most(0.85, BEST)), round_trip, Use.TCP, has_floor=True),
    Group("map-connections", "reno", connection_rows(at_least(1.05, BEST), at_most(0.9, BEST)), connections, Use.TCP, has_floor=True),
    Group("map-memory", "reno", memory_rows(at_most(3, ITSELF)), memory, Use.TCP),
    Group("map-bulk-system", None, bulk_rows((1,), DOWN, SPEED, CPU, " (system's)"), bulk((1,), (DOWN,), tuple(Receiver)), Use.TCP),
    Group("map-udp", "reno", datagram_rows(at_least(3, BEST)), datagrams, Use.UDP),
    Group("proxy-bulk", "reno", [row for direction in (DOWN, UP) for row in bulk_rows((1,), direction, PROXY_SPEED, PROXY_CPU)],
          bulk((1,), (DOWN, UP), tuple(Receiver)), Use.PROXY),
    Group("proxy-round-trip", "reno", round_trip_rows(()), round_trip, Use.PROXY),
    Group("proxy-connections", "reno", connection_rows(at_least(1.4, MICROSOCKS), ()), connections, Use.PROXY),
    Group("proxy-memory", "reno", memory_rows(at_most(4, ITSELF)), memory, Use.PROXY),
]

# SPDX-License-Identifier: Apache-2.0
"""What is measured of tunnels, and what is wanted of it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import time

from lab import CHACHA, Lab, MeasurementFailed, pss_kib, with_descendants
from measures import (IDLE_STREAMS, Ends, Group, Settings, Turns, Values, attempt, bulk, connections, idle_stream_kib,
                      in_turns, opened, round_trip)
from scene import ECHO, SINK, SOURCE, Contestant, Forward, Kind, Scene, Way, ports_of
from table import ITSELF, Row, at_least, at_most

IDLE_FORWARDS = 20
IDLE_SESSIONS = 1000
IDLE_SECONDS = 30  # two questions of sshd (every 15 s), three or four of a client that asks every 8 s


# ---- throughput


def bulk_rows(wanted: dict[int, float | None], mark: str = "", cpu_of: str = "client", cpu: float | None = 0.3) -> list[Row]:
    """`wanted`: by the number of streams."""
    rows = []
    for streams, bound in wanted.items():
        name = "1 stream" if streams == 1 else f"{streams} streams"
        for direction in ("down", "up"):
            rows.append(Row(f"{direction}-{streams}", f"{name} {direction}{mark}", "MB/s", at_least(bound)))
            rows.append(Row(f"{direction}-{streams}-cpu", f"CPU of the {cpu_of}, {name} {direction}{mark}", "s/GB", at_most(cpu),
                            digits=3))
    return rows


# ---- round trips and connections


def round_trip_rows(mark: str = "", bound: float = 0.9) -> list[Row]:
    return [Row("p50", f"64-byte round trip, p50{mark}", "µs", at_most(bound), digits=1),
            Row("p99", f"64-byte round trip, p99{mark}", "µs", digits=1)]


def connections_rows(bound: float | None, mark: str = "", cpu_of: str = "client") -> list[Row]:
    return [Row("rate", f"connections, 16 at a time{mark}", "1/s", at_least(bound)),
            Row("cpu", f"CPU of the {cpu_of} for each{mark}", "µs", digits=1)]


# ---- start and memory: a fresh program each time


def start(lab: Lab, group: Group, settings: Settings) -> Turns:
    scene = Scene(lab, group.congestion_control)
    scene.server_of(None)  # which outlives each client
    programs = [c for c in group.contestants(settings) if c.binary]
    for _ in range(settings.runs):
        for i, contestant in enumerate(programs):
            port = ports_of(i)

            def one() -> Values:
                result = lab.measure(scene.near, "first-byte", "--to", f"127.0.0.1:{port}", "--count", 5, "--",
                                     *scene.command(contestant, [Forward(Kind.LOCAL, port, ECHO)]))
                return {"first-byte": result["p50_ms"]}

            yield attempt(contestant.name, one)


def memory_of_both(lab: Lab, group: Group, settings: Settings) -> Turns:
    """Of idle streams, at both ends. The server is a new one each time: for a while one keeps what it had for others."""

    def one(contestant: Contestant, place: int) -> Values:
        with lab.scope():
            scene = Scene(lab, group.congestion_control)
            return {"per-stream": idle_stream_kib(lab, opened(scene, group, contestant, place))}

    for _ in range(settings.runs):
        for i, contestant in enumerate(c for c in group.contestants(settings) if c.binary):
            yield attempt(contestant.name, lambda c=contestant, i=i: one(c, i))


def logins(lab: Lab, group: Group, settings: Settings) -> Turns:
    """Ten at a time, by a client that is fast; then a thousand that stay and do nothing."""
    scene = Scene(lab, group.congestion_control)

    def one(contestant: Contestant, hold: int) -> Values:
        server = scene.server_of(contestant.server)
        words = [settings.login_bench, "--to", f"127.0.0.1:{contestant.port}", "--key", str(lab.folder / "user_key")]
        if not hold:
            return {"rate": json.loads(lab.run(scene.near, [*words, "--seconds", str(settings.seconds)]))["per_s"]}
        with lab.scope():
            before = pss_kib(with_descendants(server))
            done = lab.first_line(lab.start([*words, "--hold", str(hold)], scene.near), 300)
            if done["failed"]:
                raise MeasurementFailed(f"{done['failed']} logins of {hold} failed")
            values = {"sessions": (pss_kib(with_descendants(server)) - before) / 1024}
        time.sleep(3)  # they end
        return values

    for hold, runs in ((0, settings.runs), (IDLE_SESSIONS, min(settings.runs, 3))):
        for _ in range(runs):
            for contestant in group.contestants(settings):
                if contestant.binary:
                    yield attempt(contestant.name, lambda c=contestant, h=hold: one(c, h))


def memory(lab: Lab, group: Group, settings: Settings) -> Turns:
    scene = Scene(lab, group.congestion_control)
    scene.server_of(None)  # which outlives each client
    programs = [c for c in group.contestants(settings) if c.binary]

    def one(contestant: Contestant, place: int) -> Values:
        with lab.scope():
            tunnel = scene.tunnel(contestant, place)
            values = {"alone": tunnel.pss_kib(), "per-stream": idle_stream_kib(lab, tunnel)}
        with lab.scope():
            tunnel = scene.tunnel(contestant, place, forwards=IDLE_FORWARDS)
            return {**values, "forwards": tunnel.pss_kib()}

    for _ in range(settings.runs):
        for i, contestant in enumerate(programs):
            yield attempt(contestant.name, lambda c=contestant, i=i: one(c, i))


# ---- a client that waits


def idle(lab: Lab, group: Group, settings: Settings) -> Turns:
    """All programs are watched during the same time: they do not disturb each other."""
    scene = Scene(lab, group.congestion_control)
    programs = [c for c in group.contestants(settings) if c.binary]
    clients: list[tuple[str, Way]] = []
    for i, (key, contestant) in enumerate(itertools.product(("default", "asking"), programs)):
        options = ("ServerAliveInterval=8",) if key == "asking" else ()
        try:
            tunnel = scene.tunnel(contestant, i, forwards=IDLE_FORWARDS, options=options)
        except MeasurementFailed as error:
            yield contestant.name, error
        else:
            clients.append((key, tunnel))
    time.sleep(3)
    for _ in range(settings.runs):
        before = [tunnel.cpu_ns() for _, tunnel in clients]
        time.sleep(IDLE_SECONDS)
        for (key, tunnel), then in zip(clients, before):
            yield attempt(tunnel.name, lambda key=key, tunnel=tunnel, then=then:
                          {key: (tunnel.cpu_ns() - then) / 1e3 / IDLE_SECONDS})


# ---- paths


def long_path(lab: Lab, group: Group, settings: Settings) -> Turns:
    scene = Scene(lab, group.congestion_control, ["--delay-ms", "25"], long_path=True)

    wanted = [row.key for row in group.rows]

    def one(tunnel: Way) -> Values:
        values = {}
        for direction, port in (("down", SOURCE), ("up", SINK)):
            if direction in wanted:
                result = lab.measure(scene.near, "throughput", *tunnel.route(port), "--direction", direction, "--warmup", 3,
                                     "--seconds", settings.seconds + 1)
                values[direction] = result["mb_per_s"]
        return values

    yield from in_turns(scene, group, settings, one)


def path_bytes(scene: Scene, direction: str) -> int:
    with open(f"/proc/{scene.near.holder.pid}/net/dev", encoding="ascii") as file:
        line = next(line for line in file if line.strip().startswith("path0:"))
    fields = line.split(":", 1)[1].split()
    return int(fields[0] if direction == "down" else fields[8])


def narrow_path(lab: Lab, group: Group, settings: Settings) -> Turns:
    """64 KiB wait before the narrow place at most: a home router that is not the worst."""
    scene = Scene(lab, group.congestion_control,
                  ["--delay-ms", "10", "--rate-mbit", "10", "--queue-bytes", "65536", "--no-offload"])
    scene.server_of(None)  # which outlives each client

    def one(contestant: Contestant, direction: str, port: int) -> Values:
        with lab.scope():
            tunnel = scene.tunnel(contestant)
            lab.start([lab.load, "throughput", *tunnel.route(port), "--direction", direction, "--seconds", "60"],
                      scene.near)
            time.sleep(4)
            before, begin = path_bytes(scene, direction), time.monotonic()
            result = lab.measure(scene.near, "latency", *tunnel.route(ECHO), "--size", 64, "--count", 1000,
                                 "--warmup", 3, "--interval-us", 20_000, "--seconds", settings.seconds + 4)
            filled = (path_bytes(scene, direction) - before) / (time.monotonic() - begin)
            return {f"{direction}-p50": result["p50_us"] / 1e3, f"{direction}-p99": result["p99_us"] / 1e3,
                    f"{direction}-filled": filled / 1e6}

    for _ in range(settings.runs):
        for contestant in group.contestants(settings):
            for direction, port in (("down", SOURCE), ("up", SINK)):
                yield attempt(contestant.name, lambda c=contestant, d=direction, p=port: one(c, d, p))


# ---- no network at all


def session(lab: Lab, group: Group, settings: Settings) -> Turns:
    for _ in range(settings.runs):
        def one() -> Values:
            done = subprocess.run([settings.session_bench], capture_output=True, text=True, timeout=60, check=False)
            if done.returncode != 0:
                raise MeasurementFailed(f"{settings.session_bench}: {done.stderr.strip() or done.returncode}")
            return json.loads(done.stdout)

        yield attempt("culvert", one)


def narrow_rows(direction: str) -> list[Row]:
    return [
        Row(f"{direction}-p50", f"round trip beside a full 10 Mbit/s path ({direction}), p50", "ms", at_most(1.0), digits=1),
        Row(f"{direction}-p99", f"round trip beside a full 10 Mbit/s path ({direction}), p99", "ms", digits=1),
        Row(f"{direction}-filled", f"how full that path was ({direction})", "MB/s", digits=2),
    ]


def groups_of_kind(kind: Kind, name: str, connections_at_least: float) -> list[Group]:
    mark = f" ({kind.value})"
    return [
        Group(f"bulk-{name}", "reno", bulk_rows({1: 0.95}, mark), bulk((1,)), kind),
        Group(f"round-trip-{name}", "reno", round_trip_rows(mark), round_trip, kind),
        Group(f"connections-{name}", "reno", connections_rows(connections_at_least, mark), connections, kind),
    ]


def groups_of_both() -> list[Group]:
    def of(name: str, rows: list[Row], measure, kind: Kind = Kind.LOCAL, control: str | None = "reno", **more) -> Group:
        return Group(f"both-{name}", control, rows, measure, kind, Ends.BOTH, **more)

    return [
        of("bulk", bulk_rows({1: 3.0, 8: 3.5}, " (both)", "two ends"), bulk((1, 8)), has_floor=True),
        of("bulk-remote", bulk_rows({1: 3.0}, " (both, -R)", "two ends"), bulk((1,)), Kind.REMOTE),
        of("bulk-chacha", bulk_rows({1: 2.0}, " (both, chacha20-poly1305)", "two ends", None), bulk((1,)), cipher=CHACHA, has_floor=True),
        of("bulk-system", bulk_rows({1: None}, " (both, system's)", "two ends", None), bulk((1,)), control=None),
        of("round-trip", round_trip_rows(" (both)", 0.8), round_trip, has_floor=True),
        of("connections", connections_rows(2.0, " (both)", "two ends"), connections),
        of("connections-remote", connections_rows(20, " (both, -R)", "two ends"), connections, Kind.REMOTE),
        of("long-path", [Row("down", "download over a 50 ms path (both)", "MB/s", at_least(12)),
                         Row("up", "upload over a 50 ms path (both)", "MB/s", at_least(12))], long_path),
        of("memory", [Row("per-stream", f"memory per idle stream ({IDLE_STREAMS}), both ends", "KiB", at_most(12, ITSELF),
                          digits=1)], memory_of_both),
        of("logins", [Row("rate", "logins by ed25519, 10 at a time", "1/s", at_least(5)),
                      Row("sessions", f"memory of a server with {IDLE_SESSIONS} idle sessions", "MiB", at_most(0.1), digits=1)], logins),
        Group("server", "reno", bulk_rows({1: 1.0}, " (ssh to culvert serve)", "two ends", None), bulk((1,)), ends=Ends.SERVER),
        Group("server-round-trip", "reno", round_trip_rows(" (ssh to culvert serve)", 1.0), round_trip, ends=Ends.SERVER),
        Group("server-connections", "reno", connections_rows(1.0, " (ssh to culvert serve)", "two ends"), connections,
              ends=Ends.SERVER),
    ]


LONG_PATH_ROW = Row("down", "download over a 50 ms path", "MB/s", at_least(10))

GROUPS = [
    Group("bulk", "reno", bulk_rows({1: 0.95, 8: None}), bulk((1, 8)), has_floor=True),
    Group("round-trip", "reno", round_trip_rows(), round_trip),
    Group("connections", "reno", connections_rows(1.0), connections),
    *groups_of_kind(Kind.REMOTE, "remote", connections_at_least=10),
    *groups_of_kind(Kind.DYNAMIC, "dynamic", connections_at_least=1.2),
    Group("start", "reno", [Row("first-byte", "start to first forwarded byte", "ms", at_most(0.6), digits=1)], start),
    Group("memory", "reno", [
        Row("per-stream", f"memory per idle stream ({IDLE_STREAMS})", "KiB", at_most(8, ITSELF), digits=1),
        Row("alone", "memory with no stream", "KiB"),
        Row("forwards", f"memory with {IDLE_FORWARDS} forwards", "KiB", at_most(1.0))], memory),
    Group("idle", "reno", [
        Row("default", f"CPU while idle, {IDLE_FORWARDS} forwards", "µs/s", at_most(1.0), digits=1),
        Row("asking", f"CPU while idle, {IDLE_FORWARDS} forwards, ServerAliveInterval=8", "µs/s", at_most(1.0), digits=1)],
        idle),
    Group("long-path", "reno", [LONG_PATH_ROW], long_path),
    Group("narrow-path", "reno", [*narrow_rows("down"), *narrow_rows("up")], narrow_path),
    Group("session", "reno", [
        Row("machines", "two machines joined in memory, one thread", "MB/s"),
        Row("raw", "seal and open alone, one thread", "MB/s"),
        Row("ratio", "machines / seal and open", "×", at_least(0.4, ITSELF), digits=2)], session),
    Group("bulk-system", None, bulk_rows({1: 0.95}, " (system's)"), bulk((1,))),
    Group("round-trip-system", None, round_trip_rows(" (system's)"), round_trip),
    Group("long-path-system", None,
          [dataclasses.replace(LONG_PATH_ROW, title=f"{LONG_PATH_ROW.title} (system's)")], long_path),
    *groups_of_both(),
]

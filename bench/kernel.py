#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `culvert map --kernel` costs beside the same rules by hand: throughput and round trips through a router that is a
network namespace, with one mapping and with a thousand, interleaved. And how soon rules are there, and back.

As root, with nft: bench/kernel.py [rounds]
"""

import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/python"))

from harness.street import Street  # noqa: E402
from harness.processes import Process  # noqa: E402

CULVERT = ROOT / os.environ.get("CULVERT", "build/release/culvert")
ONE_CORE = ("taskset", "-c", "1")  # both ends: what a packet costs, and not where it was scheduled
LOAD = ROOT / "build/release/bench/culvert-load"
PORTS = {"tcp/sink": 7001, "tcp/echo": 7002, "tcp+udp/iperf": 7003}

BY_HAND = """table inet hand {{
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr {outside} tcp dport 7001 dnat ip to {server}:7001
    ip daddr {outside} tcp dport 7002 dnat ip to {server}:7002
    ip daddr {outside} tcp dport 7003 dnat ip to {server}:7003
    ip daddr {outside} udp dport 7003 dnat ip to {server}:7003
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    ct status dnat counter accept
  }}
}}
"""


def measure(street, *words) -> dict:
    return json.loads(street.client.run(*words))


def figures(street) -> dict:
    to = Street.OUTSIDE
    stream = measure(street, LOAD, "throughput", "--to", f"{to}:{PORTS['tcp/sink']}", "--direction", "up", "--seconds", "1")
    trip = measure(street, *ONE_CORE, LOAD, "latency", "--to", f"{to}:{PORTS['tcp/echo']}", "--count", "20000", "--seconds", "1")
    small = measure(street, *ONE_CORE, "iperf3", "-c", to, "-p", PORTS["tcp+udp/iperf"], "-u", "-b", "0", "-l", "64", "-t", "1", "-J")
    small = small["end"]["sum"]
    return {"stream": stream, "trip": trip, "packets_per_s": small["packets"] / small["seconds"]}


@contextlib.contextmanager
def by_hand(street):
    street.router.nft(BY_HAND.format(outside=Street.OUTSIDE, server=Street.SERVER))
    yield
    street.router.nft("delete table inet hand")


@contextlib.contextmanager
def by_culvert(street, more=0):
    words = [word for name, port in PORTS.items() for word in (f"{name.split('/')[0]}/{Street.OUTSIDE}:{port}",
                                                               f"{Street.SERVER}:{port}")]
    words += [word for i in range(more) for word in (f"tcp+udp/{Street.OUTSIDE}:{20000 + i}", f"{Street.SERVER}:80")]
    with Process(street.router.command(CULVERT, "map", "--kernel", "--enable-forwarding", *words)) as culvert:
        culvert.wait_for("ready")
        yield
        culvert.signal(signal.SIGTERM)
        culvert.wait()


def values(rows, path):
    """One figure of each round: "stream.mb_per_s"."""
    for row in rows:
        for key in path.split("."):
            row = row[key]
        yield row


def best(rows, path):
    return statistics.median(values(rows, path))


def ratio(rows, others, path):
    """The median of those of neighbours in time."""
    return statistics.median(a / b for a, b in zip(values(rows, path), values(others, path), strict=True))


def installation(street) -> dict:
    """Milliseconds: from the start of the program with 1,000 mappings to its "ready"; from a removal to the rules."""
    started, back = [], []
    words = [word for i in range(1000) for word in (f"{Street.OUTSIDE}:{20000 + i}", f"{Street.SERVER}:80")]
    for _ in range(5):
        begun = time.monotonic()
        with Process(street.router.command(CULVERT, "map", "--kernel", *words)) as culvert:
            culvert.wait_for("ready")
            started.append((time.monotonic() - begun) * 1000)
            whole = street.router.run("nft", "-s", "list", "table", "inet", "culvert")
            time.sleep(0.2)
            street.router.nft("delete table inet culvert")
            begun = time.monotonic()
            while subprocess.run(street.router.command("nft", "list", "map", "inet", "culvert", "tcp4-bound"),
                                 capture_output=True, check=False).returncode != 0:
                assert time.monotonic() - begun < 10
            back.append((time.monotonic() - begun) * 1000)
            assert street.router.run("nft", "-s", "list", "table", "inet", "culvert") == whole
            culvert.signal(signal.SIGTERM)
            culvert.wait()
    return {"ready_ms": statistics.median(started), "back_ms": statistics.median(back)}


def scene(stack, way) -> Street:
    street = Street(stack)
    for machine in (street.client, street.router, street.server):
        machine.run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")
    street.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    for words in ((LOAD, "serve", "--bind", Street.SERVER, "--sink-port", PORTS["tcp/sink"]),
                  (*ONE_CORE, LOAD, "serve", "--bind", Street.SERVER, "--echo-port", PORTS["tcp/echo"]),
                  (*ONE_CORE, "iperf3", "-s", "-B", Street.SERVER, "-p", PORTS["tcp+udp/iperf"])):
        server = subprocess.Popen(street.server.command(*words), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        stack.callback(server.wait)
        stack.callback(server.terminate)
    stack.enter_context(way(street))
    return street


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    ways = {"by hand": by_hand, "by hand again": by_hand, "one": by_culvert,
            "a thousand": lambda street: by_culvert(street, 1000)}
    with contextlib.ExitStack() as stack:
        streets = {name: scene(stack, way) for name, way in ways.items()}
        time.sleep(0.5)
        rows = {name: [] for name in ways}
        for i in range(rounds):
            for name in list(ways)[:: 1 if i % 2 == 0 else -1]:
                rows[name].append(figures(streets[name]))
    with contextlib.ExitStack() as stack:
        print(json.dumps(installation(Street(stack))))
    for path in ("stream.mb_per_s", "trip.p50_us", "packets_per_s"):
        print(path, {name: round(best(all_, path), 2) for name, all_ in rows.items()},
              "ratios", {name: round(ratio(all_, rows["by hand"], path), 3) for name, all_ in rows.items()})


if __name__ == "__main__":
    main()

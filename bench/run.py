#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares culvert with ssh, and with relays and proxies of Debian: the same servers and paths, turn by turn, medians.

Needs root (network namespaces); asks sudo otherwise. Prints a table; a run of all figures is written to bench/results.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys

import figures
import peers
import relay_figures
import table
from lab import CIPHER, Lab, MeasurementFailed
from measures import Group, Settings
from peers import Peer, Use
from scene import Contestant, Kind

GROUPS = [*figures.GROUPS, *relay_figures.GROUPS]
ROOT = pathlib.Path(__file__).resolve().parent.parent
Samples = dict[str, dict[str, list[float]]]  # row -> contestant -> values


def output_of(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return (done.stdout or done.stderr).strip()


def machine() -> dict[str, str]:
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="ascii")
                if line.startswith("model name")), platform.machine())
    return {"kernel": platform.release(), "cpu": f"{os.cpu_count()} × {cpu}",
            "system's congestion control": pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
            "load before": f"{os.getloadavg()[0]:.2f}"}


def measure(lab: Lab, group: Group, settings: Settings, failures: list[str]) -> Samples:
    samples: Samples = {row.key: {} for row in group.rows}
    try:
        with lab.scope():
            for name, values in group.measure(lab, group, settings):
                if isinstance(values, MeasurementFailed):
                    failures.append(f"{group.name}, {name}: {values}")
                    continue
                for key, value in values.items():
                    samples[key].setdefault(name, []).append(value)
    except MeasurementFailed as error:
        failures.append(f"{group.name}: {error}")
    return samples


def arguments() -> argparse.Namespace:
    build = ROOT / "build/release"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="GROUP", choices=[g.name for g in GROUPS],
                        help="one group of figures, may be repeated: " + ", ".join(g.name for g in GROUPS))
    parser.add_argument("--runs", type=int, default=5, help="runs that a median is taken of (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="length of one run (default 2)")
    parser.add_argument("--ssh", default="/usr/bin/ssh", help="the program compared with")
    parser.add_argument("--culvert", default=str(build / "culvert"))
    parser.add_argument("--sshd", default="/usr/sbin/sshd")
    parser.add_argument("--tools", type=pathlib.Path, default=build / "bench", help="folder of the load generator")
    parser.add_argument("--without", action="append", default=[], metavar="NAME",
                        help="a column of the tables: ssh, culvert, direct, haproxy ...")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE.md",
                        help="also with --only: where the table goes, and the values beside it as .json")
    return parser.parse_args()


@dataclasses.dataclass
class Part:
    """Programs that are compared with each other, and what came of it: one table."""

    title: str
    about: str
    usual: str | None  # whom culvert is compared with where no target says another
    contestants: list[Contestant | Peer]
    groups: list[Group]
    table: list[list[str]] = dataclasses.field(default_factory=list)

    def names(self) -> list[str]:
        return [contestant.name for contestant in self.contestants]

    def versions(self) -> dict[str, str]:
        return {c.package: output_of("dpkg-query", "-W", "-f", "${Version}", c.package) for c in self.contestants
                if isinstance(c, Peer) and c.package}

    def text(self) -> str:
        versions = ", ".join(f"{package} {version}" for package, version in self.versions().items())
        return "\n".join([f"## {self.title}", "", *([f"- of Debian: {versions}"] if versions else []), f"- {self.about}", "",
                          table.markdown(self.table)])


def parts(options: argparse.Namespace) -> list[Part]:
    def compared(*of: Contestant | Peer) -> list[Contestant | Peer]:
        return [c for c in of if c.name not in options.without]

    def chosen(uses: type | Use) -> list[Group]:
        wanted = [g for g in GROUPS if not options.only or g.name in options.only]
        return [g for g in wanted if (g.kind is uses if isinstance(uses, Use) else isinstance(g.kind, uses))]

    ours, nobody = Peer(table.OURS, options.culvert, None, peers.culvert), Contestant(table.NOBODY)
    floor = Contestant(table.FLOOR, str(options.tools / "culvert-floor"))
    tunnels = compared(Contestant("ssh", options.ssh), Contestant(table.OURS, options.culvert), floor, nobody)
    about = (f"{output_of(options.ssh, '-V')}; {CIPHER} unless said; the far end is sshd but for (both) and (ssh to culvert serve); "
             f"{table.FLOOR}: the least that the two ends of a tunnel can cost (bench/floor.cpp)")
    all_parts = [Part("culvert beside ssh", about, "ssh", tunnels, chosen(Kind))]
    relay_floor = Peer(table.FLOOR, str(options.tools / "culvert-relay-floor"), None, peers.floor)
    for use in Use:
        floors = [relay_floor] if use is Use.TCP else []
        all_parts.append(Part(use.value, use.about(), None, compared(*peers.PEERS[use], ours, *floors, nobody), chosen(use)))
    return [part for part in all_parts if part.groups]


def report(options: argparse.Namespace, about: dict[str, str], of: list[Part], failures: list[str]) -> str:
    lines = [f"# What culvert does, beside others, {datetime.date.today().isoformat()}", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += [f"- medians of {options.runs} runs of {options.seconds:g} s each, in turns",
              f"- MB is 10⁶ bytes, KiB 1,024; \"{table.NOBODY}\" is the load generator with nothing between"]
    lines += [text for part in of for text in ("", part.text())]
    if failures:
        lines += ["", "Not measured:", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


def missing_program(of: list[Part], options: argparse.Namespace) -> str | None:
    programs = [c.binary for part in of for c in part.contestants if c.binary] + [str(options.tools / "culvert-load")]
    if any(isinstance(group.kind, Kind) for part in of for group in part.groups):
        programs.append(options.sshd)
    return next((program for program in programs if not os.access(program, os.X_OK)), None)


def give_to_caller(path: pathlib.Path) -> None:
    if "SUDO_UID" in os.environ:
        os.chown(path, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def main() -> int:
    options = arguments()
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", sys.executable, *sys.argv])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    of = parts(options)
    if missing := missing_program(of, options):
        print(f"bench: {missing} is not there (run 'make bench', which installs and builds what is needed)", file=sys.stderr)
        return 1
    about = {**machine(), "culvert": output_of("git", "describe", "--always", "--dirty", "--tags")}
    failures: list[str] = []
    raw: dict[str, Samples] = {}
    with Lab(options.tools / "culvert-load", options.sshd) as lab:
        for part in of:
            settings = Settings(part.contestants, options.runs, options.seconds, str(options.tools / "culvert-session-bench"),
                                str(options.tools / "culvert-login-bench"))
            part.table = [table.head(part.names(), part.usual)]
            for group in part.groups:
                print(f"bench: {group.name} ...", file=sys.stderr, flush=True)
                raw[group.name] = measure(lab, group, settings, failures)
                part.table += [table.line(row, group.congestion_control, raw[group.name][row.key], part.names(), part.usual)
                               for row in group.rows]

    text = report(options, about, of, failures)
    print(text)
    target = options.write or (None if options.only else ROOT / f"bench/results/{datetime.date.today().isoformat()}.md")
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        values = {"about": about, "runs": options.runs, "seconds": options.seconds, "values": raw, "failures": failures}
        target.with_suffix(".json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for path in (target, target.with_suffix(".json")):
            give_to_caller(path)
        print(f"bench: written to {target}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

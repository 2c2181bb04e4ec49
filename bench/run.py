#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares culvert with ssh: the same stock sshd, the same words on the command line, turn by turn, medians.

Needs root (network namespaces); asks sudo otherwise. Prints a table; a run of all figures is written to bench/results.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys

from figures import GROUPS, Group, Row, Settings
from lab import CIPHER, Lab, MeasurementFailed
from scene import Contestant

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


def shown(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def table_row(group: Group, row: Row, samples: dict[str, list[float]], names: list[str]) -> list[str]:
    medians = {name: statistics.median(values) if (values := samples.get(name)) else None for name in names}
    ssh, culvert = medians.get("ssh"), medians.get("culvert")
    ratio = culvert / ssh if culvert is not None and ssh else None
    judged = culvert if row.absolute else ratio
    unit = f" {row.unit}" if row.absolute else " ×"
    wanted, met = "", ""
    if row.at_least is not None or row.at_most is not None:
        bound = row.at_least if row.at_least is not None else row.at_most
        wanted = f"{'≥' if row.at_least is not None else '≤'} {bound:g}{unit}"
        met = "–" if judged is None else "yes" if (judged >= bound if row.at_least is not None else judged <= bound) else "**no**"
    runs = max((len(values) for values in samples.values()), default=0)
    return [row.title, row.unit, group.congestion_control or "system", *(shown(medians[name], row.digits) for name in names),
            "–" if ratio is None else f"{ratio:.2f}", wanted, met, str(runs)]


def markdown(table: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


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
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="ssh, culvert or direct")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE.md",
                        help="also with --only: where the table goes, and the values beside it as .json")
    return parser.parse_args()


def report(options: argparse.Namespace, about: dict[str, str], table: list[list[str]], failures: list[str]) -> str:
    lines = [f"# culvert against ssh, {datetime.date.today().isoformat()}", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += [f"- medians of {options.runs} runs of {options.seconds:g} s each, in turns; {CIPHER} unless said; the far end is sshd but for (both) and (ssh to culvert serve)",
              "- MB is 10⁶ bytes, KiB 1,024; \"direct\" is the load generator without a tunnel", "", markdown(table)]
    if failures:
        lines += ["", "Not measured:", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


def give_to_caller(path: pathlib.Path) -> None:
    if "SUDO_UID" in os.environ:
        os.chown(path, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def main() -> int:
    options = arguments()
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", sys.executable, *sys.argv])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    contestants = [Contestant("ssh", options.ssh), Contestant("culvert", options.culvert), Contestant("direct")]
    contestants = [c for c in contestants if c.name not in options.without]
    for program in [c.binary for c in contestants if c.binary] + [options.sshd, str(options.tools / "culvert-load")]:
        if not os.access(program, os.X_OK):
            print(f"bench: {program} is not there (run 'make bench', which builds it)", file=sys.stderr)
            return 1
    names = [c.name for c in contestants]
    settings = Settings(contestants, options.runs, options.seconds, str(options.tools / "culvert-session-bench"),
                        str(options.tools / "culvert-login-bench"))
    groups = [g for g in GROUPS if not options.only or g.name in options.only]
    about = {**machine(), "ssh": output_of(options.ssh, "-V"), "culvert": output_of("git", "describe", "--always", "--dirty", "--tags")}

    table = [["figure", "unit", "congestion control", *names, "culvert / ssh", "wanted", "met", "runs"]]
    failures: list[str] = []
    raw: dict[str, Samples] = {}
    with Lab(options.tools / "culvert-load", options.sshd) as lab:
        for group in groups:
            print(f"bench: {group.name} ...", file=sys.stderr, flush=True)
            raw[group.name] = measure(lab, group, settings, failures)
            table += [table_row(group, row, raw[group.name][row.key], names) for row in group.rows]

    text = report(options, about, table, failures)
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

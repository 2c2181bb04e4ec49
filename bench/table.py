# SPDX-License-Identifier: Apache-2.0
"""Lines of the table: a figure, what is wanted of it, and whether that is met."""

from __future__ import annotations

import dataclasses
import statistics

BEST = "the best"  # of all that culvert is compared with
ITSELF = "itself"
OURS, NOBODY = "culvert", "direct"
FLOOR = "floor"  # the least that a tunnel or a relay can cost (bench/floor.cpp, bench/relay_floor.cpp)


@dataclasses.dataclass(frozen=True)
class Target:
    """Of culvert's value, in multiples of the value that another program has, or (ITSELF) as it is."""

    bound: float
    is_least: bool
    of: str

    def reference(self, medians: dict[str, float]) -> float | None:
        if self.of != BEST:
            return medians.get(self.of)
        peers = [value for name, value in medians.items() if name not in (OURS, NOBODY, FLOOR)]
        return (max if self.is_least else min)(peers) if peers else None

    def judged(self, medians: dict[str, float]) -> float | None:
        ours = medians.get(OURS)
        if self.of == ITSELF or ours is None:
            return ours
        reference = self.reference(medians)
        return ours / reference if reference else None

    def is_met(self, judged: float) -> bool:
        return judged >= self.bound if self.is_least else judged <= self.bound

    def text(self, unit: str, usual: str | None) -> str:
        sign = "≥" if self.is_least else "≤"
        if self.of == ITSELF:
            return f"{sign} {self.bound:g} {unit}"
        return f"{sign} {self.bound:g} ×" + ("" if self.of == usual else f" {self.of}")


Targets = tuple[Target, ...]


def at_least(bound: float | None, of: str = "ssh") -> Targets:
    """None: nothing is wanted. Targets of one figure are added."""
    return () if bound is None else (Target(bound, True, of),)


def at_most(bound: float | None, of: str = "ssh") -> Targets:
    return () if bound is None else (Target(bound, False, of),)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line: `key` says which of the measured values it is."""

    key: str
    title: str
    unit: str
    wanted: Targets = ()
    digits: int = 0


def shown(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def head(names: list[str], usual: str | None) -> list[str]:
    """`usual`: whom culvert is compared with where no target says another."""
    return ["figure", "unit", "congestion control", *names, f"culvert / {usual or 'that'}", "wanted", "met", "runs"]


def line(row: Row, congestion_control: str | None, samples: dict[str, list[float]], names: list[str],
         usual: str | None) -> list[str]:
    medians = {name: statistics.median(values) for name in names if (values := samples.get(name))}
    judged = [target.judged(medians) for target in row.wanted]
    ratios = [None if target.of == ITSELF else value for target, value in zip(row.wanted, judged)]
    if usual and (not ratios or ratios == [None]):
        ratios = [Target(0, True, usual).judged(medians)]
    met = ["–" if value is None else "yes" if target.is_met(value) else "**no**"
           for target, value in zip(row.wanted, judged)]
    runs = max((len(values) for values in samples.values()), default=0)
    return [row.title, row.unit, congestion_control or "system", *(shown(medians.get(name), row.digits) for name in names),
            ", ".join(shown(ratio, 2) for ratio in ratios), ", ".join(target.text(row.unit, usual) for target in row.wanted),
            ", ".join(met), str(runs)]


def markdown(table: list[list[str]]) -> str:
    widths = [max(len(cells[i]) for cells in table) for i in range(len(table[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |" for cells in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)

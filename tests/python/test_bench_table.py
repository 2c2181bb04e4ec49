# SPDX-License-Identifier: Apache-2.0
"""What the benchmark says is met: of whose value, and in which direction."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from table import BEST, ITSELF, Row, at_least, at_most, line  # noqa: E402

NAMES = ["fast", "slow", "culvert", "floor", "direct"]


def cells(row, samples, usual=None):
    """The ratio, what is wanted, and whether it is met."""
    return line(row, "reno", samples, NAMES, usual)[-4:-1]


def test_a_figure_can_have_targets_of_several_programs():
    row = Row("key", "title", "MB/s", at_least(0.9, "fast") + at_least(4, "slow"))
    samples = {"fast": [100.0], "slow": [20.0, 90.0, 30.0], "culvert": [95.0], "direct": [500.0]}
    assert cells(row, samples) == ["0.95, 3.17", "≥ 0.9 × fast, ≥ 4 × slow", "yes, **no**"]


def test_the_best_of_all_peers_is_neither_culvert_nor_the_floor_nor_the_direct_way():
    samples = {"fast": [10.0], "slow": [40.0], "culvert": [9.0], "floor": [2.0], "direct": [1.0]}
    assert cells(Row("key", "time", "µs", at_most(0.85, BEST)), samples) == ["0.90", "≤ 0.85 × the best", "**no**"]
    assert cells(Row("key", "rate", "1/s", at_least(0.2, BEST)), samples) == ["0.23", "≥ 0.2 × the best", "yes"]


def test_an_own_value_is_judged_without_the_others():
    row = Row("key", "memory", "KiB", at_most(3, ITSELF))
    assert cells(row, {"culvert": [2.0]}) == ["–", "≤ 3 KiB", "yes"]
    assert cells(row, {"culvert": [4.0], "fast": [8.0]}, usual="fast") == ["0.50", "≤ 3 KiB", "**no**"]


def test_what_was_not_measured_is_not_judged():
    row = Row("key", "title", "MB/s", at_least(1, "fast"))
    assert cells(row, {"fast": [1.0]}) == ["–", "≥ 1 × fast", "–"]
    assert cells(row, {"culvert": [1.0]}) == ["–", "≥ 1 × fast", "–"]


def test_a_row_without_a_target_still_shows_the_usual_ratio():
    assert cells(Row("key", "title", "MB/s"), {"fast": [4.0], "culvert": [2.0]}, usual="fast") == ["0.50", "", ""]

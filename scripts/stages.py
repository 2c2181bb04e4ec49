# SPDX-License-Identifier: Apache-2.0
"""What scripts/test_all and scripts/test_next are lists of, and what runs such a list.

A stage is called with the place of its log, and answers with what it counted.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)  # "TEST: what it said", of those that can be named

    def __iadd__(self, other: "Count") -> "Count":
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        return self

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def call(log: pathlib.Path, command: list[str], minutes: float, env: dict[str, str] | None = None) -> int:
    """Runs it with its output in the log; its exit status, 124 if its time is over."""
    with open(log, "a", encoding="utf-8") as file:
        print("$", " ".join(map(str, command)), file=file, flush=True)
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                                   env={**os.environ, **(env or {})}, start_new_session=True)
        try:
            return process.wait(minutes * 60)
        except BaseException as e:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(e, subprocess.TimeoutExpired):
                raise
            print(f"ended after {minutes} minutes", file=file)
            return 124


def one(status: int) -> Count:
    return Count(passed=int(status == 0), failed=int(status != 0))


def script(*words: str, minutes: float = 10):
    return lambda log: one(call(log, [f"scripts/{words[0]}", *words[1:]], minutes))


def build(preset: str, *targets: str, env: dict[str, str] | None = None):
    """A stage that counts only if it fails: what was built is counted when it runs."""
    def run(log: pathlib.Path) -> Count:
        return Count(failed=int(call(log, ["scripts/build", preset, *targets], 30, env) != 0))
    return run


def test_targets(*folders: str) -> list[str]:
    """The unit test programs of these folders under src."""
    there = [f.relative_to(ROOT / "src").as_posix() for f in sorted((ROOT / "src").rglob("CMakeLists.txt"))
             for f in [f.parent] if any(f.rglob("*_test.cpp"))]
    return [f"culvert_{f.replace('/', '_')}_test" for f in there if not folders or f.startswith(folders)]


def unit_tests(preset: str, *folders: str):
    """As many programs at once as there are processors: each of them has one busy thread."""
    def one_program(logs: pathlib.Path, name: str) -> tuple[str, int, Count]:
        report, log = logs / f"{preset}-{name}.json", logs / f"{preset}-{name}.log"
        report.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        program = next(iter((ROOT / "build" / preset).rglob(name)), None)
        if program is None:
            log.write_text(f"{name} was not built\n")
            return name, 127, Count(failed=1)
        status = call(log, [str(program), f"--gtest_output=json:{report}", "--gtest_brief=1"], 8)
        count = gtest_count(report)
        if status and not count.failed:  # it crashed, hung, or a sanitizer spoke at the end
            count.failed = 1
            count.failures.append(f"{name}: status {status}\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
        return name, status, count

    def run(log: pathlib.Path) -> Count:
        total = Count()
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool, open(log, "a", encoding="utf-8") as file:
            for name, status, count in pool.map(lambda name: one_program(log.parent, name), test_targets(*folders)):
                file.write((log.parent / f"{preset}-{name}.log").read_text(encoding="utf-8", errors="replace"))
                if count.failed:
                    print(f"   {name}: status {status}, {count}")
                total += count
        return total
    return run


def gtest_count(report: pathlib.Path) -> Count:
    try:
        suites = json.loads(report.read_text())["testsuites"]
    except (OSError, ValueError, KeyError):
        return Count()
    count = Count()
    for test in (test for suite in suites for test in suite["testsuite"]):
        if failures := test.get("failures"):
            count.failed += 1
            count.failures.append(f"{test['classname']}.{test['name']}: {failures[0].get('failure', '')}")
        elif test.get("result") == "SKIPPED" or test.get("status") != "RUN":
            count.skipped += 1
        else:
            count.passed += 1
    return count


def pytest(preset: str, minutes: float, *arguments: str, small: bool = False, env: dict[str, str] | None = None):
    """`arguments`: of pytest; the files of tests/python to take, if not all."""
    files = [] if any(a.endswith(".py") for a in arguments) else ["tests/python"]
    settings = {"CULVERT": f"build/{preset}/culvert", "CULVERT_SMALL": "1" if small else "0",
                "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}

    def run(log: pathlib.Path) -> Count:
        report = log.with_suffix(".xml")
        report.unlink(missing_ok=True)
        status = call(log, [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=short", "--durations=15",
                            f"--junitxml={report}", *arguments, *files], minutes, settings)
        count = Count()
        try:
            root = xml.parse(report).getroot()
            for case in root.iter("testcase"):
                count.failures += [f"{case.get('classname')}.{case.get('name')}: {said.text}"
                                   for said in (*case.iter("failure"), *case.iter("error"))]
            for suite in root.iter("testsuite"):
                total, failed, skipped = int(suite.get("tests")), int(suite.get("failures")) + int(suite.get("errors")), int(
                    suite.get("skipped"))
                count += Count(total - failed - skipped, failed, skipped)
        except (OSError, xml.ParseError):
            pass
        if status and not count.failed:
            count.failed = 1
        return count
    return run


@dataclasses.dataclass
class Beside:
    """A stage that mostly waits, and does not keep the next ones."""
    run: object


def parser(about: str) -> argparse.ArgumentParser:
    """The options that every list of stages has."""
    result = argparse.ArgumentParser(description=about.splitlines()[0])
    result.add_argument("--only", default="")
    result.add_argument("--list", action="store_true")
    return result


def run_stages(rows: list[tuple], options: argparse.Namespace, logs: pathlib.Path) -> int:
    """A row: name, the stage without which it makes no sense, what to do. Times and shows each; the last line is the sum.
    The exit status of the whole."""
    wanted = options.only.split(",") if options.only else [row[0] for row in rows]
    if unknown := set(wanted) - {row[0] for row in rows}:
        print(f"no such stage: {', '.join(sorted(unknown))} (see --list)", file=sys.stderr)
        return 2
    chosen = [row for row in rows if row[0] in wanted]
    if options.list:
        print("\n".join(row[0] for row in chosen))
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):  # what runs has to be ended, as after Ctrl-C
        signal.signal(number, lambda n, _: sys.exit(128 + n))

    logs.mkdir(parents=True, exist_ok=True)
    total, times, broken = Count(), [], set()
    start = time.monotonic()

    def timed(name: str, run) -> tuple[str, float, Count]:
        log = logs / f"{name}.log"
        log.unlink(missing_ok=True)
        begin = time.monotonic()
        count = run(log)
        return name, (time.monotonic() - begin) / 60, count

    def finished(name: str, minutes: float, count: Count) -> None:
        nonlocal total
        total += count
        times.append((name, minutes, count))
        print(f"== {name}: {'built' if count == Count() else count} ({minutes:.1f} min)", flush=True)
        if not count.failed:
            return
        broken.add(name)
        log = logs / f"{name}.log"
        text = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        print("\n".join("   " + line for line in text[-100:]))
        print(f"   all of it: {log.relative_to(ROOT)}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        waiting = []
        for name, needs, run in chosen:
            if needs in broken:
                print(f"== {name}: left out, since {needs} failed", flush=True)
            elif isinstance(run, Beside):
                waiting.append(pool.submit(timed, name, run.run))
            else:
                finished(*timed(name, run))
            for done in [w for w in waiting if w.done()]:
                waiting.remove(done)
                finished(*done.result())
        for left in waiting:
            finished(*left.result())

    print("\nminutes per stage:")
    for name, minutes, count in times:
        print(f"  {minutes:6.1f}  {name}{'  FAILED' if count.failed else ''}")
    print(f"  {(time.monotonic() - start) / 60:6.1f}  together, some beside others\n")
    # Once more: of a long output one often has the end alone.
    for failure in total.failures:
        print("failed: " + "\n   ".join(failure.strip().splitlines()[:25]), end="\n\n")
    if not times:
        total.failed = 1
    print(total)
    return 1 if total.failed else 0

# SPDX-License-Identifier: Apache-2.0
"""The manual page as its readers see it. What it says of options is compared with the tables in src/cli/manual_test.cpp."""

import re
import shlex
import subprocess

import pytest

from harness.culvert import ROOT, run
from harness.sockets import DEADLINE

PAGE = ROOT / "docs/culvert.1"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.1")), ids=lambda page: page.name)
def test_the_page_is_clean(page):
    done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", str(page)], capture_output=True, text=True, timeout=DEADLINE,
                          check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.1")), ids=lambda page: page.name)
def test_the_page_and_the_help_say_what_a_second_signal_does(page):
    status = page.read_text().split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
    assert "128 +" in status and "SIGINT or SIGTERM" in status and "second" in status
    command = page.name.removesuffix(".1").split("-")[1:]
    assert "128+N signal N cut it off" in run(*command, "--help").stdout.decode()


def examples() -> list[str]:
    text = subprocess.run(["mandoc", "-Tutf8", "-Owidth=200", str(PAGE)], capture_output=True, text=True, timeout=DEADLINE,
                          check=True).stdout
    text = re.sub(".\b", "", text)
    return [line.strip().removeprefix("$ ") for line in text.splitlines() if line.strip().startswith("$ culvert ")]


@pytest.mark.parametrize("line", examples())
def test_the_examples_are_accepted(line, folder):
    """As far as the first connection, which is to a port where nobody listens."""
    jumps = {"me@outer,inner": "me@127.0.0.1:1,inner"}
    arguments = [jumps.get(word, word) for word in shlex.split(line)[1:] if word not in ("-f", "--wait")]
    done = run(*arguments, "-p", "1", "-o", "HostName=127.0.0.1", cwd=folder)
    if "-G" in arguments:
        assert done.status == 0
        return
    assert done.status == 255
    said = done.stderr or (folder / "culvert.log").read_text()
    assert "cannot connect to 127.0.0.1 port 1: Connection refused" in said


def test_there_are_examples():
    assert len(examples()) >= 5


def options_of_page(name: str) -> set[str]:
    page = (ROOT / "docs" / name).read_text()
    return {"-" + option for line in re.findall(r"^\.It (Fl .*)$", page, re.MULTILINE)
            for option in re.findall(r"Fl (\S+)", line)}


def options_of_help(command: str) -> set[str]:
    shown = run(command, "--help").stdout.decode()
    return set(re.findall(r"^ +(-[a-zA-Z-]+)", shown.split("examples:")[0].split("Options:")[1], re.MULTILINE)) | set(
        re.findall(r"^ +-[a-zA-Z],(--[a-z-]+)", shown, re.MULTILINE))


def test_the_options_of_serve_are_those_of_its_help():
    assert options_of_page("culvert-serve.1") == options_of_help("serve")


def test_the_options_of_map_and_proxy_are_those_of_their_help():
    assert options_of_page("culvert-map.1") == options_of_help("map") | options_of_help("proxy")


def test_the_options_of_open_are_those_of_its_help():
    assert options_of_page("culvert-open.1") == options_of_help("open")


def test_the_events_of_the_log_are_those_of_the_page():
    page = (ROOT / "docs/culvert-serve.1").read_text().split(".Ss The log as JSON")[1].split(".Sh ")[0]
    of_page = {name for line in re.findall(r"^\.It Li (.*)$", page, re.MULTILINE) for name in line.split(" , ")}
    of_code = set()
    for file in (ROOT / "src").rglob("*.[ch]pp"):
        if not re.search(r"_(test|fuzz)\.cpp$", file.name):
            of_code |= set(re.findall(r'\blog_(?:event|line)\([^;"]*?"(\w+)"', file.read_text()))
    assert of_page == of_code

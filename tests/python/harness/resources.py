# SPDX-License-Identifier: Apache-2.0
"""What a process holds, as the kernel tells it."""

import contextlib
import os
import pathlib
import re

import pytest


def names_of_descriptors(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        pytest.skip("what a program hides its memory from cannot count its descriptors either")


def descriptors(pid: int) -> int:
    return len(names_of_descriptors(pid))


def listening(pid: int) -> set[str]:
    """The sockets that it listens at: "tcp 0100007F:1F90", "unix /run/x"."""
    inodes = set()
    for name in names_of_descriptors(pid):
        with contextlib.suppress(FileNotFoundError):
            inodes.update(re.findall(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{name}")))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(f"{table} {fields[1]}")
    for line in pathlib.Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[3], 16) & 0x10000 and fields[6] in inodes:
            found.add(f"unix {fields[7] if len(fields) > 7 else ''}")
    return found


def resident(pid: int, peak: bool = False) -> int:
    """Bytes of memory that it has written: its code comes and goes. `peak`: the most that it had so far, with that."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{'VmHWM' if peak else 'RssAnon'}:\s+(\d+) kB", status)[1]) * 1024

# SPDX-License-Identifier: Apache-2.0
"""Which OpenSSH the tests run against: the one whose programs come first in PATH. scripts/test_next puts another one there."""

import functools
import os
import re
import shutil
import subprocess


def sshd_program() -> str:
    """sshd wants to be called by its whole path."""
    return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin") or "/usr/sbin/sshd"


@functools.cache
def version() -> tuple[int, int]:
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    major, minor = re.match(r"OpenSSH_(\d+)\.(\d+)", said).groups()
    return int(major), int(minor)

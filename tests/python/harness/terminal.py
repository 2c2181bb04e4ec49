# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal of its own, as a person would sit at."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time

from .sockets import DEADLINE


class Terminal:
    """Runs `command` with a pseudo-terminal as its standard input, output, error and controlling terminal."""

    def __init__(self, command: list[str], env: dict | None = None):
        self._master, slave = pty.openpty()
        self.popen = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.text = ""
        self._seen = 0

    def expect(self, wanted: str, timeout: float = DEADLINE) -> str:
        """Waits for text that was not yet expected; returns what came up to its end."""
        end = time.monotonic() + timeout
        while (at := self.text.find(wanted, self._seen)) < 0:
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"waiting for {wanted!r}; the terminal shows:\n{self.text}")
        before = self.text[self._seen:at + len(wanted)]
        self._seen = at + len(wanted)
        return before

    def _read(self, timeout: float) -> bool:
        if timeout <= 0 or not select.select([self._master], [], [], timeout)[0]:
            return False
        try:
            part = os.read(self._master, 65536)
        except OSError:  # EIO: the program closed it
            return False
        self.text += part.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
        return bool(part)

    def send_line(self, line: str) -> None:
        os.write(self._master, line.encode() + b"\n")

    def echo_is_off(self) -> bool:
        return not termios.tcgetattr(self._master)[3] & termios.ECHO

    def interrupt(self) -> None:
        """Ctrl-C, as the terminal's own doing."""
        os.write(self._master, b"\x03")

    def wait(self, timeout: float = DEADLINE) -> int:
        end = time.monotonic() + timeout
        while self.popen.poll() is None:
            if time.monotonic() > end:
                raise AssertionError(f"still runs after {timeout:.0f} s; the terminal shows:\n{self.text}")
            self._read(0.1)
        while self._read(0.1):
            pass
        return self.popen.returncode

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGKILL)
            self.popen.wait(10)
        with contextlib.suppress(OSError):
            os.close(self._master)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

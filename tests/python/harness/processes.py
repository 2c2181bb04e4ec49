# SPDX-License-Identifier: Apache-2.0
"""Child processes that are waited for with deadlines and ended by process id, children included."""

import collections
import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time

from .sockets import DEADLINE


# Started in the background of a script, or by nohup, we ignore what is for us to hear, and what we start inherits that.
for number, hearing in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, hearing)


def children_of(pid: int) -> list[int]:
    """All descendants, deepest last."""
    found = []
    with contextlib.suppress(OSError):
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *children_of(int(child))]
    return found


def kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Process:
    """A program whose standard error (or output) is collected line by line while it runs."""

    recent: collections.deque = collections.deque(maxlen=20)  # what they said is shown when a test fails

    def __init__(self, command: list[str], *, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=None, **options):
        self.command = command
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self.popen = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, env=env, **options)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.started = time.monotonic()
        Process.recent.append(self)

    def _read(self) -> None:
        for line in self.popen.stderr:
            with self._changed:
                self._lines.append(line.decode("utf-8", "backslashreplace").rstrip("\r\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def lines(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, wanted: str, timeout: float = DEADLINE, count: int = 1) -> str:
        """The `count`th line that contains `wanted`. Fails if the program ends, or is silent too long."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [line for line in self._lines if wanted in line]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if self._ended or left <= 0:
                    why = "ended" if self._ended else f"did not say so in {timeout:.0f} s"
                    raise AssertionError(f"waiting for {wanted!r}: {self.command[0]} {why}; it said:\n" + "\n".join(self._lines))
                self._changed.wait(left)

    def wait(self, timeout: float = DEADLINE) -> int:
        """Its exit status; by then all it said has been collected."""
        try:
            status = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command[0]} still runs after {timeout:.0f} s; it said:\n{self.text}") from None
        self._reader.join(5)
        return status

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def stop(self, timeout: float = 10) -> int:
        """Asks it to end, then makes it; its descendants too."""
        offspring = children_of(self.pid) if self.popen.poll() is None else []
        if self.popen.poll() is None:
            # ssh 9.2 misses a signal that comes just before it waits: it gets another one, when ours have long ended.
            for patience in (min(3.0, timeout), timeout):
                self.popen.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.popen.wait(patience)
                    break
            else:
                self.popen.kill()
        for pid in offspring:
            kill(pid, signal.SIGTERM)
        status = self.popen.wait(timeout)
        self._reader.join(5)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

# SPDX-License-Identifier: Apache-2.0
"""`culvert map` and `culvert proxy`: forwards without a tunnel."""

import re
import signal
import time

from .culvert import binary, environment
from .processes import Process
from .sockets import DEADLINE


class Direct(Process):
    """A running one, ready to carry streams. It has to end well."""

    def __init__(self, command: str, *arguments, before: tuple[str, ...] = (), **more):
        super().__init__([*before, binary(), command, *map(str, arguments)], env=environment(), start_new_session=True, **more)
        try:
            self.wait_for("culvert: ready")
        except BaseException:
            self.stop()
            raise

    @property
    def ports(self) -> list[int]:
        """Where it listens, in the order of its lines: what port 0 became."""
        pattern = re.compile(r"culvert: (?:map|proxy) (?:udp )?\S*:(\d+)(?:-\d+)?(?: -> .*)? up$")
        return [int(found[1]) for line in self.lines if (found := pattern.match(line))]

    @property
    def port(self) -> int:
        return self.ports[0]

    def wait_for_match(self, pattern: str) -> str:
        deadline = time.monotonic() + DEADLINE
        while True:
            found = [line for line in self.lines if re.search(pattern, line)]
            if found:
                return found[0]
            assert time.monotonic() < deadline and self.popen.poll() is None, f"{pattern!r} is missing:\n{self.text}"
            time.sleep(0.02)

    def __exit__(self, *exception) -> None:
        if exception[0] is not None:
            self.stop()
            return
        try:
            self.signal(signal.SIGTERM)
            status = self.wait()
        finally:
            self.stop()
        assert status == 0, self.text


def mapped(*arguments, **more) -> Direct:
    return Direct("map", *arguments, **more)


def proxied(*arguments, **more) -> Direct:
    return Direct("proxy", *arguments, **more)

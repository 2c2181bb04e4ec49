# SPDX-License-Identifier: Apache-2.0
"""A path to a server that can fail in every way that a path does."""

import socket
import threading
import time

from .sockets import free_port


class Gate:
    """A relay before a server, which can be shut (connects are refused), or go silent. What it carries dies with it."""

    def __init__(self, target: int):
        self.target, self.port = target, free_port()
        self.silent = False
        self.up_rate: int | None = None  # bytes a second towards the server
        self._lost: set[socket.socket] = set()
        self._listener = None
        self._open: list[socket.socket] = []
        self.opened = 0
        self.held = threading.Event()  # something, while it is silent

    def open(self) -> None:
        self.silent = False
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        for s in self._open:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        self._open.clear()
        self._lost.clear()

    def lose(self) -> None:
        """What it carries now is silent to both ends from here on, though each connection stands; new ones go through."""
        self._lost.update(self._open)

    def _accept(self, listener) -> None:
        try:
            while True:
                s, _ = listener.accept()
                self.opened += 1
                other = socket.create_connection(("127.0.0.1", self.target))
                self._open += [s, other]
                for a, b, is_up in ((s, other, True), (other, s, False)):
                    threading.Thread(target=self._carry, args=(a, b, is_up), daemon=True).start()
        except OSError:
            pass

    def _carry(self, a, b, is_up) -> None:
        try:
            while data := a.recv(65536 if self.up_rate is None else 4096):
                self._wait(a)
                b.sendall(data)
                if is_up and self.up_rate is not None:
                    time.sleep(len(data) / self.up_rate)
            self._wait(a)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _wait(self, a) -> None:
        while self.silent or a in self._lost:
            self.held.set()
            time.sleep(0.05)

# SPDX-License-Identifier: Apache-2.0
"""Machines in a row, each a network namespace of this test, joined by pairs of interfaces."""

import contextlib
import os
import subprocess
import sys

from .processes import Process

ECHO = """
import selectors, socket, sys, threading

address, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in address else socket.AF_INET

def talk(s, peer):
    with s:
        s.sendall(f"{peer[0]} {peer[1]}\\n".encode())
        while part := s.recv(1 << 16):
            s.sendall(part)

def datagrams():
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.bind((address, port))
        while True:
            data, peer = s.recvfrom(1 << 16)
            s.sendto(f"{peer[0]} {peer[1]} ".encode() + data, peer)

threading.Thread(target=datagrams, daemon=True).start()
with socket.socket(family, socket.SOCK_STREAM) as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(64)
    print("listening", file=sys.stderr, flush=True)
    while True:
        s, peer = listener.accept()
        threading.Thread(target=talk, args=(s, peer), daemon=True).start()
"""


def who_comes(address: str, port: int) -> list[str]:
    """The command of a server that says to each stream who it is, then echoes; and to each datagram, in front of it."""
    return [sys.executable, "-c", ECHO, address, str(port)]


class Machine:
    def __init__(self, name: str):
        self.name = name

    def run(self, *words: str, check: bool = True, **options) -> subprocess.CompletedProcess:
        done = subprocess.run(["ip", "netns", "exec", self.name, *words], capture_output=True, text=True, timeout=60,
                              check=False, **options)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def ip(self, *words: str) -> None:
        self.run("ip", *words)

    def start(self, *words: str, **options) -> Process:
        return Process(["ip", "netns", "exec", self.name, *words], **options)

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes meanwhile are on that machine."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            set_namespace(there)
            yield
        finally:
            set_namespace(own)
            os.close(own)
            os.close(there)


def set_namespace(descriptor: int) -> None:
    import ctypes  # os.setns() comes with Python 3.12
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet = 0x40000000
    if libc.setns(descriptor, clone_newnet) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def machines(*names: str):
    """One for each name, with loopback up; OSError or CalledProcessError where they cannot be made."""
    made = []
    try:
        for name in names:
            full = f"culvert-{os.getpid()}-{name}"
            subprocess.run(["ip", "netns", "add", full], check=True, capture_output=True, timeout=20)
            made.append(Machine(full))
            made[-1].ip("link", "set", "lo", "up")
        yield made
    finally:
        for machine in made:
            subprocess.run(["ip", "netns", "del", machine.name], check=False, capture_output=True, timeout=20)


def join(one: Machine, other: Machine, wire: str, *addresses: tuple[str, str]) -> None:
    """A wire between two of them: (address/bits here, address/bits there), any number."""
    subprocess.run(["ip", "link", "add", wire, "netns", one.name, "type", "veth", "peer", "name", wire, "netns", other.name],
                   check=True, capture_output=True, timeout=20)
    for machine, side in ((one, 0), (other, 1)):
        for pair in addresses:
            machine.ip("addr", "add", pair[side], "dev", wire, *(["nodad"] if ":" in pair[side] else []))
        machine.ip("link", "set", wire, "up")

# SPDX-License-Identifier: Apache-2.0
"""Programs that people use, through `culvert map`: a database, name servers, a measurement of bandwidth. (Mail, web sites, files
and desktops are in test_uses.py.)

Each client finds its service at 127.0.0.2, at the service's own port.
"""

import os
import contextlib
import json
import struct
import subprocess

import pytest

from harness.culvert import SMALL, environment
from harness.direct import mapped
from harness.postgres import Postgres
from harness.processes import Process
from harness.sockets import DEADLINE, DatagramServer, Server, free_port, receive_exactly, test_data

NEAR = "127.0.0.2"


# ------------------------------------------------------------------------------------------------------------- a database

@pytest.fixture(scope="module")
def database(shared_folder):
    server = Postgres(shared_folder, "secret")
    yield server
    server.stop()


def psql(host, port, query, stdin=None):
    done = subprocess.run(["psql", "-X", "-q", "-At", "-h", str(host), "-p", str(port), "-U", "demo", "-d", "postgres", "-c", query],
                          env=environment(PGPASSWORD="secret"), capture_output=True, timeout=DEADLINE, check=False, input=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_postgresql_over_every_kind_of_socket(database, folder):
    """TCP and Unix sockets at either end."""
    inside = f"{database.folder}/.s.PGSQL.{database.port}"
    mappings = [(f"{NEAR}:{database.port}", f"127.0.0.1:{database.port}"), (f"{folder}/.s.PGSQL.1", f"127.0.0.1:{database.port}"),
                ("127.0.0.3:0", inside), (f"{folder}/.s.PGSQL.2", inside)]
    keep = ("--user", "root") if os.geteuid() == 0 else ()  # only its owner and root reach a socket in the folder
    with mapped(*(word for pair in mappings for word in pair), *keep) as culvert:
        for host, port in ((NEAR, database.port), (folder, 1), ("127.0.0.3", culvert.ports[-1]), (folder, 2)):
            assert psql(host, port, "select sum(n) from generate_series(1, 1000) n") == b"500500\n"


def test_postgresql_takes_and_gives_much(database):
    rows = b"".join(b"%d\t%s\n" % (i, test_data(40, i).hex().encode()) for i in range(2_000 if SMALL else 50_000))
    with mapped(f"{NEAR}:{database.port}", f"127.0.0.1:{database.port}"):
        psql(NEAR, database.port, "create table many (id int, text text)")
        try:
            psql(NEAR, database.port, "copy many from stdin", stdin=rows)
            assert psql(NEAR, database.port, "copy (select * from many order by id) to stdout") == rows
        finally:
            psql(NEAR, database.port, "drop table many")


# ----------------------------------------------------------------------------------------------------------- name servers

LONG = [b"%03d" % i * 80 for i in range(40)]  # TXT records that no datagram takes


def answer(query: bytes, is_datagram: bool) -> bytes:
    """To a question for one name: its address, or its texts; a datagram that is too short for them says so (TC)."""
    end = query.index(b"\0", 12) + 5
    question, kind = query[12:end], struct.unpack(">H", query[end - 4:end - 2])[0]
    records = [bytes((len(text),)) + text for text in LONG] if kind == 16 else [bytes((192, 0, 2, 53))]
    flags, shown = 0x8580, records
    if is_datagram and kind == 16:
        flags, shown = flags | 0x0200, []
    body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data for data in shown)
    return query[:2] + struct.pack(">HHHHH", flags, 1, len(shown), 0, 0) + question + body


@contextlib.contextmanager
def name_server():
    """A port of 127.0.0.1 where questions are answered, over TCP and UDP."""
    def talk(s):
        while True:
            query = receive_exactly(s, struct.unpack(">H", receive_exactly(s, 2))[0])
            reply = answer(query, False)
            s.sendall(struct.pack(">H", len(reply)) + reply)

    with Server(talk) as server, DatagramServer(lambda query: answer(query, True), port=server.port):
        yield server.port


def dig(port, *words):
    done = subprocess.run(["dig", f"@{NEAR}", "-p", str(port), "+short", "+tries=3", "+timeout=20", *words], capture_output=True, text=True,
                          timeout=DEADLINE, check=False, env=environment(HOME="/nonexistent"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_dig_over_both():
    with name_server() as port, mapped(f"tcp+udp/{NEAR}:{port}", f"127.0.0.1:{port}"):
        for transport in ("+notcp", "+tcp"):
            assert dig(port, transport, "a.example.org") == "192.0.2.53\n"
        # Cut short as a datagram, so dig asks again over TCP.
        assert dig(port, "TXT", "a.example.org").replace('"', "").split() == [text.decode() for text in LONG]


# -------------------------------------------------------------------------------------------------------------- bandwidth

def iperf3(*options) -> dict:
    """Of one run through a mapping, each with a server of its own: one that has just had a client may say that it is busy."""
    port = free_port()
    server = ["sh", "-c", f"exec iperf3 -s -B 127.0.0.1 -p {port} --forceflush >&2"]
    # iperf3 tells its streams apart by the order in which they come, which two threads do not keep.
    with Process(server) as running, mapped("--threads", "1", f"tcp+udp/{NEAR}:{port}", f"127.0.0.1:{port}"):
        running.wait_for("Server listening")
        done = subprocess.run(["iperf3", "-c", NEAR, "-p", str(port), "-J", "-t", "1", *options], capture_output=True, text=True,
                              timeout=DEADLINE, check=False)
        said = json.loads(done.stdout)
        assert done.returncode == 0 and "error" not in said, said.get("error", done.stderr)
        return said["end"]


@pytest.mark.parametrize("options", [(), ("-R",), ("--bidir", "-P", "2")], ids=["out", "back", "both"])
def test_iperf3_over_tcp(options):
    assert iperf3(*options)["sum_received"]["bytes"] > 10_000_000


@pytest.mark.parametrize("options", [(), ("-R",)], ids=["out", "back"])
def test_iperf3_over_udp(options):
    # So slow that iperf3's own buffer, which the system keeps small, bridges a fifth of a second on a busy machine.
    for _ in range(3):
        end = iperf3("-u", "-b", "4M", "-l", "1200", *options)
        assert end["sum"]["packets"] > 300
        if end["sum"]["lost_percent"] < 20:
            return
    raise AssertionError(end["sum"])

# SPDX-License-Identifier: Apache-2.0
"""As much of SCTP (RFC 9260) as connection tracking wants to see, on raw sockets: kernels without SCTP have no other."""

import struct

PROTOCOL = 132
DATA, INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK = 0, 1, 2, 10, 11


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def chunk(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 3 if kind == DATA else 0, 4 + len(body)) + body + bytes(-len(body) % 4)


def init(kind: int, tag: int) -> bytes:
    return chunk(kind, struct.pack(">IIHHI", tag, 65536, 1, 1, 1))


def packet(source: int, destination: int, tag: int, chunks: bytes) -> bytes:
    head = struct.pack(">HHI", source, destination, tag)
    return head + struct.pack("<I", crc32c(head + bytes(4) + chunks)) + chunks


def read(data: bytes) -> tuple[int, int, int, int, bytes]:
    """Source, destination, tag, kind of the first chunk, and its body; the checksum is right."""
    source, destination, tag = struct.unpack(">HHI", data[:8])
    assert struct.unpack("<I", data[8:12])[0] == crc32c(data[:8] + bytes(4) + data[12:]), "checksum"
    kind, _, size = struct.unpack(">BBH", data[12:16])
    return source, destination, tag, kind, data[16:12 + size]

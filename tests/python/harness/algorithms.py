# SPDX-License-Identifier: Apache-2.0
"""The algorithms that we and the OpenSSH under test both have, in our order; and rows of them to try."""

import itertools

from . import openssh

KEY_EXCHANGES = ["mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256",
                 "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group14-sha256", "diffie-hellman-group16-sha512"]
if openssh.version() < (9, 9):
    KEY_EXCHANGES.remove("mlkem768x25519-sha256")
HOST_KEYS = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-256",
             "rsa-sha2-512"]
AEADS = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"]
PLAIN = ["aes128-ctr", "aes192-ctr", "aes256-ctr"]
MACS = ["hmac-sha2-256", "hmac-sha2-512", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"]
CIPHERS = [(cipher, "<implicit>") for cipher in AEADS] + list(itertools.product(PLAIN, MACS))


def all_pairs(*lists):
    """Rows so that each two values of different lists meet in at least one of them; greedy, the same every time."""
    wanted = {(i, a, j, b) for (i, x), (j, y) in itertools.combinations(enumerate(lists), 2) for a in x for b in y}
    rows = []
    while wanted:
        i, a, j, b = min(wanted, key=lambda pair: (pair[0], lists[pair[0]].index(pair[1]), pair[2], lists[pair[2]].index(pair[3])))
        row = {i: a, j: b}
        for k, values in enumerate(lists):
            if k not in row:
                row[k] = max(values, key=lambda v: sum((min(k, m), *((v, m, row[m]) if k < m else (row[m], k, v))) in wanted
                                                        for m in row))
        rows.append(tuple(row[k] for k in range(len(lists))))
        for (p, x), (q, y) in itertools.combinations(enumerate(rows[-1]), 2):
            wanted.discard((p, x, q, y))
    return rows


def each_once(*lists):
    return [tuple(values[i % len(values)] for values in lists) for i in range(max(map(len, lists)))]

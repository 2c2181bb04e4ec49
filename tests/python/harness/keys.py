# SPDX-License-Identifier: Apache-2.0
"""Key pairs made by ssh-keygen, and known_hosts lines for them."""

import pathlib
import subprocess


def make_key(path: pathlib.Path, kind: str = "ed25519", bits: int | None = None, passphrase: str = "",
             pem: bool = False, comment: str = "test") -> pathlib.Path:
    """Writes `path` and `path`.pub. kind: ed25519, ecdsa or rsa; pem: the older format, where there is one."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", comment, "-f", str(path)]
    if bits is not None:
        command += ["-b", str(bits)]
    if pem:
        command += ["-m", "PEM"]
    if passphrase and not pem:
        command += ["-a", "4"]  # few rounds: slow key derivation is not what is tested
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return path


def public_part(path: pathlib.Path) -> str:
    """'ssh-ed25519 AAAA...', without the comment."""
    return " ".join(pathlib.Path(f"{path}.pub").read_text().split()[:2])


def fingerprint(path: pathlib.Path) -> str:
    """'SHA256:...'."""
    out = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], check=True, capture_output=True, text=True).stdout
    return out.split()[1]


def certify(key: pathlib.Path, authority: pathlib.Path, *arguments: str) -> pathlib.Path:
    """Writes `key`-cert.pub, signed by `authority`: ssh-keygen's own arguments say for whom and how long."""
    identity = [] if "-I" in arguments else ["-I", "test id"]
    subprocess.run(["ssh-keygen", "-q", "-s", str(authority), *identity, *arguments, f"{key}.pub"], check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    return pathlib.Path(f"{key}-cert.pub")

# SPDX-License-Identifier: Apache-2.0
"""OpenSSH's sshd and dropbear, on a loopback port, with keys and settings of their own."""

import os
import pathlib
import signal
import subprocess
import tempfile
import time

from . import openssh
from .accounts import Account
from .keys import make_key, public_part
from .processes import Process, children_of, kill
from .sockets import DEADLINE, free_port

# name in a file name -> (type, bits) of ssh-keygen
HOST_KEY_KINDS = {
    "ed25519": ("ed25519", None),
    "ecdsa256": ("ecdsa", 256),
    "ecdsa384": ("ecdsa", 384),
    "ecdsa521": ("ecdsa", 521),
    "rsa": ("rsa", 2048),
}


class SshServer:
    """What a client has to know, and the log of what the server saw."""

    def __init__(self, account: Account, host_keys: list[pathlib.Path], user_keys: list[pathlib.Path]):
        self.account = account
        self.user = account.user
        self.host_keys = host_keys
        self.user_keys = user_keys
        self.port = 0
        self.process: Process | None = None

    @property
    def address(self) -> str:
        return f"[127.0.0.1]:{self.port}"

    def known_hosts(self) -> str:
        return "".join(f"{self.address} {public_part(key)}\n" for key in self.host_keys)

    @property
    def log(self) -> str:
        return self.process.text

    def wait_for_log(self, text: str, count: int = 1, timeout: float = DEADLINE) -> str:
        return self.process.wait_for(text, timeout, count)

    def cut_connections(self) -> None:
        """Ends all connections, but goes on listening."""
        # One that forks meanwhile would leave a child that nobody finds any more, with the connection.
        stopped: set[int] = set()
        while found := set(children_of(self.process.pid)) - stopped:
            for pid in found:
                kill(pid, signal.SIGSTOP)
            stopped |= found
        for pid in stopped:
            kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Sshd(SshServer):
    """OpenSSH's server. `options` are lines of sshd_config, or replace the defaults below."""

    def __init__(self, folder: pathlib.Path, account: Account, host_keys: list[pathlib.Path],
                 user_keys: list[pathlib.Path], options: dict[str, str] | None = None):
        super().__init__(account, host_keys, user_keys)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sshd-", dir=folder))
        self.folder.chmod(0o755)
        authorized = self.folder / "authorized_keys"
        authorized.write_text("".join(public_part(key) + "\n" for key in user_keys))
        config = {
            "ListenAddress": "127.0.0.1",
            "AuthorizedKeysFile": str(authorized),
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "UseDNS": "no",
            "LogLevel": "DEBUG1",
            "MaxStartups": "200",
            "LoginGraceTime": "120",
            "PermitRootLogin": "prohibit-password",
            "X11Forwarding": "no",
            "PrintMotd": "no",
            # Who fails often, which tests do, is not let in for a while.
            **({"PerSourcePenalties": "no"} if openssh.version() >= (9, 8) else {}),
            **(options or {}),
        }
        for _ in range(5):  # the port may be taken between the choice and the start
            self.port = free_port()
            file = self.folder / "sshd_config"
            file.write_text("".join(f"{k} {v}\n" for k, v in {**config, "Port": str(self.port)}.items())
                            + "".join(f"HostKey {key}\n" for key in host_keys))
            account.own(self.folder, *host_keys)
            # -f first: the listener runs itself again for each connection with the same arguments.
            self.process = Process([*account.prefix, openssh.sshd_program(), "-f", str(file), "-D", "-e"], **account.popen)
            try:
                self.process.wait_for("Server listening on")
                return
            except BaseException:
                self.process.stop()
                if "Address already in use" not in self.process.text:
                    raise
        raise AssertionError(f"sshd found no port:\n{self.log}")


class Dropbear(SshServer):
    """The other server that is common on small machines. Its users' keys are in their home folder, so it needs a jail."""

    def __init__(self, folder: pathlib.Path, account: Account, user_keys: list[pathlib.Path], kinds=("ed25519",),
                 arguments: list[str] | None = None):
        if not account.is_jailed:
            raise RuntimeError("dropbear reads keys from the home folder only: needs root and mount namespaces")
        where = pathlib.Path(tempfile.mkdtemp(prefix="dropbear-", dir=folder))
        where.chmod(0o755)
        host_keys = [self._make_host_key(where, kind) for kind in kinds]
        super().__init__(account, host_keys, user_keys)
        ssh_folder = pathlib.Path(account.home) / ".ssh"
        ssh_folder.mkdir(mode=0o700, exist_ok=True)
        keys = ssh_folder / "authorized_keys"
        keys.write_text("".join(public_part(key) + "\n" for key in user_keys))
        keys.chmod(0o600)
        for path in (ssh_folder, keys):
            os.chown(path, account.uid, account.gid)
        self.port = free_port()
        command = [*account.prefix, "/usr/sbin/dropbear", "-F", "-E", "-P", str(where / "pid"),
                   "-p", f"127.0.0.1:{self.port}", *(arguments or [])]
        for key in host_keys:
            command += ["-r", f"{key}.dropbear"]
        self.process = Process(command)
        try:
            self.process.wait_for("Not backgrounding")
            wait_for_listener(self.port)
        except BaseException:
            self.process.stop()
            raise

    @staticmethod
    def _make_host_key(folder: pathlib.Path, kind: str) -> pathlib.Path:
        name, bits = HOST_KEY_KINDS[kind]
        key = make_key(folder / f"host_{kind}", name, bits, pem=(name == "rsa"))
        subprocess.run(["dropbearconvert", "openssh", "dropbear", str(key), f"{key}.dropbear"], check=True, capture_output=True)
        return key


def wait_for_listener(port: int, timeout: float = DEADLINE, owner: Process | None = None) -> None:
    """Looks in the kernel's table, so that the server sees no connection from us. Fails at once if `owner` has ended."""
    wanted = f"0100007F:{port:04X}"
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1] == wanted and fields[3] == "0A":
                return
        if owner is not None and owner.popen.poll() is not None:
            owner.wait()
            raise AssertionError(f"{owner.command[0]} ended; it said:\n{owner.text}")
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on 127.0.0.1:{port}")

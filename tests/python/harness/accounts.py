# SPDX-License-Identifier: Apache-2.0
"""As whom the servers run and who logs in, so that nothing on the machine has to change for it.

Started as root, a server gets a mount namespace of its own with an account made for the test: real privilege separation,
real passwords, and no trace outside. Where that is not possible it runs without privileges, as `daemon` or as whoever
runs the tests.
"""

import dataclasses
import os
import pathlib
import pwd
import shlex
import subprocess


@dataclasses.dataclass
class Account:
    user: str                  # who logs in
    home: str
    uid: int
    gid: int
    prefix: list[str]          # what comes before the server's own command line
    popen: dict                # further arguments of subprocess.Popen
    password: str | None       # none: passwords cannot be checked

    @property
    def is_jailed(self) -> bool:
        return bool(self.prefix)

    def own(self, *paths: pathlib.Path) -> None:
        """Gives files to the user that the server runs as."""
        if self.popen:
            for path in paths:
                os.chown(path, self.uid, self.gid)


PASSWORD = "correct horse battery staple"
PAM = "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\npassword required pam_deny.so\n"


def make_account(folder: pathlib.Path) -> Account:
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        return Account(me.pw_name, me.pw_dir, me.pw_uid, me.pw_gid, [], {}, None)
    nobody = pwd.getpwnam("nobody")
    if can_mount():
        return jailed(folder, nobody.pw_uid, nobody.pw_gid)
    daemon = pwd.getpwnam("daemon")  # not nobody: to a server without privileges, systemd shows that one as locked
    return Account(daemon.pw_name, daemon.pw_dir, daemon.pw_uid, daemon.pw_gid, [],
                   {"user": daemon.pw_uid, "group": daemon.pw_gid, "extra_groups": []}, None)


def can_mount() -> bool:
    probe = "mount -t tmpfs tmpfs /run && mount --bind /etc/hostname /etc/passwd"
    return subprocess.run(["unshare", "-m", "sh", "-c", probe], capture_output=True, check=False).returncode == 0


def jailed(folder: pathlib.Path, uid: int, gid: int) -> Account:
    user, jail, home = "tester", folder / "jail", folder / "home"
    jail.mkdir()
    home.mkdir()
    os.chown(home, uid, gid)
    (jail / "passwd").write_text(pathlib.Path("/etc/passwd").read_text().rstrip("\n")
                                 + f"\n{user}:x:{uid}:{gid}:test:{home}:/bin/sh\n")
    (jail / "shadow").write_text(f"root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n{user}:{hashed(PASSWORD)}:19000:0:99999:7:::\n")
    (jail / "shadow").chmod(0o600)
    (jail / "pam").write_text(PAM)
    steps = [
        f"mount --bind {shlex.quote(str(jail / 'passwd'))} /etc/passwd",
        f"mount --bind {shlex.quote(str(jail / 'shadow'))} /etc/shadow",
        f"if [ -e /etc/pam.d/sshd ]; then mount --bind {shlex.quote(str(jail / 'pam'))} /etc/pam.d/sshd; fi",
        "mount -t tmpfs -o mode=755 tmpfs /run",
        "mkdir -m 755 /run/sshd",
        'exec "$@"',
    ]
    prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", " && ".join(steps), "sh"]
    return Account(user, str(home), uid, gid, prefix, {}, PASSWORD)


def hashed(password: str) -> str:
    return subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, check=True, capture_output=True,
                          text=True).stdout.strip()

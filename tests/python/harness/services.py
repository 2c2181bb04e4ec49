# SPDX-License-Identifier: Apache-2.0
"""The servers that people forward ports to: mail, a web site, FTP, a desktop, git. Debian's own, each on loopback ports of its
own, in a folder of its own, as an account without rights."""

import grp
import os
import pathlib
import pwd
import subprocess

from .processes import Process
from .servers import wait_for_listener
from .sockets import free_port


class Service:
    """Starts `command()` with ports that are free; ends it by process id."""

    name = "service"
    port_count = 1

    def __init__(self, folder: pathlib.Path):
        self.folder = folder / self.name
        self.folder.mkdir()
        self._as: dict = {}
        account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        if os.geteuid() == 0:
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self.user, self.uid, self.gid = account.pw_name, account.pw_uid, account.pw_gid
        self.prepare()
        for _ in range(5):  # a port may be taken between the choice and the start
            self.ports = [free_port() for _ in range(self.port_count)]
            command = self.command()
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self.uid, self.gid)
            env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
            self.process = Process(command, cwd=self.folder, env=env, **self._as)
            try:
                for port in self.listening():
                    wait_for_listener(port, owner=self.process)
                return
            except AssertionError:
                self.process.stop()
                if "in use" not in self.process.text:
                    raise
        raise AssertionError(f"{self.name} found no port")

    def prepare(self) -> None:
        """Files that do not depend on the ports."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def listening(self) -> list[int]:
        return self.ports

    def run(self, command: list[str], **options) -> subprocess.CompletedProcess:
        """As the account of the service."""
        return subprocess.run(command, check=True, capture_output=True, **self._as, **options)

    def stop(self) -> None:
        self.process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Mail(Service):
    """dovecot: IMAP and POP3 for one mailbox, into which deliver() puts a message."""

    name, port_count = "dovecot", 2
    login, password = "alice", "a-secret"

    def command(self) -> list[str]:
        imap, pop3 = self.ports
        self.config = self.folder / "dovecot.conf"
        self.config.write_text(f"""{self.mailbox()}
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = /dev/stderr
default_internal_user = {self.user}
default_login_user = {self.user}
default_internal_group = {grp.getgrgid(self.gid).gr_name}
first_valid_uid = 1
first_valid_gid = 1
protocols = imap pop3
listen = 127.0.0.1
ssl = no
postmaster_address = postmaster@localhost
hostname = localhost
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
""")
        return ["dovecot", "-F", "-c", str(self.config)]

    def mailbox(self) -> str:
        """In the words of dovecot 2.4, whose first has to be a version, or of 2.3."""
        version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout
        if [int(part) for part in version.split()[0].split(".")[:2]] < [2, 4]:
            return f"""
disable_plaintext_auth = no
mail_location = maildir:{self.folder}/mail
passdb {{
  driver = static
  args = user={self.login} password={self.password}
}}
userdb {{
  driver = static
  args = uid={self.uid} gid={self.gid} home={self.folder}
}}
"""
        return f"""dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {self.folder}/mail
passdb static {{
  password = {self.password}
  fields {{
    user = {self.login}
  }}
}}
userdb static {{
  fields {{
    uid = {self.uid}
    gid = {self.gid}
    home = {self.folder}
  }}
}}
"""

    def deliver(self, message: bytes) -> None:
        self.run(["/usr/lib/dovecot/dovecot-lda", "-c", str(self.config), "-d", self.login], input=message,
                 env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "USER": self.login})


class Web(Service):
    """nginx with the files of `site`."""

    name = "nginx"

    def prepare(self) -> None:
        self.site = self.folder / "site"
        self.site.mkdir()

    def command(self) -> list[str]:
        config = self.folder / "nginx.conf"
        spools = "".join(f"  {name}_temp_path {self.folder}/{name};\n"
                         for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config.write_text(f"""
daemon off;
master_process off;
pid {self.folder}/pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  default_type application/octet-stream;
{spools}  server {{
    listen 127.0.0.1:{self.ports[0]};
    root {self.site};
  }}
}}
""")
        return ["nginx", "-p", str(self.folder), "-e", "stderr", "-c", str(config)]


class Ftp(Service):
    """vsftpd in passive mode, whose data connections all come to the second of its ports."""

    name, port_count = "vsftpd", 2

    def prepare(self) -> None:
        self.root = self.folder / "root"
        for folder in (self.root, self.root / "in", self.folder / "empty"):
            folder.mkdir()
        self.root.chmod(0o555)  # it refuses one that can be written to

    def command(self) -> list[str]:
        config = self.folder / "vsftpd.conf"
        config.write_text(f"""listen=YES
background=NO
listen_address=127.0.0.1
listen_port={self.ports[0]}
run_as_launching_user=YES
anonymous_enable=YES
local_enable=NO
no_anon_password=YES
anon_root={self.root}
pasv_min_port={self.ports[1]}
pasv_max_port={self.ports[1]}
write_enable=YES
anon_upload_enable=YES
anon_umask=022
xferlog_enable=NO
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
secure_chroot_dir={self.folder}/empty
""")
        return ["vsftpd", str(config)]

    def listening(self) -> list[int]:
        return self.ports[:1]


class Desktop(Service):
    """Xvnc: an X server whose screen is seen over the network. It chooses a display's number that is free."""

    name = "xvnc"
    size = (640, 480)

    def command(self) -> list[str]:
        width, height = self.size
        return ["Xtigervnc", "-displayfd", "1", "-rfbport", str(self.ports[0]), "-interface", "127.0.0.1", "-localhost",
                "-SecurityTypes", "None", "-geometry", f"{width}x{height}", "-depth", "24", "-retro", "-nolisten", "tcp",
                "-nolisten", "unix", "-auth", "/dev/null"]


class Git(Service):
    """git daemon with one repository, which may be cloned and pushed to."""

    name = "git"

    def prepare(self) -> None:
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.folder / "it.git")], check=True, capture_output=True)

    def command(self) -> list[str]:
        return ["git", "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={self.ports[0]}", f"--base-path={self.folder}",
                "--export-all", "--enable=receive-pack", "--informative-errors"]

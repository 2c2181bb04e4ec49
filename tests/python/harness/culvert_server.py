# SPDX-License-Identifier: Apache-2.0
"""`culvert serve` as the server that clients log in to."""

import pathlib

from .accounts import Account
from .culvert import binary, environment
from .files import write_whole
from .keys import public_part
from .processes import Process
from .servers import SshServer
from .sockets import free_port


class CulvertServer(SshServer):
    """`authorized`: lines of authorized_keys, else plain ones for `user_keys`. `rules`: text of the rules file. `prefix`: words that
    run the command behind them."""

    def __init__(self, folder: pathlib.Path, account: Account, host_keys: list[pathlib.Path], user_keys: list[pathlib.Path],
                 *, authorized: str | None = None, rules: str | None = None, arguments: tuple[str, ...] = (),
                 prefix: tuple[str, ...] = (), ready: bool = True, **popen):
        super().__init__(account, host_keys, user_keys)
        self.user = "me"
        self.keys_file = folder / "authorized_keys"
        self.rules_file = folder / "rules.toml"
        write_whole(self.keys_file, authorized if authorized is not None
                    else "".join(public_part(key) + "\n" for key in user_keys))
        command = [*prefix, binary(), "serve", "-k", str(self.keys_file), *arguments]
        if rules is not None:
            write_whole(self.rules_file, rules)
            command += ["-r", str(self.rules_file)]
        for key in host_keys:
            command += ["--host-key", str(key)]
        for _ in range(5):  # the port may be taken between the choice and the start
            self.port = free_port()
            self.process = Process([*command, "-l", f"127.0.0.1:{self.port}"], env=environment(), start_new_session=True, **popen)
            if not ready:
                return
            try:
                self.process.wait_for('"event":"ready"' if "json" in arguments else "culvert: ready")
                return
            except BaseException:
                self.process.stop()
                if "already in use" not in self.process.text:
                    raise
        raise AssertionError("culvert serve found no port")

# SPDX-License-Identifier: Apache-2.0
"""Files that somebody may be reading while the test writes them."""

import pathlib
import threading


def write_whole(path: pathlib.Path, text: str) -> pathlib.Path:
    """Readers see what was there before or all of the new, whoever else writes it at the same time. Mode
    0600, for a server of root, too, which reads with the rights of another account."""
    made = path.with_name(f"{path.name}.{threading.get_ident()}")
    made.write_text(text)
    made.chmod(0o600)
    return made.rename(path)

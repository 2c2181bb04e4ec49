# SPDX-License-Identifier: Apache-2.0
"""Fixtures: one folder, one account and one ordinary sshd for the whole run; others are made by the tests that need them.

CULVERT names the program (build/release/culvert), CULVERT_SMALL=1 makes transfers short and waits for little, --full takes the long products.
"""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import accounts, culvert, culvert_server, keys, processes, servers, sockets  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="also the long products: every combination, 64 MiB each")


def pytest_configure(config):
    config.addinivalue_line("markers", "full: a long product; only with --full")
    config.addinivalue_line("markers", "waits: a long time, in which little is done; not with CULVERT_SMALL")
    if not os.access(culvert.binary(), os.X_OK):
        raise pytest.UsageError(f"{culvert.binary()} is not built: run 'make' first")


def pytest_collection_modifyitems(config, items):
    left_out = ({"waits"} if culvert.SMALL else set()) | (set() if config.getoption("--full") else {"full"})
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if left_out.intersection(item.keywords)])
        items[:] = [item for item in items if not left_out.intersection(item.keywords)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that failed shows the last lines of the programs that it started."""
    report = (yield).get_result()
    if not report.failed:
        return
    for process in processes.Process.recent:
        if process.started >= getattr(item, "begun", 0) and process.lines:
            report.sections.append((" ".join(process.command)[:100], "\n".join(process.lines[-15:])))


def pytest_runtest_setup(item):
    item.begun = time.monotonic()


@pytest.fixture(scope="session")
def shared_folder():
    """Readable for the account that servers run as, unlike pytest's own."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="culvert-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def account(shared_folder):
    return accounts.make_account(shared_folder)


@pytest.fixture(scope="session")
def host_keys(shared_folder):
    """One of each type, by the names of servers.HOST_KEY_KINDS."""
    return {name: keys.make_key(shared_folder / f"host_{name}", kind, bits)
            for name, (kind, bits) in servers.HOST_KEY_KINDS.items()}


@pytest.fixture(scope="session")
def user_key(shared_folder):
    return keys.make_key(shared_folder / "user_key")


@pytest.fixture(scope="session")
def make_sshd(shared_folder, account, host_keys, user_key):
    """make_sshd({option: value}, host_key_kinds, user_keys) -> a running Sshd."""
    def make(options=None, kinds=("ed25519",), user_keys=None):
        return servers.Sshd(shared_folder, account, [host_keys[k] for k in kinds], user_keys or [user_key], options)
    return make


@pytest.fixture(scope="session")
def sshd(make_sshd, host_keys):
    with make_sshd(kinds=tuple(host_keys)) as server:
        yield server


@pytest.fixture
def folder():
    """For one test; its path is short enough for Unix sockets and open to the servers' account."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="culvert-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def echo_server():
    with sockets.Server(sockets.echo) as server:
        yield server


@pytest.fixture(name="serve")
def make_server(folder, account, host_keys, user_key):
    """serve(arguments, authorized=, rules=, kinds=) -> a running server."""
    with contextlib.ExitStack() as stack:
        def make(*arguments, kinds=("ed25519",), user_keys=None, **more):
            own = pathlib.Path(folder / f"server_{len(list(folder.iterdir()))}")
            own.mkdir(mode=0o755)
            return stack.enter_context(culvert_server.CulvertServer(own, account, [host_keys[kind] for kind in kinds],
                                                                    user_keys or [user_key], arguments=arguments, **more))
        yield make

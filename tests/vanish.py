"""A receiver as its own process, and the day on which server and disk vanish: for tests and for the benchmark."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tabsync.backups.drill.canary import CanaryBatch, commit_canaries, last_saved
from tabsync.backups.physical.lay_out import programs_of
from tabsync.backups.wal.contents import read_archive
from tabsync.backups.wal.names import folder, partial_stored, whole_stored
from tabsync.postgres import embedded
from tabsync.postgres.settings import Limits
from tabsync.workspace import Workspace
from tests.postgres.cli.program import TABSYNC
from tests.sessions import connect

ROOT = Path(__file__).parents[1]

_NO_LIMIT = Limits(statement_timeout=0, lock_timeout=0, idle_in_transaction_timeout=0)


@dataclass(frozen=True)
class Loss:
    """What was lost. committed, saved: of the canaries; seconds: of commits that the store lacks."""

    committed: int
    saved: int
    seconds: float


def identifier(workspace: Workspace) -> str:
    with connect(workspace.conninfo, "tests") as connection:
        row = connection.execute("select system_identifier::text from pg_control_system()").fetchone()
        assert row is not None
        return str(row[0])


def stored(workspace: Workspace) -> tuple[list[str], list[str]]:
    """Names of the whole segments and of the open ones in the store."""
    names = [one.name for one in workspace.store().files(folder(identifier(workspace)))]
    return sorted(filter(None, map(whole_stored, names))), sorted(name for name in names if partial_stored(name))


def background(workspace: Workspace, *options: str) -> subprocess.Popen[bytes]:
    """tabsync wal receive as its own process."""
    config = workspace.home.parent / "tabsync.toml"
    place = workspace.conninfo.replace("\\", "\\\\").replace('"', '\\"')
    config.write_text(f'database = "{place}"\nhome = "{workspace.home}"\nstore = "{workspace.store_root}"\n')
    command = [str(TABSYNC), "wal", "receive", "--config", str(config), *options]
    with (workspace.home.parent / "receive.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def until(what: Callable[[], object], seconds: float = 15) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def lose_the_server(
    workspace: Workspace, server: embedded.Server, *, seconds: float, every: float, flush: float
) -> Loss:
    """Commit canaries while WAL is received, then lose server, data and receiver at once, and count.

    seconds: how long; every: seconds between two commits; flush: the receiver's promise.
    """
    system = identifier(workspace)
    process = background(workspace, "--flush", f"{flush:g}s")
    found: list[CanaryBatch] = []

    def load() -> None:
        with connect(server.conninfo(), "canary", limits=_NO_LIMIT) as connection:
            found.append(commit_canaries(connection, seconds, every, lambda *_: None))

    try:
        until(lambda: stored(workspace)[1])
        loader = threading.Thread(target=load)
        loader.start()
        loader.join()
        postmaster = embedded.postmaster(server.directory)
        assert postmaster is not None
        for one in [postmaster, *postmaster.children()]:
            with contextlib.suppress(psutil.Error):
                one.send_signal(signal.SIGKILL)
        (server.data / "pg_wal").rename(server.directory / "lost")
    finally:
        process.kill()  # what it hasn't stored by now counts as lost with the server: the worst case
        process.wait()
    archive = read_archive(workspace.store(), system, 16 << 20)
    saved = last_saved(workspace.store(), system, archive, programs_of(server.installation.major), found[0])
    moments = found[0].moments
    lost = (moments[-1] - moments[saved]).total_seconds() if saved >= 0 else seconds
    return Loss(len(moments), saved + 1, lost)

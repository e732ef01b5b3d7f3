"""Has a server replay WAL to a target: started, watched, told apart whether it stands there or somewhere else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from tabsync.backups.pitr.clusters import own_conninfo
from tabsync.backups.pitr.configure import configure, falls_short
from tabsync.backups.pitr.feed import Feeder, restore_command
from tabsync.backups.pitr.target import Target
from tabsync.kernel.errors import CannotConnect, FailedPartway, ProblemFound
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits
from tabsync.stores.manifest import Manifest
from tabsync.system.account import server_account

_SQL = named(__package__, "pitr.sql")
_NOT_REACHED = "recovery ended before configured recovery target was reached"
LIMITS = Limits(statement_timeout=0, lock_timeout=60_000, idle_in_transaction_timeout=0)
_PROGRESS = re.compile(r"LOG: +(.+), elapsed time: ([\d.]+) s")
_TAIL = 4096  # bytes at the end of the log that its newest line is in
_POLL = 0.1  # seconds
_PATIENCE = 2  # seconds until what the server says of its start is told


def replay(
    server: embedded.Server,
    manifest: Manifest,
    wanted: Target,
    followed: dict[str, str],
    feeder: Feeder,
    watch: Callable[[], None],
    *,
    pause: bool,
    durable: bool,
) -> bool:
    """Replay until the server stands at the target; False when the WAL ended before it.

    Where the source got more connections, locks, prepared transactions and the like after the backup, the server stops
    or waits when it comes to that in the WAL. Then it is started again with as much.
    """
    more = True
    while more:
        reached = _replay_once(server, manifest, wanted, followed, feeder, watch, pause=pause, durable=durable)
        more = reached is None
    return bool(reached)


def _replay_once(
    server: embedded.Server,
    manifest: Manifest,
    wanted: Target,
    followed: dict[str, str],
    feeder: Feeder,
    watch: Callable[[], None],
    *,
    pause: bool,
    durable: bool,
) -> bool | None:
    """As _replay; None when it has to be started again, since it had less than the source."""
    place = server.directory
    settings = followed | {
        "restore_command": restore_command(place),
        "recovery_target_action": "pause" if pause and wanted.kind != "latest" else "promote",
        "hot_standby": "on" if pause else "off",  # without it, the source's limits need not be met
    }
    configure(place, server.installation, manifest.physical["superuser"], settings, durable=durable)
    account = server_account()
    account.own(server.data)
    if (place / "tablespaces").exists():
        account.own(place / "tablespaces")
        (place / "tablespaces").chmod(0o711)
    try:
        embedded.start(server, patience=_PATIENCE)
        while not _standing(server, manifest, pause=pause and wanted.kind != "latest"):
            watch()
            if feeder.error is not None:
                raise feeder.error
            if embedded.postmaster(place) is None:
                raise FailedPartway(_last_words(server), f"read {server.log}")
            time.sleep(_POLL)
        if pause and falls_short(place, server.installation):  # it waits, but not at the target
            embedded.stop(server)
            return None
    except FailedPartway as error:
        embedded.end_server(place)
        if feeder.error is not None:
            raise feeder.error from None
        if falls_short(place, server.installation):
            return None
        log = server.log.read_text(errors="replace") if server.log.exists() else ""
        if _NOT_REACHED not in log or wanted.kind == "latest":
            raise
        if wanted.kind != "time":
            raise ProblemFound(
                f"WAL file {wanted} can't be read from the store: {error.fact}",
                "to see what can be recovered: tabsync backup window",
            ) from None
        return False
    return True


def started_so_far(log: Path) -> tuple[str, float]:
    """What the server says that it is doing at its start, and for how many seconds; "" when it hasn't said anything.

    https://www.postgresql.org/docs/current/runtime-config-logging.html, log_startup_progress_interval
    """
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        if found := _PROGRESS.findall(file.read().decode(errors="replace")):
            return found[-1][0], float(found[-1][1])
    return "", 0.0


def _standing(server: embedded.Server, manifest: Manifest, *, pause: bool) -> bool:
    try:
        with connect(own(server.directory, manifest, "postgres"), "restore", limits=LIMITS) as connection:
            row = connection.execute(_SQL["standing"]).fetchone()
            return bool(row and (row[1] == "paused" if pause else not row[0]))
    except (CannotConnect, psycopg.Error):
        return False


def own(directory: Path, manifest: Manifest, database: str) -> str:
    """A connection string to a database of a restored cluster."""
    return own_conninfo(directory, manifest.physical["superuser"], database)


def _last_words(server: embedded.Server) -> str:
    lines = server.log.read_text(errors="replace").splitlines() if server.log.exists() else []
    fatal = [line.split("FATAL:")[-1].strip() for line in lines if "FATAL" in line or "PANIC" in line]
    return f"the restored server ended: {fatal[-1] if fatal else 'no reason in its log'}"

"""Measures what would really be lost: commits that are nothing but a mark in the WAL, looked for in the store.

pg_logical_emit_message writes a message into the WAL and nothing into any table, so nothing of ours is ever in the
database. A transaction of one such message is a commit like any other. The source then counts as lost at one moment:
which of the commits before it can be read out of the store?
"""

from __future__ import annotations

import re
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.wal.archive import fetch
from tabsync.backups.wal.contents import Archive
from tabsync.kernel.errors import FailedPartway
from tabsync.postgres.connect import Connection
from tabsync.postgres.installation import Installation
from tabsync.postgres.queries import named
from tabsync.system.programs import run_program

if TYPE_CHECKING:
    from tabsync.stores.store import Store

_SQL = named(__package__, "drill.sql")
_PREFIX = "tabsync-canary"
_MESSAGE = re.compile(r'prefix "tabsync-canary"; payload \(\d+ bytes\): ([0-9A-F ]+)')
_LOOKED_AT = 3  # segments from the end of the WAL


@dataclass(frozen=True, slots=True)
class CanaryBatch:
    """Canaries that were committed. name: of this batch; moments: when each was committed, by the server's clock."""

    name: str
    moments: tuple[datetime, ...]


def commit_canaries(
    connection: Connection, seconds: float, every: float, report: Callable[[float, float, str], None]
) -> CanaryBatch:
    """Commit a canary every so often, for some seconds. The connection commits each statement by itself."""
    name, moments, begun = secrets.token_hex(4), list[datetime](), time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        connection.execute(_SQL["canary"], {"prefix": _PREFIX, "text": f"{name} {len(moments)}"})
        row = connection.execute(_SQL["clock"]).fetchone()
        moments.append(row[0] if row else datetime.min)
        report(passed, seconds, "seconds of test commits")
        time.sleep(max(0.0, begun + every * len(moments) - time.monotonic()))
    return CanaryBatch(name, tuple(moments))


def last_saved(
    store: Store, system_identifier: str, archive: Archive, programs: Installation, batch: CanaryBatch
) -> int:
    """The number of the last canary whose commit can be read from the store; -1 when there is none of the batch.

    archive: what the store had when the source was lost. Raises FailedPartway when pg_waldump can't be run.
    """
    newest, found = archive.newest, -1
    if newest is None:
        return found
    known = {*archive.whole, *archive.partial}
    segments = sorted((one for one in known if one.timeline == newest.timeline), key=lambda one: one.number)
    with tempfile.TemporaryDirectory(prefix="tabsync-canary-") as directory:
        for segment in segments[-_LOOKED_AT:]:
            target = Path(directory) / segment.name(archive.size)
            if fetch(store, system_identifier, target.name, target, partial=True):
                found = max([found, *_canaries(programs, target, batch.name)])
    return found


def _canaries(programs: Installation, segment: Path, name: str) -> list[int]:
    argv: list[str | Path] = [programs.program("pg_waldump"), "--rmgr=LogicalMessage", segment]
    done = run_program(argv)  # it complains at the end of what was written, which is where it should end
    if (
        done.code != 0
        and not done.stdout
        and "invalid" not in done.complaint()
        and "could not find" not in done.complaint()
    ):
        raise FailedPartway(f"pg_waldump failed: {done.complaint()}", f"run pg_waldump on {segment.name}")
    texts = [bytes.fromhex(match.replace(" ", "")).decode(errors="replace") for match in _MESSAGE.findall(done.stdout)]
    return [int(text.partition(" ")[2]) for text in texts if text.startswith(f"{name} ")]

"""pgBackRest's own view of its backups, read only: https://pgbackrest.org/command.html#command-info"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tabsync.kernel.errors import FailedPartway, TabsyncError
from tabsync.system.programs import run_program

_TIMEOUT = 20.0  # seconds; it asks its repositories


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup of a stanza. kind: "full", "diff" or "incr"; bytes: of the cluster; at: when it ended."""

    label: str
    kind: str
    at: datetime
    bytes: int
    wal_start: str
    wal_stop: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Stanza:
    """One cluster that pgBackRest backs up. status: "ok" or its complaint; wal: first and last segment archived."""

    name: str
    status: str
    system_identifiers: tuple[str, ...]
    backups: tuple[Backup, ...]
    wal: tuple[str, str] | None


def stanzas() -> list[Stanza] | None:
    """Every stanza that the program on this machine knows; None when there is no such program.

    Raises FailedPartway when it fails or its answer can't be read: then nothing is known, which is not "none".
    """
    program = shutil.which("pgbackrest", path=os.environ.get("PATH", os.defpath))
    if program is None:
        return None
    try:
        done = run_program([program, "info", "--output=json"], timeout=_TIMEOUT)
    except OSError as error:
        raise _failed(str(error.strerror)) from None
    if done.code != 0:
        raise _failed(done.complaint())
    return parse_info(done.stdout)


def parse_info(text: str) -> list[Stanza]:
    """What `pgbackrest info --output=json` printed. Raises FailedPartway when it isn't what is documented."""
    try:
        return [_stanza(one) for one in json.loads(text)]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise _failed("its JSON is not as documented") from None


def _stanza(found: dict[str, Any]) -> Stanza:
    archives = [(str(one["min"]), str(one["max"])) for one in found.get("archive", ()) if one.get("min")]
    return Stanza(
        name=str(found["name"]),
        status=str(found["status"]["message"]),
        system_identifiers=tuple(str(one["system-id"]) for one in found.get("db", ())),
        backups=tuple(_backup(one) for one in found.get("backup", ())),
        # The newest archive: that of the version that runs now.
        wal=archives[-1] if archives else None,
    )


def _backup(found: dict[str, Any]) -> Backup:
    return Backup(
        label=str(found["label"]),
        kind=str(found["type"]),
        at=datetime.fromtimestamp(found["timestamp"]["stop"], UTC),
        bytes=int(found["info"]["size"]),
        wal_start=str(found["archive"]["start"] or ""),
        wal_stop=str(found["archive"]["stop"] or ""),
        failed=bool(found.get("error")),
    )


def _failed(why: str) -> TabsyncError:
    return FailedPartway(f"pgbackrest info failed: {why}", "to see the whole output: pgbackrest info")

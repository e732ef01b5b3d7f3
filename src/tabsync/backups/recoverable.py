"""How far back the newest point is that one can recover to: what would be lost if the database were gone now.

By what is there: the point-in-time recovery of the provider, our own physical backups with their WAL, the newest full
backup that was proven. What could not be asked is unknown, even if something older is known: nobody may rely on it.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tabsync.backups.provider import project_of, provider_state
from tabsync.kernel.clock import age, iso, now, parse_iso
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import evidence_since, latest_evidence
from tabsync.ledger.open import Ledger
from tabsync.manual.model import Manual

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

SOURCE = "recoverable to"
"""What the manual calls it."""

_ASKED_FOR = 60.0  # seconds for which a provider's answer counts: the console asks every few seconds
_STAMP = re.compile(r"(\d{8}T\d{6}Z)")
_LOOKED_AT = 100  # drills, backups

asked: dict[str, tuple[float, Facts]] = {}
"""What providers said last, and when, by project."""


def recoverable_to(workspace: Workspace, manual: Manual, ledger: Ledger, subject: str | None) -> Facts:
    """The age of that point in seconds, as a metric. subject: of which database, None while it doesn't answer.

    Has value (None: unknown, and `note` says why), of (the RPO), note, command, and at, how.
    """
    of = manual.targets.rpo.value.total_seconds() if manual.targets else None
    told: Facts = {"value": None, "of": of, "note": "", "command": "tabsync backup window", "at": None, "how": ""}
    try:
        points = [_at_provider(workspace), _with_wal(workspace, ledger, subject), _proven(ledger, subject)]
    except TabsyncError as error:
        return told | {"note": error.fact}
    newest = max((one for one in points if one is not None), default=None)
    if newest is None:
        return told | {"note": "no backup is proven, and no WAL is received: nothing is known to recover to"}
    at, how = newest
    # A clock that is ahead elsewhere makes nothing newer than now.
    return told | {"value": max(0.0, (now() - at).total_seconds()), "note": how, "at": iso(at), "how": how}


def _at_provider(workspace: Workspace) -> tuple[datetime, str] | None:
    """The end of the provider's window. Raises TabsyncError when it can't be asked."""
    project = project_of(workspace)
    if project is None:
        return None
    at, state = asked.get(project, (0.0, {}))
    if not state or time.monotonic() - at > _ASKED_FOR:
        state = provider_state(workspace) or {}
        asked[project] = (time.monotonic(), state)
    if state.get("problem"):
        raise TabsyncError(f"{state['provider']} could not be asked: {state['problem']}", str(state.get("hint", "")))
    window = state.get("window")
    return (parse_iso(window["latest"]), f"point-in-time recovery of {state['provider']}") if window else None


def _with_wal(workspace: Workspace, ledger: Ledger, subject: str | None) -> tuple[datetime, str] | None:
    """The end of the newest window of a physical backup, by the store. Raises TabsyncError when that can't be read.

    The store is only read where there ever was such a backup: to list it takes its time.
    """
    taken = latest_evidence(ledger, "physical") if subject is None else _of_cluster(ledger, subject)
    if taken is None:
        return None
    from tabsync.backups.wal.window import cluster_of

    windows = cluster_of(workspace.store(), taken["subject"].partition("/")[0]).windows
    return (windows[-1][1], "a physical backup and its WAL") if windows else None


def _of_cluster(ledger: Ledger, subject: str) -> Facts | None:
    """The newest physical backup of the cluster that a database is in."""
    cluster = subject.partition("/")[0]
    found = evidence_since(ledger, "physical", limit=_LOOKED_AT)
    return next((one for one in found if one["subject"].partition("/")[0] == cluster), None)


def _proven(ledger: Ledger, subject: str | None) -> tuple[datetime, str] | None:
    """When the newest full backup was taken that a drill has proven."""
    taken = {
        one["facts"]["backup"]: parse_iso(one["facts"]["snapshot"]["time"])
        for one in evidence_since(ledger, "backup", subject, ok=True, limit=_LOOKED_AT)
        if "snapshot" in one["facts"]
    }
    found = []
    for one in evidence_since(ledger, "drill", subject, ok=True, limit=_LOOKED_AT):
        backup = str(one["facts"].get("backup", ""))
        at = taken.get(backup) or _stamped(backup)
        if at is not None:
            found.append((at, f"backup {backup}, proven {age(one['at'])}"))
    return max(found, default=None)


def _stamped(backup: str) -> datetime | None:
    """The time in the name of a backup; it is when its taking began, which is before its snapshot."""
    stamp = _STAMP.search(backup)
    return datetime.strptime(stamp[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if stamp else None

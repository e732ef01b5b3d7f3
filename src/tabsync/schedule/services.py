"""The services that keep a schedule, and their signs of life: in the ledger, and in a file when it can't be written.

The file has its room on the disk from the beginning and is written in place, so that a disk that is full keeps nobody
from saying that it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from tabsync.kernel.clock import parse_iso
from tabsync.kernel.step import Facts
from tabsync.ledger.open import Ledger

SILENT = timedelta(seconds=90)
"""After this time without a beat a service is silent."""

_ROOM = 4096  # bytes
_LONGEST = 300  # characters of what is wrong


@dataclass(frozen=True, slots=True)
class Service:
    """A service that keeps the schedule of this ledger, or did. facts: what else it says of itself."""

    name: str
    host: str
    pid: int
    started_at: datetime
    beat_at: datetime
    facts: Facts

    def is_silent(self, moment: datetime) -> bool:
        """Whether nothing has been heard of it lately, or it is from the future: a clock that was set back."""
        return abs(moment - self.beat_at) > SILENT


def services(ledger: Ledger) -> list[Service]:
    """The services that ever kept this schedule."""
    known = [
        Service(
            row["name"], row["host"], row["pid"], parse_iso(row["started_at"]), parse_iso(row["beat_at"]), row["facts"]
        )
        for row in ledger.read("services")
    ]
    return _with_sign(ledger.claims.parent, known)


def leave_sign(home: Path, row: Facts) -> None:
    """Write a sign of life: the row that the ledger has, or can't have now. A disk that doesn't take it is borne."""
    facts = {name: one | {"fact": one["fact"][:_LONGEST]} for name, one in row["facts"].items()}
    content = json.dumps(row | {"facts": facts}).encode()
    if len(content) > _ROOM:
        return
    path = _path(home)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(file, content.ljust(_ROOM), 0)  # one write within a page: nobody reads half of it
        finally:
            os.close(file)


def _with_sign(home: Path, known: Sequence[Service]) -> list[Service]:
    """Services as the ledger has them; the one of this home with what it has said since, if the ledger lacks it."""
    try:
        row = json.loads(_path(home).read_bytes())
        started, at = parse_iso(row["started_at"]), parse_iso(row["beat_at"])
        pid, facts, mine = int(row["pid"]), dict(row["facts"]), (row["name"], row["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return [*known]
    return [
        replace(one, pid=pid, started_at=started, beat_at=at, facts=facts)
        if (one.name, one.host) == mine and at > one.beat_at
        else one
        for one in known
    ]


def _path(home: Path) -> Path:
    return home / "scheduler" / "sign.json"

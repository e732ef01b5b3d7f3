"""How many sessions began by the server's own count, and how many of them no look has seen.

A look every half minute sees who is logged in then. Who logs in and out again between two looks is seen by nobody; but
the server counts every session (pg_stat_database.sessions), so that it is known how many these were.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from tabsync.monitoring.history.file import SQL
from tabsync.monitoring.history.moments import moment_of
from tabsync.monitoring.history.rollup import HOUR


@dataclass(frozen=True, slots=True)
class Counted:
    """What the server has counted so far. sessions: of the database since key, which says when it began to count;
    at: by the server's clock; fresh: how many that are there began after the look before, None for a role that isn't
    shown when they did."""

    sessions: int
    key: str
    at: datetime
    fresh: int | None = None

    def to_text(self) -> str:
        """As it is kept until the next look."""
        return json.dumps([self.sessions, self.key, self.at.isoformat()])

    @classmethod
    def of_text(cls, text: str) -> Counted:
        """The inverse."""
        sessions, key, at = json.loads(text)
        return cls(int(sessions), str(key), datetime.fromisoformat(at))

    def since(self, before: Counted) -> Passed | None:
        """How many began since an earlier look, and how many of them are there; None when it was not counted through:
        the count began anew, or is another database's."""
        if before.key != self.key or self.sessions < before.sessions or self.at <= before.at:
            return None
        established = self.sessions - before.sessions
        return Passed(established, None if self.fresh is None else min(self.fresh, established))


@dataclass(frozen=True, slots=True)
class Passed:
    """How many sessions began, and how many of them were seen; None where that is unknown. since: from when on."""

    established: int
    seen: int | None
    since: datetime | None = None

    @property
    def unseen(self) -> int | None:
        """How many began and ended between two looks."""
        return None if self.seen is None else self.established - self.seen


def write_logins(connection: sqlite3.Connection, counted: Counted, before: str, at: int) -> None:
    """Note how many sessions began since the look before, inside a transaction. before: that look, "" without one."""
    passed = counted.since(Counted.of_text(before)) if before else None
    if passed is not None and passed.established:
        row = {"hour": at // HOUR, "established": passed.established, "seen": passed.seen}
        connection.execute(SQL["add_logins"], row)
    connection.execute(SQL["set_state"], {"name": "logins", "value": counted.to_text()})


def read_logins(connection: sqlite3.Connection, since: int) -> Passed:
    """How many sessions began since the hour of a moment."""
    first, established, seen = connection.execute(SQL["logins"], {"since": since // HOUR}).fetchone()
    return Passed(established, seen, None if first is None else moment_of(first * HOUR))


def counted_before(state: object) -> Counted | None:
    """What it had counted at the last look. state: what the file says of "logins"."""
    return None if state is None else Counted.of_text(str(state))

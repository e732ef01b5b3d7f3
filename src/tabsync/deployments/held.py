"""Which locks a deployment holds on a copy, for how long, and which tables it writes anew."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import psycopg
from psycopg.rows import dict_row

from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "rehearsal.sql")
_STOPS = {
    "AccessExclusiveLock": "reading and writing",
    "ExclusiveLock": "writing",
    "ShareRowExclusiveLock": "writing",
    "ShareLock": "writing",
    "ShareUpdateExclusiveLock": "maintenance",
}
"""What others can't do meanwhile."""


@dataclass(slots=True)
class Held:
    """The locks that were seen. A lock is seen when somebody looks, so one that is held for less may be missed."""

    connection: Connection
    _since: dict[tuple[str, ...], float] = field(default_factory=dict)
    _longest: dict[tuple[str, str], float] = field(default_factory=dict)

    def look(self) -> None:
        """Look once. What can't be looked at is not seen."""
        now = time.monotonic()
        try:
            with self.connection.cursor(row_factory=dict_row) as cursor:
                found = cursor.execute(_SQL["held"]).fetchall()
        except psycopg.Error:
            return
        there = {(str(one["pid"]), one["transaction"], one["table"], one["mode"]) for one in found}
        self._since = {key: self._since.get(key, now) for key in there}
        for key, since in self._since.items():
            kind = key[2], key[3]
            self._longest[kind] = max(self._longest.get(kind, 0.0), time.monotonic() - since)

    def to_json(self) -> list[Facts]:
        """The strongest first: what stops others longest."""
        order = list(_STOPS)
        rows = sorted(self._longest.items(), key=lambda one: (order.index(one[0][1]), -one[1]))
        return [
            {"table": table, "mode": mode, "stops": _STOPS[mode], "seconds": round(seconds, 2)}
            for (table, mode), seconds in rows
        ]


def files(connection: Connection) -> dict[str, Facts]:
    """The file of each table, by its name."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {one["table"]: one for one in cursor.execute(_SQL["files"])}


def rewritten(before: dict[str, Facts], after: dict[str, Facts]) -> list[Facts]:
    """The tables that have another file by now, with the bytes that were read for it."""
    names = [name for name, one in after.items() if name in before and before[name]["file"] != one["file"]]
    return [{"table": name, "bytes": before[name]["bytes"]} for name in sorted(names)]

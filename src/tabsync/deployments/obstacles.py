"""What a migration would wait for if it began now: transactions that hold its tables, and standbys."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from psycopg.rows import dict_row

from tabsync.kernel.errors import Refused
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "deployments.sql")
_OLD = 2.0  # seconds a transaction has been open for before it counts: others are gone by themselves
_LOOK = 0.5
_SEGMENT = 16 << 20  # bytes of a file of WAL


def wait_for(connection: Connection, tables: Sequence[str] | None, seconds: float, say: Callable[[str], None]) -> Facts:
    """Wait until nobody holds the tables in an old transaction and commits wait for no standby that isn't there.

    tables: "schema.name"; None where they are not known: then all of the application's. seconds: how long at most.
    Returns what was waited for. Raises Refused, naming who is in the way, and the command that ends it.
    """
    until = time.monotonic() + seconds
    told, waited = "", False
    while True:
        found = in_the_way(connection, tables)
        missing = lacking_standby(connection)
        if not found and not missing:
            return {"waited": waited, "tables": list(tables) if tables is not None else None, "told": told}
        told = "; ".join([*map(_told, found), *([missing] if missing else [])])
        if time.monotonic() >= until:
            raise Refused(f"the migration would wait: {told}", _remedy(found))
        if not waited:
            say(f"waiting up to {human_seconds(seconds)}: {told}")
        waited = True
        time.sleep(_LOOK)


def in_the_way(connection: Connection, tables: Sequence[str] | None) -> list[Facts]:
    """The transactions that hold a lock on some tables, the oldest first."""
    return _rows(connection, "in_the_way", tables=list(tables) if tables is not None else None, older=_OLD)


def lacking_standby(connection: Connection) -> str:
    """Why a commit would wait for ever: no standby is there that it waits for; "" when one is, or it waits for none."""
    waits = _rows(connection, "waits_for_standbys")[0]["waits"]
    if not waits or any(one["sync_state"] in ("sync", "quorum") for one in _rows(connection, "replicas")):
        return ""
    return "synchronous_standby_names is set, and no such standby is connected: no commit would end"


def lagging(connection: Connection, most: float) -> list[str]:
    """The standbys that are further behind than some seconds, or than a file of WAL, in words.

    The time is measured by what a standby has replayed: where replay is paused it does not grow, and the WAL does.
    https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
    """
    told = []
    for one in _rows(connection, "replicas"):
        seconds, size = one["seconds"] or 0.0, int(one["bytes"] or 0)
        if seconds > most:
            told.append(f"{in_one_line(one['name'])} is {human_seconds(seconds)} behind")
        elif size > _SEGMENT:
            told.append(f"{in_one_line(one['name'])} is {human_bytes(size)} of WAL behind")
    return told


def _told(one: Facts) -> str:
    more = f" and {one['tables'] - 1} more tables" if one["tables"] > 1 else ""
    held = f"holds {one['table']}{more} in a transaction open for {human_seconds(one['seconds'])}"
    if one["prepared"]:
        return f"the prepared transaction {in_one_line(one['prepared'])!r} {held}"
    return (
        f"session {one['pid']} ({in_one_line(one['application'] or '') or '-'} as {one['user']}, {one['state']}) {held}"
    )


def _remedy(found: list[Facts]) -> str:
    first = next((one for one in found if not one["prepared"]), None)
    if first is None:
        prepared = next((one for one in found), None)
        return f"end it: rollback prepared '{prepared['prepared']}'" if prepared else "tabsync replication diagnose"
    if first["type"] and first["type"] != "client backend":
        return "wait for it, or give more time: --wait 30min"
    return f"wait longer with --wait, or end it: tabsync connections terminate {first['pid']} --dry-run"


def _rows(connection: Connection, block: str, **values: object) -> list[Facts]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SQL[block], values or None).fetchall()

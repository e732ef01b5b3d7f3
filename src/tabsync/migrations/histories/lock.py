"""The lock that a tool takes while it migrates: who holds it, who waits, and whether its deployment still lives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg.rows import dict_row

from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.migrations.histories.table import SQL, locks
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

GUARD = 0x7461_6273_7963_6764  # "tabsycgd"
"""The advisory lock of a deployment that runs under our own guard."""

GONE = 60.0
"""Seconds without a statement after which the holder's deployment is probably gone: a tool takes no pause."""

_COMPUTES = 300.0  # seconds; a migration in Python may compute between two statements


@dataclass(frozen=True, slots=True)
class Lock:
    """What a tool locks. numbers: of its advisory lock, as it may have computed them; (): it takes none.

    waits: what a deployment says that does not get it; elsewhere: the tool migrates in another session than the one
    that holds the lock.
    """

    tool: str
    numbers: tuple[int, ...] = ()
    waits: str = ""
    elsewhere: bool = False


def holders(connection: Connection, lock: Lock, table: Relation) -> list[Facts]:
    """The sessions that hold the lock or wait for it, with a verdict on each; without a lock: who writes the table."""
    if lock.numbers:
        found = [one for number in lock.numbers for one in locks(connection, number)]
    else:
        with connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(SQL["writers"], {"schema": table.schema, "name": table.name}).fetchall()
    kind = "advisory" if lock.numbers else "table"
    of: Facts = {"tool": lock.tool, "table": str(table), "kind": kind}
    return [one | of | _judged(one, lock) for one in found]


def check_nobody_migrates(connection: Connection, both: Iterable[tuple[Lock, Relation]]) -> None:
    """See that no deployment runs, of any tool or under guard. Raises Refused."""
    mine = connection.info.backend_pid
    if any(one["granted"] and one["pid"] != mine for one in locks(connection, GUARD)):
        raise Refused("a deployment runs under guard", "wait until it has ended: tabsync migration status")
    for lock, table in both:
        held = [one for one in holders(connection, lock, table) if one["granted"] and one["pid"] != mine]
        if held:
            what = "the migration lock" if lock.numbers else f"a lock on {table}"
            fact = f"a deployment of {lock.tool} holds {what}, in session {held[0]['pid']}: it {held[0]['says']}"
            raise Refused(fact, "tabsync migration status")


def _judged(one: Facts, lock: Lock) -> Facts:
    verdict, says = _verdict(one, lock)
    return {"verdict": verdict, "says": says}


def _verdict(one: Facts, lock: Lock) -> tuple[str, str]:
    """What is to be thought of a session, in a word and in words: waits, works, pauses, gone or unknown."""
    if not one["granted"]:
        return "waits", f"waits{_since(one['waiting'])}"
    if one["state"] in (None, "disabled"):
        return "unknown", "what it does is not visible to this role: pg_monitor would see it"
    if one["state"] == "active":
        behind = ", which waits for another session's lock" if one["waits"] == "Lock" else ""
        return "works", f"runs a statement{_since(one['quiet'])}{behind}"
    idle = f"{one['state']}{_since(one['quiet'])}"
    if lock.elsewhere and one["busy"]:
        return "works", f"{idle}; another session of the same application runs a statement, which may be its migration"
    if (one["quiet"] or 0) < (GONE if lock.numbers else _COMPUTES):
        return "pauses", f"{idle}: between two statements, look again"
    return "gone", f"{idle}: its deployment is probably gone"


def _since(seconds: float | None) -> str:
    return "" if seconds is None else f" for {human_seconds(max(seconds, 0))}"


def are_gone(found: Iterable[Facts]) -> list[Facts]:
    """Those that hold a lock for a deployment that is probably gone."""
    return [one for one in found if one["verdict"] == "gone"]

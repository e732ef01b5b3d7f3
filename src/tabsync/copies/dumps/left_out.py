"""What a dump of one database doesn't hold, so that a restore can tell it, each with the statement that makes it.

pg_dump writes one database: roles, tablespaces and settings are the cluster's, slots and subscriptions the moment's,
rows of foreign tables somebody else's (https://www.postgresql.org/docs/current/app-pgdump.html, Notes). What it holds
of the database itself (settings, grants, comment) is in it, and is brought back: see properties.py. No password and
no connection string is kept: a manifest is readable by whoever reads the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import psycopg

from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

SQL = named(__package__, "left_out.sql")

_THERE = {
    "role": "roles",
    "tablespace": "tablespaces",
    "membership": "memberships",
    "setting of a role": "role_settings",
}
"""Kinds that a server has or lacks under the same name, whatever database they were noted for."""

_OF_THE_SERVER = ("setting of the server", "grant on a parameter")


def not_dumped(connection: Connection) -> list[Facts]:
    """What a dump of the session's database leaves out: kind, name, statement ("" when there is none) and note.

    Call it in the transaction that is dumped. What may not be read is listed too, as unknown.
    """
    found: list[Facts] = []
    for block in SQL:
        found += asked(connection, block)
    return found


def lacking(connection: Connection, noted: Iterable[Facts]) -> list[Facts]:
    """Of what was noted for a backup, what this server doesn't have either."""
    there: dict[str, set[tuple[str, str]]] = {}
    for kind, block in _THERE.items():
        # A role of the name is there, with other rights perhaps: those are this server's own.
        there[kind] = {(one["name"], "") for one in asked(connection, block)}
    for kind, block in zip(_OF_THE_SERVER, ("server_settings", "parameters"), strict=True):
        there[kind] = {(one["name"], one["statement"]) for one in asked(connection, block)}
    return [
        one
        for one in noted
        if one["kind"] not in there or not there[one["kind"]] & {(one["name"], ""), (one["name"], one["statement"])}
    ]


def asked(connection: Connection, block: str) -> list[Facts]:
    """The rows of one block, or that it may not be read."""
    try:
        with connection.transaction():
            rows = connection.execute(SQL[block], {}).fetchall()
    except psycopg.Error as error:
        what = block.replace("_", " ")
        return [{"kind": "unknown", "name": what, "statement": "", "note": error.diag.message_primary or str(error)}]
    return [dict(zip(("kind", "name", "statement", "note"), row, strict=True)) for row in rows]


def in_words(one: Facts) -> str:
    """One of them in a line: what it is, the statement that makes it, and what to know about it."""
    note = f" ({one['note']})" if one["note"] else ""
    return f"{one['kind']} {one['name']}{note}" + (f": {one['statement']}" if one["statement"] else "")


def shown(found: Sequence[Facts], limit: int = 8) -> list[str]:
    """Lines for a person: the first few of each kind, and how many more there are."""
    lines: list[str] = []
    for kind in dict.fromkeys(one["kind"] for one in found):
        same = [one for one in found if one["kind"] == kind]
        lines += [in_words(one) for one in same[:limit]]
        lines += [f"{kind}: {len(same) - limit} more (--json lists them)"] if len(same) > limit else []
    return lines

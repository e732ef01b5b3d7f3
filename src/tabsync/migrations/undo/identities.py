"""The rows of things in the catalog, with their ages."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.rows import dict_row

from tabsync.migrations.changes.change import Thing
from tabsync.migrations.undo.words import Identity
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

SQL = named(__package__, "undo.sql")


def identities(connection: Connection, things: Sequence[Thing]) -> dict[Thing, list[Identity]]:
    """The rows of things in the catalog; of a function all of its name."""
    values = {
        "kinds": [one.kind for one in things],
        "schemas": [one.schema for one in things],
        "names": [one.name for one in things],
        "parts": [one.part for one in things],
    }
    found: dict[Thing, list[Identity]] = {one: [] for one in things}
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(SQL["identities"], values).fetchall():
            if row["oid"] is not None:
                thing = things[row["n"] - 1]
                one = Identity(row["oid"], row["sub"], row["letter"], row["age"] or 0, row["written"] or 0, row["name"])
                found[thing].append(one)
    return found

"""The table of a history, read without running anybody's code: a plain table, of PostgreSQL's own types."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection, allowed
from tabsync.postgres.queries import named

SQL = named(__package__, "histories.sql")
_BEGINNING = sql.SQL("coalesce(left(t.{0}::text, {1}), '') as {0}")
_LONGEST = 4_000  # characters of a value
_ROWS = 200_000
_SIZE = 100_000_000  # characters of a whole history: it is somebody else's table, and is held in memory


class Odd(Exception):
    """A table that has the name of a history, and is not one. The message says why."""


def places(connection: Connection, name: str) -> list[Relation]:
    """Where there is something of a name, in any schema."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(SQL["schemas"], {"name": name}).fetchall()
    return [Relation(one["schema"], name) for one in found]


def columns_of(connection: Connection, table: Relation) -> set[str]:
    """The names of its columns. Raises Odd when it is no plain table of PostgreSQL's types."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(SQL["columns"], {"schema": table.schema, "name": table.name}).fetchall()
    if not all(one["plain"] for one in found):
        raise Odd(f"{table} is no table")
    if own := [one["name"] for one in found if not one["native"]]:
        raise Odd(f"the column {own[0]} of {table} has a type of the application's")
    return {one["name"] for one in found}


def read(connection: Connection, table: Relation, columns: Sequence[str], order: str) -> list[Facts]:
    """Its rows, each value as text, its beginning only; "" for NULL. Raises Odd, NotAllowed."""
    there = columns_of(connection, table)
    if lacking := [name for name in (*columns, order) if name not in there]:
        raise Odd(f"{table} has no column {lacking[0]}")
    names = sql.SQL(", ").join(_BEGINNING.format(sql.Identifier(name), sql.Literal(_LONGEST)) for name in columns)
    query = sql.SQL("select {} from only {} t order by t.{}").format(names, table.identifier(), sql.Identifier(order))
    found: list[Facts] = []
    size = 0
    with connection.cursor(row_factory=dict_row) as cursor, allowed("read the history of migrations", "use its owner"):
        for row in cursor.stream(query):
            size += sum(map(len, row.values()))
            if len(found) == _ROWS or size > _SIZE:
                raise Odd(f"{table} has more than {_ROWS:,} rows, or {_SIZE:,} characters: no tool wrote that")
            found.append(row)
    return found


def is_there(connection: Connection, table: Relation) -> bool:
    """Whether there is a table of a name in a schema."""
    row = connection.execute(SQL["named"], {"schema": table.schema, "name": table.name}).fetchone()
    return bool(row and row[0])


def locks(connection: Connection, number: int) -> list[Facts]:
    """Who holds an advisory lock, and who waits for it. number: 64 bits, as the tool takes it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL["locks"], {"number": number}).fetchall()

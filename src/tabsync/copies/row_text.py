"""Rows as text: read in the words of their types' output functions, written as COPY reads them.

Text is the one form in which a value of any type, of any extension, is the same on two servers; pg_dump carries rows
the same way: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from psycopg import RawCursor, sql

from tabsync.postgres.connect import Connection

Row: TypeAlias = tuple[str | None, ...]

BATCH = 1_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r"})
_CURSOR = "tabsync_rows"


def ask(connection: Connection, query: sql.Composed, *values: object) -> list[Row]:
    """The rows of one statement as text. values: for $1, $2, ...; names in the statement may hold any character."""
    with RawCursor(connection) as cursor:
        cursor.execute(query, values)
        return _rows(cursor)


def tell(connection: Connection, query: sql.Composed, *values: object) -> int:
    """Run one statement that writes; gives the number of rows."""
    with RawCursor(connection) as cursor:
        return cursor.execute(query, values).rowcount


def stream(connection: Connection, query: sql.Composed, batch: int = BATCH) -> Iterator[list[Row]]:
    """The rows of a query in batches, without keeping them all; needs an open transaction."""
    name = sql.Identifier(_CURSOR)
    tell(connection, sql.SQL("declare {} no scroll cursor for ").format(name) + query)
    try:
        while rows := ask(connection, sql.SQL("fetch {} from {}").format(sql.Literal(batch), name)):
            yield rows
    finally:
        if not connection.broken and connection.info.transaction_status == connection.info.transaction_status.INTRANS:
            tell(connection, sql.SQL("close {}").format(name))


def copy_line(row: Iterable[str | None]) -> bytes:
    """One row as a line that COPY ... FROM STDIN reads."""
    fields = ("\\N" if value is None else value.translate(_ESCAPES) for value in row)
    return ("\t".join(fields) + "\n").encode("utf-8", "surrogateescape")


def copy_in(connection: Connection, table: sql.Identifier, rows: Iterable[Row]) -> int:
    """Copy rows into a table; gives their number."""
    count = 0
    with connection.cursor() as cursor, cursor.copy(sql.SQL("copy {} from stdin").format(table)) as copy:
        for row in rows:
            copy.write(copy_line(row))
            count += 1
    return count


def read_lines(path: Path) -> Iterator[list[Any]]:
    """The JSON lines of a file; nothing when it isn't there."""
    if path.exists():
        with path.open(encoding="ascii") as file:
            for line in file:
                yield json.loads(line)


def columns(names: Sequence[str], of: str = "") -> sql.Composed:
    """Column names, with the table's alias before each when there is one."""
    return sql.SQL(", ").join(sql.Identifier(of, name) if of else sql.Identifier(name) for name in names)


def whole(names: Sequence[str], of: str) -> sql.Composed:
    """A row as one text: equal texts are equal rows, also of types that have no operator for it."""
    return sql.SQL("row({})::pg_catalog.text").format(columns(names, of))


def matches(left: str, lefts: Sequence[str], right: str, rights: Sequence[str], by: Sequence[str]) -> sql.Composed:
    """left.a = right.a and ...; by: the operators, as the catalog spells them with their schema."""
    pairs = zip(lefts, by, rights, strict=True)
    return sql.SQL(" and ").join(
        sql.SQL("{} {} {}").format(sql.Identifier(left, one), spelled(operator), sql.Identifier(right, other))
        for one, operator, other in pairs
    )


def spelled(text: str) -> sql.SQL:
    """Text that the catalog itself gave, quoted by the server: a type's name, an operator's."""
    return sql.SQL(text)


def _rows(cursor: RawCursor[tuple[object, ...]]) -> list[Row]:
    result = cursor.pgresult
    if result is None:
        return []
    return [
        tuple(_text(result.get_value(number, column)) for column in range(result.nfields))
        for number in range(result.ntuples)
    ]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "surrogateescape")

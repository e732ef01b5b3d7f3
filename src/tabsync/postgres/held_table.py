"""A table of the application's, read without running anybody's code: it stays what it was found to be while it is read.

A view of that name would run its owner's functions with the rights of whoever reads it, and so would a cast to text
that somebody has made for a type of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.kernel.errors import Refused
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_TABLES = ("r", "p")


@contextmanager
def held_table(connection: Connection, table: Relation, columns: Sequence[str] = ()) -> Iterator[None]:
    """A transaction, or a part of one, in which nobody puts a view in the place of a table.

    columns: those that are read as text. Raises Refused when it is no table, or its values are shown by a function of
    somebody's; psycopg.Error as LOCK TABLE does.
    """
    blocks = named(__package__, "catalog.sql")
    with connection.transaction():
        connection.execute(sql.SQL("lock table {} in access share mode").format(table.identifier()))
        with connection.cursor(row_factory=dict_row) as cursor:
            name = table.identifier().as_string(None)
            found = cursor.execute(blocks["held"], {"table": name, "columns": list(columns)}).fetchone()
        if found is None or found["kind"] not in _TABLES:
            raise Refused(f"{table} is no table", "a view would run its owner's functions as us: name the table")
        if found["cast"]:
            fact = f"the column {found['cast']} of {table} is shown by a function of somebody's, which would run as us"
            raise Refused(fact, "drop that cast, or use a role that may do nothing else")
        yield

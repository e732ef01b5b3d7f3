"""A bulk load into empty tables: what would be checked row by row is taken off before and brought back after.

Building an index from all rows takes a fraction of the time that it takes to insert them one at a time, and a foreign
key is then proven by one join. Bringing a constraint back proves every row, so nothing is taken on trust; and it all
happens in the caller's transaction, so nobody else ever sees the tables without their constraints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import Cursor, sql

from tabsync.postgres.queries import named

Progress = Callable[[float, float, str], None]
"""Called with (done, total, unit) while something long goes on, as a step's Context has it."""

RESTART = sql.SQL("ALTER TABLE {table} ALTER COLUMN {column} RESTART WITH {next}")
"""Go on counting from here. Unlike setval(), it is undone with its transaction."""

NEXT_ID = sql.SQL("SELECT coalesce(max({column}), 0) + 1 FROM {table}")
"""The first id that was not given."""


@contextmanager
def taken_off(cursor: Cursor[tuple[Any, ...]], tables: Sequence[str], report: Progress) -> Iterator[None]:
    """Load tables inside this block, in a transaction, without their indexes, keys and triggers.

    tables: names, all of those that refer to one another. report: called with (done, total, unit) while they are
    brought back. Raises psycopg.errors.DependentObjectsStillExist when something else, such as a view grouped by a
    primary key, needs one of them, and psycopg.errors.IntegrityError when the rows do not fit.

    Comments on constraints and indexes are not kept. Locks the tables against all others until the transaction ends.
    """
    block = named(__package__, "bulk.sql")
    names = {"tables": list(tables)}
    cursor.execute(block["settings"])
    objects = cursor.execute(block["constraints_and_indexes"], names).fetchall()
    triggers = cursor.execute(block["triggers"], names).fetchall()
    for take_off, _ in objects + triggers:
        cursor.execute(take_off.encode())
    yield
    back = [bring_back for _, bring_back in reversed(objects)] + [enable for _, enable in triggers]
    for number, statement in enumerate(back, start=1):
        cursor.execute(statement.encode())
        report(number, len(back), "constraints and indexes")
    for table, column in cursor.execute(block["identities"], names).fetchall():
        target = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        for (next_id,) in cursor.execute(NEXT_ID.format(**target)).fetchall():
            cursor.execute(RESTART.format(**target, next=sql.Literal(next_id)))

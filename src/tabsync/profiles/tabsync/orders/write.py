"""Writes to the tables of pauses: as the application would, with no more rights than their owner has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from tabsync.kernel.errors import FailedPartway, NotAllowed, Refused, words_of
from tabsync.postgres.as_owner import called_as
from tabsync.postgres.connect import Connection, resolve_as_application
from tabsync.profiles.tabsync.orders.database import SQL

_COUNT, _NOTHING = sql.SQL("pg_catalog.int8"), sql.SQL("pg_catalog.void")
_CONSTRAINTS = sql.SQL("set constraints all immediate").format()


def write(connection: Connection, block: str, owner: str, **values: object) -> int:
    """Run a statement that writes in a transaction of its own, and give how many rows it wrote.

    owner: as whom, from a superuser's session; "": as ourselves. The owner's deferred triggers run as the owner too:
    at the end of the transaction they would run as us.
    """
    statement = sql.SQL(SQL[block]).format(**{name: sql.Literal(value) for name, value in values.items()})
    with connection.transaction():
        resolve_as_application(connection, local=True)
        if not owner:
            return _count(connection, statement)
        with called_as(connection, statement, _COUNT, owner) as calling:
            written = _count(connection, calling)
        with called_as(connection, _CONSTRAINTS, _NOTHING, owner) as calling:
            connection.execute(calling)
        return written


@contextmanager
def in_words(connection: Connection, not_done: str) -> Iterator[None]:
    """Turn what the database says against a write into an error. not_done: "orders were not paused".

    Raises NotAllowed, Refused, FailedPartway.
    """
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotAllowed(f"{not_done}: {words_of(error)}", "use the owner of order_pauses and order_gate") from None
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
        raise FailedPartway(
            f"{not_done}: another session holds a lock on order_pauses", "to see which session: tabsync locks show"
        ) from None
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise Refused(f"{not_done}: {words_of(error)}", "name the primary with --database") from None
    except psycopg.Error as error:
        fact = f"{not_done}: {words_of(error)}"
        if connection.closed:
            fact = f"the connection was lost, so it is unknown whether {not_done}: {words_of(error)}"
        raise FailedPartway(fact, "to see what stands: tabsync orders status") from None


def _count(connection: Connection, statement: sql.Composed) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0

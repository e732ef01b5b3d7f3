"""Writes to the tables of pauses: as the application would, with no more rights than their owner has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
from psycopg import sql

from tabsync.kernel.errors import FailedPartway, NotAllowed, Refused, words_of
from tabsync.kernel.plain import in_one_line
from tabsync.postgres.as_owner import called_as, check_nothing_put_off
from tabsync.postgres.connect import Connection, resolve_as_application
from tabsync.profiles.tabsync.orders.database import SQL, check_pauses, holding

_COUNT, _NOTHING = sql.SQL("pg_catalog.int8"), sql.SQL("pg_catalog.void")
_CONSTRAINTS = sql.SQL("set constraints all immediate").format()


@contextmanager
def writing(connection: Connection, table: str, not_done: str) -> Iterator[Callable[..., int]]:
    """A transaction that writes to a table of pauses; what it gives runs a statement and says how many rows it wrote.

    As whom is found out where nobody can change it any more. not_done: "orders were not paused".
    Raises as in_words().
    """
    with in_words(connection, not_done), holding(connection, table, written=True) as found:
        check_pauses(found)
        trigger = found.tables[table]["foreign_trigger"]
        if trigger:
            raise Refused(
                f"{not_done}: the trigger {in_one_line(trigger)} of {table} is not a superuser's, and would run as one",
                f"use a role that is no superuser, or, if nobody knows it: drop trigger ... on {table}",
            )
        yield partial(_write, connection, found.owner(table))


def _write(connection: Connection, owner: str, block: str, **values: object) -> int:
    """Run a statement that writes, as the owner of its table in a superuser's session; "": as ourselves.

    The owner's deferred triggers run as the owner too: at the end of the transaction they would run as us.
    """
    statement = sql.SQL(SQL[block]).format(**{name: sql.Literal(value) for name, value in values.items()})
    resolve_as_application(connection, local=True)
    if not owner:
        return _count(connection, statement)
    with called_as(connection, statement, _COUNT, owner) as calling:
        written = _count(connection, calling)
    with called_as(connection, _CONSTRAINTS, _NOTHING, owner) as calling:
        connection.execute(calling)
    check_nothing_put_off(connection)
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

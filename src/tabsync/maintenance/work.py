"""Long statements: one session works, another one looks how far it is; Ctrl-C cancels the statement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tabsync.kernel.errors import FailedPartway, NotAllowed, TabsyncError, words_of
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Context

SQL = named(__package__, "maintenance.sql")
LOOKING = Limits(lock_timeout=1_000, statement_timeout=30_000)
WORKING = Limits(lock_timeout=10_000, statement_timeout=0)
"""VACUUM and ANALYZE: as long as they take, and no queue of others behind a lock that they wait for."""

BUILDING = Limits(lock_timeout=300_000, statement_timeout=0)
"""An index that is built CONCURRENTLY waits for all transactions that were open, and blocks nobody meanwhile."""

DROPPING = Limits(lock_timeout=500, statement_timeout=0)
"""A leftover: less than deadlock_timeout, so that nobody who builds on its table after all fails because of us."""

_LOOK = 0.5  # seconds between two looks


def rows(connection: Connection, statement: str, /, **values: Any) -> list[Facts]:
    """The rows of a statement of maintenance.sql."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL[statement], values).fetchall()


def do(context: Context, connection: Connection, name: str, what: str, **names: sql.Composable) -> float:
    """Run a composed statement, and report how far it is; gives how many seconds it took.

    what: in words, for the error. Raises NotAllowed, or FailedPartway with the server's words.
    """
    started = time.monotonic()
    with _watched(context, connection):
        try:
            connection.execute(sql.SQL(SQL[name]).format(**names))
        except psycopg.errors.InsufficientPrivilege as error:
            raise NotAllowed(f"{what}: {words_of(error)}", "its owner may, and on 17 and later: pg_maintain") from None
        except psycopg.errors.LockNotAvailable:
            raise FailedPartway(f"{what}: another session holds the lock", "to see which: tabsync locks show") from None
        except psycopg.Error as error:
            raise FailedPartway(f"{what}: {words_of(error)}", "tabsync run show latest") from None
    return time.monotonic() - started


@contextmanager
def _watched(context: Context, connection: Connection) -> Iterator[None]:
    """Report how far the other session is, until the block ends; who can't look reports nothing."""
    over = Event()
    pid = connection.info.backend_pid

    def look() -> None:
        if over.wait(_LOOK):
            return  # most take no longer: no second session for those
        with suppress(TabsyncError, psycopg.Error), context.workspace.connect("progress", LOOKING) as looking:
            while not over.wait(_LOOK):
                for one in rows(looking, "progress", pid=pid):
                    if one["total"]:
                        context.report(one["done"], one["total"], f"blocks, {one['phase']}")

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_LOOK)

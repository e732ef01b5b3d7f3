"""A statement with no more rights than the owner of a table has, from a superuser's session.

What writes to a table runs code that its owner wrote: triggers, checks, domains, rules. Under a superuser's session
that code would be a superuser's, and SET ROLE holds nobody off, since it may be reset. So it goes through a function
with SECURITY DEFINER that belongs to the owner: in there neither role nor session user can be changed.
https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import RawCursor, sql

from tabsync.postgres.connect import Connection

_WRITER = sql.Identifier("pg_temp", "tabsync_write")
_FUNCTION = sql.SQL("create function {}() returns {} language sql security definer set search_path from current as {}")


@contextmanager
def called_as(live: Connection, statement: sql.Composed, gives: sql.SQL, owner: str) -> Iterator[sql.Composed]:
    """What calls a statement as a role, within an open transaction of a superuser.

    gives: the type of what it gives. Names in it are resolved as they are now.
    """
    with without_event_triggers(live), RawCursor(live) as cursor:
        cursor.execute(_FUNCTION.format(_WRITER, gives, sql.Literal(statement.as_string(live))))
        cursor.execute(sql.SQL("alter function {}() owner to {}").format(_WRITER, sql.Identifier(owner)))
    try:
        yield sql.SQL("select {}()").format(_WRITER)
    finally:
        if live.info.transaction_status is live.info.transaction_status.INTRANS:
            with without_event_triggers(live), RawCursor(live) as cursor:
                cursor.execute(sql.SQL("drop function {}()").format(_WRITER))


@contextmanager
def without_event_triggers(live: Connection) -> Iterator[None]:
    """Keep event triggers from running for the temporary things that we make, where a superuser can.

    From 17 on a superuser's session of ours has none at all. Those that are enabled ALWAYS run all the same.
    """
    switched = live.info.server_version < 170000 and live.info.parameter_status("is_superuser") == "on"
    if switched:
        live.execute("set local session_replication_role = replica")
    yield
    if switched:
        live.execute("set local session_replication_role = origin")

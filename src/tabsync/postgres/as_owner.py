"""A statement with no more rights than the owner of a table has, from a superuser's session.

What writes to a table runs code that its owner wrote: triggers, checks, domains, rules. Under a superuser's session
that code would be a superuser's, and SET ROLE holds nobody off, since it may be reset. So it goes through a function
with SECURITY DEFINER that belongs to the owner: in there neither role nor session user can be changed.
https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import RawCursor, sql

from tabsync.kernel.errors import Refused
from tabsync.kernel.plain import in_one_line
from tabsync.postgres.connect import Connection, resolve_in_catalog
from tabsync.postgres.queries import named

_SQL = named(__package__, "as_owner.sql")

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


def check_nothing_put_off(live: Connection) -> None:
    """See that no trigger is left for the end of the transaction, where it would run as us. Raises Refused.

    Names mean PostgreSQL's own objects from then on.
    SET CONSTRAINTS ALL IMMEDIATE leaves one if a trigger that it fires puts off what it does itself. From 18 on each
    runs as whoever caused it: https://www.postgresql.org/docs/18/release-18.html
    """
    if live.info.server_version >= 180000:
        return
    resolve_in_catalog(live, local=True)
    for schema, name in live.execute(_SQL["deferrable"]).fetchall():
        try:
            with without_event_triggers(live), live.transaction(force_rollback=True):
                live.execute(sql.SQL(_SQL["touch"]).format(table=sql.Identifier(schema, name)))
        except psycopg.errors.ObjectInUse:
            raise Refused(
                f"a trigger of {in_one_line(schema)}.{in_one_line(name)} would run at the end with all our rights",
                "use a role that is no superuser",
            ) from None
        except psycopg.errors.WrongObjectType:
            continue  # a foreign table; it would have been in use before that


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

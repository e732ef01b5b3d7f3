"""A role's connection limit on the server: read and set."""

from __future__ import annotations

from psycopg import errors, sql
from psycopg.rows import dict_row

from tabsync.kernel.errors import BadUsage, FailedPartway, NotAllowed
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import quoted
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.sessions.seen import short

_SQL = named(__package__, "limit.sql")
_NAME = 24


def role_named(connection: Connection, role: str) -> Facts:
    """A role and its limit: the row of `role_limit`. Raises BadUsage when there is none of that name."""
    row = _row(connection, role, None)
    if row is None:
        raise BadUsage(f"there is no role {role}", "to see who is connected: tabsync connections show")
    return row


def role_of(connection: Connection, oid: int) -> Facts | None:
    """The same by its oid, whatever it is called by now; None when it was dropped."""
    return _row(connection, None, oid)


def set_limit(connection: Connection, role: str, count: int) -> None:
    """Set it. Raises NotAllowed, and FailedPartway with who changes that role in a transaction that is open."""
    try:
        connection.execute(sql.SQL(_SQL["limit_role"]).format(role=sql.Identifier(role), limit=sql.Literal(count)))
    except errors.InsufficientPrivilege as error:
        hint = (
            f"the role that does it needs CREATEROLE, and on 16 and later: grant {quoted(role)} to it with admin option"
        )
        raise NotAllowed(f"not allowed to limit {role}: {error.diag.message_primary}", hint) from None
    except errors.LockNotAvailable:
        raise _held(connection, role) from None


def _row(connection: Connection, role: str | None, oid: int | None) -> Facts | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SQL["role_limit"], {"role": role, "oid": oid}).fetchone()


def _held(connection: Connection, role: str) -> FailedPartway:
    fact = f"the limit of {role} was not changed: another transaction has changed that role and is still open"
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_SQL["who_alters"]).fetchall()
    if not found:
        return FailedPartway(fact, "try again; see also: tabsync connections show")
    who = ", ".join(f"{one['pid']} ({short(one['application'] or '-', _NAME)} as {one['user']})" for one in found[:3])
    return FailedPartway(f"{fact}: session {who}", f"to end it: tabsync connections terminate {found[0]['pid']}")

"""The mark of a server that may be broken on purpose: a comment on its database, which names the server itself.

A dump takes the comment along to another server; there the identifier is another one, and the mark is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import quoted
from tabsync.postgres.queries import named

if TYPE_CHECKING:
    import psycopg

_SQL = named(__package__, "mark.sql")
_WORDS = "tabsync: game days may break server"


def mark(connection: psycopg.Connection[Any]) -> None:
    """Write the mark into the database of a session."""
    row = connection.execute(_SQL["system_identifier"].encode()).fetchone()
    assert row is not None  # noqa: S101 - pg_control_system() has one row
    statement = sql.SQL("comment on database {} is {}")
    name = sql.Identifier(connection.info.dbname)
    connection.execute(statement.format(name, sql.Literal(f"{_WORDS} {row[0]}")))


def prove(connection: psycopg.Connection[Any]) -> Facts:
    """Prove in a session, before it does anything, that its server is marked; gives which one it is.

    Raises Refused where the mark is missing or another server's, where the server has databases without it, and where a
    limit of the role or the database would be reached first; NotAllowed where the role can't read the identifier.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_SQL["names"].encode())
        found = cursor.execute(_SQL["marked"].encode()).fetchall()[0]
        database, user = found["database"], quoted(found["user"])
        if not found["may_read"]:
            grant = f"grant execute on function pg_control_system() to {user}"
            raise NotAllowed(f"which server this is can't be read by {user}; nothing was changed", grant)
        identifier = cursor.execute(_SQL["system_identifier"].encode()).fetchall()[0]["system_identifier"]
    expected = f"{_WORDS} {identifier}"
    if found["comment"] != expected:
        raise Refused(
            f"database {database} carries no mark that its server may be broken; nothing was changed",
            f"only if this is a copy that nobody needs: comment on database {quoted(database)} is '{expected}'",
        )
    if found["others"]:
        raise Refused(
            f"the server has databases without the mark: {', '.join(found['others'][:5])}; nothing was changed",
            "a game day takes all connections of a server: use one with copies only; or: tabsync gameday run NAME",
        )
    if found["limited"]:
        raise Refused(
            f"{user} or database {database} has a CONNECTION LIMIT, which is reached before the server's",
            f"alter role {user} connection limit -1; alter database {quoted(database)} connection limit -1",
        )
    return {"database": database, "system_identifier": identifier}

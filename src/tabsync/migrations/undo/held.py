"""A table that is read is the one that was seen: a view that took its name would run its owner's code as our role."""

from __future__ import annotations

from psycopg import sql

from tabsync.kernel.errors import Refused
from tabsync.kernel.plain import in_one_line
from tabsync.migrations.undo.data import Table
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "undo.sql")


def hold_table(connection: Connection, table: Table, oid: int, mode: str) -> None:
    """Lock a table until the transaction ends, so that its name stays its own. Raises Refused where it is another one.

    mode: as LOCK TABLE spells it, https://www.postgresql.org/docs/current/sql-lock.html
    """
    name = sql.Identifier(*table)
    connection.execute(sql.SQL("lock table {} in {} mode").format(name, sql.SQL(mode)))
    values = {"oid": oid, "table": name.as_string(connection)}
    if not (connection.execute(_SQL["still"], values).fetchone() or (False,))[0]:
        raise Refused(f"{in_one_line('.'.join(table))} is not the table that it was a moment ago", "plan it again")

"""How many transactions ago the migrations before one were noted: what is younger was not there before it."""

from __future__ import annotations

from psycopg import sql

from tabsync.migrations.histories.history import History
from tabsync.postgres.catalog import relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "undo.sql")
_NAMED_BY = {"Prisma": "migration_name", "Flyway": "script"}
"""The column of the names, where the table has an entry for what failed."""

_AGE = sql.SQL("select {}(case when age(t.xmin) < 0 then 2147483647 else age(t.xmin) end) from {} t")
_OTHERS = sql.SQL(" where t.{}::text <> {}")


def since(connection: Connection, history: History, name: str) -> int | None:
    """Transactions since the last entry of a history that is older than a migration; None where ages say nothing.

    They say nothing once the server has begun 2^32 transactions, as what is old may look young then. Nor where the
    table of the history, or an index of it, is younger than its entries: pg_upgrade or a restored dump has made the
    catalog again; a table without an index can't tell. https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND
    """
    if (connection.execute(_SQL["wrapped"]).fetchone() or (True,))[0]:
        return None
    table = relation_named(history.table)
    values = {"table": table.identifier().as_string(connection)}
    created, newest = connection.execute(_SQL["created"], values).fetchone() or (None, None)
    query = _AGE.format(sql.SQL("min"), table.identifier())
    column = _NAMED_BY.get(history.tool)
    if column:
        query += _OTHERS.format(sql.Identifier(column), sql.Literal(name))
    last = (connection.execute(query).fetchone() or (None,))[0]
    entry = last
    if entry is None:  # there is none but its own, of this try or an earlier one
        entry = (connection.execute(_AGE.format(sql.SQL("max"), table.identifier())).fetchone() or (None,))[0]
    if newest is None or (entry is not None and newest < entry):
        return None
    return int(created if last is None else last)

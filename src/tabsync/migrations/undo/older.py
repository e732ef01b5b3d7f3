"""A second witness beside the age of a row of the catalog: rows of before that have values in what is to go."""

from __future__ import annotations

import psycopg
from psycopg import sql

from tabsync.migrations.undo.half import Act, Half, Stays
from tabsync.migrations.undo.held import hold_table
from tabsync.migrations.undo.identities import SQL
from tabsync.postgres.connect import Connection, allowed

_ANY = sql.SQL("true")
_HAS = sql.SQL("t.{} is not null")
_LATE = "whether it was there before could not be told in time: its table is large"


def without_older(connection: Connection, half: Half, since: int | None) -> Half:
    """The same, without tables and columns that have values in rows of before: they were there before.

    The row of a column may be younger than the column, as each change of it writes it again. What was noted before the
    deployment needs no witness. since: as half_of() has it. Raises Refused where a table is another one by now.
    """
    acts: list[Act] = []
    for act in half.acts:
        older = _is_older(connection, act, since) if act.words.holds and not act.proven and since is not None else False
        if older is None:
            half.stays.append(Stays(act.seen, _LATE))
        elif older:
            half.before.append(act.seen)
        else:
            acts.append(act)
    half.acts = acts
    return half


def _is_older(connection: Connection, act: Act, since: int | None) -> bool | None:
    """Whether rows of before have values in it; None when looking takes too long."""
    where: sql.Composable = _ANY
    if act.words.holds != "*":
        where = _HAS.format(sql.Identifier(act.words.holds))
        row = connection.execute(SQL["filled"], {"oid": act.identity.oid, "sub": act.identity.sub}).fetchone()
        if row is None or row[0]:
            return False  # ADD COLUMN ... DEFAULT: every row of before has that value
    query = sql.SQL(SQL["older"]).format(table=sql.Identifier(*act.table), where=where)
    try:
        with allowed("look for rows of before", "use the owner of the tables"), connection.transaction():
            hold_table(connection, act.table, act.identity.oid, "access share")
            row = connection.execute(query, {"since": since}).fetchone()
    except psycopg.errors.QueryCanceled:
        return None
    return bool(row and row[0])

"""What statements may have changed besides what they name: rows that a trigger or a function that they call writes."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from tabsync.migrations.changes.reader import Reader
from tabsync.migrations.histories.script import Statement
from tabsync.migrations.undo.data import Table, table_of
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "undo.sql")
_NAMES = ("word", "quoted")


class Elsewhere:
    """Some statements, by what the catalog has of the functions and tables that they name.

    What operators, casts and defaults call is not looked at.
    """

    def __init__(self, connection: Connection, statements: Sequence[Statement], first: str) -> None:
        """first: the schema of a table without one."""
        self.first = first
        names = sorted({name for one in statements for name in _called(one)})
        found = connection.execute(_SQL["writing"], {"names": names}).fetchall() if names else []
        self.writing = {str(one[0]) for one in found}
        tables = sorted({table for one in statements if (table := table_of(one, first))})
        self.busy = {table for table in tables if _is_busy(connection, table)}

    def may_write(self, one: Statement) -> str:
        """Why a statement that was done may have changed rows elsewhere; "" where it has not."""
        if _writes_in_query(one):
            return "its query may have changed rows"
        called = sorted(_called(one) & self.writing) if _runs(one) else []
        if called:
            return f"it calls {called[0]}(), which may have changed rows"
        table = table_of(one, self.first)
        if table in self.busy:
            return f"{'.'.join(table)} has triggers or rules, which may have changed rows"
        return ""


def _called(one: Statement) -> set[str]:
    """The names with a parenthesis behind them."""
    pairs = zip(one.tokens, one.tokens[1:], strict=False)
    return {name.text for name, after in pairs if name.kind in _NAMES and after.text == "("}


def _writes_in_query(one: Statement) -> bool:
    """CREATE TABLE ... AS WITH u AS (UPDATE ...). https://www.postgresql.org/docs/current/queries-with.html"""
    words = {token.text for token in one.tokens if token.kind == "word"}
    return one.tokens[0].text == "create" and _runs(one) and bool(words & {"insert", "update", "delete", "merge"})


def _runs(one: Statement) -> bool:
    """Whether what a statement calls runs at once, as in CREATE TABLE AS, or a default of a new column."""
    read = Reader(one.tokens)
    if read.take("create"):
        return any(token.text in ("table", "materialized") for token in one.tokens[:5]) and any(
            token.text == "as" and after.text in ("select", "with", "values", "table", "(")
            for token, after in zip(one.tokens, one.tokens[1:], strict=False)
        )
    if read.take("alter"):
        words = {token.text for token in one.tokens if token.kind == "word"}
        return read.take("table") and ({"add", "default"} <= words or "using" in words)
    return not read.next_is("drop", "grant", "revoke", "comment")


def _is_busy(connection: Connection, table: Table) -> bool:
    name = sql.Identifier(*table).as_string(connection)
    row = connection.execute(_SQL["busy"], {"table": name}).fetchone()
    return bool(row and row[0])

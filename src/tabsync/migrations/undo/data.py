"""Statements that change rows: what of theirs goes with a table or a column that goes."""

from __future__ import annotations

from collections.abc import Collection

from tabsync.migrations.changes.reader import Reader
from tabsync.migrations.histories.script import Statement

Table = tuple[str, str]
"""Its schema and its name."""


def goes_along(
    statement: Statement, tables: Collection[Table], columns: Collection[tuple[Table, str]], first: str
) -> bool:
    """Whether all that it changed is in tables, or in columns of tables, that go. first: the schema of new tables."""
    read = Reader(statement.tokens)
    if read.take("refresh"):
        return True
    if read.take("insert", "into") or read.take("copy") or read.take("delete", "from"):
        _ = read.take("only")
        return _table(read, first) in tables
    if not read.take("update"):
        return False
    _ = read.take("only")
    table = _table(read, first)
    if table in tables:
        return True
    if not read.to("set"):
        return False
    for one in _assignments(read).actions():
        column = one.name()
        if not one.punct("=") or (table, column) not in columns:
            return False
    return True


def _table(read: Reader, first: str) -> Table:
    schema, name = read.qualified()
    return schema or first, name


def _assignments(read: Reader) -> Reader:
    end = Reader(read.tokens)
    end.at = read.at
    found = end.to("where", "from", "returning")
    return Reader(read.tokens[read.at : end.at - 1 if found else len(read.tokens)])

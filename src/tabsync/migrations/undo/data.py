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
    table = _changed(read, first)
    if table in tables:
        return True
    if read.tokens[0].text != "update" or not read.to("set"):
        return False
    for one in _assignments(read).actions():
        column = one.name()
        if not one.punct("=") or (table, column) not in columns:
            return False
    return True


def table_of(statement: Statement, first: str) -> Table | None:
    """The table whose rows it changes; None when it isn't a statement that changes those of one table."""
    return _changed(Reader(statement.tokens), first)


def _changed(read: Reader, first: str) -> Table | None:
    """The table of INSERT, COPY, DELETE or UPDATE, past its name; None for others."""
    begins = (("insert", "into"), ("copy",), ("delete", "from"), ("update",))
    if not any(read.take(*words) for words in begins):
        return None
    _ = read.take("only")
    schema, name = read.qualified()
    return schema or first, name


def _assignments(read: Reader) -> Reader:
    end = Reader(read.tokens)
    end.at = read.at
    found = end.to("where", "from", "returning")
    return Reader(read.tokens[read.at : end.at - 1 if found else len(read.tokens)])

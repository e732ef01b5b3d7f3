"""Rows of extensions' own tables: those that a dump holds, and those that CREATE EXTENSION makes again.

An extension says which of its tables are dumped, and with which condition. Where the condition lets through rows that
its script makes, a copy has them twice, or the dump's rows are refused for their key. What the table must hold is what
stands in the dump, so what the script made of it gives way.
https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

from tabsync.copies.dumps.table_file import count_lines
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.toc import Entry

SQL = named(__package__, "restored.sql")


def of_extensions(entries: Sequence[Entry]) -> list[Entry]:
    """The entries that hold rows of extensions' own tables: tables that the dump doesn't make."""
    made = {(entry.schema, entry.name) for entry in entries if entry.kind == "TABLE"}
    if not any(entry.kind == "EXTENSION" for entry in entries):
        return []
    return [entry for entry in entries if entry.has_rows and (entry.schema, entry.name) not in made]


def conditions(connection: Connection) -> dict[Relation, str]:
    """The tables of extensions that are dumped, with the condition on their rows; "" where every row is."""
    return {Relation(*row[:2]): row[2] for row in connection.execute(SQL["configuration"], {})}


def count_dumped(connection: Connection, relation: Relation, condition: str) -> int:
    """The rows of a table that a dump would hold."""
    # The extension's own text, which pg_dump runs too: one statement, in a transaction that only reads.
    query = sql.SQL("select count(*) from only {} {}" if not condition else "select count(*) from {} {}")
    with connection.transaction():
        connection.execute("set transaction read only")
        row = connection.execute(query.format(relation.identifier(), sql.SQL(condition)), binary=True).fetchone()
    return int(row[0]) if row else 0


def make_way(connection: Connection, dump: Path, entries: Sequence[Entry]) -> list[Entry]:
    """Of a database that was just made, take out what CREATE EXTENSION put where the dump has rows of its own.

    entries: what was restored; gives those whose rows are to be restored again, since they came twice or not at all.
    """
    ours = of_extensions(entries)
    known = conditions(connection) if ours else {}
    again = []
    for entry in ours:
        relation = Relation(entry.schema, entry.name)
        if relation in known and count_dumped(connection, relation, known[relation]) != count_lines(dump, entry.file):
            _delete(connection, relation, known)
            again.append(entry)
    return again


def _delete(connection: Connection, relation: Relation, known: Mapping[Relation, str]) -> None:
    with connection.transaction():
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("set local session_replication_role = replica")  # keys are whole again after it
        statement = sql.SQL("delete from {} {}").format(relation.identifier(), sql.SQL(known[relation]))
        connection.execute(statement, binary=True)

"""What came back, verified against the dump itself: things by name, rows by the lines of the table files, sequences.

No estimate and no message of pg_restore is believed. What PostgreSQL itself makes otherwise in every copy is no
difference, and is named: rows that CREATE EXTENSION makes, the order of inherited columns, indexes of partitioned
tables that were not valid before. The work grows with the number of objects, not with its square (decision 0019).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from psycopg import sql

from tabsync.copies.dumps.partitioned import invalid_in_dump
from tabsync.copies.dumps.table_file import columns_of, count_lines
from tabsync.copies.restores.different import Difference, NotWhole
from tabsync.copies.restores.extension_rows import conditions, count_dumped
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.toc import Entry
from tabsync.stores.manifest import Manifest

SQL = named(__package__, "restored.sql")

_RELATIONS = ("TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE")
_NAMED = (
    *("SCHEMA", "EXTENSION", "EVENT TRIGGER", "PUBLICATION", "FOREIGN DATA WRAPPER", "SERVER", "TYPE", "DOMAIN"),
    *("FUNCTION", "PROCEDURE", "AGGREGATE", "COLLATION", "OPERATOR", "OPERATOR CLASS", "TEXT SEARCH CONFIGURATION"),
    *("TEXT SEARCH DICTIONARY", "STATISTICS", "INDEX", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER"),
    *("RULE", "POLICY", "DEFAULT", "ROW SECURITY"),
)
"""Kinds of entries that are looked for by name alone; all else, grants and comments among it, a drill compares."""

_CONSTRAINTS = ("CHECK CONSTRAINT", "FK CONSTRAINT")
_SETVAL = re.compile(r", (-?\d+), (true|false)\);")

_AT_ONCE = 50
"""Tables that one statement counts: it locks them and all their indexes."""

_T = TypeVar("_T")


def check_arrived(
    connection: Connection,
    manifest: Manifest,
    entries: Sequence[Entry],
    dump: Path,
    report: Callable[[float, float, str], None],
) -> Facts:
    """Compare a database with what was restored into it. Raises NotWhole with everything that differs.

    entries: what was restored; dump: the fetched dump. Gives the rows of each table, and notes: what is otherwise and
    is no loss, in words.
    """
    different = not_there(connection, entries) + _keys(connection, manifest, entries)
    files = [entry for entry in entries if entry.has_rows]
    moved = reordered(connection, files) if not different else []
    different += row_values(connection, moved)
    counted: list[Facts] = []
    if not different:
        found = count_all(connection, [Relation(entry.schema, entry.name) for entry in files], report, in_dump=True)
        for entry in files:
            relation, expected = Relation(entry.schema, entry.name), count_lines(dump, entry.file)
            if found[relation] != expected:
                what = f"has {found[relation]} rows instead of {expected}"
                different.append(Difference("table", entry.schema, entry.name, what))
            counted.append({"schema": entry.schema, "name": entry.name, "rows": found[relation]})
    if different:
        raise NotWhole(different, "check the backup: tabsync drill --backup " + manifest.id)
    notes = [moved_note(one) for one in moved] + invalid_notes(entries)
    return {"tables": counted, "rows": sum(one["rows"] for one in counted), "notes": notes}


def not_there(connection: Connection, entries: Sequence[Entry]) -> list[Difference]:
    """What of a dump's things a database lacks or has otherwise: relations, indexes that are valid, sequences."""
    there = {Relation(*row) for row in connection.execute(SQL["relations"], {}).fetchall()}
    missing = [
        Difference(entry.kind.lower(), entry.schema, entry.name, "is missing")
        for entry in entries
        if entry.kind in _RELATIONS and Relation(entry.schema, entry.name) not in there
    ]
    return (
        missing + _things(connection, entries) + _indexes(connection, entries) + _sequences(connection, entries, there)
    )


def count_all(
    connection: Connection,
    relations: Sequence[Relation],
    report: Callable[[float, float, str], None] | None = None,
    *,
    in_dump: bool = False,
) -> dict[Relation, int]:
    """The rows of tables, without those of tables that inherit from them; some tables with each statement.

    in_dump: of the tables of extensions count only those rows that a dump holds, and not what CREATE EXTENSION makes.
    """
    known = conditions(connection) if in_dump else {}
    partly = [one for one in relations if known.get(one)]
    plain = [one for one in relations if not known.get(one)]
    found: dict[Relation, int] = {}
    for batch in _batches(plain):
        counts = [sql.SQL("(select count(*) from only {})").format(one.identifier()) for one in batch]
        row = connection.execute(sql.SQL("select {}").format(sql.SQL(", ").join(counts))).fetchone() or ()
        found |= dict(zip(batch, row, strict=True))
        if report:
            report(len(found), len(relations), "tables")
    return found | {one: count_dumped(connection, one, known[one]) for one in partly}


def reordered(connection: Connection, entries: Sequence[Entry]) -> list[Relation]:
    """Tables whose columns stand in another order than in the dump's file; entries: of tables' rows.

    A child gets its parent's columns first when it is made, also those that its parent got after it. COPY names
    columns, so each value is where it belongs.
    """
    there = {Relation(row[0], row[1]): row[2] for row in connection.execute(SQL["columns"], {})}
    moved = []
    for entry in entries:
        wanted, relation = columns_of(entry.copy), Relation(entry.schema, entry.name)
        if wanted and list(wanted) != there.get(relation) and sorted(wanted) == sorted(there.get(relation, ())):
            moved.append(relation)
    return moved


def row_values(connection: Connection, moved: Sequence[Relation]) -> list[Difference]:
    """Columns whose values are rows of tables that have their columns in another order now: those are not the same.

    The text of a row, (1,2,3), names no columns, so PostgreSQL reads it in the new order.
    """
    if not moved:
        return []
    given = {"schemas": [one.schema for one in moved], "names": [one.name for one in moved]}
    different = []
    for schema, table, column, of_schema, of_table in connection.execute(SQL["row_values"], given).fetchall():
        holding = sql.SQL("select exists (select from only {} where {} is not null)").format(
            sql.Identifier(schema, table), sql.Identifier(column)
        )
        if connection.execute(holding).fetchone() == (True,):
            what = f"differ: column {catalog.quoted(column)} contains rows of {Relation(of_schema, of_table)},"
            what += " and the order of its columns has changed"
            different.append(Difference("rows", schema, table, what))
    return different


def moved_note(relation: Relation) -> str:
    """That the columns of a table are in another order, in words."""
    return (
        f"table {relation}: the order of the columns differs (PostgreSQL puts inherited ones first); no value differs"
    )


def invalid_notes(entries: Sequence[Entry]) -> list[str]:
    """The indexes that no copy has valid, in words."""
    return [
        f"index {one} is not valid: it was not valid in the source, where a partition has no index attached to it"
        for one in sorted(invalid_in_dump(entries), key=str)
    ]


def _things(connection: Connection, entries: Sequence[Entry]) -> list[Difference]:
    """What has a name, and is missing."""
    there: dict[str, set[tuple[str, str]]] = {}
    for kind, schema, name in connection.execute(SQL["things"], {}).fetchall():  # one by one takes three times as long
        there.setdefault(kind, set()).add((schema, name))
    kinds = {kind: there.get("CONSTRAINT" if kind in _CONSTRAINTS else kind, set()) for kind in _NAMED}
    return [
        Difference(entry.kind.lower(), entry.schema, entry.name, "is missing")
        for entry in entries
        if entry.kind in kinds and (entry.schema, entry.name) not in kinds[entry.kind]
    ]


def _indexes(connection: Connection, entries: Sequence[Entry]) -> list[Difference]:
    ours = {Relation(entry.schema, entry.name) for entry in entries if entry.kind == "INDEX"}
    invalid = {Relation(*row) for row in connection.execute(SQL["invalid_indexes"], {})}
    wrong = (ours & invalid) - invalid_in_dump(entries)
    return [Difference("index", one.schema, one.name, "is not valid") for one in sorted(wrong, key=str)]


def _keys(connection: Connection, manifest: Manifest, entries: Sequence[Entry]) -> list[Difference]:
    restored = {(entry.schema, entry.name) for entry in entries if entry.kind == "FK CONSTRAINT"}
    sound = {(key.table, key.name) for key in catalog.foreign_keys(connection) if key.validated}
    keys = [catalog.foreign_key_from_json(one) for one in manifest.foreign_keys]
    return [
        Difference("foreign key", key.table.schema, key.name, f"of {key.table} is missing or not validated")
        for key in keys
        if key.validated
        and (key.table.schema, f"{key.table.name} {key.name}") in restored
        and (key.table, key.name) not in sound
    ]


def _sequences(connection: Connection, entries: Sequence[Entry], there: set[Relation]) -> list[Difference]:
    wanted: dict[Relation, tuple[int, bool]] = {}
    for entry in entries:
        match = _SETVAL.search(entry.definition) if entry.kind == "SEQUENCE SET" else None
        if match and Relation(entry.schema, entry.name) in there:  # others are named among what is missing
            wanted[Relation(entry.schema, entry.name)] = (int(match[1]), match[2] == "true")
    different = []
    for relation, found in _stands(connection, list(wanted)).items():
        if found != wanted[relation]:
            what = f"is at {found} instead of {wanted[relation]}"
            different.append(Difference("sequence", relation.schema, relation.name, what))
    return different


def _stands(connection: Connection, sequences: Sequence[Relation]) -> Mapping[Relation, tuple[Any, ...]]:
    found: dict[Relation, tuple[Any, ...]] = {}
    for batch in _batches(sequences):
        each = [
            sql.SQL("select {}::int4, last_value, is_called from {}").format(sql.Literal(number), one.identifier())
            for number, one in enumerate(batch)
        ]
        for number, *stands in connection.execute(sql.SQL(" union all ").join(each)).fetchall():
            found[batch[number]] = tuple(stands)
    return found


def _batches(all_of: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (all_of[start : start + _AT_ONCE] for start in range(0, len(all_of), _AT_ONCE))

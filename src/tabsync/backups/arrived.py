"""What came back, held against the dump itself: things by name, rows by the lines of the table files, sequences.

No estimate and no message of pg_restore is believed. A row is one line of a table file, since COPY writes line breaks
within values as \\n: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import psycopg
import zstandard
from psycopg import sql

from tabsync.backups.target import SQL
from tabsync.kernel.errors import FailedPartway
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.toc import Entry
from tabsync.stores.manifest import Manifest

_RELATIONS = ("TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE")
_END = b"\\.\n\n\n"
"""How pg_dump ends a table file."""

_SETVAL = re.compile(r", (-?\d+), (true|false)\);")


def check_arrived(
    connection: Connection,
    manifest: Manifest,
    entries: Sequence[Entry],
    dump: Path,
    report: Callable[[float, float, str], None],
) -> Facts:
    """Compare a database with what was restored into it. Raises FailedPartway naming what differs.

    entries: what was restored; dump: the fetched dump. Gives the rows of each table.
    """
    different = not_there(connection, entries) + _keys(connection, manifest, entries)
    counted = []
    files = [entry for entry in entries if entry.has_rows] if not different else []
    for number, entry in enumerate(files, start=1):
        relation = Relation(entry.schema, entry.name)
        expected, found = lines(dump, entry.file), count_rows(connection, relation)
        if found != expected:
            different.append(f"table {relation} has {found} rows instead of {expected}")
        counted.append({"schema": entry.schema, "name": entry.name, "rows": found})
        report(number, len(files), "tables")
    if different:
        raise FailedPartway(
            "not everything came back: " + "; ".join(different[:5]) + (" ..." if len(different) > 5 else ""),
            "see whether the backup is sound: tabsync drill --backup " + manifest.id,
        )
    return {"tables": counted, "rows": sum(one["rows"] for one in counted)}


def not_there(connection: Connection, entries: Sequence[Entry]) -> list[str]:
    """What of a dump's things a database lacks or has otherwise: relations, indexes that are valid, sequences."""
    return _missing(connection, entries) + _indexes(connection, entries) + _sequences(connection, entries)


def count_rows(connection: Connection, relation: Relation) -> int:
    """The rows of a table, without those of tables that inherit from it."""
    query = sql.SQL("select count(*) from only {}").format(relation.identifier())
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def lines(dump: Path, file: str) -> int:
    """The rows in a table's file, compressed or not."""
    plain, packed = dump / file, dump / f"{file}.zst"
    if not packed.exists():
        with plain.open("rb") as source:
            return _rows(source)
    with packed.open("rb") as source, zstandard.ZstdDecompressor().stream_reader(source) as reader:
        return _rows(cast(BinaryIO, reader))


def _rows(source: BinaryIO) -> int:
    breaks, tail = 0, b""
    while block := source.read(1 << 20):
        breaks += block.count(b"\n")
        tail = (tail + block)[-len(_END) :]
    return breaks - _END.count(b"\n") if tail == _END else breaks


def _missing(connection: Connection, entries: Sequence[Entry]) -> list[str]:
    found = {Relation(*row) for row in connection.execute(SQL["relations"])}
    wanted = [(entry.kind, Relation(entry.schema, entry.name)) for entry in entries if entry.kind in _RELATIONS]
    return [f"{kind.lower()} {one} is missing" for kind, one in wanted if one not in found]


def _indexes(connection: Connection, entries: Sequence[Entry]) -> list[str]:
    ours = {Relation(entry.schema, entry.name) for entry in entries if entry.kind == "INDEX"}
    invalid = {Relation(*row) for row in connection.execute(SQL["invalid_indexes"])}
    return [f"index {one} is not valid" for one in sorted(ours & invalid, key=str)]


def _keys(connection: Connection, manifest: Manifest, entries: Sequence[Entry]) -> list[str]:
    restored = {(entry.schema, entry.name) for entry in entries if entry.kind == "FK CONSTRAINT"}
    sound = {(key.table, key.name) for key in catalog.foreign_keys(connection) if key.validated}
    keys = [catalog.foreign_key_from_json(one) for one in manifest.foreign_keys]
    return [
        f"foreign key {key.name} of {key.table} is missing or not validated"
        for key in keys
        if key.validated
        and (key.table.schema, f"{key.table.name} {key.name}") in restored
        and (key.table, key.name) not in sound
    ]


def _sequences(connection: Connection, entries: Sequence[Entry]) -> list[str]:
    different = []
    for entry in entries:
        match = _SETVAL.search(entry.definition) if entry.kind == "SEQUENCE SET" else None
        if match is None:
            continue
        sequence = Relation(entry.schema, entry.name)
        wanted = (int(match[1]), match[2] == "true")
        try:
            found = connection.execute(
                sql.SQL("select last_value, is_called from {}").format(sequence.identifier())
            ).fetchone()
        except psycopg.errors.UndefinedTable:
            continue  # named among what is missing
        if found != wanted:
            different.append(f"sequence {sequence} stands at {found} instead of {wanted}")
    return different

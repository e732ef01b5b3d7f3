"""A folder of SQL files and a table `schema_migrations`, as golang-migrate, dbmate and Rails have it.

golang-migrate keeps one row, with `dirty` while a migration runs or has failed; the others a row for each.
https://github.com/golang-migrate/migrate/blob/master/database/postgres/README.md
"""

from __future__ import annotations

import re
from pathlib import Path

from tabsync.migrations.histories.history import File, History, Migration, Order, State, with_files
from tabsync.migrations.histories.script import script_at
from tabsync.migrations.histories.table import columns_of, read
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

TABLE = "schema_migrations"
_FILE = re.compile(r"(?P<version>[0-9]+)[_.-].*\.(?:sql|rb)")
_UNKNOWN = ("whether a file was edited: this table has no digest",)


def history(connection: Connection, table: Relation, folder: Path | None) -> History:
    """What is noted, by version. Raises Odd, NotAllowed."""
    if "dirty" in columns_of(connection, table):
        return _one_row(connection, table, folder)
    noted = [Migration(row["version"], State.APPLIED) for row in read(connection, table, ("version",), "version")]
    if folder is None:
        return History("schema_migrations", str(table), tuple(noted), unknown=_UNKNOWN)
    return History("schema_migrations", str(table), with_files(noted, files(folder), _place), str(folder), _UNKNOWN)


def files(folder: Path) -> list[File]:
    """The migrations in a folder, by the number that their names begin with; those that take one back are left out."""
    names = (path.name for path in sorted(folder.iterdir()) if not path.name.endswith(".down.sql"))
    versions = (one["version"] for name in names if (one := _FILE.fullmatch(name)))
    return [File(one, (int(one),)) for one in dict.fromkeys(versions)]


def _place(name: str) -> Order | None:
    return (int(name),) if name.isdecimal() else None


def script(folder: Path, name: str) -> str | None:
    """The statements of a migration; None when its file is not there."""
    named = ((path, _FILE.fullmatch(path.name)) for path in sorted(folder.glob("*.sql")))
    up = (path for path, one in named if one and one["version"] == name and not path.name.endswith(".down.sql"))
    return next((script_at(path) for path in up), None)


def _one_row(connection: Connection, table: Relation, folder: Path | None) -> History:
    rows = read(connection, table, ("version", "dirty"), "version")
    newest = int(rows[-1]["version"]) if rows else 0
    failed = bool(rows) and rows[-1]["dirty"] in ("true", "t")
    name, kept = "golang-migrate", str(folder or "")
    there = files(folder) if folder else [File(str(newest), (newest,))] if rows else []
    found = []
    for one in there:
        number = int(one.name)
        state = State.FAILED if failed and number == newest else State.APPLIED if number <= newest else State.PENDING
        found.append(Migration(one.name, state, in_folder=True if folder else None))
    if rows and not any(int(one.name) == newest for one in there):
        found.append(Migration(str(newest), State.FAILED if failed else State.APPLIED, in_folder=False))
    return History(name, str(table), tuple(found), kept, _UNKNOWN)

"""A folder of SQL files and a table `schema_migrations`, as golang-migrate, dbmate and Rails have it.

golang-migrate keeps one row, with `dirty` while a migration runs or has failed; the others a row for each.
https://github.com/golang-migrate/migrate/blob/master/database/postgres/README.md, https://github.com/amacneil/dbmate
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from tabsync.migrations.histories.history import File, History, Migration, Order, State, with_files
from tabsync.migrations.histories.lock import Lock
from tabsync.migrations.histories.script import script_at
from tabsync.migrations.histories.table import Odd, columns_of, is_there, read
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

TABLE = "schema_migrations"
_FILE = re.compile(r"(?P<version>[0-9]+)[_.-].*\.(?:sql|rb)")
_DOWN = re.compile(r"^--[ \t]*(?:migrate:down|\+goose[ \t]+Down|\+migrate[ \t]+Down)\b", re.MULTILINE | re.IGNORECASE)
_SALT_OF_RAILS = 2053462845
_SALT_OF_GOLANG = 1486364155
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
    """The statements of a migration, without those that take it back; None when its file is not there."""
    named = ((path, _FILE.fullmatch(path.name)) for path in sorted(folder.glob("*.sql")))
    up = (path for path, one in named if one and one["version"] == name and not path.name.endswith(".down.sql"))
    text = next((script_at(path) for path in up), None)
    return _DOWN.split(text, maxsplit=1)[0] if text is not None else None


def lock(connection: Connection, table: Relation) -> Lock:
    """That of golang-migrate or of Rails, by what else is in the table and beside it; of others none is known.

    https://github.com/golang-migrate/migrate/blob/master/database/util.go,
    https://github.com/rails/rails/blob/main/activerecord/lib/active_record/migration.rb
    """
    row = connection.execute("select current_database()").fetchone()
    database = str(row[0]) if row else ""
    if "dirty" in columns_of(connection, table):
        numbers = (_number_of_golang(table, name) for name in (database, f"/{database}"))  # the second from a URL
        return Lock("golang-migrate", tuple(numbers), 'after 15 s it says "can\'t acquire database lock"')
    if is_there(connection, Relation(table.schema, "ar_internal_metadata")):
        number = _SALT_OF_RAILS * zlib.crc32(database.encode())
        return Lock("Rails", (number,), "it fails at once: ConcurrentMigrationError", elsewhere=True)
    return Lock(TABLE)


def _number_of_golang(table: Relation, database: str) -> int:
    return zlib.crc32("\0".join((table.schema, table.name, database)).encode()) * _SALT_OF_GOLANG & 0xFFFFFFFF


def _one_row(connection: Connection, table: Relation, folder: Path | None) -> History:
    rows = read(connection, table, ("version", "dirty"), "version")
    if odd := [row["version"] for row in rows if not row["version"].isdecimal()]:
        raise Odd(f"{table} has the version {odd[0][:40]!r}, which is no number")
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

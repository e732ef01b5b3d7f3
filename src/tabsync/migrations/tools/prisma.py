"""Prisma up to 7: `_prisma_migrations`, and a folder of folders, each with a migration.sql.

A migration whose row is neither finished nor rolled back has failed, or still runs: the lock tells. Its count of steps
says nothing of what was done. https://www.prisma.io/docs/orm/prisma-migrate/understanding-prisma-migrate/migration-histories
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tabsync.kernel.step import Facts
from tabsync.migrations.histories.history import File, History, Migration, Order, State, with_files
from tabsync.migrations.histories.lock import Lock
from tabsync.migrations.histories.masked import masked
from tabsync.migrations.histories.script import script_at
from tabsync.migrations.histories.table import locks, read
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

TABLE = "_prisma_migrations"
LOCK = 72707369
"""The advisory lock of `prisma migrate`. https://github.com/prisma/prisma-engines/blob/main/schema-engine"""

_COLUMNS = ("migration_name", "checksum", "started_at", "finished_at", "rolled_back_at", "logs")


def history(connection: Connection, table: Relation, folder: Path | None) -> History:
    """What it has noted. Raises Odd, NotAllowed."""
    working = any(one["granted"] for one in locks(connection, LOCK))
    newest: dict[str, Migration] = {}
    for row in read(connection, table, _COLUMNS, "started_at"):
        newest[row["migration_name"]] = _migration(row, working=working)
    if folder is None:
        return History("Prisma", str(table), tuple(newest.values()))
    return History("Prisma", str(table), with_files(list(newest.values()), files(folder), _place), str(folder))


def files(folder: Path) -> list[File]:
    """The migrations in a folder. A file counts as the same with either kind of line ends, as it does for Prisma."""
    found = []
    for path in sorted(folder.glob("*/migration.sql")):
        content = path.read_bytes()
        unix = content.replace(b"\r\n", b"\n")
        forms = (content, unix, unix.replace(b"\n", b"\r\n"))
        digests = frozenset(hashlib.sha256(one).hexdigest() for one in forms)
        found.append(File(path.parent.name, _place(path.parent.name), digests))
    return found


def _place(name: str) -> Order:
    return (name,)


def lock(_connection: Connection, _table: Relation) -> Lock:
    """One number, in every database. Who does not get it in 10 s takes the server for one that can't be reached."""
    return Lock("Prisma", (LOCK,), 'after 10 s it says P1002, "make sure your database server is running", which it is')


def digest_of(folder: Path, name: str) -> str:
    """The digest under which Prisma notes a migration. Raises FileNotFoundError."""
    return hashlib.sha256((folder / name / "migration.sql").read_bytes()).hexdigest()


def script(folder: Path, name: str) -> str | None:
    """The statements of a migration; None when its file is not there."""
    return script_at(folder / name / "migration.sql")


def _migration(row: Facts, *, working: bool) -> Migration:
    if row["finished_at"]:
        state = State.APPLIED
    elif row["rolled_back_at"]:
        state = State.ROLLED_BACK
    else:
        state = State.RUNNING if working and not row["logs"] else State.FAILED
    times = row["started_at"], row["finished_at"] or ""
    return Migration(row["migration_name"], state, *times, error=masked(row["logs"] or ""), digest=row["checksum"])

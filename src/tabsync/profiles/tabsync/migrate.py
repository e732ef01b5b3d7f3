"""The schema as ordered migrations, `schema/NNNN_name.sql`, each applied once and recorded in schema_migrations.

A migration runs in one transaction together with its record, so it is there with its record or not at all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from psycopg import Connection, Cursor, errors
from psycopg.rows import tuple_row

from tabsync.kernel.errors import FailedPartway, Refused

LOCK_TIMEOUT = "2s"
"""How long a migration waits for a lock: while it waits, everyone behind it in the lock's queue waits as well."""

CREATE_RECORD = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  version text PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now(),
  checksum text NOT NULL
)
"""
"""The record of what was applied; checksum is SHA-256 of the file, in hex."""

FIND_RECORD = "SELECT to_regclass('schema_migrations') IS NOT NULL"
"""Whether anything was ever applied. Asked first, so that looking does not create the table."""

READ_RECORD = "SELECT version, checksum FROM schema_migrations ORDER BY version"
"""What was applied."""

WRITE_RECORD = "INSERT INTO schema_migrations (version, checksum) VALUES (%s, %s)"
"""Remember a migration, in its own transaction."""

ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('tabsync schema_migrations', 0))"
"""Two processes that migrate the same database take turns; the lock goes with the transaction."""

SET_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', %s, true)"
"""Bounds every wait for a lock until the transaction ends."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of schema/. version: its name without .sql; checksum: SHA-256 of sql, in hex."""

    version: str
    sql: bytes
    checksum: str


def migrations() -> tuple[Migration, ...]:
    """The migrations this version of the program knows, in the order in which they are applied."""
    found = []
    for file in sorted(files(__package__).joinpath("schema").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            # A checkout with CRLF line ends is the same migration.
            content = file.read_bytes().replace(b"\r\n", b"\n")
            found.append(Migration(file.name.removesuffix(".sql"), content, hashlib.sha256(content).hexdigest()))
    return tuple(found)


def missing(wanted: tuple[Migration, ...], applied: dict[str, str]) -> tuple[Migration, ...]:
    """The migrations still to apply. applied: checksum by version, as schema_migrations has them.

    Raises Refused when the database and the files do not tell the same history.
    """
    for migration in wanted:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise Refused(
                f"migration {migration.version} was changed after it was applied",
                "put the file back as it was, and write the change as a new migration",
            )
    if unknown := sorted(applied.keys() - {migration.version for migration in wanted}):
        raise Refused(
            f"the database has migration {unknown[-1]}, which this version does not know",
            "use the version of tabsync that applied it, or a newer one",
        )
    todo = tuple(migration for migration in wanted if migration.version not in applied)
    if todo and applied and todo[0].version < max(applied):
        raise Refused(
            f"migration {todo[0].version} is missing, but {max(applied)}, which has a higher number, was applied",
            "give the new migration the next free number",
        )
    return todo


def apply_schema(conn: Connection[Any], wanted: tuple[Migration, ...] | None = None) -> list[str]:
    """Bring the database to the newest schema; returns the versions that were applied, [] when it was there already.

    conn: as the owner of schema public; each migration is a transaction of its own when conn is outside one.
    wanted: the migrations, those of this package unless a test brings its own.

    Raises Refused when history and files differ, FailedPartway when a migration fails (the ones before it stay).
    https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT
    """
    wanted = migrations() if wanted is None else wanted
    done: list[str] = []
    # The history is read again under the lock each time: another process may have applied the next one meanwhile.
    while version := _apply_next(conn, wanted, done):
        done.append(version)
    return done


def _apply_next(conn: Connection[Any], wanted: tuple[Migration, ...], done: list[str]) -> str:
    """Apply the first missing migration, in a transaction; returns its version, "" when there is none."""
    version = ""
    try:
        with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(SET_LOCK_TIMEOUT, [LOCK_TIMEOUT])
            cursor.execute(ONE_AT_A_TIME)
            for migration in missing(wanted, _applied(cursor))[:1]:
                version = migration.version
                cursor.execute(CREATE_RECORD)
                cursor.execute(migration.sql)
                cursor.execute(WRITE_RECORD, [version, migration.checksum])
    except errors.LockNotAvailable as error:
        raise FailedPartway(
            f"no lock within {LOCK_TIMEOUT} for migration {version or 'history'}; applied: {', '.join(done) or 'none'}",
            "to see which session holds the lock: tabsync status; then run it again",
        ) from error
    except errors.Error as error:
        raise FailedPartway(
            f"migration {version or 'history'} failed: {error}".splitlines()[0],
            "it was rolled back; correct it and run it again",
        ) from error
    return version


def _applied(cursor: Cursor[tuple[Any, ...]]) -> dict[str, str]:
    if cursor.execute(FIND_RECORD).fetchone() == (False,):
        return {}
    return dict(cursor.execute(READ_RECORD).fetchall())

"""A plain tool for migrations, where no Prisma is: `python -m tabsync.gamedays.tool FOLDER` runs what is pending.

It keeps Prisma's table and takes Prisma's lock, and runs a file statement by statement, as `prisma migrate deploy` does
with an adapter. The database is that of DATABASE_URL.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from uuid import uuid4

import psycopg

from tabsync.migrations.histories.script import statements
from tabsync.migrations.tools import prisma
from tabsync.postgres.queries import named

NAME = "a program of ours that keeps Prisma's table"
FAILED = "P3018"
"""What it says of a migration that fails, as Prisma does; a failed one that is there already is P3009."""

_SQL = {name: text.encode() for name, text in named(__package__, "tool.sql").items()}


def main(folder: Path) -> int:
    """Run what is pending; gives the exit code."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as session:
        session.execute(_SQL["lock"], {"number": prisma.LOCK})
        session.execute(_SQL["table"])
        if failed := session.execute(_SQL["failed"]).fetchone():
            _say(f"Error: P3009\nmigrate found failed migrations in the target database: {failed[0]}")
            return 1
        done = {row[0] for row in session.execute(_SQL["applied"])}
        pending = [one.name for one in prisma.files(folder) if one.name not in done]
        for name in pending:
            if not _applied(session, folder, name):
                return 1
        _say("All migrations have been successfully applied." if pending else "No pending migrations to apply.")
    return 0


def _applied(session: psycopg.Connection[tuple[object, ...]], folder: Path, name: str) -> bool:
    """One migration; whether it went through."""
    _say(f"Applying migration `{name}`")
    row = {"id": str(uuid4()), "checksum": prisma.digest_of(folder, name), "name": name}
    session.execute(_SQL["begun"], row)
    try:
        for one in statements(prisma.script(folder, name) or ""):
            session.execute(one.text.encode())
    except psycopg.Error as error:
        session.rollback()
        session.execute(_SQL["said"], row | {"logs": str(error)})
        _say(f"Error: {FAILED}\nA migration failed to apply: {name}\n{error}")
        return False
    session.execute(_SQL["finished"], row)
    return True


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""A history as Prisma keeps it, of migrations that are run statement by statement, until one fails."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import psycopg

from tabsync.migrations.histories.script import statements
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import clients_for

_TABLE = (
    "create table _prisma_migrations (id text primary key default gen_random_uuid()::text, checksum text, finished_at"
    " timestamptz, migration_name text, logs text, rolled_back_at timestamptz, started_at timestamptz default"
    " clock_timestamp(), applied_steps_count int default 0)"
)


class History:
    """A database with a history, and the folder of its migrations."""

    def __init__(self, conninfo: str, directory: Path) -> None:
        self.conninfo, self.folder = conninfo, directory / "migrations"
        self._run(_TABLE)

    def applied(self, name: str, script: str) -> None:
        """A migration that went well."""
        self._begin(name, script)
        self._run(script)
        self._run(f"update _prisma_migrations set finished_at = now() where migration_name = '{name}'")

    def _begin(self, name: str, script: str) -> None:
        (self.folder / name).mkdir(parents=True)
        (self.folder / name / "migration.sql").write_text(script)
        digest = hashlib.sha256(script.encode()).hexdigest()
        with psycopg.connect(self.conninfo) as session:
            query = "insert into _prisma_migrations (migration_name, checksum) values (%s, %s)"
            session.execute(query, [name, digest])

    def _run(self, script: str) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as session:
            for one in statements(script):
                session.execute(one.text.encode())

    def psql(self, *arguments: str) -> None:
        """Run the real psql."""
        environment = libpq_environment(self.conninfo)
        command = [str(clients_for(17).program("psql")), "-X", "-q", *arguments]
        subprocess.run(command, env=environment, check=True, timeout=60)


def half_done(history: History, name: str, script: str, *, fails: str = "division by zero") -> None:
    """A migration that fails at one of its statements, each of which was done by itself."""
    history._begin(name, script)
    try:
        history._run(script)
    except psycopg.Error as error:
        assert fails in str(error), error
        with psycopg.connect(history.conninfo) as session:
            logs = "update _prisma_migrations set logs = %s where migration_name = %s"
            session.execute(logs, [f"Database error code: {error.sqlstate}", name])
    else:
        raise AssertionError("it did not fail")

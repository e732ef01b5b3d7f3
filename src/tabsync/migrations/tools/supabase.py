"""Supabase's CLI: `supabase_migrations.schema_migrations`, and files VERSION_name.sql. It notes no digest.

https://supabase.com/docs/guides/deployment/database-migrations
"""

from __future__ import annotations

import re
from pathlib import Path

from tabsync.migrations.histories.history import File, History, Migration, Order, State, with_files
from tabsync.migrations.histories.script import script_at
from tabsync.migrations.histories.table import read
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

TABLE = "schema_migrations"
SCHEMA = "supabase_migrations"
_FILE = re.compile(r"(?P<version>[0-9]+)_.*\.sql")


def history(connection: Connection, table: Relation, folder: Path | None) -> History:
    """What it has noted, by version. Raises Odd, NotAllowed."""
    noted = [Migration(row["version"], State.APPLIED) for row in read(connection, table, ("version",), "version")]
    unknown = ("whether a file was edited: Supabase notes no digest",)
    if folder is None:
        return History("Supabase", str(table), tuple(noted), unknown=unknown)
    return History("Supabase", str(table), with_files(noted, files(folder), _place), str(folder), unknown)


def files(folder: Path) -> list[File]:
    """The migrations in a folder, by the number that their names begin with."""
    named = (_FILE.fullmatch(path.name) for path in sorted(folder.glob("*.sql")))
    return [File(one["version"], _place(one["version"])) for one in named if one]


def script(folder: Path, name: str) -> str | None:
    """The statements of a migration; None when its file is not there."""
    named = ((path, _FILE.fullmatch(path.name)) for path in sorted(folder.glob("*.sql")))
    return next((script_at(path) for path, one in named if one and one["version"] == name), None)


def _place(name: str) -> Order:
    return (name,)

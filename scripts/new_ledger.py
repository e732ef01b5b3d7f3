"""Writes src/tabsync/ledger/new.sql: the tables of a new SQLite ledger, as the migrations make them."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine

from tabsync.ledger.open import HEAD, migrate
from tabsync.ledger.sqlite_file import NEW

_HEAD = """-- The tables of a new ledger that is SQLite, as the migrations make them: written by scripts/new_ledger.py.
-- Migration by migration, a new one takes as long as the rest of a short command.
"""


def by_migrations() -> str:
    """The same, made anew."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.sqlite"
        engine = create_engine(f"sqlite:///{path}")
        migrate(engine)
        engine.dispose()
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("select sql from sqlite_schema where sql is not null order by rowid").fetchall()
    statements = "\n".join(f"{' '.join(sql.split())};" for (sql,) in rows)
    return f"{_HEAD}\n{statements}\ninsert into alembic_version values ('{HEAD}');\n"


if __name__ == "__main__":
    NEW.write_text(by_migrations(), encoding="utf-8")

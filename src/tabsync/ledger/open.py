"""Opens the ledger: SQLite next to the program, or a PostgreSQL given by URL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from tabsync.kernel.errors import Refused

HEAD = "0001"
"""The newest migration; a test holds it to what Alembic says."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """An open ledger. claims: directory where running runs hold their claim (see system/claims)."""

    engine: Engine
    claims: Path

    def close(self) -> None:
        """Let go of its connections."""
        self.engine.dispose()


def open_ledger(url: str, claims: Path) -> Ledger:
    """Open a ledger by SQLAlchemy URL and bring its tables up to date.

    Raises Refused when it was written by a newer version, or can't be opened.
    """
    if url.startswith("sqlite:///"):
        _make_private(Path(url.removeprefix("sqlite:///")))
    try:
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _set_up_sqlite)
        _migrate(engine)
    except (SQLAlchemyError, ImportError) as error:
        raise _cannot_open(url, error) from None
    return Ledger(engine, claims)


def _cannot_open(url: str, error: Exception) -> Refused:
    try:
        where = make_url(url).render_as_string()  # with *** for its password
    except ArgumentError:
        return Refused("can't open the ledger: its URL is none", "ledger in tabsync.toml: sqlite:///PATH")
    cause = error.orig if isinstance(error, DBAPIError) else error
    fact = f"can't open the ledger {where}: {cause}".splitlines()[0]
    return Refused(fact, "check ledger in tabsync.toml; a damaged file can be moved away, a new one is made then")


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise Refused(
            f"can't write the ledger {path}: {error.strerror}", "set TABSYNC_HOME to a writable directory"
        ) from None


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=wal", "busy_timeout=10000", "foreign_keys=on", "synchronous=full"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        if inspect(connection).has_table("alembic_version"):
            found = connection.execute(text("select version_num from alembic_version")).scalar()
            if found == HEAD:
                return  # the everyday case, without importing Alembic
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("begin immediate"))  # two first commands at once: the second waits
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise Refused("the ledger was written by a newer tabsync", "upgrade tabsync") from None

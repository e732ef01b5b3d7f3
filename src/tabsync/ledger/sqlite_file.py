"""The file of a ledger that is SQLite: how it is opened, read without SQLAlchemy, and kept ours alone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tabsync.kernel.errors import Refused
from tabsync.ledger.patience import Patience

PATIENCE = 10
"""Seconds to wait for who writes."""

NEW = Path(__file__).parent / "new.sql"
"""The tables of a new ledger: what the migrations make, at once."""

_SQLITE = "sqlite:///"
_NO_ROOM = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)


class CannotOpen(Refused):
    """The ledger can't be opened (exit 4): its disk, its permissions, its server."""


def sqlite_path(url: str) -> Path | None:
    """The file of a ledger that is SQLite; None for any other, and for one whose URL holds more than a path."""
    name = url.removeprefix(_SQLITE)
    return None if name in (url, "", ":memory:") or "?" in name else Path(name)


def reading(path: Path) -> closing[sqlite3.Connection]:
    """A connection of one read. Never kept: the console's threads must not share one, and it costs nothing to open."""
    # Never made by reading, and able to take a killed writer's journal back, as mode=ro is not.
    connection = _looking(path, "mode=rw")
    try:
        connection.execute("select 1 from sqlite_schema limit 1")
    except sqlite3.OperationalError as error:
        connection.close()
        wal = Path(f"{path}-wal")
        if error.sqlite_errorcode & 0xFF not in _NO_ROOM or (wal.exists() and wal.stat().st_size):
            raise
        # It wants files beside it, for which the disk has no room, or which it does not take; nobody else can write
        # then, and without a WAL all of it is in the file. https://www.sqlite.org/wal.html#read_only_databases
        connection = _looking(path, "mode=ro&immutable=1")
    connection.execute("pragma query_only=on")
    connection.execute("pragma cache_size=-32000")  # kB: rows of one kind are all over it, and it is gone at the close
    return closing(connection)


def _looking(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=PATIENCE)
    connection.row_factory = sqlite3.Row
    return connection


def version_of(path: Path) -> str | None:
    """The migration that a SQLite ledger is at; None when there is none, or when SQLAlchemy had better tell why."""
    try:
        with reading(path) as connection:
            row = connection.execute("select version_num from alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return str(row[0]) if row else None


def make_private(path: Path) -> None:
    """See that the file is there and ours alone; on a disk that has become read-only, that it can be read.

    Raises CannotOpen.
    """
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            # Never opened here: to close it would drop the locks of a connection that this process has, and another
            # one would take its writes away from under it. https://www.sqlite.org/howtocorrupt.html (2.2)
            may_write = 0 if os.statvfs(path).f_flag & os.ST_RDONLY else os.W_OK
            if not os.access(path, os.R_OK | may_write):
                raise PermissionError(0, "Permission denied")
            return
        with contextlib.suppress(FileExistsError):  # another command was faster
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise CannotOpen(
            f"can't write the ledger {path}: {error.strerror}", "set TABSYNC_HOME to a writable directory"
        ) from None


def make_new(path: Path) -> bool:
    """Make the tables of a ledger whose file is empty.

    False when there is something in it, somebody else was faster, or it can't be written: the migrations say why.
    """
    try:
        if path.stat().st_size:
            return False
        with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as connection:
            set_up(connection, None)
            connection.executescript(f"begin immediate;\n{NEW.read_text(encoding='utf-8')}\ncommit;")
    except (OSError, sqlite3.Error):
        return False
    return True


def set_up(connection: Any, _record: Any) -> None:
    """What each connection that writes begins with."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=wal", "foreign_keys=on", "synchronous=full"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def first_patience(patience: Patience) -> dict[str, float]:
    """How long a connection waits until set_patience() is called, as sqlite3.connect() takes it."""
    return {"timeout": patience.seconds(PATIENCE)}


def set_patience(connection: Any, patience: Patience) -> None:
    """How long a connection waits from now on for who writes."""
    cursor = connection.cursor()
    cursor.execute(f"pragma busy_timeout={patience.seconds(PATIENCE) * 1000:.0f}")
    cursor.close()

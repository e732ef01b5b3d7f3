"""The file home/history.sqlite: made, opened to write or to read, and moved away when it is corrupt.

A reader opens it with mode=ro, and not with mode=rw as the ledger's readers do: the last connection of a file that was
moved away would delete the write-ahead log of the new one by its name. https://www.sqlite.org/howtocorrupt.html (4.2)
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import Refused
from tabsync.monitoring.history.errors import NOT_A_DATABASE, is_corrupt
from tabsync.postgres.queries import named

NAME = "history.sqlite"
SQL = named(__package__, "history.sql")
_SCHEMAS = ("schema", "schema_2", "schema_3")
"""Each brings the file of the version before it up to date."""
VERSION = len(_SCHEMAS)

_PATIENCE = 2.0  # seconds to wait for another writer: there is one only while a collector takes over from another
_WAL_LIMIT = 4 << 20  # bytes of the write-ahead log that stay when it was written back
_KEPT = 2  # corrupt files that stay
_PARTS = ("-wal", "-shm", "")
"""The file itself last: a log without its file is nothing, and a new file of its name would take it for its own."""


def open_to_write(path: Path) -> tuple[sqlite3.Connection, str]:
    """Open the file, made if there is none; a corrupt one is moved away, and the words say so, else they are "".

    Raises sqlite3.Error or OSError when it can't be opened, Refused when a newer tabsync wrote it.
    """
    make_private(path)
    try:
        return _open_to_write(path), ""
    except sqlite3.Error as error:
        if not is_corrupt(error):
            raise
        said = move_away(path)
        make_private(path)
        return _open_to_write(path), said


def open_to_read(path: Path) -> sqlite3.Connection | None:
    """Open the file to read; None when there is none yet. Raises sqlite3.Error, or Refused as open_to_write() does."""
    if not path.is_file():
        return None
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_PATIENCE, isolation_level=None)
    try:
        found = _version(connection, path)
        if found == 0:  # made this moment: there is nothing in it yet
            connection.close()
            return None
        if found < VERSION:
            raise Refused(f"the history {path} was written by an older tabsync", "tabsync serve brings it up to date")
        connection.execute("pragma cache_size=-16000")  # kB
    except BaseException:
        connection.close()
        raise
    return connection


def move_away(path: Path) -> str:
    """Give a corrupt file another name, and its log with it; returns what a person is told. Raises OSError."""
    target = path.with_name(f"{path.name}.corrupt-{compact(now())}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.corrupt-{compact(now())}-{number}")
    for part in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + part).rename(target.with_name(target.name + part))
    earlier = sorted(one for one in path.parent.glob(f"{path.name}.corrupt-*") if not one.name.endswith(_PARTS[:2]))
    for old in earlier[:-_KEPT]:
        for part in _PARTS:
            old.with_name(old.name + part).unlink(missing_ok=True)
    return f"the history was corrupt: a new one was begun, and the old one is {target.name}"


def make_private(path: Path) -> None:
    """Make the file, empty, for nobody but us, if there is none. Raises OSError."""
    # Never opened when it is there: to close it would drop the locks of a connection that this process has.
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def used(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    size, pages, free = (
        connection.execute(f"pragma {one}").fetchone()[0] for one in ("page_size", "page_count", "freelist_count")
    )
    return int(size) * (int(pages) - int(free))


def _open_to_write(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=_PATIENCE, isolation_level=None)
    try:
        connection.execute("pragma auto_vacuum=incremental")  # before the first table: afterwards it says nothing
        for pragma in ("journal_mode=wal", "synchronous=normal", f"journal_size_limit={_WAL_LIMIT}"):
            connection.execute(f"pragma {pragma}").fetchall()
        connection.execute("pragma cache_size=-8000")  # kB
        connection.execute("begin immediate")
        _bring_up_to_date(connection, _version(connection, path))
        connection.execute("commit")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    found = int(connection.execute("pragma user_version").fetchone()[0])
    tables = connection.execute("select count(*) from sqlite_master").fetchone()[0]
    if tables and not found:
        foreign = sqlite3.DatabaseError("it is a database of something else")
        foreign.sqlite_errorcode = NOT_A_DATABASE
        raise foreign
    if found > VERSION:
        raise Refused(f"the history {path} was written by a newer tabsync", "upgrade tabsync, or move the file away")
    return found


def _bring_up_to_date(connection: sqlite3.Connection, found: int) -> None:
    for name in _SCHEMAS[found:]:
        for statement in SQL[name].split(";"):
            if statement.strip():
                connection.execute(statement)
    connection.execute(f"pragma user_version={VERSION}")

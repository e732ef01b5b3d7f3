"""What goes is kept first: a script for psql, which gives values back once their place is there again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.copies.kept import KEPT_DAYS, kept_directory
from tabsync.kernel.errors import Refused
from tabsync.kernel.units import human_bytes
from tabsync.migrations.undo.data import Table
from tabsync.migrations.undo.identities import SQL
from tabsync.postgres.connect import Connection

_HEAD = f"""-- What `tabsync migration undo` took away. Once its tables and columns are there again:
--   psql -X -v ON_ERROR_STOP=1 -f THIS_FILE
-- These are people's data. tabsync deletes the file after {KEPT_DAYS} days.
set client_encoding = 'UTF8';
"""
_END = b"\\.\n"
_WHOLE = sql.SQL("begin;\ncopy {} ({}) from stdin;\n")
_COLUMN = sql.SQL(
    "begin;\ncreate temp table tabsync_kept on commit drop as select {} from {} with no data;\n"
    "copy tabsync_kept from stdin;\n"
)
_BACK = sql.SQL("update {} t set {} = k.{} from tabsync_kept k where {};\n")
_ALONE = sql.SQL("create table {} as select {} from {} with no data;\ncopy {} from stdin;\n")


@dataclass(slots=True)
class Keeper:
    """The file of one run. rows: how many are in it."""

    path: Path
    file: IO[bytes]
    rows: int = 0

    def mark(self) -> tuple[int, int]:
        """Where it ends now, for back()."""
        return self.file.tell(), self.rows

    def back(self, mark: tuple[int, int]) -> None:
        """Forget what came since: it was rolled back."""
        self.file.seek(mark[0])
        self.file.truncate()
        self.rows = mark[1]

    def add(self, connection: Connection, table: Table, column: str) -> None:
        """Keep the rows of a table, or with a column only its values with their keys. The table has to be locked."""
        name = sql.Identifier(*table)
        columns = _columns(connection, name)
        every = [one for one, _ in columns]
        keys = [one for one, key in columns if key]
        opening: sql.Composable
        closing: sql.Composable
        if column == "*":
            opening, picked, closing = _WHOLE.format(name, _listed(every)), every, sql.SQL("commit;\n")
        elif keys and column not in keys:
            picked = [*keys, column]
            opening = _COLUMN.format(_listed(picked), name)
            pairs = (sql.SQL("t.{0} = k.{0}").format(sql.Identifier(one)) for one in keys)
            held = sql.Identifier(column)
            closing = _BACK.format(name, held, held, sql.SQL(" and ").join(pairs)) + sql.SQL("commit;\n")
        else:
            own = sql.Identifier(table[0], f"tabsync_kept_{os.urandom(4).hex()}")
            opening, picked, closing = _ALONE.format(own, _listed(every), name, own), every, sql.SQL("")
        if not picked or (column not in ("*", *every)):
            return  # it is computed
        where = sql.SQL(" where {} is not null").format(sql.Identifier(column)) if column != "*" else sql.Composed([])
        self.file.write(b"\n" + opening.as_bytes(connection))
        only = sql.SQL("only " if column == "*" else "")
        query = sql.SQL("copy (select {} from {}{}{}) to stdout").format(_listed(picked), only, name, where)
        with connection.cursor() as cursor, cursor.copy(query) as copy:
            for chunk in copy:
                self.file.write(chunk)
                self.rows += bytes(chunk).count(b"\n")
        self.file.write(_END + closing.as_bytes(connection))

    def seal(self) -> None:
        """Flush it to disk."""
        self.file.flush()
        os.fsync(self.file.fileno())


@contextmanager
def kept(home: Path, run_id: str) -> Iterator[Keeper]:
    """A new file for a run; it goes again when nothing is in it."""
    path = kept_directory(home) / f"{run_id}.sql"
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
        keeper = Keeper(path, file)
        file.write(_HEAD.encode())
        try:
            yield keeper
        finally:
            if not keeper.rows:
                path.unlink()


def check_space(connection: Connection, home: Path, tables: Sequence[Table]) -> None:
    """See that there is room for what is to be kept. Raises Refused."""
    needs = 0
    for table in dict.fromkeys(tables):
        name = sql.Identifier(*table).as_string(connection)
        row = connection.execute(SQL["bytes"], {"table": name}).fetchone()
        needs += int(row[0]) if row else 0
    free = shutil.disk_usage(home if home.is_dir() else home.parent).free
    if free < needs:
        fact = f"what goes is kept first: {home} has {human_bytes(free)} free, and the tables take {human_bytes(needs)}"
        raise Refused(fact, "free some space, or set TABSYNC_HOME to a larger disk")


def _columns(connection: Connection, name: sql.Identifier) -> list[tuple[str, bool]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        values = {"table": name.as_string(connection)}
        return [(one["name"], one["key"]) for one in cursor.execute(SQL["columns"], values).fetchall()]


def _listed(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))

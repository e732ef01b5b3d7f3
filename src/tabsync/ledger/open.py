"""Opens the ledger: SQLite next to the program, or a PostgreSQL given by URL.

It is written through SQLAlchemy, and read without it where it is SQLite: most commands only read, and importing
SQLAlchemy takes longer than all that they do. The statements are the same either way: decision 0023.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabsync.kernel.errors import NotRecorded, Refused, TabsyncError, words_of
from tabsync.kernel.step import Facts
from tabsync.ledger.emergency import Emergency, of_ledger, places_for
from tabsync.ledger.patience import Patience
from tabsync.ledger.sqlite_file import (
    PATIENCE,
    CannotOpen,
    first_patience,
    make_new,
    make_private,
    reading,
    set_patience,
    set_up,
    sqlite_path,
    version_of,
)
from tabsync.postgres.queries import named
from tabsync.system.place import place_id

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

HEAD = "0008"
"""The newest migration; a test holds it to what Alembic says."""

_SQL = named(__package__, "ledger.sql")
_MIGRATING = 0x7461627379  # the key of the lock under which a PostgreSQL ledger is brought up to date
_JSON: Mapping[str, Collection[str]] = {
    "evidence": ("facts",),
    "audit": ("detail",),
    "runs": ("target",),
    "run": ("target", "plan"),
    "steps": ("facts",),
    "manual_versions": ("items",),
    "evidence_from": ("facts",),
    "evidence_bad": ("facts",),
    "services": ("facts",),
    "episodes": ("facts",),
    "episode": ("facts",),
    "open_episodes": ("facts",),
    "incident_entries": ("facts",),
    "steps_between": ("facts",),
    "last_known": ("facts",),
}
"""The columns of each statement that hold JSON: text to SQLite, and values already where a driver knows JSON."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """An open ledger. url: SQLAlchemy's; claims: directory where running runs hold their claim (see system/claims).

    emergency: where the entries of runs go while it can't be written; broken: why it can't even be opened; patience:
    how long who writes it is waited for, where it is SQLite.
    """

    url: str
    claims: Path
    emergency: Emergency = field(compare=False, repr=False)
    broken: str = ""
    patience: Patience = field(default_factory=Patience, compare=False, repr=False)
    _open: dict[str, Engine] = field(default_factory=dict, compare=False, repr=False)

    @property
    def engine(self) -> Engine:
        """What it is written through."""
        if "engine" not in self._open:
            self._open["engine"] = _engine_of(self.url, self.patience)
        return self._open["engine"]

    @property
    def here(self) -> Facts:
        """Which machine this is and which home on it, as in the rows of what runs."""
        return {"host": socket.gethostname(), "home": place_id(self.claims.parent)}

    def is_here(self, host: str, home: str) -> bool:
        """Whether what runs there is of this home, whatever this host is called by now. home: "" in old rows."""
        return home == place_id(self.claims.parent) if home else host == socket.gethostname()

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of this machine."""
        return self.url.startswith("sqlite")

    def read(self, statement: str, **values: object) -> list[Facts]:
        """The rows that a statement of ledger.sql gives. Raises FailedPartway when the ledger can't be read."""
        return self.read_each(statement, [values])[0]

    def read_each(self, statement: str, values: Sequence[Mapping[str, object]]) -> list[list[Facts]]:
        """The same with each of some values: opening the ledger for each of them would take longer than reading."""
        if not values:
            return []
        path = sqlite_path(self.url)
        if path is None:
            from sqlalchemy import text

            query = text(_SQL[statement])
            with self._translated(), self.engine.connect() as connection:
                found = [[dict(row._mapping) for row in connection.execute(query, dict(one))] for one in values]
        else:
            with self._translated(), reading(path) as reader:
                found = [[dict(row) for row in reader.execute(_SQL[statement], one)] for one in values]
        columns = _JSON.get(statement, ())
        return [[_decoded(row, columns) for row in rows] for rows in found]

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that ends with the block. Raises FailedPartway when it can't be written."""
        with self.patience.noted(), self._translated(), self.engine.begin() as connection:
            yield connection

    def write(self, run_id: str, entry: Facts, *, harmless: bool = True) -> None:
        """Write an entry of a run down, see entries.py: here, or in the emergency journal while that can't be.

        run_id: "" for what belongs to no run; harmless: see Emergency.append. Raises NotRecorded.
        """
        run_id = run_id or self.emergency.loose
        from tabsync.ledger.chain import Taken
        from tabsync.ledger.entries import write

        while True:
            if not self.emergency.has(run_id):
                with contextlib.suppress(NotRecorded), self.writing() as connection:
                    write(connection, entry)
                    return
            try:
                self.emergency.append(run_id, entry, harmless=harmless)
            except Taken:
                self.emergency.let_go(run_id)  # what is before it is in the ledger now
            else:
                return

    @contextmanager
    def _translated(self) -> Iterator[None]:
        if self.broken:
            raise NotRecorded(self.broken, "check that it can be written: its disk, its permissions")
        try:
            yield
        except sqlite3.Error as error:
            raise ledger_failed(error) from None
        except Exception as error:
            from sqlalchemy.exc import DBAPIError

            if not isinstance(error, DBAPIError):
                raise
            raise ledger_failed(error.orig or error) from None

    def close(self) -> None:
        """Let go of its connections."""
        while self._open:
            self._open.popitem()[1].dispose()


def ledger_failed(error: BaseException) -> NotRecorded:
    """What a person is told when the ledger can't be read or written."""
    return NotRecorded(
        f"the ledger failed: {words_of(error)}", "check that it can be written: its disk, its permissions"
    )


def open_ledger(url: str, claims: Path, journal: str = "") -> Ledger:
    """Open a ledger by SQLAlchemy URL and bring its tables up to date.

    journal: a place for the emergency journal, before all others. Raises Refused when it was written by a newer
    version, or can't be opened.
    """
    ledger = unopened(url, claims, journal)
    path = sqlite_path(url)
    if path is not None:
        make_private(path)
        if version_of(path) == HEAD or make_new(path):
            return ledger  # the everyday case, without importing anything
    from sqlalchemy.exc import SQLAlchemyError

    try:
        migrate(ledger.engine)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise _cannot_open(url, error) from None
    return ledger


def unopened(url: str, claims: Path, journal: str = "", broken: str = "") -> Ledger:
    """A ledger as it is before anything is asked of it. broken: why nothing can be."""
    home = claims.parent
    return Ledger(url, claims, Emergency(places_for(home, journal), of_ledger(url, home)), broken)


def _decoded(row: Facts, columns: Collection[str]) -> Facts:
    """A row as it was written: SQLite knows neither JSON nor boolean."""
    for name in columns:
        if isinstance(row[name], str):
            row[name] = json.loads(row[name])
    for name in ("ok", "is_test", "critical_too"):
        if name in row:
            row[name] = bool(row[name])
    return row


def _cannot_open(url: str, error: Exception) -> CannotOpen:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError, DBAPIError

    try:
        where = make_url(url).render_as_string()  # with *** for its password
    except (ArgumentError, ValueError):
        return CannotOpen("can't open the ledger: its URL is not valid", "set ledger in tabsync.toml: sqlite:///PATH")
    cause = error.orig if isinstance(error, DBAPIError) else error
    fact = f"can't open the ledger {where}: {cause}".splitlines()[0]
    if not url.startswith("sqlite"):
        return CannotOpen(fact, "check ledger in tabsync.toml, and that its user may create tables there")
    if getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return CannotOpen(fact, "move the file away, and tabsync creates a new one; or take the newest: ledger fetch")
    return CannotOpen(fact, "check that its disk has room, that it may be written, and ledger in tabsync.toml")


def _engine_of(url: str, patience: Patience) -> Engine:
    from sqlalchemy import create_engine, event, make_url

    given = make_url(url)
    if given.get_backend_name() == "postgresql" and given.get_driver_name() == "psycopg":
        return create_engine(url, creator=lambda: _session(given))
    engine = create_engine(url, connect_args=first_patience(patience) if url.startswith("sqlite") else {})
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", set_up)
        event.listen(engine, "checkout", lambda connection, *_: set_patience(connection, patience))
    return engine


def _session(url: URL) -> Any:
    """A session of a PostgreSQL ledger: as all of ours it takes no preset of its role, but it finds its tables."""
    import psycopg
    from psycopg.conninfo import make_conninfo

    from tabsync.postgres.connect import connect
    from tabsync.postgres.settings import Limits

    many = {name: one if isinstance(one, str) else ",".join(one) for name, one in url.query.items()}
    conninfo = make_conninfo(**url.translate_connect_args(username="user", database="dbname"), **many)
    limits = Limits(PATIENCE * 1000, statement_timeout=60_000)
    try:
        session = connect(conninfo, "ledger", limits=limits)
        session.execute("select pg_catalog.set_config('search_path', '\"$user\", public', false)")
        session.autocommit = False
    except TabsyncError as error:
        raise psycopg.OperationalError(error.fact) from None  # as SQLAlchemy knows it: see ledger_failed
    return session


def migrate(engine: Engine) -> None:
    """Bring the tables of a ledger up to date, migration by migration. Raises Refused when it is of a newer version."""
    from sqlalchemy import inspect, text

    with engine.connect() as connection:
        if inspect(connection).has_table("alembic_version"):
            found = connection.execute(text("select version_num from alembic_version")).scalar()
            if found == HEAD:
                return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        # Two first commands at once: the second waits, and finds nothing to do.
        if engine.dialect.name == "sqlite":
            connection.execute(text("begin immediate"))
        else:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise Refused("the ledger was written by a newer tabsync", "upgrade tabsync") from None

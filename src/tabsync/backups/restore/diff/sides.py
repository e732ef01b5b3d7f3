"""The two databases that are compared, each in one transaction that only reads, with one snapshot to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.catalog import exists, prove_target, quoted
from tabsync.postgres.connect import Connection, check_harmless, connect_to_look
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

SQL = named(__package__, "tables.sql")
T = TypeVar("T")
NEW, OLD = "new", "old"

_LOCK = 5_000
_LOOKING = Limits(lock_timeout=_LOCK, statement_timeout=60_000, idle_in_transaction_timeout=0)
_CANCEL = 5.0  # seconds for the server to take note of it


class OutOfTime(Exception):
    """The time that was allowed is over."""

    def __init__(self) -> None:
        super().__init__("the time was over before it was compared: allow more, --timeout SECONDS")


@dataclass(slots=True)
class Side:
    """One of the two. word: "new" or "old"; as_of: of its snapshot, ISO, "" where a standby can't tell it."""

    word: str
    name: str
    connection: Connection
    identity: Facts
    as_of: str
    until: float

    def allow(self) -> None:
        """Let the next statements take as long as there is time. Raises OutOfTime when there is none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise OutOfTime
        self.connection.execute(SQL["timeout"], {"milliseconds": str(max(1, int(left * 1000)))})

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Do something of which nothing remains: an error leaves the snapshot as it is, and locks are given back."""
        self.connection.execute("savepoint tabsync_table")
        try:
            yield
        finally:
            if not self.connection.broken:
                self.connection.execute("rollback to savepoint tabsync_table")

    def cancel(self) -> None:
        """End what the server is doing for it, from another thread."""
        with suppress(psycopg.Error):
            self.connection.cancel_safe(timeout=_CANCEL)


def conninfo_of(workspace: Workspace, database: str, word: str) -> str:
    """The connection string of one of them. On another server, that one's is among what no plan may hold."""
    server = workspace.secrets.get(word, "")
    return make_conninfo(server, dbname=database) if server else workspace.conninfo_to(database)


def looked_at(workspace: Workspace, databases: Mapping[str, str]) -> dict[str, Facts]:
    """Who the two are, by "new" and "old". Raises BadUsage when there is no such database, or both are one."""
    found: dict[str, Facts] = {}
    for word, database in databases.items():
        if word not in workspace.secrets and not _asked(workspace.conninfo, partial(exists, database=database)):
            raise BadUsage(
                f"there is no database {quoted(database)} on this server",
                f"list them: psql -l; for another server: --{word}-server CONNECTION-STRING",
            )
        found[word] = _asked(conninfo_of(workspace, database, word), catalog.identity)
    same = ("system_identifier", "database_oid", "database")
    here = [conninfo_of(workspace, databases[word], word) for word in (NEW, OLD)]
    known = found[NEW]["system_identifier"] is not None or (
        NEW not in workspace.secrets and OLD not in workspace.secrets
    )
    if here[0] == here[1] or (known and all(found[NEW][one] == found[OLD][one] for one in same)):
        raise BadUsage("NEW and OLD are the same database", "name two: tabsync restore diff NEW OLD")
    return found


def _asked(conninfo: str, question: Callable[[Connection], T]) -> T:
    connection, first = connect_to_look(conninfo, "restore", _LOOKING)
    with connection, connection.transaction():
        for statement in first:
            connection.execute(statement)
        return question(connection)


@contextmanager
def opened(workspace: Workspace, expected: Mapping[str, Facts], seconds: float) -> Iterator[tuple[Side, Side]]:
    """Both, in their transactions. expected: as looked_at() gave them; seconds: how long all of it may take.

    Raises CannotConnect, Refused when one is another database than planned, NotAllowed where what is read can't be
    trusted.
    """
    with ExitStack() as stack:
        until = time.monotonic() + seconds
        new, old = (stack.enter_context(_side(workspace, word, expected[word], until)) for word in (NEW, OLD))
        hashes = [_begun(one) for one in (new, old)]
        if hashes[0] != hashes[1]:
            raise Refused(
                "the two servers hash text differently, so their rows can't be compared",
                "compare dumps instead: tabsync drill",
            )
        yield new, old


@contextmanager
def _side(workspace: Workspace, word: str, expected: Facts, until: float) -> Iterator[Side]:
    if expected.get("elsewhere") and word not in workspace.secrets:
        raise Refused(
            f"the connection string of the server of {word.upper()} is not kept with the plan", "run the command again"
        )
    connection, first = connect_to_look(conninfo_of(workspace, expected["database"], word), "restore", _LOOKING)
    with connection:
        connection.prepare_threshold = None  # a pooler would give what is prepared to another session
        connection.execute("begin isolation level repeatable read read only")
        for statement in first:
            connection.execute(statement)
        prove_target(connection, expected)
        check_harmless(connection)
        yield Side(word, str(expected["database"]), connection, expected, _as_of(connection), until)
        connection.execute("rollback")


def _begun(side: Side) -> str:
    """How the server hashes a text: the same on all of one byte order."""
    row = side.connection.execute(SQL["begun"]).fetchone()
    return str(row[1]) if row else ""


def _as_of(connection: Connection) -> str:
    try:
        return str(catalog.reached(connection)["time"])
    except NotAllowed:
        return ""

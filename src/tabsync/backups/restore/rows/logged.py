"""The audit log as a source of rows: read in one transaction of a session of its own, into temporary tables.

The log tells what each change did, so a row as it was is made by undoing what came later: the image of the first DELETE
(or TRUNCATE), and over it the old values of the updates before, the earliest last. Where a row is there still, it is
taken as it is, and the old values are put over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tabsync.audit.database.log import log_of
from tabsync.backups.restore.rows.asked import Asked
from tabsync.backups.restore.rows.condition_here import keys_asked
from tabsync.backups.restore.rows.shape import Column, Shape, make_uniform
from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.as_owner import without_event_triggers
from tabsync.postgres.catalog import Relation, check_primary
from tabsync.postgres.connect import Connection, allowed
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

SQL = named(__package__, "logged.sql")
LIMITS = Limits(lock_timeout=2_000, statement_timeout=300_000, idle_in_transaction_timeout=0)
BOUND_IT = "give a condition on the primary key, or --transaction, or --as-of"
NUMBER = "number of the image"
"""A column of the temporary tables, beside those of the table itself."""

_BY = sql.SQL("(l.actor = %(who)s or l.db_user = %(who)s or l.app = %(who)s)")
_KEYS = sql.SQL("l.entity_id = any (%(keys)s)")
_YES = sql.SQL("true")


@dataclass(frozen=True, slots=True)
class Audited:
    """How a table is recorded. keys: the columns that name a row in the log; secret: those that are masked.

    since: from when on without a break that is known, as PostgreSQL writes it; "" where that was not noted.
    """

    keys: tuple[str, ...]
    secret: tuple[str, ...]
    must: bool
    since: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """The temporary tables of one table: the entries that count, the images made of them, and these as rows."""

    number: int

    def table(self, what: str) -> sql.Identifier:
        """One of "entries", "images" and "rows"."""
        return sql.Identifier("pg_temp", f"{what}_{self.number}")

    def all(self) -> dict[str, sql.Composable]:
        """For the statements of logged.sql."""
        return {one: self.table(one) for one in ("entries", "images", "rows")}


@dataclass(slots=True)
class Logged:
    """The rows of one table as the log has them.

    shape: of the temporary table that they are in, with the columns that the log has; masked: those that it hides;
    unreadable: those of them that it has in a form which their types don't read;
    gone, there: how many were deleted, and how many are there still; chosen: how many are left by the condition; last:
    when the last of it was; xids, newest: of the transactions that took the chosen rows, and the last entry of these;
    notes: what must be known before anything is written.
    """

    names: Names
    shape: Shape
    masked: list[str] = field(default_factory=list)
    unreadable: frozenset[str] = frozenset()
    gone: int = 0
    there: int = 0
    chosen: int = 0
    last: str = ""
    xids: list[str] = field(default_factory=list)
    newest: int = 0
    notes: list[str] = field(default_factory=list)

    def with_columns(self, columns: tuple[Column, ...]) -> None:
        """Take other columns of the rows as known."""
        self.shape = replace(self.shape, columns=columns)


@dataclass(slots=True)
class AuditLog:
    """The log, read in one transaction. begins: since when it has changes, as PostgreSQL writes it; "" where none."""

    connection: Connection
    log: Relation
    asked: Asked
    begins: str = ""
    made: int = 0

    def audited(self, relation: Relation) -> Audited | None:
        """How a table is recorded; None where it isn't."""
        for one in self.rows("audited", schema=relation.schema, name=relation.name, table=str(relation)):
            return Audited(tuple(one["key_columns"]), tuple(one["secret_columns"]), one["must"], one["since"] or "")
        return None

    def statement(self, name: str) -> LiteralString:
        """A statement of logged.sql."""
        return SQL[name]

    def rows(self, statement: str, /, names: dict[str, sql.Composable] | None = None, **values: Any) -> list[Facts]:
        """The rows of a statement of logged.sql. Raises Refused when it takes too long."""
        query = sql.SQL(SQL[statement]).format(log=self.log.identifier(), **(names or {}))
        try:
            with self.connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute(query, values or None)
                return cursor.fetchall() if cursor.description else []
        except psycopg.errors.QueryCanceled:
            raise Refused("reading the audit log took too long", BOUND_IT) from None

    def images(self, here: Shape, audited: Audited, where: str, along: Logged | None = None) -> Names:
        """Find what the rows of a table were. where: it may name the keys; along: by the transactions of its rows."""
        names = Names(self.made)
        self.made += 1
        with without_event_triggers(self.connection):
            self.rows("chosen", names.all())
        self._choose(here, audited, where, along, names.all())
        with without_event_triggers(self.connection):
            self.rows("images", names.all())
        return names

    def _choose(
        self,
        here: Shape,
        audited: Audited,
        where: str,
        along: Logged | None,
        names: dict[str, sql.Composable],
    ) -> None:
        single = audited.keys[0] if len(audited.keys) == 1 and along is None else ""
        only = keys_asked(where, single, here.column(single).base) if single else None
        parts = names | {"keys": _YES if only is None else _KEYS, "by": _BY if self.asked.by else _YES}
        given = {"table": str(here.relation), "keys": only, "who": self.asked.by}
        if self.asked.as_of:
            self.rows("of_later", parts, moment=self.asked.as_of, **given)
        elif along is not None:
            self.rows("of_transactions", parts, xids=along.xids, newest=along.newest, **given)
        elif self.asked.transaction:
            self.rows("of_transaction", parts, xid=self.asked.transaction, **given)
        else:
            self.rows("of_deleted", parts, anybody=not self.asked.by, **given)


@contextmanager
def reading_log(workspace: Workspace, asked: Asked, limits: Limits = LIMITS) -> Iterator[AuditLog]:
    """The log in a transaction of a session of its own, whose temporary tables are gone after it.

    Raises Refused where it isn't installed, on a standby, or when it doesn't go back as far as was asked.
    """
    with workspace.connect("restore", limits) as connection:
        check_primary(connection)
        log = log_of(connection)
        connection.execute("begin")
        make_uniform(connection, local=True)
        found = AuditLog(connection, log, asked)
        hint = "use the role that installed the log, or a superuser"
        with allowed("read the audit log", hint):
            found.begins = found.rows("begins")[0]["begins"] or ""
            _check_bounds(found)
            yield found
        connection.execute("rollback")


def _check_bounds(found: AuditLog) -> None:
    if not found.begins:
        raise Refused("the audit log has no changes yet", "use a backup: --from latest")
    check_since(found, found.begins, "the audit log begins")


def check_since(found: AuditLog, since: str, what: str) -> None:
    """See that what is asked for is not from before a time. Raises Refused."""
    asked = found.asked
    if asked.as_of and found.connection.execute(
        "select %s::text::timestamptz < %s::text::timestamptz", [asked.as_of, since]
    ).fetchone() == (True,):
        raise Refused(
            f"{what} at {since[:19]} UTC, later than --as-of", f"use a backup of before: --from '{asked.as_of[:19]}'"
        )

"""Entries of the audit log as they are read: pages of them, the newest first, and single ones.

A page is read in ranges of numbers, each larger than the one before: what is frequent is found in the newest entries,
and for what is rare no plan can read more than the range. Which index serves which filter is told in indexes.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tabsync.audit.database.log import log_of, seal_rows
from tabsync.audit.seals.chain import break_between
from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

SQL = named(__package__, "reading.sql")
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=60_000)
_LAST = 2**63 - 1
_FIRST, _GROWS = 50_000, 4  # how many numbers the first range has, and how much larger the next one is

_CONDITIONS = {
    "table": "l.table_name = %(table)s",
    "key": "l.entity_id = %(key)s",
    "since": "l.created_at >= %(since)s::text::timestamptz",
    "until": "l.created_at < %(until)s::text::timestamptz",
    "action": "l.action = %(action)s",
    "app": "l.app = %(app)s",
    "transaction": "l.xid = %(transaction)s::text::xid8",
    "grep": "strpos(lower(concat_ws(' ', l.entity_id, l.reason, l.old_value, l.new_value)), lower(%(grep)s)) > 0",
}
_RARE = sql.SQL("l.action not in ('INSERT', 'UPDATE')")
"""What the partial index is for: said again, so that the planner sees it."""


@dataclass(frozen=True, slots=True)
class Log:
    """The log, and a session that reads it."""

    connection: Connection
    relation: Relation

    def rows(
        self,
        statement: str,
        /,
        *,
        which: sql.Composable | None = None,
        barrier: sql.Composable | None = None,
        **values: Any,
    ) -> list[Facts]:
        """The rows of a statement of reading.sql. Raises Refused when it takes too long."""
        parts = {"which": which or sql.SQL("true"), "barrier": barrier or sql.SQL("")}
        query = sql.SQL(SQL[statement]).format(log=self.relation.identifier(), **parts)
        try:
            with self.connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(query, values).fetchall()
        except psycopg.errors.QueryCanceled:
            fact = f"reading the audit log took longer than {_LIMITS.statement_timeout // 1000} s"
            raise Refused(fact, "narrow it: --since, --table, --key") from None

    def page(self, filters: Mapping[str, str], limit: int, before: int | None = None) -> list[Facts]:
        """The newest entries that fit, below a number. filters: by the names of _CONDITIONS, and by.

        Of a transaction they are of one history: of the newest in which its number was given.
        """
        which, values = self._which(filters)
        several = [sql.SQL(" and ").join([which, one]) for one in self._by(filters)]
        upto = self._newest(filters.get("until"))
        upto = min(upto, before - 1) if before is not None else upto
        found: list[Facts] = []
        width = _FIRST
        direct = filters.keys() & {"key", "transaction"}  # an index of its own
        floor = self._begin_of(filters["transaction"], upto) if "transaction" in filters else 0
        while upto > floor and len(found) < limit:
            beyond = floor if direct else max(0, upto - width)
            bounds = {"upto": upto, "beyond": beyond, "limit": limit - len(found)}
            barrier = sql.SQL("offset 0" if filters.keys() - {"since", "until"} and width > _FIRST else "")
            pages = [self.rows("page", which=one, barrier=barrier, **bounds, **values) for one in several]
            fitting = {one["id"]: one for page in pages for one in page}
            found += [fitting[number] for number in sorted(fitting, reverse=True)[: limit - len(found)]]
            upto, width = beyond, width * _GROWS
        return found

    def along(self, one: Facts) -> tuple[list[Facts], bool]:
        """What the transaction of an entry did, by table; and whether another one has had its number since."""
        if not one["transaction"]:
            return [], False
        history = self._history(one["id"])
        newest = self._newest_of(one["transaction"], _LAST) or 0
        found = self.rows("same_transaction", xid=one["transaction"], **history)
        return found, history["upto"] is not None and newest > history["upto"]

    def earlier(self, one: Facts) -> int | None:
        """The newest entry of another transaction that had the number of an entry's, in a history before."""
        return self._newest_of(one["transaction"], self._history(one["id"])["beyond"])

    def moved(self) -> str:
        """Why transactions count anew since the newest seal, "" when they don't: no seal has told the two apart yet."""
        last = self.rows("last_seal")
        here = seal_rows(self.connection, None, "cluster")[0]
        return break_between(last[0]["cluster"], last[0]["timeline"], **here) if last else ""

    def _begin_of(self, xid: str, upto: int) -> int:
        """Behind which entry the newest history begins in which the number was given."""
        newest = self._newest_of(xid, upto)
        return int(self._history(newest)["beyond"]) if newest is not None else upto

    def _history(self, number: int) -> Facts:
        """Between which numbers the history of an entry is: {"beyond", "upto"}, None for one that goes on."""
        return self.rows("history", id=number)[0]

    def _newest_of(self, xid: str, upto: int) -> int | None:
        newest: int | None = self.rows("newest_of", xid=xid, upto=upto)[0]["newest"]
        return newest

    def _newest(self, until: str | None) -> int:
        found = self.rows("newest_before", until=until) if until else self.rows("newest")
        return int(found[0]["newest"] or 0)

    def entry(self, number: int) -> Facts:
        """One entry with its values. Raises BadUsage when there is none of that number."""
        for one in self.rows("entry", id=number):
            return one
        raise BadUsage(f"the audit log has no entry {number}", "to list the newest: tabsync audit list")

    def _which(self, filters: Mapping[str, str]) -> tuple[sql.Composed, dict[str, str]]:
        parts: list[sql.Composable] = [sql.SQL(_CONDITIONS[name]) for name in filters if name in _CONDITIONS]
        values = dict(filters)
        if filters.get("action") not in (None, "INSERT", "UPDATE"):
            parts.append(_RARE)
        return sql.SQL(" and ").join(parts or [sql.SQL("true")]), values

    def _by(self, filters: Mapping[str, str]) -> Iterator[sql.SQL]:
        """The conditions of --by, each asked by itself: joined by OR, no index would serve them."""
        who = filters.get("by")
        if who is None:
            yield sql.SQL("true")
            return
        yield sql.SQL("l.actor = %(by)s")
        yield sql.SQL("l.db_user = %(by)s")
        kind = self.rows("user_type", log=self.relation.identifier().as_string(None))[0]["type"]
        if kind == "uuid" and _is_uuid(who):
            yield sql.SQL("l.user_id = %(by)s::text::uuid")
        elif kind in ("integer", "bigint") and who.isdecimal() and len(who) < 10:
            yield sql.SQL("l.user_id = %(by)s::text::int")
        elif kind in ("text", "character varying"):
            yield sql.SQL("l.user_id = %(by)s")


@contextmanager
def reading(workspace: Workspace) -> Iterator[Log]:
    """A session that reads the log. Raises Refused where it isn't installed, NotAllowed."""
    with workspace.connect("audit", _LIMITS) as connection:
        log = log_of(connection)
        try:
            yield Log(connection, log)
        except psycopg.errors.InsufficientPrivilege as error:
            raise NotAllowed(
                f"this role may not read {log}: {error.diag.message_primary}", f"grant select on {log}"
            ) from None


def table_text(name: str) -> str:
    """A table's name as the log has it, from how a person writes it."""
    return str(relation_named(name))


def who_text(one: Facts) -> str:
    """Who did it, as well as it is known: a signed actor, one that was claimed, or the database's role."""
    if one["actor"]:
        return (
            f"{one['actor']}{'' if one['actor_how'] in ('signed', 'operator') else ' (' + str(one['actor_how']) + ')'}"
        )
    return str(one["db_user"] or one["user"] or "-")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True

"""Reads the payments of a database that is not ours: proven to only read, bounded, each statement failing alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage, CannotConnect
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import connect_to_look
from tabsync.postgres.queries import named
from tabsync.postgres.readonly import Bounds, Outcome, Reader, Rows
from tabsync.postgres.settings import Limits
from tabsync.profiles.tabsync.payments.metadata import BRAND_PATHS, LONGEST, PATHS, STATUS_PATHS, said
from tabsync.profiles.tabsync.payments.safe import safe_id, safe_name, without_digits
from tabsync.profiles.tabsync.payments.seen import Count, Failed, Seen, known_gateway, known_method
from tabsync.profiles.tabsync.payments.windows import DAYS, Window, aware, literal, windows
from tabsync.system.zone import is_zone

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named(__package__, "payments.sql")
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=10_000)
_SECONDS = 40.0  # for each of the round trips
MOST = 2_000
"""Failed payments that are looked at one by one, the newest."""

_BOUNDS = Bounds(statement=8.0, lock=0.25, rows=MOST)
_ANY = sql.SQL("true")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for. days: how many of the days before are counted, too."""

    since: timedelta
    gateway: str = ""
    restaurant: str = ""
    days: int = DAYS


def look(workspace: Workspace, asked: Asked) -> Seen:
    """Read what one may ask of them. Raises CannotConnect, BadUsage for a restaurant that is not there."""
    connection, first = connect_to_look(workspace.conninfo, "payments", _LIMITS)
    with closing(connection):
        reader = Reader(connection, first)
        before = now()
        try:
            here = reader.look(_SECONDS, _SQL["here"])[0][0]
        except psycopg.Error as error:
            raise CannotConnect("the server went away while it was asked", "tabsync health") from error
        middle = before + (now() - before) / 2
        seen = Seen(here["at"], ahead=(here["at"] - middle).total_seconds())
        seen.table = _table(here["tables"] or [])
        return _Looking(reader, asked, seen).look()


@dataclass(slots=True)
class _Looking:
    reader: Reader
    asked: Asked
    seen: Seen

    def look(self) -> Seen:
        only = self._only()
        if only is None:
            return self.seen
        times = windows(self.seen.at, self.asked.since, self.asked.days, self.seen.zone)
        counted = [self._text("counts", only, **_times(one)) for one in times]
        recent = {name: part for name, part in _times(times[0]).items() if name != "settled"} | {"most": MOST + 1}
        failed = self._text("failed", only, **recent, places=_places())
        outcomes = self._run([*counted, failed])
        self.seen.now = self._counts(outcomes[0])
        self.seen.days = [_counts(one.rows) if one.rows else None for one in outcomes[1:-1]]
        if self.seen.now is not None:
            self._history_missing(outcomes[1:-1])
            self.seen.failed = self._failed(outcomes[-1], only, recent)
            self._name_restaurants()
        return self.seen

    def _only(self) -> sql.Composable | None:
        """The condition by what is asked for; None where it is unknown what that means."""
        parts: list[sql.Composable] = []
        if self.asked.gateway:
            parts.append(sql.SQL(_SQL["of_gateway"]).format(gateway=sql.Literal(self.asked.gateway)))
        if self.asked.restaurant:
            (outcome,) = self._run([self._text("restaurant", _ANY, asked=self.asked.restaurant)])
            if outcome.rows is None:
                self.seen.why.append(f"the restaurant: {self._reason(outcome)}")
                return None
            rows = outcome.rows.rows
            if len(rows) != 1:
                shown = without_digits(self.asked.restaurant)
                raise BadUsage(
                    f"there is no restaurant {shown}" if not rows else f"several restaurants are called {shown}",
                    "name it by its id, its slug or its name",
                )
            self.seen.restaurant = _restaurant(*rows[0])
            restaurant = sql.Literal(str(rows[0][0]))
            parts.append(sql.SQL(_SQL["of_restaurant"]).format(restaurant=restaurant))
            self._see_zone(sql.SQL(_SQL["this_restaurant"]).format(restaurant=restaurant))
        elif self.asked.days:
            self._see_zone(_ANY)
        return sql.SQL(" and ").join(parts) if parts else _ANY

    def _see_zone(self, only: sql.Composable) -> None:
        """So that the same time of the days before is the guests', when the clocks change. It is no reason to fail."""
        (outcome,) = self._run([self._text("zone", only)])
        for (name,) in outcome.rows.rows if outcome.rows else ():
            self.seen.zone = ZoneInfo(name) if isinstance(name, str) and is_zone(name) else UTC

    def _text(self, block: str, only: sql.Composable, **values: object) -> str:
        parts = {name: one if isinstance(one, sql.Composable) else sql.Literal(one) for name, one in values.items()}
        return sql.SQL(_SQL[block]).format(only=only, **parts).as_string(self.reader.conn)

    def _run(self, texts: Sequence[str]) -> list[Outcome]:
        return self.reader.run(texts, _SECONDS, _BOUNDS)

    def _counts(self, outcome: Outcome) -> list[Count] | None:
        if outcome.rows is None:
            self.seen.why.append(f"the payments: {self._reason(outcome)}")
            return None
        if outcome.rows.cut:
            self.seen.why.append("the payments: they are of more kinds than can be counted")
            return None
        return _counts(outcome.rows)

    def _history_missing(self, outcomes: Sequence[Outcome]) -> None:
        missing = [one for one in outcomes if one.rows is None]
        if missing:
            told = self._reason(missing[0])
            self.seen.why.append(f"{len(missing)} of the {len(outcomes)} days before: {told}")

    def _failed(self, outcome: Outcome, only: sql.Composable, recent: Mapping[str, object]) -> list[Failed] | None:
        if outcome.rows is None:
            told = self._reason(outcome)
            (outcome,) = self._run([self._text("failed_bare", only, **recent)])
            if outcome.rows is None:
                self.seen.why.append(f"which payments failed: {self._reason(outcome)}")
                return None
            self.seen.why.append(f"the codes of the gateways: {told}")
        if outcome.rows.cut:
            self.seen.why.append(f"the codes of all but the newest {MOST:,} that failed: they were not looked at")
        found = [_one_failed(row) for row in outcome.rows.rows]
        large = sum(one.said is not None and one.said.hidden is None for one in found)
        if large:
            self.seen.why.append(f"the codes of {large} payments: their metadata is larger than 8 kB, or no object")
        return found

    def _name_restaurants(self) -> None:
        found = self.seen.failed or []
        shares = sorted({one.share for one in found if one.share})
        if not shares:
            return
        listed = sql.SQL(", ").join(map(sql.Literal, shares))
        (outcome,) = self._run([self._text("restaurants", _ANY, shares=listed)])
        if outcome.rows is None:
            self.seen.why.append(f"the restaurants: {self._reason(outcome)}")
            return
        names = {str(share): _restaurant(key, name) for share, key, name in outcome.rows.rows}
        self.seen.failed = [_with_restaurant(one, names.get(one.share, "")) for one in found]

    def _reason(self, outcome: Outcome) -> str:
        """Why there are no rows, in words that don't depend on the server's language, and repeat no values of its."""
        failure = outcome.failure
        if isinstance(failure, psycopg.errors.InsufficientPrivilege):
            if self.seen.table.get("policies"):
                return "row-level security hides rows from this role; use one with BYPASSRLS"
            return "this role may not read them; use one with pg_read_all_data"
        if isinstance(failure, psycopg.errors.QueryCanceled):
            slow = "" if self.seen.table.get("indexed", True) else "; payments has no index on created_at"
            return f"reading took longer than {_BOUNDS.statement:g} s{slow}"
        if isinstance(failure, psycopg.errors.LockNotAvailable):
            return "another session holds a lock on the table: tabsync locks show"
        if isinstance(failure, psycopg.errors.UndefinedTable):
            return "this database has no such table; name the application's with --database"
        if isinstance(failure, psycopg.errors.UndefinedColumn | psycopg.errors.UndefinedFunction):
            return f"the table is not as the application's: {without_digits(str(failure).splitlines()[0])}"
        return refusal(failure)


def refusal(failure: Exception | None) -> str:
    """What a server refused, without its message: that may repeat values of the table."""
    if isinstance(failure, psycopg.Error) and failure.sqlstate:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(failure).__name__).lower()
        return f"PostgreSQL refused it: {words} (SQLSTATE {failure.sqlstate})"
    lines = str(failure).strip().splitlines() or [type(failure).__name__]
    return without_digits(lines[0])


def _times(one: Window) -> dict[str, object]:
    return {"since": literal(one.since), "until": literal(one.until), "settled": literal(one.settled)}


def _places() -> sql.Composed:
    each = (
        sql.SQL("left(p.metadata #>> {}, {})").format(sql.Literal(list(path)), sql.Literal(LONGEST + 1))
        for path in (*PATHS, *STATUS_PATHS, *BRAND_PATHS)
    )
    numbered = (sql.SQL("{} as {}").format(one, sql.Identifier(f"c{number}")) for number, one in enumerate(each))
    return sql.SQL(", ").join(numbered)


def _counts(rows: Rows) -> list[Count]:
    return [
        Count(known_gateway(gateway), known_method(method), str(status), bool(young), int(payments), aware(latest))
        for gateway, method, status, young, payments, latest in rows.rows
    ]


def _one_failed(row: tuple[Any, ...]) -> Failed:
    key, at, gateway, method, share = row[:5]
    told = said(row[6:], row[5]) if len(row) > 5 else None
    return Failed(safe_id(key), aware(at), known_gateway(gateway), known_method(method), str(share or ""), told)


def _with_restaurant(one: Failed, name: str) -> Failed:
    return Failed(one.id, one.at, one.gateway, one.method, one.share, one.said, name)


def _restaurant(key: object, name: object) -> str:
    """A restaurant as it is shown: its name, and the beginning of its id, as several may have one name."""
    return f"{safe_name(str(name))} {safe_id(key)[:8]}"


def _table(tables: Sequence[Facts]) -> Facts:
    """The one that is meant by its name, as far as that can be told: of several, the one in public."""
    return min(tables, key=lambda one: (one["schema"] != "public", one["schema"]), default={})

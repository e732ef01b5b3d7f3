"""The restaurants, the orders and their pauses, read as they stand: from plain tables, with PostgreSQL's own types.

The tables may be somebody else's. Read by a superuser, a view of that name would run its owner's functions as one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tabsync.kernel.errors import BadUsage, CannotConnect, NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection, allowed
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits
from tabsync.profiles.tabsync.orders.admission import BY_HAND, MIGRATION, unsure
from tabsync.profiles.tabsync.orders.pauses import Pause, Restaurant
from tabsync.sessions.way_in import session_in

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

SQL = named(__package__, "orders.sql")
LIMITS = Limits(lock_timeout=2_000, statement_timeout=10_000)
_OWNER = "use the owner of the tables, or the role of the application's migrations"
_PAUSES = ("order_pauses", "order_gate")
_KNOWN = ("restaurants", "orders", *_PAUSES)
_READ, _WRITTEN = sql.SQL("access share"), sql.SQL("row exclusive")


@dataclass(frozen=True, slots=True)
class Found:
    """The tables as they were found. tables: what is known of each; unsure: why a pause may have no effect."""

    tables: Mapping[str, Facts]
    unsure: str = ""

    @property
    def has_pauses(self) -> bool:
        """Whether the migration that brings pauses was applied."""
        return all(one["kind"] for name, one in self.tables.items() if name in _PAUSES)

    def owner(self, table: str) -> str:
        """As whom a superuser writes to a table; "" where that is no other."""
        return str(self.tables[table]["owner"])

    def may_write(self, table: str) -> bool:
        """Whether this role may insert and update there."""
        return bool(self.tables[table]["may_insert"] and self.tables[table]["may_update"])


@contextmanager
def session(workspace: Workspace) -> Iterator[Connection]:
    """A session for orders. Raises CannotConnect, and says what to do by hand while nobody gets in."""
    try:
        with session_in(workspace, "orders", LIMITS) as connection:
            connection.execute(SQL["commit_here"])
            yield connection
    except CannotConnect as error:
        hint = f"{error.hint}; meanwhile, orders can only be stopped in the application itself"
        raise CannotConnect(error.fact, hint) from None


@contextmanager
def looking(connection: Connection) -> Iterator[Found]:
    """A transaction in which all tables stay what they are found to be. Raises Refused, NotAllowed."""
    with allowed("read restaurants and orders", _OWNER), holding(connection, *_KNOWN) as found:
        yield replace(found, unsure=_unsure(connection)) if found.has_pauses else found


@contextmanager
def holding(connection: Connection, *names: str, written: bool = False) -> Iterator[Found]:
    """A transaction in which some tables stay what they are found to be: nothing is read or written outside of one.

    written: nor does anybody add a trigger. Raises Refused, NotAllowed, psycopg's errors.
    """
    mode = _WRITTEN if written else _READ
    with connection.transaction():
        if rows(connection, "holds_schema")[0]["it_is"]:
            connection.execute(SQL["hold_schema"])
        there = _tables(connection, names)
        for name, one in there.items():
            if one["kind"] == "r":
                connection.execute(sql.SQL(SQL["lock"]).format(table=sql.Identifier("public", name), mode=mode))
        found = Found(_tables(connection, names))
        for name, one in found.tables.items():
            _check(name, one, there[name])
        yield found


def check_pauses(found: Found) -> None:
    """See that there are pauses in this database. Raises Refused."""
    if not found.has_pauses:
        raise Refused(f"this database knows no pauses: the migration {MIGRATION} is not applied", f"by hand: {BY_HAND}")


def standing(connection: Connection) -> list[Pause]:
    """The pauses that stand, the one that ends last first."""
    return [Pause(**one) for one in rows(connection, "standing")]


def restaurant_named(connection: Connection, said: str | None) -> Restaurant | None:
    """The one restaurant that somebody means; None for all, when nothing was said.

    Raises BadUsage when there is none, or several. An empty name is none, and not all: a variable that isn't set.
    """
    if said is None:
        return None
    if not said.strip() or "\0" in said:
        raise BadUsage("--restaurant has no name of a restaurant", "for all restaurants, leave it out")
    found = rows(connection, "restaurant", said=said.strip())
    best = [one for one in found if one["by"] == found[0]["by"]]
    if not best:
        raise BadUsage(f"there is no restaurant {said}", "give its slug, its id or its whole name")
    if len(best) > 1:
        raise BadUsage(
            f"{len(best)} restaurants are called {said}", f"give its slug: {', '.join(one['slug'] for one in best)}"
        )
    return Restaurant(best[0]["id"], best[0]["slug"], best[0]["name"])


def counts(connection: Connection) -> Facts:
    """How many restaurants take orders by what their owners have set, how many don't, how many are paused."""
    return rows(connection, "counts")[0]


def recent(connection: Connection, minutes: int) -> int | None:
    """How many orders came in lately; None where that takes too long, or may not be read."""
    try:
        with connection.transaction():
            rows(connection, "briefly")
            return int(rows(connection, "recent", minutes=minutes)[0]["orders"])
    except (psycopg.errors.QueryCanceled, psycopg.errors.InsufficientPrivilege):
        return None


def rows(connection: Connection, block: str, **values: Any) -> list[Facts]:
    """The rows of a statement."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL[block], values).fetchall()


def _tables(connection: Connection, names: Sequence[str]) -> dict[str, Facts]:
    return {one["name"]: one for one in rows(connection, "tables", names=list(names))}


def _check(name: str, one: Facts, before: Facts) -> None:
    """See that a table is what it is read as. before: as it was before it was locked."""
    if one["kind"] is None and name in _PAUSES:
        return
    if one["kind"] != "r" or one["kind"] != before["kind"]:
        what = "this database has no table" if one["kind"] is None else "this is no plain table:"
        raise Refused(f"{what} public.{name}", "name the application's database with --database")
    if one["lacks"]:
        raise Refused(f"public.{name} has no column {one['lacks']} of the type that TabSync gives it", f"\\d {name}")
    if not one["may_read"]:
        raise NotAllowed(f"this role may not read public.{name}", _OWNER)


def _unsure(connection: Connection) -> str:
    """Why it is unknown whether a pause keeps orders out. Raises Refused where it is known that none would."""
    return unsure(rows(connection, "admission"), rows(connection, "triggers"), rows(connection, "around")[0])

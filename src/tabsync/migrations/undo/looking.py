"""Which migration is to be undone, what of it is there now, and how many rows would go."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg import sql

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.step import Facts
from tabsync.ledger.open import Ledger
from tabsync.migrations.before import known_before
from tabsync.migrations.find import Tool, check_quiet, histories
from tabsync.migrations.histories.history import History, Migration, State
from tabsync.migrations.there import what_is_there
from tabsync.migrations.undo.age import since
from tabsync.migrations.undo.half import Act, Half, half_of
from tabsync.migrations.undo.held import hold_table
from tabsync.migrations.undo.identities import SQL
from tabsync.migrations.undo.older import without_older
from tabsync.postgres.connect import Connection, allowed

_NO_FAILURES = ("schema_migrations", "Supabase")
"""Tools that note no failure: a migration that failed is pending for them."""

_PYTHON = {
    "Alembic": "alembic downgrade, or by hand: alembic upgrade --sql shows its statements",
    "Django": "by hand: manage.py sqlmigrate shows its statements",
}
_EXISTED = re.compile(r"already exists|\b(42P0[4-7]|42701|42710|42712|42723)\b")
"""What a tool notes of it. https://www.postgresql.org/docs/current/errcodes-appendix.html"""

_LOOK = "tabsync migration status --folder"


@dataclass(frozen=True, slots=True)
class Failed:
    """A migration that failed, with its history and its statements. existed: it failed since something was there."""

    tool: Tool
    history: History
    name: str
    script: str
    existed: bool


def failed(connection: Connection, folder: Path, name: str) -> Failed:
    """The migration of a name. Raises BadUsage, and Refused where it has not failed, or one runs."""
    found, _ = histories(connection, folder)
    mine = [(tool, history, each) for tool, history in found for each in history.migrations if each.name == name]
    if not mine:
        raise BadUsage(f"no history has a migration {name}", f"{_LOOK} {folder}")
    tool, history, each = min(mine, key=lambda one: not _open(one[1], one[2]))
    if history.tool in _PYTHON:
        raise Refused(f"the migrations of {history.tool} are programs, which are not read", _PYTHON[history.tool])
    check_quiet(connection, found)
    if not _open(history, each):
        raise Refused(f"{name} is {each.state.value}: only what failed is undone", f"{_LOOK} {folder}")
    if each.edited:
        fact = f"the file of {name} was changed since it ran: what it did can't be told by it"
        raise Refused(fact, "put the one back that failed, until it is resolved")
    script = tool.script(Path(history.folder), name) if tool.script and history.folder else None
    if script is None:
        raise BadUsage(f"the file of {name} is not in {folder}", "give the folder with the migrations")
    return Failed(tool, history, name, script, bool(_EXISTED.search(each.error)))


def half(connection: Connection, ledger: Ledger, target: Facts, one: Failed, path: Sequence[str]) -> Half:
    """What is left of it, and what takes that away. target: the database, as the ledger knows it."""
    seen = what_is_there(connection, one.script, path)
    ago = since(connection, one.history, one.name)
    known = known_before(ledger, target, one.history.table, one.name, one.script)
    found = half_of(connection, seen, ago, path, existed=one.existed, known=known)
    found = without_older(connection, found, ago)
    gone = {act.identity.oid for act in found.acts}
    found.acts = [replace(act, along=along(connection, act, gone)) for act in found.acts]
    return found


def along(connection: Connection, act: Act, gone: Collection[int]) -> tuple[str, ...]:
    """What others have made of a column, and that goes with it without a word. gone: what is taken away itself."""
    if not act.identity.sub or not act.words.holds:
        return ()
    rows = connection.execute(SQL["of_column"], {"oid": act.identity.oid, "sub": act.identity.sub}).fetchall()
    return tuple(str(what) for what, _, oid in rows if oid not in gone)


def counted(connection: Connection, act: Act) -> int | None:
    """How many rows, or values that are not null, go with a statement; None when counting takes too long.

    Raises Refused where its table is another one by now.
    """
    if not act.words.holds:
        return 0
    column = sql.SQL("*") if act.words.holds == "*" else sql.Identifier(act.words.holds)
    only = sql.SQL(
        "only " if act.words.holds == "*" else ""
    )  # a table that inherits from it has a statement of its own
    query = sql.SQL("select pg_catalog.count({}) from {}{}").format(column, only, sql.Identifier(*act.table))
    try:
        with allowed("count the rows that go", "use the owner of the tables"), connection.transaction():
            hold_table(connection, act.table, act.identity.oid, "access share")
            row = connection.execute(query).fetchone()
    except psycopg.errors.QueryCanceled:
        return None
    return int(row[0]) if row else 0


def _open(history: History, each: Migration) -> bool:
    pending = history.tool in _NO_FAILURES and each.state is State.PENDING
    return each.state is State.FAILED or pending

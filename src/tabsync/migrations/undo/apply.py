"""The step that takes half a migration away: what was shown and nothing else, if possible in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.migrations.histories.lock import GUARD
from tabsync.migrations.left import note_left
from tabsync.migrations.there import left_of, search_path, what_is_there
from tabsync.migrations.undo.half import Act
from tabsync.migrations.undo.held import hold_table
from tabsync.migrations.undo.identities import SQL
from tabsync.migrations.undo.keep import Keeper, check_space, kept
from tabsync.migrations.undo.looking import Failed, failed, half
from tabsync.postgres.catalog import prove_target, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Context

LIMITS = Limits(lock_timeout=2_000, statement_timeout=10_000)
_WORKING = Limits(lock_timeout=2_000, statement_timeout=600_000)
_TRIES = 5
_PAUSE = 1.0  # seconds between two tries
_NOTHING = "nothing was changed"
_AGAIN = "plan it again"


def undo(context: Context, *, target: Facts, name: str, folder: str, acts: list[Facts]) -> Facts:
    """Take it away. Raises Refused when it is not as it was when the plan was made, or something is in the way."""
    workspace = context.workspace
    path = search_path(workspace)
    with workspace.connect("migrations", _WORKING) as connection:
        prove_target(connection, target)
        one = failed(connection, Path(folder), name)
        with _alone(connection, one), kept(workspace.home, context.run_id) as keeper:
            both = half(connection, workspace.ledger(), target, one, path)
            found = both.acts
            if [_identified(act) for act in found] != acts:
                raise Refused(f"{name} is not as it was when this was planned; {_NOTHING}", _AGAIN)
            check_space(connection, workspace.home, [act.table for act in found if act.words.holds])
            done = 0
            for outside, group in groupby(found, key=_outside):
                each = list(group)
                _repeated(connection, keeper, each, done=done, outside=outside)
                done += len(each)
                context.report(done, len(found), "statements")
            left = left_of(what_is_there(connection, one.script, path))
            unseen = sorted({each.seen.statement.line for each in both.stays})
        note_left(workspace.ledger(), target, name, unseen, context.run_id)
        return {
            "name": name,
            "tool": one.history.tool,
            "statements": [act.statement for act in found],
            "rows": keeper.rows,
            "kept": str(keeper.path) if keeper.rows else "",
            "left": left,
            "may_have_changed": unseen,
        }


def _identified(act: Act) -> Facts:
    return {"statement": act.statement, "oid": act.identity.oid, "sub": act.identity.sub}


def _outside(act: Act) -> bool:
    """Whether it can't be in a transaction."""
    return act.statement.lower().startswith("drop index concurrently")


def _repeated(connection: Connection, keeper: Keeper, acts: Sequence[Act], *, done: int, outside: bool) -> None:
    """Do some statements, again when a lock isn't to be had. Raises Refused, NotAllowed."""
    so_far = f"{done} statements before it are done" if done else _NOTHING
    mark = keeper.mark()
    for number in range(1, _TRIES + 1):
        try:
            _once(connection, keeper, acts, outside=outside)
            return
        except psycopg.errors.LockNotAvailable:
            keeper.back(mark)
            if number == _TRIES:
                fact = f"another session holds a lock on what is to go, {_TRIES} times; {so_far}"
                raise Refused(fact, "to see which: tabsync connections show") from None
            time.sleep(_PAUSE)
        except psycopg.errors.DependentObjectsStillExist as error:
            what = in_one_line(error.diag.message_detail or error.diag.message_primary or "")
            raise Refused(f"something else depends on it: {what}; {so_far}", "change or drop that first") from None
        except psycopg.errors.InsufficientPrivilege as error:
            what = in_one_line(error.diag.message_primary or "")
            raise NotAllowed(f"not allowed to undo it: {what}; {so_far}", "use the owner of the tables") from None
        except psycopg.Error as error:
            what = in_one_line(error.diag.message_primary or str(error))
            raise Refused(f"PostgreSQL refused a statement: {what}; {so_far}", _AGAIN) from None


def _once(connection: Connection, keeper: Keeper, acts: Sequence[Act], *, outside: bool) -> None:
    if outside:
        for act in acts:
            connection.execute(act.words.statement)
        return
    with connection.transaction():
        for act in acts:
            if act.words.holds:
                table, column = _named_now(connection, act)
                hold_table(connection, table, act.identity.oid, "access exclusive")
                keeper.add(connection, table, column)
        keeper.seal()
        for act in acts:
            connection.execute(act.words.statement)


def _named_now(connection: Connection, act: Act) -> tuple[tuple[str, str], str]:
    """The table, and the column, whose values go: statements before may have renamed them back."""
    row = connection.execute(SQL["named"], {"oid": act.identity.oid, "sub": act.identity.sub}).fetchone()
    if row is None:
        raise Refused(f"{'.'.join(act.table)} is gone", _AGAIN)
    return (row[0], row[1]), "*" if act.words.holds == "*" else row[2]


@contextmanager
def _alone(connection: Connection, one: Failed) -> Iterator[None]:
    """Hold the lock of the guard and the tool's own, so that no deployment runs meanwhile. Raises Refused."""
    tool = one.tool.lock(connection, relation_named(one.history.table))
    held: list[int] = []
    try:
        for number in (GUARD, *tool.numbers):
            if not (connection.execute(SQL["lock"], {"number": number}).fetchone() or (False,))[0]:
                who = "under guard runs" if number == GUARD else f"of {tool.tool} holds the migration lock"
                raise Refused(f"a deployment {who}; {_NOTHING}", "tabsync migration status")
            held.append(number)
        yield
    finally:
        for number in held if not connection.broken else ():
            connection.execute(SQL["unlock"], {"number": number})

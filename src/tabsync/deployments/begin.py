"""Before a deployment: no migration has failed, and none runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.rows import dict_row

from tabsync.deployments.touched import tables_of
from tabsync.deployments.watch import processes_of
from tabsync.kernel.errors import Refused
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.ledger.runs import recent_runs
from tabsync.migrations.find import Tool, histories
from tabsync.migrations.histories.history import History, State
from tabsync.migrations.histories.lock import GUARD as GUARD
from tabsync.migrations.histories.lock import holders
from tabsync.migrations.histories.script import Statement, statements
from tabsync.migrations.pending import with_begun
from tabsync.migrations.there import search_path
from tabsync.migrations.tools import prisma
from tabsync.postgres.catalog import Relation, prove_target, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

LIMITS = Limits(lock_timeout=1_000, statement_timeout=10_000)
_SQL = named(__package__, "deployments.sql")
_LOOK = 0.5  # seconds


def check_begin(context: Context, *, target: Facts, folder: str | None, wait: float, begun: bool = False) -> Facts:
    """See that a deployment may begin. Raises Refused: a migration has failed, or one runs for longer than we wait.

    begun: something of a pending one may be there.
    """
    place = Path(folder) if folder else None
    path = search_path(context.workspace)
    with context.workspace.connect("deployments", LIMITS) as connection:
        prove_target(connection, target)
        waited = _wait_for_others(context, connection, place, wait)
        both, odd = histories(connection, place)
        check_none_failed([one for _, one in both], folder)
        if not begun:
            check_none_begun(connection, both, path, folder)
        todo = pending_statements(both)
        tables = tables_of(connection, todo, path) if todo is not None and place is not None else None
    return {
        "histories": [_told(one) for _, one in both],
        "odd": odd,
        "tables": tables,
        "waited": waited,
    }


def check_none_failed(found: Sequence[History], folder: str | None) -> None:
    """Raises Refused where a migration has failed: another one would build on half of it."""
    failed = [(one, each) for one in found for each in one.of(State.FAILED, State.RUNNING)]
    if failed:
        history, first = failed[0]
        hint = f"tabsync migration status --folder {folder or '.'}"
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise Refused(f"{in_one_line(first.name)} has failed, by {history.table}{more}: resolve it first", hint)


def check_none_begun(
    connection: Connection, both: Sequence[tuple[Tool, History]], path: list[str], folder: str | None
) -> None:
    """Raises Refused where something of a pending migration is there: it failed, and its tool has noted nothing."""
    for tool, one in both:
        for name in with_begun(connection, tool, one, path)[1]:
            fact = f"{in_one_line(name)} is pending, by {one.table}, and something of it is there already"
            look = f"what of it: tabsync migration status --folder {folder or '.'}"
            raise Refused(fact, f"{look}; if it may run all the same: --allow-begun")


def pending_statements(both: Sequence[tuple[Tool, History]]) -> list[Statement] | None:
    """What is pending, as statements; None where that isn't known: no files, or files that are no SQL."""
    found: list[Statement] = []
    for tool, one in both:
        for each in one.of(State.PENDING, State.ROLLED_BACK):
            text = tool.script(Path(one.folder), each.name) if tool.script and one.folder else None
            if text is None:
                return None
            found += statements(text)
    return found if both else None


def _told(one: History) -> Facts:
    return {
        "tool": one.tool,
        "table": one.table,
        "applied": [each.name for each in one.of(State.APPLIED)],
        "pending": [each.name for each in one.of(State.PENDING, State.ROLLED_BACK)],
    }


def _wait_for_others(context: Context, connection: Connection, folder: Path | None, seconds: float) -> bool:
    """Wait for deployments that run. Raises Refused when they take longer."""
    until, waited = time.monotonic() + seconds, False
    while told := _others(connection, folder) or _living(context.workspace, context.run_id):
        if time.monotonic() >= until:
            fact, hint = told
            raise Refused(f"another deployment runs: {fact}", hint)
        waited = True
        time.sleep(_LOOK)
    return waited


def _others(connection: Connection, folder: Path | None) -> tuple[str, str] | None:
    """The deployment that runs, and what to do about it; None when there is none."""
    wait = "tabsync migration status; or wait: --wait 10min"
    with connection.cursor(row_factory=dict_row) as cursor:
        guarded = cursor.execute(_SQL["guarded"], {"number": GUARD}).fetchall()
    if guarded:
        return f"one under guard, for {human_seconds(guarded[0]['seconds'])}", wait
    for one in _holders(connection, folder):
        if one["granted"]:
            who = f"session {one['pid']} ({in_one_line(one['application'] or '') or '-'})"
            fact = f"{who} holds the lock of {one['tool']}, {one['says']}"
            ends = f"tabsync connections terminate {one['pid']} --dry-run"
            return fact, ends if one["verdict"] == "gone" else wait
    return None


def _holders(connection: Connection, folder: Path | None) -> Iterator[Facts]:
    """Who holds the lock of a tool; that of Prisma also where it has no history yet."""
    both, _ = histories(connection, folder)
    for tool, one in both:
        table = relation_named(one.table)
        yield from holders(connection, tool.lock(connection, table), table)
    if not both:
        nowhere = Relation("public", prisma.TABLE)
        yield from holders(connection, prisma.lock(connection, nowhere), nowhere)


def _living(workspace: Workspace, own: str) -> tuple[str, str] | None:
    """The run of this ledger whose command still works, whatever became of its guard; None when there is none."""
    for run in recent_runs(workspace.ledger(), procedure="migration guard"):
        left = list(processes_of(run["id"])) if run["id"] != own else []
        if left:
            pids = ", ".join(str(one.pid) for one in left)
            killed = ", whose guard was killed," if run["state"] == "interrupted" else ""
            return (
                f"the command of run {run['id']}{killed} still runs: process {pids}",
                "wait until it ends, then: tabsync migration status",
            )
    return None

"""The plan of `restore diff`, and the command by which rows go over."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabsync.backups.restore.diff.compare import compare_databases
from tabsync.backups.restore.diff.sides import NEW, OLD, looked_at
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Step, call
from tabsync.postgres.catalog import quoted
from tabsync.postgres.conninfo import without_defences, without_secrets

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def plan_compare_databases(
    workspace: Workspace,
    new: str,
    old: str,
    *,
    only: Sequence[str],
    without: Sequence[str],
    rows: bool,
    samples: int,
    timeout: float,
) -> tuple[Plan, str]:
    """Plan to compare two databases; gives the plan, and the name of the scratch directory for what it finds.

    See compare_databases() for the arguments. Raises BadUsage when there is no such database, or both are one,
    CannotConnect. Nothing is changed.
    """
    if not rows and only:
        raise BadUsage("--table can't be used with --no-rows", "give one of the two")
    who = {
        word: facts | {"elsewhere": word in workspace.secrets}
        for word, facts in looked_at(workspace, {NEW: new, OLD: old}).items()
    }
    scratch = f"diff-{compact(now())}-{secrets.token_hex(2)}"
    step = Step(
        "diff",
        f"Compare {quoted(new)} with {quoted(old)}",
        call(
            compare_databases,
            new=who[NEW],
            old=who[OLD],
            scratch=scratch,
            only=list(only),
            without=list(without),
            rows=rows,
            samples=samples,
            timeout=timeout,
        ),
        "in both: begin isolation level repeatable read read only; definitions from pg_catalog"
        + ("\nof each table that both have: count(*) and sums over the SHA-256 of its rows" if rows else ""),
    )
    return Plan("restore diff", f"Compare {quoted(new)} with {quoted(old)}", (step,)), scratch


def command_for_rows(workspace: Workspace, arguments: Facts, table: Facts) -> str:
    """How the rows of a table that are only in OLD get into NEW, for a person. arguments: the step's."""
    new, old = arguments[NEW]["database"], arguments[OLD]["database"]
    if arguments[NEW]["elsewhere"] or arguments[OLD]["elsewhere"]:
        return f"restore rows takes rows from a database of the same server: first copy {quoted(old)} to that of {new}"
    target = without_secrets(without_defences(workspace.conninfo_to(new)))
    words = ["tabsync", "restore", "rows", "--database", target, "--from", old, "--table", table["table"]]
    command = shlex.join([*words, "--where", "true", "--dry-run"])
    differ = "; --replace also overwrites those that differ" if table["different"] else ""
    return f"to bring rows that are only in {quoted(old)} into {quoted(new)}: {command}{differ}"

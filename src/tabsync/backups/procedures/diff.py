"""tabsync restore diff: what one may ask of it, its plan, what it found."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.procedure import Planned
from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from tabsync.kernel.page import Page
    from tabsync.kernel.procedure import Done
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Diff:
    """What one may ask of restore diff."""

    new: Annotated[str, Argument("The new database, as restore new made it.", "NEW")]
    old: Annotated[str, Argument("The database that it is to replace, or was.", "OLD")]
    tables: Annotated[
        tuple[str, ...], Option("Only the rows of this table, as users or public.users; repeatable.", ("--table",))
    ] = ()
    without: Annotated[
        tuple[str, ...], Option("Leave the rows of this table out; repeatable.", ("--exclude-table",))
    ] = ()
    no_rows: Annotated[bool, Option("Compare the objects only.")] = False
    samples: Annotated[int, Option("Rows to show of each kind and table.", minimum=0, maximum=100)] = 3
    timeout: Annotated[
        float, Option("Seconds for all of it; what is not compared by then is unknown.", minimum=1, maximum=1_000_000)
    ] = 3600
    new_server: Annotated[
        str | None,
        Option(
            "Connection string of the server that NEW is on, if it is another one.",
            metavar="URL",
            secret=True,
            of="host",
        ),
    ] = None
    old_server: Annotated[str | None, Option("The same for OLD.", metavar="URL", secret=True, of="host")] = None


def plan_diff(workspace: Workspace, request: Diff) -> Planned[Workspace]:
    """Plan to compare two databases. The definitions and values that it finds are deleted once they were shown."""
    from tabsync.backups.restore.diff.plan import plan_compare_databases

    servers = {"new": request.new_server, "old": request.old_server}
    # A connection string may hold a password: it goes to the step beside the plan, which is recorded.
    where = replace(workspace, secrets={**workspace.secrets, **{word: one for word, one in servers.items() if one}})
    plan, scratch = plan_compare_databases(
        where,
        request.new,
        request.old,
        only=request.tables,
        without=request.without,
        rows=not request.no_rows,
        samples=request.samples,
        timeout=request.timeout,
    )
    return Planned(plan, about=scratch, workspace=where, done=lambda: where.delete(where.scratch(scratch)))


def show_diff(done: Done[Workspace, Diff]) -> Page:
    """What differs; with definitions and values where it is shown at once, since these are not kept on record."""
    from tabsync.backups.procedures.diff_page import page_of_diff
    from tabsync.backups.restore.diff.compare import DETAILS
    from tabsync.backups.restore.diff.plan import command_for_rows

    facts = done.results["diff"]
    details = done.workspace.scratch(done.planned.about) / DETAILS if done.planned.about else None
    found = json.loads(details.read_text(encoding="utf-8")) if details and details.is_file() else None
    arguments = done.planned.plan.steps[0].arguments
    page = page_of_diff(facts, found, {word: arguments[word]["database"] for word in ("new", "old")})
    page.data |= {"run": done.ran.run_id}
    for table in facts["tables"]:
        if table.get("only_old") and table["state"] == "different":
            page.hint(command_for_rows(done.workspace, arguments, table))
            break
    return page

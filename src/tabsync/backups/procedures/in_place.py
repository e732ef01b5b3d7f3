"""tabsync restore in-place: what one may ask of it, its plan, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.page import Page
from tabsync.kernel.procedure import Planned
from tabsync.kernel.request import Option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Done
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class InPlace:
    """What one may ask of restore in-place."""

    backup: Annotated[str, Option("A backup's id, or latest: the newest full backup.", ("--from",))] = "latest"
    undo: Annotated[bool, Option("Swap the database with the old one that the last restore renamed.")] = False
    terminate: Annotated[bool, Option("End the sessions that are connected to the database before the swap.")] = False
    drop_old: Annotated[bool, Option("Drop the old database at the end.")] = False
    clean: Annotated[
        bool, Option("Drop and create the objects in the database itself; needs no space for a second one.")
    ] = False
    no_owner: Annotated[bool, Option("Restore without owners and privileges.")] = False


def plan_in_place(workspace: Workspace, request: InPlace) -> Planned[Workspace]:
    """Plan to replace the database with a backup, or to exchange it with the old one again."""
    from tabsync.backups.procedures.restore import estimated
    from tabsync.backups.restore.in_place import plan_restore_in_place, plan_undo_in_place, unfinished

    left = 'an interrupted restore left the incomplete database {0}; to drop it: drop database "{0}"'
    notes = [left.format(name) for name in unfinished(workspace)]
    if request.undo:
        plan = plan_undo_in_place(workspace, terminate=request.terminate)
        return Planned(plan, tuple(notes), warning=f"{plan.title}: {plan.steps[-1].preview}")
    how = {"no_owner": request.no_owner, "terminate": request.terminate}
    how |= {"clean": request.clean, "drop_old": request.drop_old}
    plan = plan_restore_in_place(workspace, request.backup, **how)
    return Planned(plan, (*notes, estimated(workspace, plan)), warning=f"{plan.title}: {_destroys(plan)}")


def show_in_place(done: Done[Workspace, InPlace]) -> Page:
    """The database as it is now, and where the old one is."""
    outcome, plan = done.ran, done.planned.plan
    if outcome.error is not None:
        page = Page("restore", error=outcome.error if isinstance(outcome.error, TabsyncError) else None)
        if outcome.results.get("tidy_database", {}).get("dropped"):
            page.note("the copy was dropped; the database was not changed")
        return page
    told = _facts_of(outcome.results)
    data: Facts = {"procedure": plan.procedure, "run": outcome.run_id, "seconds": outcome.seconds}
    page, database = Page("restore", data | {"target": plan.target} | told), plan.target["database"]
    if told["rows"] is None:
        page.line(f"{database} is the old database again; the other one is now {told['set_aside']}.")
        return page
    page.line(f"{database} has {len(told['tables'])} tables, {told['rows']:,} rows, as many as in the backup.")
    if told["set_aside"]:
        page.line(f"The old database is now {told['set_aside']}. To swap them back: tabsync restore in-place --undo")
    page.line(f"Backup from before the restore: {told['backup_before']}")
    return page


def _destroys(plan: Plan) -> str:
    return next(step.preview for step in plan.steps if step.risk.value == "destructive")


def _facts_of(results: Mapping[str, Facts]) -> dict[str, Any]:
    """What came of it, in a few facts: the backup taken before, the tables and rows, the names exchanged."""
    verified, swapped = results.get("verify", {}), results.get("swap", {})
    return {
        "backup_before": results.get("commit", {}).get("backup"),
        "tables": verified.get("tables"),
        "rows": verified.get("rows"),
        "set_aside": None if "drop_old" in results else swapped.get("aside"),
    }

"""tabsync restore managed: what one may ask of it, its plan, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.page import Page, page_of_plan
from tabsync.kernel.procedure import Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.units import human_seconds

if TYPE_CHECKING:
    from tabsync.kernel.procedure import Done
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Managed:
    """What one may ask of restore managed."""

    moment: Annotated[
        str, Argument("For example 2026-11-22T18:15:00-03:00; without an offset it is local time.", "TIME")
    ]
    without_backup: Annotated[bool, Option("Take no backup before it: for a database that can't be read any more.")] = (
        False
    )


def plan_managed(workspace: Workspace, request: Managed) -> Planned[Workspace]:
    """Plan to let Supabase restore the project; the plan is shown before one is asked."""
    from tabsync.backups.restore.managed import parse_moment, plan_restore_managed

    plan = plan_restore_managed(workspace, parse_moment(request.moment), backup_first=not request.without_backup)
    return Planned(plan, before=page_of_plan(plan))


def show_managed(done: Done[Workspace, Managed]) -> Page:
    """When it is of, and where the data from before is."""
    told = done.results["wait"]
    page = Page("restore", {"run": done.ran.run_id, "seconds": done.ran.seconds, **told})
    page.line(f"Project {told['project']} was restored to {told['moment']} in {human_seconds(told['seconds'])}.")
    if taken := done.results.get("commit", {}).get("backup"):
        page.line(f"The data from before the restore is in backup {taken}: tabsync restore new --from {taken}")
    return page

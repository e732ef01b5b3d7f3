"""tabsync backup query, cool: what one may ask of them, the plan to delete warm copies, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.page import Page
from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Done
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Query:
    """What one may ask of backup query."""

    which: Annotated[str, Argument("A backup's id, latest, or warm.", "BACKUP")]
    statement: Annotated[str, Argument("One SELECT.")]
    timeout: Annotated[float, Option("Seconds after which the statement is cancelled.")] = 60
    limit: Annotated[int, Option("Maximum number of rows to print.")] = 1000
    as_csv: Annotated[bool, Option("Print CSV with a header.", ("--csv",))] = False


@dataclass(frozen=True, slots=True)
class Cool:
    """What one may ask of backup cool."""

    backup: Annotated[str, Argument("The backup whose warm copy is deleted (default: all of them).")] = ""


def plan_cool(workspace: Workspace, request: Cool) -> Plan:
    """Plan to delete warm copies."""
    from tabsync.backups.cool import plan_cool as plan

    return plan(workspace, request.backup)


def show_cool(done: Done[Workspace, Cool]) -> Page:
    """Which were deleted."""
    deleted = [facts["backup"] for facts in done.results.values()]
    page = Page("cooled", {"run": done.ran.run_id, "backups": deleted})
    page.line(f"Deleted the warm copy of {', '.join(deleted)}.")
    return page

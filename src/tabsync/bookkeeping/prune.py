"""tabsync ledger prune: runs and alerts that are older than the manual keeps them. What was proven stays for ever."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import compact, iso, now, parse_iso
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.manual.load import read

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

CLASS = "ledger"
"""The class of the manual's Retention table that says for how long."""

KEPT = timedelta(days=365)
"""For how long, where the manual doesn't say."""

_REPORT = re.compile(r"drill-(\d{8}T\d{6}Z)-\w+\.(?:json|html)")


@dataclass(frozen=True, slots=True)
class Prune:
    """What one may ask of ledger prune."""

    apply: Annotated[bool, Option("Delete them; without it they are only counted.")] = False


def plan_prune(workspace: Workspace, request: Prune) -> Planned[Workspace]:
    """Plan to delete the runs, their steps and outputs, and the alerts, that are older than the manual keeps them."""
    manual, _ = read(workspace.manual_path)
    row = next((one for one in manual.retention if one.name.lower() == CLASS), None)
    before = iso(now() - (row.retention if row else KEPT))
    counted = workspace.ledger().read("old_runs", before=before)[0]["count"]
    alerts = workspace.ledger().read("old_alerts", before=before)[0]["count"]
    plan = Plan(
        procedure="ledger prune",
        title=f"Delete {counted} runs and {alerts} alerts from before {before[:10]}; what was proven stays",
        target={"before": before},
        confirm="ledger",
        steps=(
            Step(
                "delete",
                f"Delete {counted} runs with their steps, the output of scheduled runs, the reports of drills, and"
                f" {alerts} alerts that have ended, with who was told of them",
                call(delete, before=before),
                f"rows of step, run, episode and delivery, output of occurrence, reports/, of before {before};"
                " evidence and audit stay",
                risk=Risk.DESTRUCTIVE,
                undo="no undo: they are in the copies of the ledger that the store has",
            ),
        ),
    )
    return Planned(plan, only_look=not request.apply, about={"runs": counted, "alerts": alerts, "before": before})


def delete(context: Context, *, before: str) -> Facts:
    """Delete them in one transaction."""
    from sqlalchemy import delete as delete_from
    from sqlalchemy import select, update

    from tabsync.ledger.tables import episode, evidence, occurrence, run, step

    old = select(run.c.id).where(run.c.started_at < before, run.c.state != "running")
    with context.workspace.ledger().writing() as connection:
        connection.execute(update(evidence).where(evidence.c.run_id.in_(old)).values(run_id=None))
        connection.execute(delete_from(step).where(step.c.run_id.in_(old)))
        runs = connection.execute(delete_from(run).where(run.c.started_at < before, run.c.state != "running")).rowcount
        silenced = update(occurrence).where(occurrence.c.started_at < before).values(output="")
        connection.execute(silenced)
        # Deliveries go with them. What was a test stays: it says when an alert was last proven to fire.
        ended = delete_from(episode).where(episode.c.ended_at < before, episode.c.is_test.is_(False))
        alerts = connection.execute(ended).rowcount
    return {
        "runs": runs,
        "alerts": alerts,
        "reports": _delete_reports(context.workspace.home / "reports", compact(parse_iso(before))),
    }


def _delete_reports(directory: Path, before: str) -> int:
    """Delete the reports of old drills: each night leaves two files."""
    old = [one for one in directory.glob("drill-*") if (named := _REPORT.fullmatch(one.name)) and named[1] < before]
    for one in old:
        one.unlink(missing_ok=True)
    return len(old)


def show_prune(done: Done[Workspace, Prune]) -> Page:
    """What was deleted, or would be."""
    about = done.planned.about
    page = Page("ledger prune", about | {"deleted": done.results.get("delete", {}).get("runs", 0)})
    if done.outcome is None:
        page.line(f"{_counted(about)} are older than the manual keeps them. Nothing was deleted.")
        page.hint("tabsync ledger prune --apply")
    else:
        page.line((f"Deleted the records of {_counted(done.results['delete'])}; what runs proved stays.", "good"))
    return page


def _counted(facts: Facts) -> str:
    return f"{facts['runs']} runs and {facts['alerts']} alerts"

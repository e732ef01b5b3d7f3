"""Takes up a run that another process left: a step whose own runs are done is done, and is not done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.kernel.errors import Exit, Refused
from tabsync.kernel.step import Risk
from tabsync.ledger.runs import one_run, plan_of, runs_under
from tabsync.manual.model import Step
from tabsync.manual.parts import Command
from tabsync.procedures import named_in, page_of
from tabsync.runbooks.guide import Guide, watch
from tabsync.runbooks.incident import opened_for
from tabsync.runbooks.parent import alert_of
from tabsync.runbooks.placeholders import filled
from tabsync.runbooks.step import Result, parts_of

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace

NOTE = "its process died after it was done"


def take(workspace: Workspace, run_id: str, *, over: bool = False) -> Guide:
    """Take a run up where it is. over: take it away from whoever has it. Raises Refused, BadUsage, NotAllowed."""
    guide = watch(workspace, run_id)
    if not guide.is_open:
        raise Refused(f"the run {guide.id} has ended: {guide.run['state']}", f"tabsync run show {guide.id}")
    guide.held = guide.record.take(guide.id, over=over)
    guide.read()
    symptoms = next((one for one in guide.manual.runbooks if one.title == guide.runbook.title), guide.runbook)
    opened_for(workspace, guide.manual, symptoms, guide.id, alert_of(guide.run))  # who began it may have died before
    _settle(guide)
    return guide


def _settle(guide: Guide) -> None:
    """Write down what came of steps that were interrupted after all that they had to do was done, and recorded."""
    for step in guide.runbook.steps:
        row = guide.row(step.number)
        if row["state"] == "interrupted" and row["started_at"]:
            runs = _runs(guide, row)
            if runs and len(runs) == _acting(step, row) and all(map(_has_acted, runs)):
                guide.ended(step, [_result(guide, one) for one in runs], str(runs[-1]["approval"]), NOTE)


def _runs(guide: Guide, row: Facts) -> list[Facts]:
    """The runs that a step has begun, since it was begun itself."""
    ledger = guide.record.ledger
    since = str(row["started_at"])
    found = [one_run(ledger, one["id"]) for one in runs_under(ledger, guide.id) if one["started_at"] >= since]
    return [one for one in found if one]


def _has_acted(run: Facts) -> bool:
    """Whether all that changes something was done; its process may have died before it could write down the end."""
    states = {one["key"]: one["state"] for one in run["steps"]}
    risky = [states[one.key] for one in plan_of(run).steps if one.risk is not Risk.READ]
    return bool(risky) and all(one == "done" for one in risky) and "failed" not in states.values()


def _acting(step: Step, row: Facts) -> int:
    """How many runs a step has when all of it was done; 0 where it does anything that leaves no run."""
    whole = filled(step, (row["facts"] or {}).get("values", {}))
    parts = parts_of(whole)
    commands = [named_in(one.words) for one in parts if isinstance(one, Command)]
    return len(parts) if all(one and one[0].plan for one in commands) else 0


def _result(guide: Guide, run: Facts) -> Result:
    page = page_of(guide.workspace, run | {"state": "done"})
    seconds = sum(one["seconds"] or 0.0 for one in run["steps"])
    return Result(page, seconds, None, run["id"], page.exit_code if page else Exit.DONE)

"""The plan of a runbook's run: its steps as the manual has them now, so that a changed manual changes no run."""

from __future__ import annotations

from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Call, Facts, Risk
from tabsync.kernel.step import Step as PlanStep
from tabsync.ledger.runs import plan_of
from tabsync.manual.model import Recovery, Runbook, Step, StepKind
from tabsync.procedures import named_in

WORDS = "runbook run"
_FUNCTION = "tabsync.runbooks.parent:by_itself"
_NO_UNDO = "what it does is planned when its turn comes, with its own undo"


def plan_of_runbook(runbook: Runbook, target: Facts, alert: str = "") -> Plan:
    """A runbook as a plan, which is shown and recorded, and whose steps are planned one by one. alert: why it runs."""
    steps = tuple(_step(one) for one in runbook.steps)
    values = {
        "runbook": runbook.title,
        "alert": alert,
        "recovers": [one.model_dump(mode="json") for one in runbook.recovers],
    }
    return Plan(
        WORDS, runbook.title, steps, target | {"prose": runbook.prose}, request={"procedure": WORDS, "values": values}
    )


def runbook_of(run: Facts) -> Runbook:
    """The runbook of a run, as it was when it began. Raises Refused when the run is none of a runbook."""
    if run["procedure"] != WORDS:
        raise Refused(f"run {run['id']} is no runbook's", f"tabsync run show {run['id']}")
    plan = plan_of(run)
    values = plan.request["values"]
    return Runbook(
        title=values["runbook"],
        chapter="",
        recovers=tuple(Recovery.model_validate(one) for one in values["recovers"]),
        prose=plan.target.get("prose", ""),
        steps=tuple(Step.model_validate(one.arguments["step"]) for one in plan.steps),
        line=0,
    )


def alert_of(run: Facts) -> str:
    """The id of the alert that a run answers, "" for none."""
    return str(plan_of(run).request["values"].get("alert", ""))


def by_itself(_context: object, *, step: Facts) -> Facts:
    """No step of a runbook runs by itself: Guide.carry_out() plans it first."""
    raise Refused(f"step {step['number']} of a runbook is started by a person", "tabsync runbook resume")


def risk_of(step: Step) -> Risk:
    """The most that a step of the manual can do, before it is planned."""
    if step.kind is StepKind.SQL_WRITE:
        return Risk.DESTRUCTIVE
    found = [named_in(one.words) for one in step.commands]
    return Risk.REVERSIBLE if any(one and one[0].plan for one in found) else Risk.READ


def _step(one: Step) -> PlanStep:
    risk = risk_of(one)
    return PlanStep(
        key=f"step-{one.number}",
        title=one.text,
        call=Call(_FUNCTION, {"step": one.model_dump(mode="json")}),
        preview=one.block or "a person does this, and ticks it off",
        risk=risk,
        undo="" if risk is Risk.READ else _NO_UNDO,
    )

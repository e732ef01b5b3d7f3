"""A runbook, and a run of it, as pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Cell, Page, Style
from tabsync.kernel.request import Argument
from tabsync.kernel.units import human_seconds
from tabsync.manual.load import load
from tabsync.manual.model import Runbook, Step, StepKind
from tabsync.procedures import is_built
from tabsync.runbooks import recovery
from tabsync.runbooks.check import runbooks_of
from tabsync.runbooks.guide import Guide, runbook_named

if TYPE_CHECKING:
    from tabsync.kernel.request import Nothing
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace

_STATES: dict[str, tuple[str, Style]] = {
    "waiting": ("open", ""),
    "running": ("running", "strong"),
    "done": ("done", "good"),
    "failed": ("failed", "bad"),
    "interrupted": ("interrupted", "warning"),
    "skipped": ("left out", "quiet"),
}


@dataclass(frozen=True, slots=True)
class Show:
    """What one may ask of runbook show."""

    runbook: Annotated[str, Argument("The runbook: its title, or a part of it that no other has.")]


def look_list(workspace: Workspace, _request: Nothing) -> Page:
    """The runbooks of the manual."""
    manual = load(workspace.manual_path)
    found = runbooks_of(manual)
    rows = [_listed(one) for one in found]
    page = Page("runbook list", {"runbooks": [_as_json(one) for one in found]})
    page.table(("Runbook", "Steps", "Recovers", "Symptoms"), rows, right=("Steps",))
    page.hint("to run one: tabsync runbook run NAME; to find one by an error message: tabsync runbook find")
    return page


def look_show(workspace: Workspace, request: Show) -> Page:
    """One runbook with its steps, each as it can be copied."""
    manual = load(workspace.manual_path)
    one = runbook_named(manual, request.runbook)
    page = Page("runbook", _as_json(one))
    page.line(one.title, style="strong")
    for text in one.symptoms:
        page.line(("Symptoms: ", "quiet"), text)
    for each in one.recovers:
        page.line(("Recovers: ", "quiet"), each.text)
    if one.prose:
        page.line(one.prose)
    for step in one.steps:
        page.line(f"{step.number:>2}  {step.text}", ("  a person", "quiet") if step.kind is StepKind.HUMAN else "")
        for text in copied(step):
            page.line(f"    {text}", style="quiet", whole=True)
    return page


def copied(step: Step) -> tuple[str, ...]:
    """A step as lines to be copied: commands of a shell, or SQL."""
    if step.commands:
        return tuple(f"tabsync {one.text}" for one in step.commands)
    return tuple(step.block.splitlines())


def heading(guide: Guide) -> Page:
    """What is begun, and how its metric is now."""
    page = Page("runbook run", {})
    page.line((guide.runbook.title, "strong"), f", run {guide.id}", whole=True)
    if guide.runbook.prose:
        page.line(guide.runbook.prose)
    for text in _before(guide.run):
        page.line(text)
    return page


def ending(guide: Guide, waited: recovery.Waited | None) -> Page:
    """How it has ended, or where it stands."""
    run = guide.run
    page = Page("runbook run", {"run": run["id"], "runbook": guide.runbook.title, "state": run["state"], **_told(run)})
    page.table(("", "Step", "State", "Time", ""), [_row(one, run) for one in guide.runbook.steps])
    for text in _before(run):
        page.line(f"before: {text}", style="quiet")
    state = run["state"]
    if state == "done":
        what = recovery.told(waited) if waited else "every step is settled"
        page.line((f"Done: {what}", "strong good"))
    elif state == "failed":
        page.exit_code = Exit.PROBLEM_FOUND
        what = recovery.told(waited) if waited else "a step has failed"
        page.line((f"It has not helped: {what}", "strong bad"))
        page.hint("escalate: tabsync manual show contacts; to find another runbook: tabsync runbook find")
    elif state == "stopped":
        page.line(("Stopped", "strong warning"), f": {run['target'].get('stopped', '')}")
    else:
        page.exit_code = Exit.PROBLEM_FOUND
        step = guide.next_step()
        where = f"at step {step.number}" if step else "after its last step"
        page.line((f"Open {where}", "strong warning"), ": nothing was lost")
        page.hint(f"to go on: tabsync runbook resume {run['id']}")
    return page


def _row(step: Step, run: Facts) -> tuple[Cell, ...]:
    row = next(one for one in run["steps"] if one["key"] == f"step-{step.number}")
    facts = row["facts"] or {}
    seconds = human_seconds(row["seconds"]) if row["seconds"] else ""
    about = row["fact"] or facts.get("note") or (f"by {facts['by']}" if row["state"] == "running" else "")
    if not about and facts.get("interrupted"):
        about = "it was interrupted, and was begun again"
    text = step.text if len(step.text) <= 60 else f"{step.text[:57]}..."
    return str(step.number), text, _STATES[row["state"]], seconds, about


def _before(run: Facts) -> list[str]:
    return [
        f"{one['metric']} is unknown: {one['why']}" if one["holds"] is None else f"{one['metric']}: {one['value']}"
        for one in run["target"].get("before", ())
    ]


def _told(run: Facts) -> Facts:
    steps = [
        {name: one[name] for name in ("number", "title", "state", "seconds", "fact", "hint", "facts")}
        for one in run["steps"]
    ]
    return {"before": run["target"].get("before", []), "recovery": run["target"].get("recovery"), "steps": steps}


def _listed(one: Runbook) -> tuple[Cell, ...]:
    missing = sum(not is_built(each.words) for step in one.steps for each in step.commands)
    steps = f"{len(one.steps)}" + (f" ({missing} not built)" if missing else "")
    symptoms = "; ".join(one.symptoms)
    short = symptoms if len(symptoms) <= 60 else f"{symptoms[:57]}..."
    return one.title, steps, "; ".join(each.text for each in one.recovers) or "-", short or "-"


def _as_json(one: Runbook) -> Facts:
    found: Facts = one.model_dump(mode="json")
    return found

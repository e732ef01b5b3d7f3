"""What a runbook would do: each step planned as far as it can be before the steps in front of it were done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.page import Page
from tabsync.manual.load import load
from tabsync.runbooks import recovery
from tabsync.runbooks.guide import runbook_named
from tabsync.runbooks.parent import risk_of
from tabsync.runbooks.placeholders import filled, open_in
from tabsync.runbooks.step import parts_of, prepared

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts
    from tabsync.manual.model import Step
    from tabsync.workspace import Workspace


def look_dry_run(workspace: Workspace, title: str, first: int, values: Mapping[str, str]) -> Page:
    """A runbook's steps with their plans, as they would be now. Nothing is changed or recorded."""
    manual = load(workspace.manual_path)
    runbook = runbook_named(manual, title)
    steps: list[Facts] = []
    page = Page("runbook dry run", {"runbook": runbook.title, "steps": steps})
    page.line(runbook.title, style="strong")
    for now in recovery.look(workspace, manual, runbook.recovers):
        page.line(now.sentence)
    acted = False
    for step in runbook.steps:
        if step.number >= first:
            steps.append(_add(page, workspace, step, values, acted=acted))
            acted = acted or risk_of(step).value != "read"
    page.line("Nothing was changed.")
    return page


def _add(page: Page, workspace: Workspace, step: Step, values: Mapping[str, str], *, acted: bool) -> Facts:
    found: Facts = {"number": step.number, "text": step.text, "risk": risk_of(step).value, "plans": []}
    page.line(f"{step.number:>2}  {step.text}", (f"  {found['risk']}", "quiet"))
    left = [name for name in open_in(step) if name not in values]
    if left:
        page.line(f"    it is asked for: {', '.join(left)}", style="warning")
        return found | {"asks": left}
    try:
        whole = filled(step, values)
    except TabsyncError as error:
        page.line(f"    can't be planned: {error.fact}", style="warning")
        return found | {"error": error.fact}
    if not parts_of(whole):
        page.line("    a person does this", style="quiet")
    for part in parts_of(whole):
        try:
            plan = prepared(workspace, whole, part)
        except TabsyncError as error:
            page.line(f"    can't be planned now: {error.fact}", style="warning")
            found["error"] = error.fact
            continue
        page.blocks += plan.page.blocks
        found["plans"].append(plan.page.data)
    if acted and found["plans"]:
        page.line("    as things are now: a step before it changes what this one finds", style="quiet")
    return found

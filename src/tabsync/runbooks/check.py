"""tabsync runbook check: whether each step of each runbook could be carried out tonight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tabsync.kernel.errors import Exit, Refused, TabsyncError
from tabsync.kernel.page import Cell, Page, Style
from tabsync.kernel.request import Argument
from tabsync.kernel.step import Facts
from tabsync.manual.load import load
from tabsync.manual.model import Manual, Runbook, Step, StepKind
from tabsync.manual.parts import Command
from tabsync.procedures import is_built
from tabsync.runbooks.candidates import is_known, likely
from tabsync.runbooks.guide import runbook_named
from tabsync.runbooks.placeholders import filled, open_in
from tabsync.runbooks.recovery import look
from tabsync.runbooks.step import Prepared, done, parts_of, prepared

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

Said = Literal["ok", "not now", "not built", "fails"]
_STYLES: dict[Said, Style] = {"ok": "good", "not now": "quiet", "not built": "warning", "fails": "strong bad"}


@dataclass(frozen=True, slots=True)
class Check:
    """What one may ask of runbook check."""

    runbook: Annotated[str, Argument("Only this runbook: its title, or a part of it that no other has.")] = ""


def look_check(workspace: Workspace, request: Check) -> Page:
    """Plan each step, run what only reads; change nothing.

    A step whose command refuses because there is nothing to do at the moment is in order; so is one for which a
    session is needed when nobody is connected.
    """
    manual = load(workspace.manual_path)
    chosen = [runbook_named(manual, request.runbook)] if request.runbook else runbooks_of(manual)
    found = [one for runbook in chosen for one in _of_runbook(workspace, manual, runbook)]
    page = Page("runbook check", {"steps": found})
    bad = [one for one in found if one["said"] == "fails"]
    missing = sum(one["said"] == "not built" for one in found)
    if bad:
        page.exit_code = Exit.PROBLEM_FOUND
        page.line((f"{len(bad)} of {len(found)} steps could not be carried out", "strong bad"))
    else:
        page.line((f"All {len(found) - missing} steps of {len(chosen)} runbooks could be carried out", "strong good"))
    shown = [one for one in found if one["said"] != "ok"] if not request.runbook else found
    if shown:
        page.table(("Runbook", "Step", "", "Why"), map(_row, shown), right=("Step",))
    if missing:
        page.note(f"{missing} steps name a command that this version does not have")
    return page


def runbooks_of(manual: Manual) -> list[Runbook]:
    """The runbooks of a manual: what answers a symptom or an alert, and not each numbered list."""
    named = {row.runbook.lower() for row in manual.thresholds}
    return [one for one in manual.runbooks if one.symptoms or one.recovers or one.title.lower() in named]


def _of_runbook(workspace: Workspace, manual: Manual, runbook: Runbook) -> list[Facts]:
    shown: list[Facts] = []
    found = []
    for step in runbook.steps:
        if step.kind not in (StepKind.HUMAN, StepKind.SHELL):
            said, why = _step(workspace, manual, step, shown)
            found.append({"runbook": runbook.title, "step": step.number, "line": step.line, "said": said, "why": why})
    for now in look(workspace, manual, runbook.recovers):
        if now.holds is None:
            line = now.recovery.line
            found.append({"runbook": runbook.title, "step": 0, "line": line, "said": "fails", "why": now.sentence})
    return found


def _step(workspace: Workspace, manual: Manual, step: Step, shown: list[Facts]) -> tuple[Said, str]:
    values: dict[str, str] = {}
    for name in open_in(step):
        found = likely(workspace, manual, step, name, shown)
        if not found:
            if is_known(name):
                return "not now", f"nothing is there that <{name}> could be"
            return "fails", f"nobody can say what <{name}> could be"
        values[name] = found[0].value
    try:
        whole = filled(step, values)
    except TabsyncError as error:
        return "fails", error.fact
    for part in parts_of(whole):
        if isinstance(part, Command) and not is_built(part.words):
            return "not built", f"tabsync {part.text}"
        try:
            what = prepared(workspace, whole, part)
        except Refused as error:
            return "not now", error.fact
        except TabsyncError as error:
            return "fails", error.fact
        if (said := _looked(what, shown)) is not None:
            return said
        if what.made and what.made.done:
            what.made.done()
    return "ok", ""


def _looked(what: Prepared, shown: list[Facts]) -> tuple[Said, str] | None:
    """Run what only looks; None when that is well, or there is nothing to run."""
    if what.made is not None:
        return None
    result = done(what, None, "not needed")
    if result.page is not None:
        shown.append(result.page.data)
    return None if result.is_good else ("fails", result.error.fact if result.error else "it failed")


def _row(one: Facts) -> tuple[Cell, ...]:
    return one["runbook"], str(one["step"] or "-"), (one["said"], _STYLES[one["said"]]), one["why"]

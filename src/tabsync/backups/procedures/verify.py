"""tabsync backup verify: what one may ask of it, its plan, its verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tabsync.kernel.errors import Exit, ProblemFound
from tabsync.kernel.page import Cell, Page, Style
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.units import human_bytes, human_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Done
    from tabsync.kernel.runner import Outcome
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Verify:
    """What one may ask of backup verify."""

    backup: Annotated[str, Argument("A backup's id, latest, or all.")] = "latest"
    deep: Annotated[bool, Option("Restore it into a scratch server and check the copy, also with amcheck.")] = False


def plan_verify(workspace: Workspace, request: Verify) -> Plan:
    """Plan to verify one backup, or, without --deep, all of them. Raises BadUsage when it takes several plans."""
    from tabsync.kernel.errors import BadUsage

    plans = plans_of(workspace, request)
    if len(plans) > 1:
        raise BadUsage("--deep restores one backup at a time", "name one, or: tabsync backup verify all --deep")
    return plans[0]


def plans_of(workspace: Workspace, request: Verify) -> list[Plan]:
    """A plan for each full backup with --deep, and one for all that are only read."""
    from tabsync.backups.verify import plan_verify as plan_shallow
    from tabsync.backups.verify import plan_verify_deep
    from tabsync.copies.choose import chosen

    backups = chosen(workspace, request.backup, full=request.deep)
    full: list[str] = []
    if request.deep:
        full = _full(workspace, backups) if request.backup == "all" else backups
    rest = [one for one in backups if one not in full]
    return [plan_verify_deep(workspace, one) for one in full] + ([plan_shallow(workspace, rest)] if rest else [])


def show_verify(done: Done[Workspace, Verify]) -> Page:
    """The verdict on each backup."""
    return verdicts(done.workspace, [done.ran])


def verdicts(workspace: Workspace, outcomes: Sequence[Outcome]) -> Page:
    """The verdicts of some runs. Raises what stopped one of them before there was any."""
    for outcome in outcomes:
        found = "read" in outcome.results or "record" in outcome.results
        if not (isinstance(outcome.error, ProblemFound) and found):  # a problem that was found is a result
            outcome.raise_if_failed()
    told = _verdicts_of(outcomes)
    page = Page("verify", {"store": workspace.store().url, "verdicts": told})
    for outcome in outcomes:
        if "read" in outcome.results:
            _add(page, outcome)
        else:
            _add_deep(page, outcome)
    page.exit_code = Exit.DONE if all(one["ok"] for one in told) else Exit.PROBLEM_FOUND
    return page


def _full(workspace: Workspace, backups: Sequence[str]) -> list[str]:
    full = {one.id for one in workspace.store().manifests()[0] if one.kind == "full"}
    return [one for one in backups if one in full]


def _verdicts_of(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for outcome in outcomes:
        run = {"run": outcome.run_id}
        if "read" in outcome.results:
            told += [one | {"depth": "shallow"} | run for one in outcome.results["read"]["backups"]]
        else:
            fact = getattr(outcome.error, "fact", "")
            told.append(outcome.results.get("record", {}) | {"wrong": [fact] if fact else []} | run)
    return told


def _add(page: Page, outcome: Outcome) -> None:
    found = outcome.results["read"]["backups"]
    columns = ("Backup", "Kind", "Files", "Stored", "Signed", "Verdict")
    page.table(columns, map(_verdict, found), right=("Files", "Stored"))
    for one in found:
        for line in one["wrong"]:
            page.line(f"{one['backup']}: {line}", style="bad")
    bad = sum(not one["ok"] for one in found)
    size, seconds = human_bytes(outcome.results["read"]["bytes"]), human_seconds(sum(outcome.seconds.values()))
    if bad:
        page.line(f"{bad} of {len(found)} backups are corrupt; {size} read in {seconds}", style="strong bad")
        page.line("hint: restore the objects from a copy of the store, or: tabsync backup take full")
    else:
        page.line(f"Verified: every stored byte is unchanged; {size} read in {seconds}", style="strong good")
        page.line("To prove that it can be restored: tabsync backup verify ID --deep")


def _verdict(one: Facts) -> tuple[Cell, ...]:
    word: Cell = ("unchanged", "good") if one["ok"] else ("DAMAGED", "strong bad")
    signed = "yes" if one["signed"] else "no"
    return one["backup"], one["kind"], str(one["files"]), human_bytes(one["bytes"]), signed, word


def _add_deep(page: Page, outcome: Outcome) -> None:
    facts = outcome.results["record"]
    for word, key in (("not proven", "unproven"), ("not checked", "not_checked")):
        for line in facts[key]:
            page.line(f"{word}: {line}", style="warning")
    for line in facts["notes"]:
        page.line(f"note: {line}")
    tone: Style = "strong good" if facts["ok"] else "strong warning" if facts["content"] == "partial" else "strong bad"
    page.line(f"{facts['backup']}: {facts['sentence']}", style=tone)
    if outcome.error is not None:
        page.line(f"error: {getattr(outcome.error, 'fact', outcome.error)}", style="bad")
        if hint := getattr(outcome.error, "hint", ""):
            page.line(f"hint: {hint}")

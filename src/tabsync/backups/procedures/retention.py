"""tabsync backup prune, hold, release: what one may ask of them, their plans, what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.page import Cell, Page
from tabsync.kernel.procedure import Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.units import human_bytes, human_seconds

if TYPE_CHECKING:
    from tabsync.backups.prune import Survey
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Done
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Prune:
    """What one may ask of backup prune."""

    apply: Annotated[bool, Option("Delete, after a confirmation; without it nothing is changed.")] = False
    grace: Annotated[str, Option("Age from which unused objects are deleted; a running backup needs younger ones.")] = (
        "24 hours"
    )


@dataclass(frozen=True, slots=True)
class Hold:
    """What one may ask of backup hold."""

    backup: Annotated[str, Argument("A backup's id, or latest.")]
    reason: Annotated[str, Option("Reason, which list and prune show.")] = ""


@dataclass(frozen=True, slots=True)
class Release:
    """What one may ask of backup release."""

    backup: Annotated[str, Argument("The id of a held backup.")]


def plan_prune(workspace: Workspace, request: Prune) -> Planned[Workspace]:
    """Plan to delete what has expired; without --apply it is only shown."""
    from tabsync.backups.prune import plan_prune as plan_deletion
    from tabsync.backups.prune import survey
    from tabsync.kernel.errors import BadUsage
    from tabsync.kernel.units import parse_duration

    try:
        grace = parse_duration(request.grace)
    except ValueError as error:
        raise BadUsage(str(error), "tabsync backup prune --grace '24 hours'") from None
    seen = survey(workspace, grace)
    before = Page("prune")
    _add_survey(before, seen)
    return Planned(plan_deletion(workspace, seen), before=before, only_look=not request.apply, about=seen)


def after_prune(done: Done[Workspace, Prune]) -> None:
    """Delete the warm copies of backups that were deleted: their rows have no more right to be here."""
    from tabsync.copies.warm import cool_pruned

    cool_pruned(done.workspace, done.results.get("forget", {}).get("deleted", []))


def show_prune(done: Done[Workspace, Prune]) -> Page:
    """What was deleted, or would be."""
    if done.outcome is None:
        seen: Survey = done.planned.about
        page = Page("prune", {"applied": False} | seen.to_json())
        if done.planned.plan.steps:
            page.line("Nothing was changed. To delete them: tabsync backup prune --apply")
        return page
    deleted = done.results.get("forget", {}).get("deleted", [])
    collected = done.results.get("collect", {"objects": 0, "bytes": 0})
    wal = done.results.get("forget_wal", {"files": 0, "bytes": 0})
    page = Page("prune", {"applied": True, "deleted": deleted, "collected": collected, "wal": wal})
    freed = f"{collected['objects']} objects, {human_bytes(collected['bytes'])} freed"
    freed += f"; {wal['files']} WAL files, {human_bytes(wal['bytes'])} freed" if wal["files"] else ""
    page.line(f"Deleted: {', '.join(deleted) or 'no backup'}; {freed}.")
    return page


def plan_hold(workspace: Workspace, request: Hold) -> Plan:
    """Plan to hold a backup."""
    from tabsync.backups.hold import plan_hold as plan

    return plan(workspace, request.backup, request.reason)


def show_hold(done: Done[Workspace, Hold]) -> Page:
    """That it is held."""
    facts = done.results["hold"]
    page = Page("hold", facts)
    release = f"tabsync backup release {facts['backup']}"
    page.line("Backup ", (facts["backup"], "strong"), f" is held. To release it: {release}")
    return page


def plan_release(workspace: Workspace, request: Release) -> Plan:
    """Plan to release a held backup."""
    from tabsync.backups.hold import plan_release as plan

    return plan(workspace, request.backup)


def show_release(done: Done[Workspace, Release]) -> Page:
    """That it is no longer held."""
    page = Page("hold", done.results["release"])
    page.line("Backup ", (str(done.results["release"]["backup"]), "strong"), " is no longer held.")
    return page


def _add_survey(page: Page, seen: Survey) -> None:
    if seen.backups:
        page.table(("Backup", "Database", "", "Why", "Frees"), map(_candidate, seen.backups), right=("Frees",))
    for row in seen.provider:
        kept = f"class {row['class']}: kept by the provider ({', '.join(row['stores'])})"
        page.line(f"{kept} for {human_seconds(row['retention_seconds'])}")
    if seen.garbage:
        page.line(f"{seen.garbage} objects that no backup needs: {human_bytes(seen.garbage_bytes)}")
    if not seen.going and not seen.garbage:
        page.line("Nothing to delete.")
        return
    later = f", and {human_bytes(seen.later)} more after the grace period" if seen.later else ""
    freed = f"{human_bytes(seen.freed)} to free{later}"
    page.line(f"{len(seen.going)} of {len(seen.backups)} backups have expired: {freed}.")
    if seen.wal_files:
        size = human_bytes(seen.wal_bytes)
        page.line(f"{seen.wal_files} WAL files have expired, {size}: no physical backup needs them.")


def _candidate(one: Facts) -> tuple[Cell, ...]:
    verdict: Cell = ("kept", "good") if one["keep"] else ("expired", "bad")
    return one["id"], one["database"], verdict, one["why"], "" if one["keep"] else human_bytes(one["freed_bytes"])

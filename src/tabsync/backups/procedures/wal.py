"""tabsync wal copy, status, drop-slot, and what one may ask of the others: their plans, what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import local
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.units import human_bytes

if TYPE_CHECKING:
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Done
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Receive:
    """What one may ask of wal receive."""

    slot: Annotated[str, Option("Name of the replication slot; it is created if it does not exist.")] = "tabsync_wal"
    flush: Annotated[
        str,
        Option("At most the commits of this time are lost with the server; the open segment is stored twice in it."),
    ] = "10s"
    slot_budget: Annotated[
        str | None, Option("Amount of WAL that may wait, here and on the server, before an alarm.")
    ] = None
    drop_slot_over: Annotated[
        str | None,
        Option("Drop the slot if the server keeps more WAL than this: leaves a gap, but saves the server's disk."),
    ] = None
    once: Annotated[bool, Option("Receive what exists now, then end; for cron.")] = False


@dataclass(frozen=True, slots=True)
class Push:
    """What one may ask of wal push."""

    path: Annotated[Path, Argument("The file, as PostgreSQL gives it: %p.")]


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one may ask of wal fetch."""

    name: Annotated[str, Argument("File name, as PostgreSQL gives it: %f.")]
    path: Annotated[Path, Argument("Path to write to, as PostgreSQL gives it: %p.")]
    system_identifier: Annotated[
        str, Option("System identifier of the cluster; needed outside its data directory.")
    ] = ""


@dataclass(frozen=True, slots=True)
class CopyWal:
    """What one may ask of wal copy."""

    to: Annotated[str, Option("A store: its name in tabsync.toml, or a directory or URL.", of="store")]


@dataclass(frozen=True, slots=True)
class Status:
    """What one may ask of wal status."""

    slot: Annotated[str, Option("Name of the replication slot; it is created if it does not exist.")] = "tabsync_wal"
    slot_budget: Annotated[str | None, Option("Amount of WAL that the server may keep before it is a problem.")] = None


@dataclass(frozen=True, slots=True)
class DropSlot:
    """What one may ask of wal drop-slot."""

    slot: Annotated[str, Option("Name of the replication slot; it is created if it does not exist.")] = "tabsync_wal"


def plan_receive(workspace: Workspace, request: Receive) -> Plan:
    """Plan to receive the cluster's WAL until it is ended."""
    from tabsync.backups.wal.receive import plan_receive as plan
    from tabsync.backups.wal.slot import size_of
    from tabsync.kernel.errors import BadUsage
    from tabsync.kernel.units import parse_duration

    try:
        seconds = parse_duration(request.flush).total_seconds()
    except ValueError as error:
        raise BadUsage(str(error), "tabsync wal receive --flush 10s") from None
    if seconds < 1:
        raise BadUsage("--flush must be at least 1 second", "tabsync wal receive --flush 10s")
    return plan(
        workspace,
        slot=request.slot,
        flush=seconds,
        budget=size_of(request.slot_budget or workspace.wal_budget),
        drop_over=size_of(request.drop_slot_over) if request.drop_slot_over else None,
        once=request.once,
    )


def show_receive(done: Done[Workspace, Receive]) -> Page:
    """How far the store reaches."""
    facts = done.results["receive"]
    page = Page("wal received", {"run": done.ran.run_id, **facts})
    until = local(facts["until"]) if facts["until"] else "an unknown time"
    page.line(f"{facts['segments']} segments stored; the store has all commits until {until}.")
    return page


def plan_copy_wal(workspace: Workspace, request: CopyWal) -> Plan:
    """Plan to copy missing WAL into another store."""
    from tabsync.backups.wal.copy import plan_wal_copy

    return plan_wal_copy(workspace, request.to)


def show_copy_wal(done: Done[Workspace, CopyWal]) -> Page:
    """What was copied, and what is missing there."""
    facts = done.results["copy"]
    store = facts["store"]
    page = Page("wal copy", {"run": done.ran.run_id, **facts})
    sent = f"{facts['files']} WAL files, {human_bytes(facts['bytes'])}, were copied to {store}."
    page.line(sent if facts["files"] else f"Nothing to copy: {store} has all of it.", whole=True)
    for one in facts["clusters"]:
        until = "until an unknown time" if one["until"] is None else f"until {local(one['until'])}"
        page.line(f"cluster {one['system_identifier']}: all commits {until} are there")
        if one["missing"]:
            page.line(f"WAL is missing there: {one['missing']} segments before {one['newest']}", style="strong bad")
        if not one["backups"]:
            page.note("WAL can't be restored without a physical backup, and there is none: tabsync backup copy")
    missing = any(one["missing"] for one in facts["clusters"])
    page.exit_code = Exit.PROBLEM_FOUND if missing else Exit.DONE
    return page


def look_status(workspace: Workspace, request: Status) -> Page:
    """Whether WAL is archived, without gaps, and what slots keep."""
    from tabsync.backups.wal.slot import size_of
    from tabsync.backups.wal.status import wal_status
    from tabsync.kernel.errors import Refused
    from tabsync.manual.load import load

    targets = load(workspace.manual_path).targets
    if targets is None:
        raise Refused("the manual has no RPO, so there is no target to measure against", "tabsync manual check")
    budget = size_of(request.slot_budget or workspace.wal_budget)
    facts = wal_status(workspace, slot=request.slot, budget=budget, behind=targets.rpo.value)
    page = Page("wal status", facts, exit_code=Exit.DONE if facts["ok"] else Exit.PROBLEM_FOUND)
    slot, archive = facts["slot"], facts["archive"]
    for one in facts["problems"]:
        page.line(("PROBLEM  ", "strong bad"), one["what"])
        page.line(f"         hint: {one['do']}", style="quiet")
    for one in facts["unseen"]:
        page.line(("UNKNOWN  ", "strong warning"), one)
    if facts["ok"]:
        page.line("OK: WAL is archived, recovery is possible up to the newest WAL in the store", style="strong good")
    if slot:
        state = "received from" if slot["active"] else "idle"
        page.line(f"slot     {slot['name']}, {state}, keeps {human_bytes(slot['retained_bytes'] or 0)}")
    if archive:
        about = "" if archive["exact"] else "about "
        until = local(archive["until"]) if archive["until"] else "never"
        page.line(f"archive  until {about}{until}, newest file {archive['newest']}")
        page.line(f"base     {archive['base']}")
    return page


def plan_drop_slot(workspace: Workspace, request: DropSlot) -> Plan:
    """Plan to drop a replication slot."""
    from tabsync.backups.wal.slot import plan_drop

    return plan_drop(workspace, request.slot)


def show_drop_slot(done: Done[Workspace, DropSlot]) -> Page:
    """What the server may remove now."""
    facts = done.results["drop"]
    page = Page("slot dropped", {"run": done.ran.run_id, **facts})
    kept = human_bytes(facts["retained_bytes"] or 0)
    page.line(f"Slot {done.request.slot} was dropped; the server may now remove {kept} of WAL.")
    return page

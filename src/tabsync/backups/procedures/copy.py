"""tabsync backup copy: what one may ask of it, its plan, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.page import Page
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.units import human_bytes

if TYPE_CHECKING:
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Done
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Copy:
    """What one may ask of backup copy."""

    to: Annotated[str, Option("A store: its name in tabsync.toml, or a directory or URL.", of="store")]
    backup: Annotated[str, Argument("A backup's id, or latest.")] = "latest"


def plan_copy(workspace: Workspace, request: Copy) -> Plan:
    """Plan to copy a backup to another store."""
    from tabsync.backups.copy import plan_copy as plan

    return plan(workspace, request.backup, request.to)


def show_copy(done: Done[Workspace, Copy]) -> Page:
    """What was sent."""
    copied = done.results["copy_1"]
    page = Page("backup copy", {"run": done.ran.run_id} | copied)
    sent = f"{copied['objects']} objects, {human_bytes(copied['sent_bytes'])} of them sent"
    page.line(f"Backup {copied['backup']} is now in {copied['store']}: {sent}.", whole=True)
    return page

"""tabsync backup cool: warm copies are deleted; the backups they were made from stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.copies.warm import cool, warm_copies
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Risk, Step, call

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def plan_cool(workspace: Workspace, backup: str = "") -> Plan:
    """Plan to delete the warm copy of a backup, or all of them. Raises BadUsage when there is none."""
    found = [one for one in warm_copies(workspace) if backup in ("", one.backup)]
    if not found:
        which = f" of {backup}" if backup else ""
        raise BadUsage(f"there is no warm copy{which}", "make one: tabsync drill --keep-warm")
    steps = tuple(
        Step(
            f"cool_{number}",
            f"Delete the warm copy of {one.backup}",
            call(cool, backup=one.backup),
            f"rm -r {one.directory}; the backup stays in the store",
            Risk.REVERSIBLE,
            f"tabsync drill --backup {one.backup} --keep-warm",
        )
        for number, one in enumerate(found, start=1)
    )
    return Plan("backup cool", "Delete warm copies", steps)

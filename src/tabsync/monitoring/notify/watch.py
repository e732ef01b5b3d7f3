"""What notifications add to the status: when nobody would be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.kernel.clock import now
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual
from tabsync.monitoring.notify.reach import gaps
from tabsync.system.zone import machine_zone

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def contribute(workspace: Workspace, manual: Manual, facts: Facts) -> list[Facts]:
    """Add for each severity why or when nobody would be told."""
    channels = [name for name, address in workspace.channels if address]
    facts["nobody_told"] = gaps(manual.contacts, channels, now(), machine_zone())
    return []

"""Before a deployment: nobody is in its way; and how the database is, to be compared afterwards."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tabsync.deployments.begin import LIMITS
from tabsync.deployments.obstacles import lagging, wait_for
from tabsync.kernel.step import Facts
from tabsync.monitoring.judge import Level
from tabsync.postgres.catalog import prove_target

if TYPE_CHECKING:
    from tabsync.postgres.connect import Connection
    from tabsync.workspace import Context, Workspace

_LAG = 10.0  # seconds that a standby may be behind before it is told


def check_clear(context: Context, *, target: Facts, wait: float) -> Facts:
    """Wait for who is in the way, and measure. Raises Refused when they stay."""
    tables = context.results["begin"]["tables"]

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    with context.workspace.connect("deployments", LIMITS) as connection:
        prove_target(connection, target)
        waited = wait_for(connection, tables, wait, say)
        behind = lagging(connection, _LAG)
        for one in behind:
            say(f"note: the standby {one}")
        return waited | {"behind": behind, "levels": levels(connection, context.workspace)}


def levels(connection: Connection, workspace: Workspace) -> dict[str, str]:
    """How each metric of the manual stands, by its name; what isn't visible is unknown."""
    from tabsync.manual.load import load  # it and the parser of SQL take half a second, and many are refused before
    from tabsync.monitoring.measure import measure

    found = measure(connection, load(workspace.manual_path))
    return {one.metric: one.level.value for one in found}


def worse(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The metrics that were within their bounds before, and are beyond them now."""
    bad = (Level.WARNING.value, Level.CRITICAL.value)
    return sorted(name for name, level in after.items() if level in bad and before.get(name) == Level.OK.value)

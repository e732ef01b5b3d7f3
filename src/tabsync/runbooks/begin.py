"""What an alert says that a runbook's steps may want to know: the session, the table, the slot that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace


def alert_facts(workspace: Workspace, alert: str) -> Facts:
    """Values by name out of an alert. alert: its id, "" for none. Raises BadUsage when there is none of that id."""
    if not alert:
        return {}
    from tabsync.monitoring.alerts.list import find_episode

    label = find_episode(workspace.ledger(), alert).key.label
    first = label.split(" ")[0]
    found: Facts = dict.fromkeys(("table", "index", "slot", "sequence"), label) if label else {}
    return found | ({"pid": first} if first.isdigit() else {})

"""A runbook for a condition keeps an incident: it opens one when none is open, and says when it has helped."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tabsync.incidents.incident import Kind, why_not
from tabsync.incidents.record import add, begin, incidents
from tabsync.kernel.errors import TabsyncError

if TYPE_CHECKING:
    from tabsync.manual.model import Manual, Runbook
    from tabsync.workspace import Workspace


def opened_for(workspace: Workspace, manual: Manual, runbook: Runbook, run_id: str, alert: str) -> str:
    """Open an incident for a run, or join the one that is open; gives its id.

    "" for a runbook that is for no condition: an everyday procedure, such as making a user. Nothing of it keeps the
    runbook from being run; and nothing happens when it has one, so whoever takes a run up may ask again.
    """
    if not (alert or runbook.symptoms or runbook.recovers):
        return ""
    facts = {"run": run_id} | ({"alert": alert} if alert else {})
    with suppress(TabsyncError):
        if known := next((one.id for one in incidents(workspace) if run_id in one.runs), ""):
            return known
        severity = manual.known_severities()[0].name
        return begin(workspace, runbook.title, severity, facts)[0]
    return ""


def helped(workspace: Workspace, run_id: str, why: str) -> None:
    """Say of the incident that a run has opened that it hurts nobody any more. why: what was measured."""
    with suppress(TabsyncError):
        for one in incidents(workspace):
            if one.facts.get("run") == run_id and not why_not(one, Kind.MITIGATED):
                add(workspace, one.id, Kind.MITIGATED, why, run=run_id)

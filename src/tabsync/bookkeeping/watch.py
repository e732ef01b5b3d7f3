"""What this chapter adds to the status: how old the copy of the ledger is, and what is recorded elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tabsync.kernel.clock import age, now, parse_iso
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import latest_evidence
from tabsync.manual.model import Manual

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_ALLOWED = timedelta(days=2)  # it is made each night


def contribute(workspace: Workspace, _manual: Manual, facts: Facts) -> list[Facts]:
    """Add how old the newest copy is; alerts when nights went by without one, and when a run is recorded elsewhere."""
    facts["ledger_copy"] = None
    facts["alerts"] += _elsewhere(workspace)
    try:
        found = latest_evidence(workspace.ledger(), "ledger", ok=True)
    except TabsyncError:
        return []
    if found is None:
        return []
    facts["ledger_copy"] = found["facts"] | {"at": found["at"]}
    if now() - parse_iso(found["at"]) > _ALLOWED:
        alert = {"metric": "Ledger", "label": "", "value": f"last copied {age(found['at'])}", "bound": "each night"}
        alert |= {"level": "warning", "action": "copy it", "runbook": "", "command": "tabsync ledger copy"}
        facts["alerts"].append(alert)
    return []


def _elsewhere(workspace: Workspace) -> list[Facts]:
    """An alert when the emergency journal holds what the ledger did not take, or took only a part of."""
    kept = workspace.record().emergency.runs().values()
    if not kept:
        return []
    broken = [one.broken for one in kept if one.broken]
    value = f"{len(kept)} runs are recorded in the emergency journal" if len(kept) > 1 else "a run is recorded there"
    alert = {"metric": "Emergency journal", "label": "", "value": broken[0] if broken else value, "bound": "none"}
    alert |= {"level": "critical" if broken else "warning", "runbook": "", "command": "tabsync run list"}
    action = "keep the file: somebody changed it" if broken else "make room for the ledger: it takes them by itself"
    return [alert | {"action": action}]

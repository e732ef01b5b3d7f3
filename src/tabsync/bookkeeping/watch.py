"""What this chapter adds to the status: how old the copy of the ledger is."""

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
    """Add how old the newest copy is; an alert when nights went by without one."""
    facts["ledger_copy"] = None
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

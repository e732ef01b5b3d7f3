"""What this chapter adds to the status: the last backup and drill, the WAL that arrives, and what to do about them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tabsync.backups.recoverable import SOURCE, recoverable_to
from tabsync.kernel.clock import age, now, parse_iso
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.ledger.evidence import latest_evidence
from tabsync.manual.model import Manual
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_ALLOWED = timedelta(hours=2)
"""How old the end of the WAL in the store may be where the manual sets no RPO."""


def contribute(workspace: Workspace, manual: Manual, facts: Facts) -> list[Facts]:
    """Add the newest evidence of this chapter to a status; gives the actions that it proposes."""
    identity = facts["database"]["identity"]
    subject = subject_of(identity) if identity else None
    try:
        ledger = workspace.ledger()
    except TabsyncError:
        return _actions(facts)  # that nothing is known without the ledger is said already
    if any(metric.source == SOURCE for metric in manual.metrics):
        facts["known"][SOURCE] = recoverable_to(workspace, manual, ledger, subject)
    for kind in ("backup", "drill"):
        found = latest_evidence(ledger, kind, subject)
        if found is None:
            facts["unseen"].append(f"no {kind} of this database is on record")
        else:
            facts[kind] = found["facts"] | {"at": found["at"], "ok": found["ok"]}
    received = latest_evidence(ledger, "wal", subject)
    if received is not None:
        facts["wal"] = received["facts"] | {"at": received["at"], "ok": received["ok"]}
        _check_wal(facts, manual.targets.rpo.value if manual.targets else _ALLOWED)
    return _actions(facts)


def _check_wal(facts: Facts, allowed: timedelta) -> None:
    """Where WAL was ever received, its standing still is an alarm. allowed: how old its end may be, the RPO."""
    received = facts["wal"]
    until = received["until"]
    if received["troubles"]:
        told = received["troubles"][0]
    elif until is None or now() - parse_iso(until) > allowed:
        told = f"received until {age(until) if until else 'an unknown time'}; the server keeps what came since"
    else:
        return
    bound = f"> {human_seconds(allowed.total_seconds())}"
    slot = str(received.get("slot", ""))  # it fills the server's disk when nobody reads it
    alert = {"metric": "WAL archive", "label": f"slot {slot}" if slot else "", "value": told, "bound": bound}
    alert |= {"action": "to find the cause: tabsync wal status", "runbook": "", "command": "tabsync wal status"}
    alert |= {"level": "critical"}
    facts["alerts"].insert(0, alert)


def _actions(facts: Facts) -> list[Facts]:
    actions = []
    reachable, drill = facts["database"]["reachable"], facts["drill"]
    if not reachable and facts["backup"]:
        why = "if the database can't be started again: check that the last backup can be restored"
        actions.append(_start(why, "drill", {"backup": "latest"}, "only reads the store"))
    if reachable and facts["backup"] is None:
        actions.append(_start("no backup is on record", "backup take", {"kind": "full"}, "delete it again"))
    if reachable and (drill is None or not drill["ok"]):
        why = "no drill has been done" if drill is None else f"the last drill: {drill['sentence']}"
        actions.append(_start(why, "drill", {}, "no undo needed: the scratch copy is deleted at the end"))
    return actions


def _start(why: str, procedure: str, request: Facts, undo: str) -> Facts:
    """An action that is a procedure of ours. request: its fields."""
    options = {"backup": "--backup ", "kind": ""}
    words = [f"{options[name]}{value}" for name, value in request.items()]
    command = " ".join(["tabsync", procedure, *words])
    return {"why": why, "command": command, "undo": undo, "procedure": procedure, "request": request}

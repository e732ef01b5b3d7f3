"""What incidents add to the status: the one that is open, boxes that are owed, and what is still to be done."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tabsync.incidents.checklist import boxes
from tabsync.incidents.incident import Incident, State, next_update
from tabsync.incidents.record import incidents
from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts

if TYPE_CHECKING:
    from tabsync.manual.model import Manual
    from tabsync.workspace import Workspace

_NEXT_DAY = timedelta(hours=8)
"""The checklist is nothing for the night in which it happened."""


def contribute(workspace: Workspace, manual: Manual, facts: Facts) -> list[Facts]:
    """Put the open incident among the facts, and give what is to be done about incidents."""
    try:
        found = incidents(workspace)
    except TabsyncError:
        return []
    facts["incidents"] = [one.to_json() for one in found if one.is_open]
    return [told for one in found for told in _of(workspace, manual, one)]


def _of(workspace: Workspace, manual: Manual, one: Incident) -> list[Facts]:
    told = []
    severity = manual.severity(one.severity)
    due = next_update(one, severity.every if severity else None)
    if one.hurts:
        has = f"{one.has_it} has it" if one.has_it else "nobody has it"
        told.append(_action(f"incident {one.id} is {one.state.value}, and {has}: {one.title}", "incident show"))
    if due is not None and due <= now():
        told.append(_action(f"an update on {one.id} is due since {iso(due)[:16]} UTC", f"incident show {one.id}"))
    if one.state is State.RESOLVED and one.resolved_at and now() - one.resolved_at > _NEXT_DAY:
        left = sum(each.is_open for each in boxes(workspace, manual, one))
        told.append(_action(f"{one.id} is not closed: {left} boxes are open", f"incident show {one.id} --checklist"))
    today = now().date().isoformat()
    for each in one.actions:
        if each.done_at is None:
            late = "LATE, " if each.due and each.due < today else ""
            what = f"{late}after {one.id}: {each.what} ({each.owner}, until {each.due or 'some day'})"
            told.append(_action(what, f"incident show {one.id} --checklist"))
    return told


def _action(why: str, command: str) -> Facts:
    return {"why": why, "command": f"tabsync {command}", "undo": "only reads"}

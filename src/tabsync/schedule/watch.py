"""What the schedule adds to the status: a scheduler that is silent, and what is overdue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.kernel.clock import age, iso
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual
from tabsync.schedule.list import newest, overdue
from tabsync.schedule.look import Look, look
from tabsync.schedule.words import told

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_MOST = 3  # items that are named


def contribute(workspace: Workspace, _manual: Manual, facts: Facts) -> list[Facts]:
    """Add to a status who keeps the schedule, since when nobody does, and what is overdue."""
    facts["schedule"] = None
    try:
        seen = look(workspace)
    except TabsyncError:
        return []  # that nothing is known without the ledger, or the manual, is said already
    keeping = seen.keeping
    if keeping is None:
        return []
    late = overdue(newest(workspace, seen))
    facts["schedule"] = {
        "service": keeping.name,
        "heard_of": iso(keeping.beat_at),
        "silent": keeping.is_silent(seen.now),
        "troubles": {name: one for name, one in keeping.facts.items() if one},
        "overdue": [one.occurrence.item.name for one in late],
    }
    facts["alerts"] += [*_silence(seen), *_troubles(seen)]
    if late:
        names = ", ".join(one.occurrence.item.name for one in late[:_MOST])
        more = f" and {len(late) - _MOST} more" if len(late) > _MOST else ""
        worst = told(late[-1], seen.here)
        alert = _alert("warning", f"{names}{more}: {worst}", "done when it was due", "see what is overdue")
        facts["alerts"].append(alert | {"command": "tabsync schedule list"})
    facts["alerts"].sort(key=lambda one: one["level"] != "critical")
    return []


def _silence(seen: Look) -> list[Facts]:
    keeping = seen.keeping
    if keeping is None or not keeping.is_silent(seen.now):
        return []
    verb = "stopped" if keeping.facts.get("stopped") else "silent"
    text = f"the scheduler on {keeping.name} is {verb}, last heard of {age(iso(keeping.beat_at))}"
    alert = _alert("critical", text, "heard of every 30 s", "nothing that is due is started: start it again")
    return [alert | {"command": "tabsync serve"}]


def _troubles(seen: Look) -> list[Facts]:
    found = seen.keeping.facts if seen.keeping else {}
    actions = {"manual": "the last good version goes on"}
    nothing = "nothing is started that can't be recorded; it goes on by itself when there is room again"
    return [
        _alert("warning", f"{one['fact']}, since {age(one['since'])}", "in order", actions.get(name, nothing))
        | {"command": "tabsync manual check" if name == "manual" else "tabsync schedule list"}
        for name, one in found.items()
        if one and name in ("manual", "ledger", "home")
    ]


def _alert(level: str, value: str, bound: str, action: str) -> Facts:
    found = {"metric": "Schedule", "label": "", "value": value, "bound": bound, "level": level, "action": action}
    return found | {"runbook": ""}

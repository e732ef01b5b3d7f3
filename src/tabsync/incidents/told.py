"""What people are told of incidents: conditions beside those of metrics, so that their messages go the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from tabsync.incidents.incident import Incident, next_update
from tabsync.incidents.joining import KIND
from tabsync.incidents.record import incidents
from tabsync.kernel.step import Facts
from tabsync.monitoring.alerts.episode import OVER, Episode, Key, Seen, Severity
from tabsync.postgres.conninfo import place

if TYPE_CHECKING:
    from tabsync.manual.model import Manual
    from tabsync.manual.people import IncidentSeverity
    from tabsync.workspace import Workspace

UPDATE = "update"
"""The label of the condition that people are to hear of it again."""


def conditions_of_incidents(
    workspace: Workspace, manual: Manual, now_open: Mapping[Key, Episode], moment: datetime
) -> Iterator[Seen]:
    """The incidents of this database: that one is open, and that an update on it is due.

    One that was opened for an alert is not told anew: whoever is told of alerts knows. It is well when it is resolved.
    """
    known = set()
    for one in incidents(workspace):
        if one.subject != place(workspace.conninfo):
            continue
        severity = manual.severity(one.severity)
        is_worst = severity is not None and severity == manual.known_severities()[0]
        hurts = one.hurts and not one.facts.get("alert")
        due = next_update(one, severity.every if severity else None)
        is_due = due is not None and due <= moment
        for label, holds in (("", hurts), (UPDATE, is_due)):
            key = Key(KIND, one.id, label)
            known.add(key)
            if holds:
                level: Severity = "critical" if is_worst and not label else "warning"
                yield Seen(key, level, moment, facts=_facts(one, severity, label))
            elif key in now_open:
                yield Seen(key, None, moment)
    for key in now_open:
        if key.kind == KIND and key not in known:
            yield Seen(key, None, moment, facts={OVER: "nothing is known of this incident any more"})


def _facts(one: Incident, severity: IncidentSeverity | None, label: str) -> Facts:
    has = f"{one.has_it} has it" if one.has_it else "nobody has it"
    text = f"{one.title}: an update is due" if label else f"{one.title}: {one.state.value}, {has}"
    told = list(severity.told) if severity else []
    say = f'tabsync incident note "WHAT PEOPLE WERE TOLD" --incident {one.id} --update'
    return {
        "metric": one.severity,
        "text": text,
        "meaning": f"Incident {one.id}, opened by {one.opened_by}.",
        "action": say
        if label
        else f"tabsync incident show {one.id}; to take care of it: tabsync incident ack {one.id}",
        "runbook": "",
        "tell": told or ["nobody"],
    }

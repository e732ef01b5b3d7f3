"""What the schedule says to the alerts: an item that failed or was missed, and a scheduler that is silent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tabsync.monitoring.alerts.episode import OVER, Episode, Key, Seen
from tabsync.schedule.judge import BAD, GOOD
from tabsync.schedule.list import newest
from tabsync.schedule.look import Look
from tabsync.schedule.words import told

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

SCHEDULER = Key("item", "Scheduler")


def conditions_of_items(workspace: Workspace, seen: Look, now_open: Mapping[Key, Episode]) -> Iterator[Seen]:
    """Each item that was ever due: well by its next done, and by nothing else. Raises TabsyncError."""
    names = set()
    for standing in newest(workspace, seen).values():
        verdict = standing.settled
        item = verdict.occurrence.item
        names.add(item.name)
        key = Key("item", item.name)
        if verdict.state in BAD and verdict.caught_up is None:
            facts = {
                "metric": item.name,
                "text": told(verdict, seen.here),
                "meaning": item.text,
                "action": f"To see it: tabsync schedule show {item.name}",
                "runbook": "",
            }
            yield Seen(key, "warning", seen.now, facts=facts)
        else:
            yield Seen(key, None, seen.now, fresh=verdict.state in GOOD or verdict.caught_up is not None)
    for key in now_open:
        if key.kind == "item" and key != SCHEDULER and key.rule not in names:
            yield Seen(key, None, seen.now, facts={OVER: "the manual has no such item any more"})
    if seen.keeping is not None:
        silent = seen.keeping.is_silent(seen.now)
        facts = {
            "metric": "Scheduler",
            "text": f"silent on {seen.keeping.name}",
            "meaning": "Nothing that is due is started.",
            "action": "Start it again: tabsync serve",
            "runbook": "",
        }
        yield Seen(SCHEDULER, "critical" if silent else None, seen.now, facts=facts)

"""What the alerts add to the status: since when each fires and who takes care of it; and whether anybody measures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.kernel.clock import age, iso, now
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual
from tabsync.monitoring.alerts.episode import Episode, State
from tabsync.monitoring.alerts.keep import open_episodes
from tabsync.monitoring.alerts.rules import stable
from tabsync.monitoring.history.place import history_of

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

SILENT = timedelta(minutes=2)
"""After this time without a scrape nobody measures, where no metric is measured less often than that."""


def contribute(workspace: Workspace, manual: Manual, facts: Facts) -> list[Facts]:
    """Add to each alert since when it fires and its id; and what only whoever measures all the time can know."""
    facts["watch"] = None
    try:
        last = last_scrape(workspace)
        found = [one for one in open_episodes(workspace.ledger()) if one.state is not State.PENDING and not one.is_test]
    except TabsyncError:
        return []  # that nothing is known without the ledger is said already
    silent = is_silent(manual, last, now())
    facts["watch"] = {"measured_at": iso(last) if last else None, "silent": silent, "alerts": [one.id for one in found]}
    for one in found:
        _add(one, manual, facts)
    if last is not None and silent:
        alert = _alert(
            "critical", "Collector", f"silent, last measured {age(iso(last))}", "nothing is watched: start it again"
        )
        facts["alerts"].append(alert | {"command": "tabsync serve"})
    facts["alerts"].sort(key=lambda one: one["level"] != "critical")
    return []


def last_scrape(workspace: Workspace) -> datetime | None:
    """When something was measured last; None when nothing ever was. Raises TabsyncError."""
    with history_of(workspace) as history:
        return history.last_scrape()


def is_silent(manual: Manual, last: datetime | None, moment: datetime) -> bool:
    """Whether nobody measures at a moment, or a clock is wrong. last: when something was measured."""
    silent = max(SILENT, 3 * min((one.every for one in manual.metrics), default=SILENT))
    return last is None or abs(moment - last) > silent


def _add(one: Episode, manual: Manual, facts: Facts) -> None:
    """One alert that was told: put its times to what the status has measured itself, or add it."""
    told = {"id": one.id, "since": iso(one.began_at), "acknowledged_by": one.acked_by if one.is_acknowledged else ""}
    if one.key.kind == "threshold":
        metric = manual.metric(str(one.facts.get("metric", "")))
        mine = [alert for alert in facts["alerts"] if metric is not None and alert["metric"] == metric.title]
        for alert in mine:
            if metric is not None and stable(alert["label"], metric) == one.key.label:
                alert.update(told)
    elif one.key.kind in ("blind", "channel", "history"):
        names = {"blind": f"{one.key.rule}: not measured", "channel": f"Channel {one.key.rule}", "history": "History"}
        alert = _alert(one.level, names[one.key.kind], str(one.facts.get("why") or one.facts.get("text", "")), "")
        alert |= {"action": one.facts.get("action", ""), "command": f"tabsync alert show {one.id}"}
        facts["alerts"].append(alert | told)


def _alert(level: str, metric: str, value: str, action: str) -> Facts:
    found = {"metric": metric, "label": "", "value": value, "bound": "", "level": level, "action": action}
    return found | {"runbook": ""}

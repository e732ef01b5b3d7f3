"""When an incident was detected and when it was over, and what was measured meanwhile: out of ledger and history."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.incidents.impact import PART, Cost, cost_of, told
from tabsync.incidents.incident import Incident, Kind
from tabsync.incidents.record import since_of
from tabsync.incidents.timeline import began
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import NotRecorded, TabsyncError
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.monitoring.history.place import history_of

if TYPE_CHECKING:
    from tabsync.manual.model import Manual
    from tabsync.workspace import Workspace

_MOST = 4_000  # points of a line
_BEFORE = timedelta(hours=1)  # what is read from before it began


@dataclass(frozen=True, slots=True)
class Impact:
    """began: when a bound was first exceeded, None: no alert says; told_at: when the first message arrived; over_at:
    when it hurt nobody any more. costs: of each metric that has a bound; why: why nothing is known of these.
    """

    began: datetime | None
    told_at: datetime | None
    over_at: datetime | None
    costs: tuple[Cost, ...]
    why: str = ""

    def to_json(self) -> Facts:
        """It for programs; also what is kept when the incident is closed."""
        times = {"began_at": self.began, "first_told_at": self.told_at, "over_at": self.over_at}
        known: Facts = {name: iso(at) if at else None for name, at in times.items()}
        known |= {"detect_seconds": self._after(self.told_at), "recover_seconds": self._after(self.over_at)}
        return known | {"metrics": [one.to_json() for one in self.costs], "unknown": self.why or None}

    def _after(self, at: datetime | None) -> float | None:
        return max(0.0, (at - self.began).total_seconds()) if at and self.began else None


def impact_of(workspace: Workspace, manual: Manual, one: Incident) -> Facts:
    """What an incident cost, as Impact.to_json() gives it; what was kept of it when it was closed, if it is."""
    kept = next((each.facts.get("impact") for each in one.entries if each.kind is Kind.CLOSED), None)
    if kept:
        return dict(kept)
    over_at = min((at for at in (one.mitigated_at, one.resolved_at, one.closed_at) if at), default=None)
    first, told_at = _times(workspace, one)
    since, until = min(first or since_of(one), one.opened_at), over_at or now()
    bounded = [(metric, rows) for metric in manual.metrics if (rows := manual.thresholds_of(metric.title))]
    try:
        history = history_of(workspace)
        try:
            costs = [
                cost_of(metric, rows, history.series(metric.title, None, since - _BEFORE, until, _MOST), since, until)
                for metric, rows in bounded
            ]
        finally:
            history.close()
    except (TabsyncError, OSError) as error:
        fact = error.fact if isinstance(error, TabsyncError) else error.strerror
        return Impact(first, told_at, over_at, (), f"what was measured can't be read: {fact}").to_json()
    return Impact(first, told_at, over_at, tuple(costs)).to_json()


def _times(workspace: Workspace, one: Incident) -> tuple[datetime | None, datetime | None]:
    """When its first alert began, and when the first message on it, or on such an alert, arrived."""
    with suppress(NotRecorded):
        ledger = workspace.record()
        since, until = iso(began(ledger, one)), iso(one.closed_at or now())
        episodes = ledger.read("episodes_between", since=since, until=until)
        mine = [row for row in episodes if row["id"] in one.alerts or row["began_at"] < iso(one.opened_at)]
        mine = [row for row in mine if not row["is_test"] and row["began_at"] >= since]
        named = {(row["rule"], row["label"]) for row in mine}
        rows = ledger.read("deliveries_between", since=since, until=until)
        heard = [row["sent_at"] for row in rows if row["rule"] == one.id or (row["rule"], row["label"]) in named]
        first = min((row["began_at"] for row in mine), default=None)
        return parse_iso(first) if first else None, parse_iso(min(heard)) if heard else None
    return None, None


def times_of(impact: Facts) -> list[tuple[str, str]]:
    """Detect and recover times, in words."""
    began = impact["began_at"]
    detect, recover = impact["detect_seconds"], impact["recover_seconds"]
    return [
        ("Began", began or "unknown: no alert belongs to it"),
        ("First message after", human_seconds(detect) if detect is not None else "unknown"),
        (
            "Over after",
            human_seconds(recover) if recover is not None else "unknown" if impact["over_at"] else "not yet",
        ),
    ]


def rows_of(impact: Facts) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """The metrics that were beyond their bound, or count events; and those that nobody measured all the time."""
    costs = [_cost(one) for one in impact["metrics"]]
    shown = [one for one in costs if one.is_known and (one.over or one.events)]
    rows = [(one.metric, told(one), one.worst, one.events or "-") for one in shown]
    parts = [one for one in costs if one not in shown and (not one.is_known or one.unknown >= PART)]
    return rows, [one.metric if not one.is_known else f"{one.metric} ({_partly(one)})" for one in parts]


def _partly(one: Cost) -> str:
    return f"for {human_seconds(one.unknown)}"


def _cost(one: Facts) -> Cost:
    return Cost(
        one["metric"], one["over_seconds"] or 0.0, one["unknown_seconds"], one["worst"] or "", one["events"] or ""
    )

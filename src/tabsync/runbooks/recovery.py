"""Whether a runbook has worked: its metrics, measured until they have held for as long as its Recovers says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import CannotConnect, TabsyncError, words_of
from tabsync.kernel.units import human_seconds
from tabsync.monitoring.judge import reached
from tabsync.monitoring.measure import Reading, Sample, measure
from tabsync.monitoring.words import amount
from tabsync.postgres.refusal import may_be_full
from tabsync.postgres.settings import Limits
from tabsync.sessions.way_in import session_in

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts
    from tabsync.manual.model import Manual, Metric, Recovery
    from tabsync.workspace import Workspace

_LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)
_OFTEN = 5.0  # seconds between two measurements, at most
_FASTEST = 0.2  # and at least
Report = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Now:
    """One line of Recovers as it is now. holds: None where that is unknown, and then `why`."""

    recovery: Recovery
    text: str
    holds: bool | None
    why: str = ""

    def to_json(self) -> Facts:
        """As the record has it."""
        return {
            "metric": self.recovery.metric,
            "bound": self.recovery.bound.text,
            "value": self.text,
            "holds": self.holds,
            "why": self.why or None,
        }

    @property
    def sentence(self) -> str:
        """In one line, for people."""
        if self.holds is None:
            return f"{self.recovery.metric} is unknown: {self.why}"
        return f"{self.recovery.metric}: {self.text}, {'' if self.holds else 'not '}{self.recovery.bound.text}"


@dataclass(frozen=True, slots=True)
class Waited:
    """What came of waiting. seconds: how long; since: when what holds now began to hold, None when it doesn't."""

    recovered: bool
    now: tuple[Now, ...]
    seconds: float
    since: datetime | None


def holds(found: Sequence[Now]) -> bool | None:
    """Whether all lines hold; None where that is unknown, or there are none."""
    if any(one.holds is False for one in found):
        return False
    return None if not found or any(one.holds is None for one in found) else True


def look(
    workspace: Workspace, manual: Manual, recovers: Sequence[Recovery], since: datetime | None = None
) -> tuple[Now, ...]:
    """Measure what some lines of Recovers are about. Never raises: what can't be measured is unknown.

    Where no connection is left, what the collector measured counts, which keeps its own. since: if that was after then.
    """
    metrics = {one.metric.lower(): manual.metric(one.metric) for one in recovers}
    failed = "it was not measured"
    try:
        readings = _readings(workspace, manual, [one for one in metrics.values() if one])
    except (TabsyncError, psycopg.Error) as error:
        readings = {}
        failed = error.fact if isinstance(error, TabsyncError) else words_of(error)
        if isinstance(error, CannotConnect) and may_be_full(error):
            readings = _collected(workspace, manual, since)
            if since is None:
                return tuple(map(_still, _all(recovers, metrics, readings, failed)))
    return _all(recovers, metrics, readings, failed)


def wait(workspace: Workspace, manual: Manual, recovers: Sequence[Recovery], report: Report) -> Waited:
    """Measure until all lines have held for as long as they say, or until the first runs out of time.

    report: called with (seconds for which they have held, seconds for which they must, "s").
    """
    lasting = max(one.lasting.total_seconds() for one in recovers)
    within = max(one.within.total_seconds() for one in recovers)
    measured = [metric for one in recovers if (metric := manual.metric(one.metric))]
    pause = min([_OFTEN, *(one.every.total_seconds() for one in measured)])
    pause = max(_FASTEST, min(pause, lasting / 5 or pause))
    began = time.monotonic()
    held_from: float | None = None
    since: datetime | None = None
    from_now = now()
    while True:
        found = look(workspace, manual, recovers, from_now)
        moment = time.monotonic()
        if not holds(found):
            held_from = since = None
        elif held_from is None:
            held_from, since = moment, now()
        held = moment - held_from if held_from is not None else 0.0
        report(held, lasting, "s")
        if held_from is not None and held >= lasting:
            return Waited(True, found, moment - began, since)
        if moment - began >= within and held_from is None:
            return Waited(False, found, moment - began, None)
        if moment - began >= within + lasting:
            return Waited(False, found, moment - began, since)
        time.sleep(min(pause, max(_FASTEST, lasting - held) if held_from is not None else pause))


def told(waited: Waited) -> str:
    """What came of waiting, in one line."""
    if waited.recovered and waited.since:
        return f"recovered: {'; '.join(one.sentence for one in waited.now)}, since {waited.since:%H:%M:%S} UTC"
    return f"not recovered after {human_seconds(waited.seconds)}: {'; '.join(one.sentence for one in waited.now)}"


def as_json(waited: Waited) -> Facts:
    """What came of waiting, for the record."""
    return {
        "recovered": waited.recovered,
        "since": iso(waited.since) if waited.since else None,
        "seconds": round(waited.seconds, 3),
        "metrics": [one.to_json() for one in waited.now],
    }


def _readings(workspace: Workspace, manual: Manual, metrics: Sequence[Metric]) -> dict[str, Reading]:
    from tabsync.procedures.sources import Beside, known_to_us

    beside = [one for one in metrics if one.source]
    found = known_to_us(Beside(workspace), manual, beside, "") if beside else []
    titles = [one.title for one in metrics if one.sql]
    if titles:
        with session_in(workspace, "runbook", _LIMITS) as connection:
            found += measure(connection, manual, only=titles)
    return {one.metric.lower(): one for one in found}


def _collected(workspace: Workspace, manual: Manual, since: datetime | None) -> dict[str, Reading]:
    """What the collector has measured last, where that still speaks of now, and is not of before `since`."""
    from tabsync.monitoring.history.place import history_of
    from tabsync.monitoring.history.standing import Kept, standings

    try:
        with history_of(workspace) as history:
            kept = Kept.of(history)
    except TabsyncError:
        return {}
    return {
        one.metric.title.lower(): Reading(one.metric.title, one.metric.unit, one.samples, one.level, 0.0, one.at)
        for one in standings(manual, kept, now())
        if one.at is not None and not one.why and (since is None or one.at > since)
    }


def _all(
    recovers: Sequence[Recovery], metrics: Mapping[str, Metric | None], readings: Mapping[str, Reading], failed: str
) -> tuple[Now, ...]:
    return tuple(_now(one, metrics[one.metric.lower()], readings.get(one.metric.lower()), failed) for one in recovers)


def _still(one: Now) -> Now:
    """What was well a while ago, while connections were left, says nothing of now."""
    return replace(one, holds=None, why=f"{one.text} before no connection was left") if one.holds else one


def _now(recovery: Recovery, metric: Metric | None, reading: Reading | None, failed: str) -> Now:
    if metric is None:
        return Now(recovery, "unknown", None, "the manual has no such metric any more")
    if reading is None or reading.error:
        return Now(recovery, "unknown", None, reading.error if reading else failed)
    if not reading.samples:
        return Now(recovery, "nothing to measure", True)
    held = [(one, None if one.value is None else reached(recovery.bound, one.value, one.of)) for one in reading.samples]
    worst = next((pair for pair in held if pair[1] is False), None) or next((p for p in held if p[1] is None), held[0])
    return Now(recovery, _text(metric, worst[0]), worst[1], worst[0].why if worst[1] is None else "")


def _text(metric: Metric, sample: Sample) -> str:
    text = amount(metric.unit, sample)
    return f"{sample.label} {text}" if sample.label else text

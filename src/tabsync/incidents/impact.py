"""What an incident cost, by what was measured meanwhile. Pure. What nobody measured is unknown, and never nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.manual.model import Metric, Threshold
from tabsync.monitoring.history.lines import Line, Point
from tabsync.monitoring.judge import Level, reached
from tabsync.monitoring.measure import Sample
from tabsync.monitoring.words import amount, shortened

_HOLDS = 3
"""For how many intervals a value is taken for what it was: then nobody knows."""

PART = 60.0
"""Seconds: for as long as that, nobody has to be told that something was not measured."""

_PER = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one metric. over: seconds beyond a bound, whichever; unknown: seconds in which nobody knows; worst: in words,
    "" where nothing was measured; events: how many were counted, in words, "" where its unit is no rate.
    """

    metric: str
    over: float
    unknown: float
    worst: str
    events: str = ""

    @property
    def is_known(self) -> bool:
        """Whether it was measured at all."""
        return bool(self.worst)

    def to_json(self) -> Facts:
        """It for programs: what is unknown is null."""
        over = round(self.over, 1) if self.is_known else None
        told = {"metric": self.metric, "over_seconds": over, "unknown_seconds": round(self.unknown, 1)}
        return told | {"worst": self.worst or None, "events": self.events or None}


def cost_of(
    metric: Metric, thresholds: Sequence[Threshold], lines: Sequence[Line], since: datetime, until: datetime
) -> Cost:
    """What a metric says of a span. lines: of all its labels, from some time before `since` on."""
    over: list[tuple[datetime, datetime]] = []
    seen: list[tuple[datetime, datetime]] = []
    for line in lines:
        for point, end in _held(line, metric.every, until):
            begin, end = max(point.at, since), min(end, until)
            if begin < end:
                seen.append((begin, end))
                over += [(begin, end)] if any(_is_over(one, point) for one in thresholds) else []
    unknown = max(0.0, (until - since).total_seconds() - _seconds(seen))
    return Cost(
        metric.title,
        _seconds(over),
        unknown,
        _worst(metric, thresholds, lines, since, until) if seen else "",
        _events(metric, lines, since, until),
    )


def told(one: Cost) -> str:
    """How long it was beyond its bound, in words."""
    if not one.is_known:
        return "unknown"
    text = human_seconds(one.over) if one.over else "never"
    return f"{text}, unknown for {human_seconds(one.unknown)}" if one.unknown >= PART else text


def _held(line: Line, every: timedelta, until: datetime) -> Iterator[tuple[Point, datetime]]:
    """Each point, and until when it says how things were."""
    most = max(every * _HOLDS, line.step)
    for point, following in pairwise([*line.points, None]):
        if point is not None:
            yield point, min(point.at + most, following.at if following else until)


def _is_over(threshold: Threshold, point: Point) -> bool:
    bounds = [one for one in (threshold.critical, threshold.warning) if one]
    return any(reached(one, value, point.of) for one in bounds for value in (point.high, point.low))


def _worst(
    metric: Metric, thresholds: Sequence[Threshold], lines: Sequence[Line], since: datetime, until: datetime
) -> str:
    """The highest value, or the lowest where the bounds are below; with its label."""
    bounds = [bound for row in thresholds for bound in (row.critical, row.warning) if bound]
    is_below = bool(bounds) and all(one.comparisons[0].operator.startswith("<") for one in bounds)
    points = [(point, line.label) for line in lines for point in line.points if since <= point.at < until]
    points = points or [(line.points[-1], line.label) for line in lines if line.points]
    if not points:
        return ""
    values = [(point.low if is_below else point.high, point.of, label) for point, label in points]
    value, of, label = (min if is_below else max)(values, key=lambda each: each[0])
    text = amount(metric.unit, Sample(label, value, of, Level.UNBOUNDED))
    return f"{text} ({shortened(label)})" if label else text


def _events(metric: Metric, lines: Sequence[Line], since: datetime, until: datetime) -> str:
    """How many there were of what a metric counts "per hour": it looks an hour back each time it is measured.

    So the values of hours side by side are summed up, back from the end: they have all of it, and what was before in
    the first of these hours besides, which is at most what was counted at the beginning.
    """
    per = _PER.get(metric.unit.per, 0.0)
    if metric.unit.kind != "count" or not per or not lines:
        return ""
    total, at = 0.0, until
    while at > since:
        value = _sum_at(lines, metric.every, at)
        if value is None:
            return "unknown"
        total, at = total + value, at - timedelta(seconds=per)
    before = _sum_at(lines, metric.every, since)
    least = max(0.0, total - before) if before is not None else 0.0
    what = metric.unit.noun or "of them"
    return f"{total:,.0f} {what}" if least == total else f"{least:,.0f} to {total:,.0f} {what}"


def _sum_at(lines: Sequence[Line], every: timedelta, at: datetime) -> float | None:
    """The value at a time, of all labels together; None where that is not known."""
    found = [
        point.mean
        for line in lines
        for point in [next((one for one in reversed(line.points) if one.at <= at), None)]
        if point is not None and at - point.at <= max(every * _HOLDS, line.step)
    ]
    return sum(found) if found else None


def _seconds(spans: Sequence[tuple[datetime, datetime]]) -> float:
    """How long some spans are together; what they share counts once."""
    total, end = 0.0, None
    for begin, until in sorted(spans):
        start = begin if end is None else max(begin, end)
        total += max(0.0, (until - start).total_seconds())
        end = until if end is None else max(end, until)
    return total

"""The chart of a metric as the script draws it: lines with their gaps, bounds, marks. Pure.

Where the bounds are in percent and each point says what it is a part of, all of it is drawn in percent: a bound is one
line then, also for labels of which each has a limit of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tabsync.kernel.step import Facts
from tabsync.manual.model import Metric, Threshold
from tabsync.manual.parts import Bound
from tabsync.monitoring.history.lines import Line, Point
from tabsync.monitoring.history.spark import columns

MOST = 8
"""Lines that a chart can hold before nobody can tell them apart."""

_WIDE, _HIGH = 120, 24  # of a small picture, in pixels


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened. until: of what lasted, None of a moment; kind: run, window, manual, restart; link: ""
    where there is none.
    """

    at: datetime
    kind: str
    words: str
    until: datetime | None = None
    link: str = ""


def chart_of(
    metric: Metric,
    thresholds: Sequence[Threshold],
    lines: Sequence[Line],
    marks: Sequence[Mark],
    span: tuple[datetime, datetime],
) -> Facts:
    """What the script draws. lines: those that are drawn; span: from when to when."""
    percent = _in_percent(thresholds, lines)
    unit = {"kind": "percent" if percent else metric.unit.kind, "per": "" if percent else metric.unit.per}
    bounds = [_bound(one, level, percent) for row in thresholds for level, one in _levels(row)]
    return {
        "from": span[0].timestamp(),
        "until": span[1].timestamp(),
        "unit": unit,
        "lines": [_line(one, metric.every, percent) for one in lines],
        "bounds": [one for each in bounds for one in each],
        "marks": [
            {
                "at": one.at.timestamp(),
                "until": one.until.timestamp() if one.until else None,
                "kind": one.kind,
                "number": number,
            }
            for number, one in enumerate(marks, start=1)
        ],
    }


def small_picture(line: Line, since: datetime, until: datetime) -> list[str]:
    """A line as the paths of a picture of 120 by 24 pixels: one path for each stretch without a gap."""
    values = columns(line, since, until)
    known = [one for one in values if one is not None]
    low, high = min(known), max(known)
    half = (high / 2 - low / 2) or 1.0
    step = _WIDE / max(len(values) - 1, 1)
    paths: list[list[str]] = [[]]
    for place, one in enumerate(values):
        if one is None:
            paths.append([])
            continue
        up = 0.5 if low == high else (one / 2 - low / 2) / half
        paths[-1].append(f"{place * step:.1f} {(_HIGH - 2) - up * (_HIGH - 4):.1f}")
    # One value alone would be a path without a length, which is not drawn.
    return [f"M{' L'.join(one if len(one) > 1 else [*one, *one])}" for one in paths if one]


def _in_percent(thresholds: Iterable[Threshold], lines: Iterable[Line]) -> bool:
    bounds = [one for row in thresholds for _, one in _levels(row)]
    asked = any(each.unit.kind == "percent" for bound in bounds for each in bound.comparisons)
    points = [point for line in lines for point in line.points]
    return asked and bool(points) and all(point.of is not None and point.of > 0 for point in points)


def _levels(row: Threshold) -> Iterator[tuple[str, Bound]]:
    for level, bound in (("warning", row.warning), ("critical", row.critical)):
        if bound is not None:
            yield level, bound


def _bound(bound: Bound, level: str, percent: bool) -> Iterator[Facts]:
    for one in bound.comparisons:
        if (one.unit.kind == "percent") == percent:
            yield {"level": level, "value": one.value, "text": bound.text}


def _line(line: Line, every: timedelta, percent: bool) -> Facts:
    """A line by columns, with an empty point in each gap: what stands between two points is drawn otherwise."""
    gap = line.step + every * 1.5
    found: dict[str, list[float | None]] = {"at": [], "mean": [], "low": [], "high": []}
    before: Point | None = None
    for one in line.points:
        if before is not None and one.at - before.at > gap:
            _add(found, (before.at + line.step).timestamp(), (None, None, None))
        share = 100 / one.of if percent and one.of else 1.0
        _add(found, one.at.timestamp(), (one.mean * share, one.low * share, one.high * share))
        before = one
    return {"label": line.label, **found}


def _add(found: Mapping[str, list[float | None]], at: float, values: tuple[float | None, ...]) -> None:
    found["at"].append(at)
    for name, one in zip(("mean", "low", "high"), values, strict=True):
        found[name].append(None if one is None else float(f"{one:.6g}"))

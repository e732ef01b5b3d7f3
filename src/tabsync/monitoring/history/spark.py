"""A line of text that shows how something went: eight heights, and a dot where nothing was measured. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tabsync.monitoring.history.lines import Line

GAP = "·"
_HEIGHTS = "▁▂▃▄▅▆▇█"


def columns(line: Line, since: datetime, until: datetime) -> list[float | None]:
    """The mean of each step of a line between two moments, None where nothing was measured."""
    step = line.step
    start = since - (since - datetime(1970, 1, 1, tzinfo=since.tzinfo)) % step
    found: dict[int, float] = {(one.at - start) // step: one.mean for one in line.points}
    return [found.get(number) for number in range(max(1, -((start - until) // step)))]


def sparkline(values: Sequence[float | None]) -> str:
    """One character for each value; a line that never changes is in the middle."""
    known = [one for one in values if one is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return "".join(GAP if one is None else _HEIGHTS[_height(one, low, high)] for one in values)


def fitting(span: timedelta, every: timedelta, most: int) -> int:
    """How many columns a span has: no more than there can be measurements, or gaps would be shown where are none."""
    return max(1, min(most, span // every if every > timedelta(0) else most))


def _height(value: float, low: float, high: float) -> int:
    span = high / 2 - low / 2  # halves: the difference of two large numbers may be none
    if span <= 0:
        return 3
    return min(len(_HEIGHTS) - 1, int((value / 2 - low / 2) / span * len(_HEIGHTS)))

"""Many samples as one: lowest, mean, highest and how many there were. Pure; times are milliseconds since 1970.

All widths divide an hour or are whole hours, so what was rolled up can be rolled up further, and what comes out is
the same as from the samples themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from tabsync.monitoring.history.codec import Sample

SECOND = 1000
MINUTE = 60 * SECOND
FIVE = 5 * MINUTE
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_SMALLER = 2.0**-60  # of a power of two, so that nothing is lost of a large number

WIDTHS = (
    *(SECOND * one for one in (1, 5, 15, 30)),
    *(MINUTE * one for one in (1, 2, 5, 10, 15, 30)),
    *(HOUR * one for one in (1, 2, 3, 6, 12)),
    *(DAY * one for one in (1, 7, 28)),
)
"""How wide a point may be."""


class Roll(NamedTuple):
    """The samples of a series from `at` on, for as long as the width says. of: the mean of those that had one."""

    at: int
    low: float
    mean: float
    high: float
    samples: int
    of: float | None


def width_of(span: timedelta, points: int) -> int:
    """The smallest width by which a span has at most so many points; the largest there is when none does."""
    wanted = span.total_seconds() * SECOND / max(points, 1)
    return next((one for one in WIDTHS if one >= wanted), WIDTHS[-1])


def rolled(samples: Iterable[Sample], width: int) -> list[Roll]:
    """The samples by points of a width, by time; where there was no sample there is no point."""
    points: dict[int, list[Sample]] = {}
    for one in samples:
        points.setdefault(one.at - one.at % width, []).append(one)
    return [_of_samples(at, points[at]) for at in sorted(points)]


def merged(rolls: Iterable[Roll], width: int) -> list[Roll]:
    """What was rolled up already, by points of a greater width."""
    points: dict[int, list[Roll]] = {}
    for one in rolls:
        points.setdefault(one.at - one.at % width, []).append(one)
    return [_of_rolls(at, points[at]) for at in sorted(points)]


def _of_samples(at: int, found: Sequence[Sample]) -> Roll:
    values = [one.value for one in found]
    ofs = [one.of for one in found if one.of is not None]
    return Roll(at, min(values), _mean(values), max(values), len(values), _mean(ofs) if ofs else None)


def _of_rolls(at: int, found: Sequence[Roll]) -> Roll:
    counts = [one.samples for one in found]
    ofs = [one for one in found if one.of is not None]
    return Roll(
        at,
        min(one.low for one in found),
        _mean([one.mean for one in found], counts),
        max(one.high for one in found),
        sum(counts),
        _mean([one.of for one in ofs if one.of is not None], [one.samples for one in ofs]) if ofs else None,
    )


def _mean(values: Sequence[float], weights: Sequence[int] = ()) -> float:
    """The mean of numbers, which is one also where their sum is more than a number can be."""
    counts = weights or [1] * len(values)
    total = sum(counts)
    try:
        mean = math.fsum(one * count for one, count in zip(values, counts, strict=True)) / total
    except (OverflowError, ValueError):  # ValueError: infinite, in both directions
        mean = math.inf
    if math.isinf(mean):
        small = (one * _SMALLER * count for one, count in zip(values, counts, strict=True))
        mean = math.fsum(small) / total / _SMALLER
    return min(max(mean, min(values)), max(values))  # rounding must not carry it out of what was measured

"""A metric over time, from whatever is kept: raw samples, points of five minutes, points of an hour."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from tabsync.monitoring.history.codec import Sample, unpack_chunk, unpack_scrape
from tabsync.monitoring.history.file import SQL
from tabsync.monitoring.history.moments import moment_of, ticks
from tabsync.monitoring.history.rollup import FIVE, HOUR, Roll, merged, rolled, width_of


@dataclass(frozen=True, slots=True)
class Point:
    """The samples from `at` on, as long as the line's step. of: the mean of what they are parts of, None if unknown."""

    at: datetime
    low: float
    mean: float
    high: float
    count: int
    of: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A series over time, by time; where nothing was measured there is no point. step: how much time a point stands
    for; points that come from an older, coarser roll-up stand for more.
    """

    label: str
    points: list[Point]
    step: timedelta = timedelta(0)


def read_lines(
    connection: sqlite3.Connection, metric: str, label: str | None, since: datetime, until: datetime, points: int
) -> list[Line]:
    """The lines of a metric; see History.series()."""
    found = connection.execute(SQL["series_of"], {"metric": metric, "label": label}).fetchall()
    names = {number: name for number, _, name in found}
    return [line for _, line in _lines(connection, names, since, until, points)]


def read_many(
    connection: sqlite3.Connection,
    names: Collection[tuple[str, str]],
    since: datetime,
    until: datetime,
    points: int,
) -> dict[tuple[str, str], Line]:
    """The lines of several series; see History.many()."""
    found = {number: (metric, label) for number, metric, label in connection.execute(SQL["all_series"])}
    wanted = {number: label for number, (metric, label) in found.items() if (metric, label) in names}
    return {found[number]: line for number, line in _lines(connection, wanted, since, until, points)}


def _lines(
    connection: sqlite3.Connection, names: Mapping[int, str], since: datetime, until: datetime, points: int
) -> Iterator[tuple[int, Line]]:
    width = width_of(until - since, points)
    start, end = ticks(since) // width * width, -(-ticks(until) // width) * width
    fresh = _open_samples(connection, names.keys(), start, end)
    step = timedelta(milliseconds=width)
    for number, label in names.items():
        rolls = _rolls(connection, number, start, end, width, fresh.get(number, ()))
        if rolls:
            yield number, Line(label, [Point(moment_of(one.at), *one[1:]) for one in rolls], step)


def _open_samples(connection: sqlite3.Connection, wanted: Set[int], start: int, end: int) -> dict[int, list[Sample]]:
    """What was not folded yet, by series."""
    found: dict[int, list[Sample]] = {}
    for at, body in connection.execute(SQL["scrapes"], {"since": start, "until": end}):
        for series, value, of in unpack_scrape(body, wanted):
            found.setdefault(series, []).append(Sample(at, value, of))
    return found


def _rolls(
    connection: sqlite3.Connection, series: int, start: int, end: int, width: int, fresh: Sequence[Sample]
) -> list[Roll]:
    """The points of a series: each hour from the coarsest that is fine enough, or, where that is gone, from what is
    left of it.
    """
    by_hour = _by_hour(_stored(connection, series, HOUR, start // HOUR * HOUR, end))
    if width < HOUR:
        by_hour |= _by_hour(_stored(connection, series, FIVE, start // HOUR * HOUR, end))
    if width < FIVE:
        by_hour |= dict(_raw(connection, series, start, end, width))
    kept = [roll for hour in sorted(by_hour) for roll in by_hour[hour] if start <= roll.at < end]
    return merged([*kept, *rolled(fresh, width)], width)


def _stored(connection: sqlite3.Connection, series: int, width: int, start: int, end: int) -> Iterator[Roll]:
    asked = {"width": width, "series": series, "since": start, "until": end}
    return map(Roll._make, connection.execute(SQL["rollups"], asked))


def _by_hour(rolls: Iterable[Roll]) -> dict[int, list[Roll]]:
    found: dict[int, list[Roll]] = {}
    for one in rolls:
        found.setdefault(one.at // HOUR, []).append(one)
    return found


def _raw(
    connection: sqlite3.Connection, series: int, start: int, end: int, width: int
) -> Iterator[tuple[int, list[Roll]]]:
    asked = {"series": series, "first": start // HOUR, "after": -(-end // HOUR)}
    for hour, body in connection.execute(SQL["chunks"], asked):
        yield hour, rolled(unpack_chunk(body, hour * HOUR), width)

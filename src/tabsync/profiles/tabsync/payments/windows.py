"""The times that are compared: the last one, and the same one of each of the seven days before. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.units import human_seconds, parse_duration

DAYS = 7
STUCK = timedelta(minutes=15)
"""A payment that is PENDING for longer counts as one that does not end."""

_LONGEST = timedelta(days=1)
_SHORTEST = timedelta(minutes=5)
_FUTURE = timedelta(days=1)  # for who writes the time by a clock that is ahead


@dataclass(frozen=True, slots=True)
class Window:
    """From a time to before another one. settled: PENDING payments that are younger are undecided."""

    since: datetime
    until: datetime
    settled: datetime


def length(text: str) -> timedelta:
    """How long the time to look at is. Raises BadUsage."""
    try:
        asked = parse_duration(text)
    except ValueError as error:
        raise BadUsage(str(error), "--since 1h") from None
    if not _SHORTEST <= asked <= _LONGEST:
        fact = f"{text} is not between {human_seconds(_SHORTEST.total_seconds())} and 24 h"
        raise BadUsage(fact, "it is compared with the same hours of the days before: --since 1h")
    return asked


def windows(at: datetime, asked: timedelta, before: int, zone: tzinfo = UTC) -> list[Window]:
    """The last one first; it has no end, so that payments of the future are seen. before: days; zone: the guests'."""
    now = Window(at - asked, at + _FUTURE, at - STUCK)
    ends = [days_before(at, number, zone) for number in range(1, before + 1)]
    return [now, *(Window(end - asked, end, at) for end in ends)]


def days_before(at: datetime, number: int, zone: tzinfo) -> datetime:
    """The same time of some day before, by the clocks of a zone."""
    return (at.astimezone(zone) - timedelta(days=number)).astimezone(UTC)


def literal(moment: datetime) -> str:
    """A time as a literal without a type: of a timestamp without time zone it is the time in UTC."""
    return moment.astimezone(UTC).isoformat(sep=" ")


def aware(moment: datetime) -> datetime:
    """A time of the database; one without a time zone is in UTC, as Prisma writes it."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

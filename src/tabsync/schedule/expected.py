"""What should happen: the occurrences of a schedule in a span of time, from the manuals that were in force. Pure.

Everything begins at a midnight of the item's zone and is then cut to the span, so that it never depends on the moment
from which it is asked. A night without 02:30 has its occurrence when the clock jumps, one with two has it at the first:
cronsim does this, and a test holds us to it. What is due at one time of each day, or of some days of the week, is not
asked of cronsim, which goes through a year minute by minute where it has to: there is one day after the other, and the
same test compares both. Hourly is whenever the clock shows the minute, in a doubled hour twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from tabsync.manual.when import DAY, When
from tabsync.schedule.items import Item

_LOOK_BACK = timedelta(days=400)  # the longest time until anything is due again, and some days


@dataclass(frozen=True, slots=True)
class Version:
    """A manual's schedule, and from when on it was in force. program: the version of ours that read it."""

    at: datetime
    digest: str
    items: tuple[Item, ...]
    program: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time at which an item is due. until: the end of its window; both in UTC."""

    item: Item
    due: datetime
    until: datetime

    @property
    def key(self) -> tuple[str, datetime]:
        """What tells it from all others."""
        return self.item.key, self.due


Due: TypeAlias = tuple[Item, datetime, datetime]
"""What an Occurrence is made of: hundreds of thousands of them needn't be one before something is said of it."""


def expected(versions: Sequence[Version], start: datetime, end: datetime, here: tzinfo) -> list[Occurrence]:
    """The occurrences with start <= due < end, in order.

    versions: in the order in which they came into force; before an edit the old one counts, after it the new one.
    here: the zone of this machine, for items that name none.
    """
    found = [Occurrence(*one) for dues in expected_of_each(versions, start, end, here).values() for one in dues]
    return sorted(found, key=lambda one: (one.due, one.item.line))


def expected_of_each(versions: Sequence[Version], start: datetime, end: datetime, here: tzinfo) -> dict[str, list[Due]]:
    """The same by the items' keys, each in order: the item as it was then, when it was due, the end of its window."""
    found: dict[str, list[Due]] = {}
    for number, version in enumerate(versions):
        ends = versions[number + 1].at if number + 1 < len(versions) else end
        begin, stop = max(start, version.at), min(end, ends)
        if begin < stop:
            known = {(one.key, one.day) for one in versions[number - 1].items} if number else set()
            for item in version.items:
                found.setdefault(item.key, []).extend(_of(item, version, begin, stop, here))
                if item.day is not None and (item.key, item.day) not in known:
                    found[item.key].extend(_late_day(item, version, begin, stop, here))
    for dues in found.values():
        dues.sort(key=lambda one: one[1])  # a manual may have a command twice
    return found


def newest_before(item: Item, moment: datetime, here: tzinfo) -> Iterator[datetime]:
    """When an item was due up to a moment, the newest first, as if its manual had always been in force."""
    span = timedelta(seconds=max(item.when.period * 3, 3 * DAY)) if item.when.period else timedelta(days=3)
    end = moment + timedelta(microseconds=1)
    oldest = moment - _LOOK_BACK
    while end > oldest:
        start = max(end - span, oldest)
        yield from reversed(list(times(item, start, end, here)))
        end = start


def next_due(item: Item, moment: datetime, here: tzinfo) -> datetime | None:
    """When an item is due after a moment; None when it isn't within two years."""
    start, span = moment + timedelta(microseconds=1), timedelta(seconds=max(item.when.period, 3_600))
    while span < timedelta(days=800):
        for due in times(item, start, start + span, here):
            return due
        span *= 4
    return None


def _of(item: Item, version: Version, begin: datetime, stop: datetime, here: tzinfo) -> Iterator[Due]:
    window = timedelta(seconds=item.window)
    dues = times(item, begin, stop, here)
    if item.first and begin <= version.at < stop:
        yield item, version.at, version.at + window
        dues = (due for due in dues if due != version.at)
    if item.when.kind == "continuous":
        for due in dues:
            yield item, due, next_midnight(due, zone_of(item.when, here))
        return
    for due in dues:
        yield item, due, due + window


def _late_day(item: Item, version: Version, begin: datetime, stop: datetime, here: tzinfo) -> Iterator[Due]:
    """A date that is near, or past, when a manual first names it: it is due from then on."""
    opened = _opened(item, here)
    if opened < version.at and begin <= version.at < stop:
        until = opened + timedelta(seconds=item.window)
        yield item, version.at, max(until, version.at + timedelta(seconds=1))


def _opened(item: Item, here: tzinfo) -> datetime:
    """From when on a task with a date may be done, in UTC."""
    day, zone = item.day or datetime.max.date(), zone_of(item.when, here)
    due = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    return due - timedelta(seconds=item.window - DAY)


def times(item: Item, start: datetime, end: datetime, here: tzinfo) -> Iterator[datetime]:
    """When an item is due, start <= due < end, in UTC; a continuous one each day at midnight."""
    zone = zone_of(item.when, here)
    if item.day is not None:
        found: Iterable[datetime] = (_opened(item, here),)
    elif item.when.name == "hourly":
        found = _hourly(int(item.when.cron.split()[0]), zone, start, end)
    elif item.when.kind == "clock":
        found = _clock(item.when.cron, zone, start, end)
    elif item.when.kind in ("every", "continuous"):
        found = _every(item.when, zone, start, end)
    else:
        found = ()
    return _once(one for one in found if start <= one < end)


def _once(moments: Iterable[datetime]) -> Iterator[datetime]:
    """Each moment once: midnight of a day that a zone left out, as Samoa did in 2011, is midnight of the next one."""
    last = None
    for one in moments:
        if one != last:
            yield one
        last = one


def zone_of(when: When, here: tzinfo) -> tzinfo:
    """The zone of an item; that of this machine where it names none, or one that this machine doesn't have any more."""
    return zone_named(when.zone, here)


def zone_named(name: str, here: tzinfo) -> tzinfo:
    """A zone by its name; that of this machine where there is none, or when this machine doesn't know it any more."""
    try:
        return ZoneInfo(name) if name else here
    except (KeyError, ValueError, OSError):
        return here


def next_midnight(moment: datetime, zone: tzinfo) -> datetime:
    """The first midnight of a zone after a moment, in UTC."""
    local = moment.astimezone(zone)
    return _midnight(local + timedelta(days=1), zone)


def _midnight(local: datetime, zone: tzinfo) -> datetime:
    return datetime(local.year, local.month, local.day, tzinfo=zone).astimezone(UTC)


def _clock(cron: str, zone: tzinfo, start: datetime, end: datetime) -> Iterator[datetime]:
    first, last = start.astimezone(zone).date() - timedelta(days=2), end.astimezone(zone).date()
    minute, hour, day, month, weekday = cron.split()
    if (day, month) != ("*", "*") or not set(weekday) <= _PLAIN:
        for year in range(first.year, last.year + 1):
            yield from _clock_year(cron, zone, year)
        return
    days = {int(one) for one in weekday.split(",")} if weekday != "*" else range(7)
    for number in range(first.toordinal(), last.toordinal() + 1):
        if number % 7 in days:  # day 7 of the calendar was a Sunday
            yield shown(date.fromordinal(number), int(hour), int(minute), zone)


_PLAIN = frozenset("0123456,*")  # of a field of weekdays that says which, and not the how manieth of a month


def shown(day: date, hour: int, minute: int, zone: tzinfo) -> datetime:
    """When a clock first shows a time of a day, in UTC; where it never does, when it jumps over it.

    The offsets of the two folds are in this order where a time is jumped over: https://peps.python.org/pep-0495/
    """
    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
    before, after = _offset(local), _offset(local.replace(fold=1))
    due = local.replace(tzinfo=UTC) - before
    if before >= after:
        return due
    begin = local.replace(tzinfo=UTC) - after  # the jump comes after this, and at the latest when it is due
    while due - begin > timedelta(minutes=1):
        between = begin + (due - begin) // timedelta(minutes=2) * timedelta(minutes=1)
        jumped = _offset(between.astimezone(zone)) != before
        begin, due = (begin, between) if jumped else (between, due)
    return due


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or timedelta()


@lru_cache(maxsize=512)
def _clock_year(cron: str, zone: tzinfo, year: int) -> tuple[datetime, ...]:
    """When a cron expression is due in a year of a zone; a year costs a processor milliseconds, so it is kept."""
    from cronsim import CronSim

    found = []
    for one in CronSim(cron, datetime(year, 1, 1, tzinfo=zone) - timedelta(minutes=1)):
        if one.year > year:
            break
        if one.year == year:
            found.append(one.astimezone(UTC))
    return tuple(found)


def _hourly(minute: int, zone: tzinfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Each time a clock shows this minute. cronsim goes by whole hours: where half of one is missing or comes twice
    (Lord Howe), it leaves out 02:45, which there is."""
    hour = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour < end:
        shown = {(hour + timedelta(minutes=late)).astimezone(zone).utcoffset() for late in (0, 59)}
        dues = {hour + (timedelta(minutes=minute) - (offset or timedelta())) % timedelta(hours=1) for offset in shown}
        yield from sorted(due for due in dues if due.astimezone(zone).minute == minute)
        hour += timedelta(hours=1)


def _every(when: When, zone: tzinfo, start: datetime, end: datetime) -> Iterator[datetime]:
    step = timedelta(seconds=when.seconds or 10 * DAY)
    midnight = _midnight(start.astimezone(zone), zone)
    always = not (when.end or when.days)
    while midnight < end:
        following = next_midnight(midnight + timedelta(hours=1), zone)
        skipped = max(0, (start - midnight) // step)
        due, last = midnight + skipped * step, min(following, end)
        while due < last:
            if always or _within(when, due, zone):
                yield due
            due += step
        midnight = following


def _within(when: When, due: datetime, zone: tzinfo) -> bool:
    """Whether "every" applies at a moment: it may have a range of times, or days."""
    local = due.astimezone(zone)
    minute, day = local.hour * 60 + local.minute, (local.weekday() + 1) % 7
    if when.end and when.begin > when.end and minute < when.end:
        day = (day - 1) % 7  # the night belongs to the day on which it began
    return when.applies_at(minute) and (not when.days or day in when.days)

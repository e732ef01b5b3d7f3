"""The schedule once more, written apart from the planner: slow, minute by minute, in whole seconds since 1970.

Nothing of the product is imported here. When something is due is found by reading a clock on the wall at each minute;
what became of it is read off a list of all that happened. Where the two disagree, one of them is wrong.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

DAY = 86_400
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Rule:
    """When something is due, in numbers.

    kind: hourly, daily, weekly, monthly, quarterly, yearly or every; at: minute of the day (of the hour, if hourly);
    weekdays: 0 is Monday, () for all; day: of the month, -1 for the last; nth: which of its weekdays, -1 for the last;
    month: of a yearly one; seconds, begin, end: of every, minutes of the day between which it applies.
    """

    kind: str
    zone: str
    at: int = 0
    weekdays: tuple[int, ...] = ()
    day: int = 0
    nth: int = 0
    month: int = 0
    seconds: int = 0
    begin: int = 0
    end: int = 0

    def on(self, day: int) -> list[int]:
        """When it is due on a day of its zone."""
        return _on(self, day)


@cache
def walls(zone: str, day: int) -> array[int]:
    """What a clock on the wall shows at each minute of a day of UTC, as the number of the minute since 1970."""
    place, midnight = ZoneInfo(zone), datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    shown = array("q")
    for minute in range(1440):
        local = (midnight + timedelta(minutes=minute)).astimezone(place)
        shown.append((local.toordinal() - _EPOCH) * 1440 + local.hour * 60 + local.minute)
    return shown


def wall(zone: str, moment: int) -> int:
    """What a clock on the wall shows at a moment."""
    return walls(zone, moment // DAY)[moment % DAY // 60]


@cache
def shows(zone: str, day: int, minute: int) -> int:
    """When a clock shows a time of a day for the first time; without such a time, the first minute after the gap."""
    wanted = day * 1440 + minute
    days = [(one, walls(zone, one)) for one in (day - 1, day, day + 1)]
    for one, shown in days:
        if wanted in shown:
            return one * DAY + shown.index(wanted) * 60
    return next(one * DAY + at * 60 for one, shown in days for at, seen in enumerate(shown) if seen > wanted)


def _date(day: int) -> date:
    return date.fromordinal(day + _EPOCH)


def _falls_on(rule: Rule, day: int) -> bool:
    """Whether a day is one of a rule's, by the calendar on the wall."""
    one = _date(day)
    if rule.kind in ("hourly", "daily", "weekly", "every"):
        return not rule.weekdays or one.weekday() in rule.weekdays
    if rule.kind == "quarterly" and one.month not in (1, 4, 7, 10):
        return False
    if rule.kind == "yearly" and one.month != rule.month:
        return False
    if rule.nth:
        same = [d for d in range(day - 31, day + 32) if _date(d).month == one.month and _date(d).year == one.year]
        same = [d for d in same if _date(d).weekday() == rule.weekdays[0]]
        return day == (same[-1] if rule.nth < 0 else same[rule.nth - 1])
    return _date(day + 1).day == 1 if rule.day < 0 else one.day == rule.day


@cache
def _on(rule: Rule, day: int) -> list[int]:
    if rule.kind == "every":
        return [due for due in _steps(rule, day) if _applies(rule, due)]
    if not _falls_on(rule, day):
        return []
    if rule.kind == "hourly":
        begin, end = shows(rule.zone, day, 0), shows(rule.zone, day + 1, 0)
        return [due for due in range(begin, end, 60) if wall(rule.zone, due) % 60 == rule.at]
    return [shows(rule.zone, day, rule.at)]


def _steps(rule: Rule, day: int) -> Iterator[int]:
    yield from range(shows(rule.zone, day, 0), shows(rule.zone, day + 1, 0), rule.seconds)


def _applies(rule: Rule, due: int) -> bool:
    day, minute = divmod(wall(rule.zone, due), 1440)
    if rule.begin < rule.end and not rule.begin <= minute < rule.end:
        return False
    if rule.begin > rule.end:
        if rule.end <= minute < rule.begin:
            return False
        if minute < rule.end:
            day -= 1  # the night of Friday ends on Saturday
    return not rule.weekdays or _date(day).weekday() in rule.weekdays


def between(rule: Rule, start: int, end: int) -> list[int]:
    """When a rule is due, start <= due < end."""
    days = range(start // DAY - 1, end // DAY + 2)
    return [due for day in days for due in rule.on(day) if start <= due < end]


@dataclass(frozen=True, slots=True)
class Thing:
    """An item.

    window: seconds; on: the service that does it; approval: it needs one; first: it is new and was never done; retry:
    how often at most, None for as long as its window is open; wording: which of its texts, to one of which an approval
    is bound.
    """

    key: str
    rule: Rule
    window: int
    task: bool = False
    built: bool = True
    on: str = ""
    approval: bool = False
    first: bool = False
    retry: int | None = None
    wording: int = 0


@dataclass(frozen=True, slots=True)
class Edition:
    """A manual, and from when on it was in force."""

    at: int
    things: tuple[Thing, ...]


@dataclass(slots=True)
class Run:
    """How an occurrence was tried last. tells: what it left to say, one of the names in `told`."""

    name: str
    started: int
    ends: int = 0
    ended: int | None = None
    tells: str = ""
    tries: int = 1
    retry_at: int | None = None
    began: int = 0


@dataclass(frozen=True, slots=True)
class Trace:
    """Evidence. good: it is of what was wanted, fresh, and says yes; unknown: it says that it couldn't be asked."""

    at: int
    key: str
    good: bool
    run: str = ""
    unknown: bool = False


@dataclass(slots=True)
class Past:
    """All that happened. said: a person's last word on an occurrence, and when; approved: items and their wording."""

    editions: list[Edition] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    said: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    approved: set[tuple[str, int]] = field(default_factory=set)

    def occurrences(self, start: int, end: int) -> list[tuple[Thing, int]]:
        """What was due, start <= due < end: before an edit by the old manual, after it by the new one."""
        found = []
        for number, edition in enumerate(self.editions):
            after = self.editions[number + 1].at if number + 1 < len(self.editions) else end
            begin, stop = max(start, edition.at), min(end, after)
            for thing in edition.things:
                dues = set(between(thing.rule, begin, stop)) if begin < stop else set()
                if thing.first and begin <= edition.at < stop:
                    dues.add(edition.at)
                found += [(thing, due) for due in dues]
        return sorted(found, key=lambda one: (one[1], one[0].key))


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an occurrence. late: when it was done after all."""

    state: str
    late: int | None = None


def fate(past: Past, thing: Thing, due: int, following: int | None, now: int, *, name: str, silent: bool) -> Fate:
    """What an occurrence is at a moment. following: when the item is due next; silent: no service is heard of."""
    key, until = (thing.key, due), due + thing.window
    word, said = past.said.get(key, ("", None))
    if word == "skip":
        return Fate("skipped")
    if thing.task:
        return _task(said, now, until)
    run = past.runs.get(key)
    if run is not None and run.ended is None:
        return Fate("unknown" if silent else "running")
    own = [one.at for one in past.traces if run and one.good and _is_of(one, thing, run)]
    good = [one.at for one in past.traces if one.good and one.key == thing.key and one.at < now + 300]
    if any(due <= at < until for at in good) or (own and run and run.started < until):
        return Fate("done")
    if run is not None and run.started < until:
        return _tried(past, thing, run, now, until)
    late = own + [at for at in good if now >= until <= at and (following is None or at < following)]
    if late:
        return Fate("missed", min(late))
    if run is not None:
        return _tried(past, thing, run, now, until)
    if stopped := _stopped(past, thing, name):
        return Fate("unknown" if stopped == "not on this host" and now >= until else stopped)
    return Fate("waiting" if now < until else "missed")


def _is_of(trace: Trace, thing: Thing, run: Run) -> bool:
    """Whether evidence is a run's: by its name, or because it came while it ran."""
    return trace.run == run.name or (trace.key == thing.key and run.started <= trace.at <= (run.ended or 0))


def _task(ticked: int | None, now: int, until: int) -> Fate:
    if ticked is not None and ticked < until:
        return Fate("done")
    return Fate("open") if now < until else Fate("missed", ticked)


def _stopped(past: Past, thing: Thing, name: str) -> str:
    if not thing.built:
        return "not built"
    if thing.on not in ("", name):
        return "not on this host"
    return "waits for approval" if thing.approval and (thing.key, thing.wording) not in past.approved else ""


def _tried(past: Past, thing: Thing, run: Run, now: int, until: int) -> Fate:
    if run.tells == "asks":
        if (thing.key, thing.wording) not in past.approved:
            return Fate("waits for approval")
        return Fate("waiting" if now < until else "missed")
    if run.retry_at is not None and now < until:
        return Fate("waiting")
    if run.tells in ("dies", "unbegun"):
        return Fate("failed")
    if any(one.unknown for one in past.traces if _is_of(one, thing, run)):
        return Fate("unknown")
    return Fate("proved nothing" if run.tells in ("nothing", "unfit") else "failed")


@dataclass(frozen=True, slots=True)
class Begin:
    """An occurrence that has to be started."""

    key: str
    due: int
    late: bool
    again: bool


def to_begin(past: Past, now: int, name: str) -> list[Begin]:
    """What a service has to start: of each item the newest occurrence, if nothing was done about it yet."""
    found = []
    for thing in past.editions[-1].things:
        newest = None if thing.task else _newest(past, thing, now)
        if newest is None:
            continue
        judged, due = newest
        until = due + judged.window
        run = past.runs.get((thing.key, due))
        one = fate(past, judged, due, following_by_rule(judged.rule, max(now, due)), now, name=name, silent=False)
        if run is None and (one.state == "waiting" or (one.state == "missed" and one.late is None)):
            found.append(Begin(thing.key, due, one.state == "missed", again=False))
        elif run is not None and one.late is None and _may_go_again(run, one.state, now):
            found.append(Begin(thing.key, due, now >= until, again=True))
    return found


def _may_go_again(run: Run, state: str, now: int) -> bool:
    if run.tells == "asks":
        return state in ("waiting", "missed")
    return state in ("waiting", "failed") and run.retry_at is not None and run.retry_at <= now


def _newest(past: Past, thing: Thing, now: int) -> tuple[Thing, int] | None:
    """The newest occurrence of an item up to now; the item as it is now, with the window that it had then.

    The newest manual is followed also when a clock that was set back says that it isn't in force yet.
    """
    known = [one for one in past.occurrences(past.editions[0].at, now + 1) if one[0].key == thing.key]
    if known:
        return replace(thing, window=known[-1][0].window), known[-1][1]
    if past.editions[-1].at > now:
        for day in range(now // DAY + 1, now // DAY - 400, -1):
            if dues := [due for due in thing.rule.on(day) if due <= now]:
                return thing, dues[-1]
    return None


def following_by_rule(rule: Rule, after: int) -> int:
    """When an item is due next, by its rule."""
    return next(due for day in range(after // DAY - 1, after // DAY + 800) for due in rule.on(day) if due > after)


def next_due(things: Sequence[Thing], after: int) -> int:
    """When any of some items that a service starts is due next, or a day later if none is until then."""
    later = after + DAY
    return min([later, *(due for one in things if not one.task for due in between(one.rule, after + 1, later))])

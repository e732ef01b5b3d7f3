"""The days of each item of the schedule: the last 30 and the next 7, each in the worst state that it had.

What is due every few seconds has hundreds of thousands of occurrences in a month: its days that are over are judged
once in a while, and kept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from tabsync.schedule.expected import times
from tabsync.schedule.items import Item
from tabsync.schedule.judge import State, Verdict
from tabsync.schedule.look import Look, judged

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

PAST = 30
"""Days that are shown up to today, which is the last of them."""

AHEAD = 7

_LATE = "missed, caught up"
NOTHING = "nothing due"

_WORST = (
    State.FAILED,
    State.PROVED_NOTHING,
    State.MISSED,
    State.UNKNOWN,
    State.APPROVAL,
    _LATE,
    State.RUNNING,
    State.WAITING,
    State.OPEN,
    State.NOT_BUILT,
    State.ELSEWHERE,
    State.SKIPPED,
    State.DONE,
    State.EXPECTED,
)

_FREQUENT = 3600  # seconds between two occurrences, below which days that are over are kept
_KEPT = 1800.0  # seconds for which they are: evidence of another host may come late

Counts = Counter[str]


@dataclass(frozen=True, slots=True)
class Day:
    """One day of an item. state: the worst one; told: it in words, with the day; today, ahead: where it stands."""

    state: str
    told: str
    today: bool = False
    ahead: bool = False


@dataclass(slots=True)
class Days:
    """What was judged of days that are over, of items that are due often."""

    _kept: dict[tuple[str, str], tuple[float, dict[date, Counts]]] = field(default_factory=dict)

    def of(self, workspace: Workspace, seen: Look) -> dict[str, list[Day]]:
        """The days of each item, by its key."""
        today = seen.now.astimezone(seen.here).date()
        first = today - timedelta(days=PAST - 1)
        rare = [one for one in seen.items if not _is_frequent(one)]
        counts = _counted(_judged(workspace, seen, rare, first, today), seen.here)
        for item in seen.items:
            if _is_frequent(item):
                counts[item.key] = self._frequent(workspace, seen, item, first, today)
        return {one.key: list(_days(one, counts.get(one.key, {}), seen, today)) for one in seen.items}

    def _frequent(self, workspace: Workspace, seen: Look, item: Item, first: date, today: date) -> dict[date, Counts]:
        newest = today - timedelta(days=1)  # yesterday's last ones may still be done in their time
        key = (item.key, f"{today} {len(seen.versions)}")
        at, older = self._kept.get(key, (0.0, {}))
        if key not in self._kept or time.monotonic() - at > _KEPT:
            found = _counted(_judged(workspace, seen, [item], first, newest - timedelta(days=1)), seen.here)
            older = found.get(item.key, {})
            self._kept = {known: kept for known, kept in self._kept.items() if known[0] != item.key}
            self._kept[key] = (time.monotonic(), older)
        fresh = _counted(_judged(workspace, seen, [item], newest, today), seen.here)
        return older | fresh.get(item.key, {})


def _is_frequent(item: Item) -> bool:
    return item.when.kind == "every" and item.when.period < _FREQUENT


def _judged(workspace: Workspace, seen: Look, items: Sequence[Item], first: date, last: date) -> list[Verdict]:
    """The occurrences of some items on some days, both included."""
    keys = {one.key for one in items}
    versions = [replace(one, items=tuple(item for item in one.items if item.key in keys)) for one in seen.versions]
    narrow = replace(seen, items=tuple(items), versions=versions)
    end = min(_midnight(last + timedelta(days=1), seen.here), seen.now + timedelta(microseconds=1))
    return judged(workspace, narrow, _midnight(first, seen.here), end)


def _counted(verdicts: Iterable[Verdict], here: tzinfo) -> dict[str, dict[date, Counts]]:
    found: dict[str, dict[date, Counts]] = {}
    for one in verdicts:
        day = one.occurrence.due.astimezone(here).date()
        state = _LATE if one.state is State.MISSED and one.caught_up else one.state.value
        found.setdefault(one.occurrence.item.key, {}).setdefault(day, Counter())[state] += 1
    return found


def _days(item: Item, counts: Mapping[date, Counts], seen: Look, today: date) -> Iterator[Day]:
    for number in range(1 - PAST, AHEAD + 1):
        day = today + timedelta(days=number)
        known = counts.get(day) or Counter()
        if number >= 0 and _is_due(item, max(_midnight(day, seen.here), seen.now), day, seen):
            known = (
                known + Counter({State.EXPECTED.value: 1}) if number else known or Counter({State.EXPECTED.value: 1})
            )
        yield _day(day, known, today=number == 0, ahead=number > 0)


def _day(day: date, counts: Counts, *, today: bool, ahead: bool) -> Day:
    states = [state for state in map(str, _WORST) if counts[state]]
    number = counts.total()
    told = ", ".join(f"{counts[state]} {state}" if number > 1 else state for state in states)
    if ahead and states:
        told = "due"
    return Day(states[0] if states else NOTHING, f"{day:%a %d %b}: {told or NOTHING}", today, ahead)


def _is_due(item: Item, start: datetime, day: date, seen: Look) -> bool:
    """Whether an item is due between a moment and the end of a day."""
    return next(iter(times(item, start, _midnight(day + timedelta(days=1), seen.here), seen.here)), None) is not None


def _midnight(day: date, here: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=here).astimezone(UTC)

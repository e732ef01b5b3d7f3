"""What a service has to start now, and when it has to look again. Pure but for what it is given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

from tabsync.schedule.expected import Occurrence, Version, expected
from tabsync.schedule.items import Item
from tabsync.schedule.judge import Attempt, Record, State, judge_all
from tabsync.schedule.newest import newest_due

LOOK = timedelta(minutes=10)
"""The longest time until everything is looked at again."""

FIRST = ("backup take", "wal copy")
"""What goes first when several are due."""

AFTER = ("drill", "backup")
"""What waits until no backup is being taken: it works with the newest."""


@dataclass(frozen=True, slots=True)
class Start:
    """An occurrence to be started. catch_up: its window is over; again: it was tried before."""

    occurrence: Occurrence
    catch_up: bool
    again: bool = False


def startable(item: Item) -> bool:
    """Whether a service starts it by the clock."""
    return not item.is_task and item.when.kind in ("clock", "every")


def due_now(
    versions: Sequence[Version],
    records: Mapping[str, Record],
    now: datetime,
    here: tzinfo,
    names: Collection[str],
) -> list[Start]:
    """What is to be started at a moment, the most important first.

    Of each item at most one: the newest occurrence, if it waits in its window, is to be tried again, or was missed
    without anything having been done since.
    """
    found: list[Start] = []
    for item in versions[-1].items if versions else ():
        if not startable(item):
            continue
        # What is started is the item as it stands now: an approval of what it was before an edit is none of it.
        dues = [Occurrence(item, one.due, one.until) for one in _newest(versions, item, now, here)]
        if not dues:
            continue
        record = records.get(item.key) or Record()
        verdict = judge_all(dues, records, now, names, here=here)[-1]
        one = verdict.occurrence
        attempt = record.attempts.get(one.due)
        undone = verdict.state is State.MISSED and verdict.caught_up is None
        if attempt is None:
            wanted = undone or verdict.state is State.WAITING
        else:
            wanted = (undone or verdict.state in (State.WAITING, State.FAILED)) and _again(attempt, now)
        if wanted:
            found.append(Start(one, catch_up=now >= one.until, again=attempt is not None))
    return sorted(found, key=lambda one: (_rank(one.occurrence.item), one.occurrence.due, one.occurrence.item.line))


def _newest(versions: Sequence[Version], item: Item, now: datetime, here: tzinfo) -> Sequence[Occurrence]:
    """The newest occurrences of an item; those of the newest manual also where it is in force from the future on.

    A clock that was ahead when the manual came into force would stop what is new in it until then, perhaps for years.
    """
    found = newest_due(versions, item, now, here)
    if found or versions[-1].at <= now:
        return found
    always = Version(datetime.min.replace(tzinfo=UTC), versions[-1].digest, (replace(item, first=False),))
    return newest_due([always], item, now, here)


def _again(attempt: Attempt, now: datetime) -> bool:
    return attempt.state == "waits for approval" or (attempt.retry_at is not None and attempt.retry_at <= now)


def _rank(item: Item) -> int:
    spelled = " ".join(item.words)
    order = (*FIRST, *AFTER)
    return next((number for number, words in enumerate(order) if spelled.startswith(words)), len(order))


def waits_for_a_backup(item: Item, running: Collection[str]) -> bool:
    """Whether an item has to wait for what runs. running: the commands."""
    spelled = " ".join(item.words)
    takes = any(one.startswith(FIRST) for one in running)
    return takes and spelled.startswith(AFTER) and not spelled.startswith(FIRST)


def next_look(versions: Sequence[Version], records: Mapping[str, Record], now: datetime, here: tzinfo) -> datetime:
    """When something may be due that isn't now."""
    latest, start = now + LOOK, now + timedelta(microseconds=1)
    moments = [latest]
    # The newest manual counts now, also when a clock that was ahead put it into the future; what was before it as well.
    for manuals in (versions, [replace(one, at=min(one.at, now)) for one in versions[-1:]]):
        dues = (one.due for one in expected(manuals, start, latest, here) if startable(one.item))
        moments.append(next(dues, latest))
    for record in records.values():
        moments += [one.retry_at for one in record.attempts.values() if one.retry_at and one.retry_at > now]
    return min(moments)

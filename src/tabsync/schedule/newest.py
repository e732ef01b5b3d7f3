"""The newest occurrence of each item that was due, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from tabsync.schedule.expected import Occurrence, Version, expected
from tabsync.schedule.items import Item
from tabsync.schedule.judge import BAD, Record, State, Verdict, judge_all
from tabsync.schedule.look import Look
from tabsync.schedule.record import records

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Standing:
    """How an item stands: its newest occurrence, and the one before it."""

    newest: Verdict
    before: Verdict | None

    @property
    def settled(self) -> Verdict:
        """The newest that can't become anything else by waiting, if there is one."""
        return self.before if self.before is not None and self.newest.state in _MOVING else self.newest

    @property
    def is_overdue(self) -> bool:
        """Whether it should have been done and wasn't, nor afterwards."""
        bad = self.settled.state in (*BAD, State.UNKNOWN)
        return bad and self.settled.caught_up is None


_MOVING = (State.OPEN, State.WAITING, State.RUNNING, State.EXPECTED)


def newest_of(workspace: Workspace, seen: Look) -> dict[str, Standing]:
    """By the items' keys; those that were never due, and gates, are left out."""
    dues: dict[str, list[Occurrence]] = {}
    for item in seen.items:
        if not item.is_gate and (found := newest_due(seen.versions, item, seen.now, seen.here)):
            dues[item.key] = found
    oldest = min((found[0].due for found in dues.values()), default=seen.now)
    frequent = [item for item in seen.items if item.key in dues and dues[item.key][0].due > seen.now - _RECENT]
    rare = [item for item in seen.items if item.key in dues and item not in frequent]
    ledger, since = workspace.ledger(), seen.now - _RECENT
    known: dict[str, Record] = records(ledger, frequent, seen.manual, seen.subject, since)
    known |= records(ledger, rare, seen.manual, seen.subject, oldest) if rare else {}
    standing = {}
    for key, found in dues.items():
        verdicts = judge_all(found, known, seen.now, seen.names, seen.rpo, seen.here)
        standing[key] = Standing(verdicts[-1], verdicts[-2] if len(verdicts) > 1 else None)
    return standing


_RECENT = timedelta(days=3)


def newest_due(versions: Sequence[Version], item: Item, now: datetime, here: tzinfo) -> list[Occurrence]:
    """The last two occurrences of an item up to now, by the manuals that were in force; [] when it was never due."""
    only = [Version(one.at, one.digest, tuple(i for i in one.items if i.key == item.key)) for one in versions]
    end, span = now + timedelta(microseconds=1), span_of(item)
    for _ in range(6):
        found = expected(only, now - span, end, here)
        if found or not only or now - span < only[0].at:
            return found[-2:]
        span *= 4  # it was longer ago than it should be: a range of hours or days, or no such manual in between
    return []


def span_of(item: Item) -> timedelta:
    """How far back one has to look for the newest occurrence of an item, and the one before."""
    return timedelta(seconds=max(item.when.period, 60) * 2.3 + item.window)


def known_since(versions: Sequence[Version], item: Item, now: datetime, here: tzinfo) -> datetime:
    """From when on the records of an item have to be read: what is due on weekdays only was due on Friday last."""
    found = newest_due(versions, item, now, here)
    return min([now - span_of(item), *(one.due for one in found)])

"""What of a migration is there, by what its statements change and by what the catalog has. Pure.

A tool runs the statements in their order and stops at the first that fails, and whether it takes back what was done
before depends on it. So what is there is what some number of the first statements have done. A number is possible if
the catalog has all that these statements would have left, and nothing else is assumed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from heapq import heappop, heappush
from itertools import accumulate

from tabsync.migrations.changes.change import Change, Effect, Kind, Thing
from tabsync.migrations.changes.looks import Look, matches
from tabsync.migrations.changes.touching import touches, touchy


class Found(StrEnum):
    """What of a statement is there."""

    THERE = "there"
    PARTLY = "partly there"
    ABSENT = "absent"
    UNKNOWN = "can't tell"
    NOTHING = "leaves nothing"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What of a statement is there. why: it can't be told, or is only partly there; left: something of it may be left.

    before: what is there may have been there before the migration; present: all that it makes is there just now.
    """

    found: Found
    why: str = ""
    left: bool = True
    before: bool = False
    present: bool = False


_BEFORE = "it may have been so before"
_AGAIN = "a later statement changes it again"


def opposite(effect: Effect) -> Effect:
    """How a thing is before a statement that fails where it is already as it should be, or is not there at all."""
    return effect if effect.needed else Effect(effect.thing, not effect.there)


class Judge:
    """The statements of a migration against one look at the catalog."""

    def __init__(self, changes: Sequence[Change], looks: Mapping[Thing, Look], path: tuple[str, ...]) -> None:
        self.changes, self.looks, self.path = changes, looks, path
        self.first: dict[Thing, tuple[int, Effect]] = {}
        self.since: dict[Thing, int] = {}  # the last statement before the first one, that may change it in passing
        self.history: dict[Thing, list[tuple[int, Effect | None]]] = {}
        self.last: dict[Thing, tuple[int, int]] = {}  # the last statement that changes it, and that names it
        self.possible = self._possible()
        self.reach = self.possible[-1]
        shown = self._shown()
        shows = (shown[done] for done in self.possible if done < len(shown))
        self.latest = list(accumulate(shows, max))  # of the possible numbers up to each, the last that shows more
        self.broken = any(self._out_of_order(number) for number in range(self.reach + 1, len(changes) + 1))

    def verdicts(self) -> list[Verdict]:
        """What of each statement is there."""
        return [replace(self._verdict(one), present=self._present(one)) for one in range(1, len(self.changes) + 1)]

    def _present(self, number: int) -> bool:
        effects = self.changes[number - 1].effects
        return bool(effects) and all(self._matches(one) is True and not one.needed for one in effects)

    def _possible(self) -> list[int]:
        """How many of the first statements may be done: 0 to all."""
        bad: set[Thing] = set()
        before: list[tuple[int, Change]] = []
        found = [0]
        for number, change in enumerate(self.changes, start=1):
            mine = {one.thing: one for one in change.effects}
            for thing in self.history if touchy(change) else ():
                if thing not in mine and touches(change, thing):
                    self.history[thing].append((number, None))
                    bad.discard(thing)
            for thing, effect in mine.items():
                if thing not in self.first:
                    self.first[thing] = number, effect
                    self.since[thing] = max((at for at, one in before if touches(one, thing)), default=0)
                sure = effect if effect.sure else None
                self.history.setdefault(thing, []).append((number, sure))
                if sure and self._matches(sure) is False:
                    bad.add(thing)
                else:
                    bad.discard(thing)
            if not bad:
                found.append(number)
            if touchy(change):
                before.append((number, change))
        return found

    def _matches(self, effect: Effect) -> bool | None:
        return matches(effect, self.looks.get(effect.thing), self.path)

    def _shown(self) -> list[int]:
        """By how many statements are done, the first one after them that shows that it was more."""
        none = len(self.changes) + 1
        possible = set(self.possible)
        spans = sorted(self._spans())
        shown, waiting, at = [], list[tuple[int, int]](), 0
        for done in range(len(self.changes)):
            while at < len(spans) and spans[at][0] <= done:
                heappush(waiting, spans[at][1:])
                at += 1
            while waiting and waiting[0][1] <= done:
                heappop(waiting)
            shown.append((waiting[0][0] if waiting else none) if done in possible else 0)
        return shown

    def _spans(self) -> Iterator[tuple[int, int, int]]:
        """Where a thing is not as it would be: from how many statements done, which one shows more, and to how many.

        A thing changes its state with its own statements only.
        """
        own: dict[Thing, list[int]] = {}
        for number, change in enumerate(self.changes, start=1):
            for thing in dict.fromkeys(one.thing for one in change.effects):
                own.setdefault(thing, []).append(number)
        for thing, history in self.history.items():
            first = self.first[thing][1]
            states: list[tuple[int, bool]] = []
            if first.strict or first.needed:
                states.append((self.since[thing], self._matches(opposite(first)) is False))
            states += [(number, state is not None and self._matches(state) is False) for number, state in history]
            ends = [number for number, _ in history] + [len(self.changes)]
            for begin, differs in states:
                end = ends[bisect_right(ends, begin)] if begin < len(self.changes) else begin
                next_one = bisect_right(own[thing], begin)
                if differs and begin < end and next_one < len(own[thing]):
                    yield begin, own[thing][next_one], end

    def _excludes_less(self, number: int) -> bool:
        """Whether the catalog shows that no smaller number of statements was done, by what comes up to one of them."""
        mine = self.changes[number - 1].effects
        if any(
            not one.strict and not one.needed and self._begins(number, one.thing) and self._matches(one) for one in mine
        ):
            return True
        count = bisect_left(self.possible, number)
        return not count or self.latest[count - 1] <= number

    def _out_of_order(self, number: int) -> bool:
        """Whether what a statement makes is there though one before it wasn't done: by hand, or since ever."""
        return any(one.strict and self._begins(number, one.thing) for one in self._as_done(number))

    def _as_done(self, number: int) -> list[Effect]:
        """What of a statement is as it would leave it. That only something is gone may be why it failed."""
        mine = self.changes[number - 1].effects
        now = [one for one in mine if self._matches(one) is True]
        return now if len(now) == len(mine) or any(one.there for one in now) else []

    def _begins(self, number: int, thing: Thing) -> bool:
        """Whether no statement before one may have changed a thing."""
        return self.first[thing][0] == number and not self.since[thing]

    def _again(self, number: int, thing: Thing, *, named: bool = False) -> bool:
        """Whether a later statement may change a thing. named: only one that names it: nothing else puts it there."""
        if thing not in self.last:
            later = [(at, state) for at, state in self.history.get(thing, ()) if not (state and state.needed)]
            by_name = max((at for at, state in later if state is not None), default=0)
            self.last[thing] = max((at for at, _ in later), default=0), by_name
        return self.last[thing][named] > number

    def _verdict(self, number: int) -> Verdict:
        change = self.changes[number - 1]
        if change.kind is Kind.NOTHING:
            return Verdict(Found.NOTHING, left=False)
        states = [self._matches(one) for one in change.effects]
        if any(one.there and self._unfinished(one.thing) for one in change.effects):
            return Verdict(Found.PARTLY, "it was not finished")
        if self.broken:
            return self._alone(number, states)
        if number > self.reach:
            return self._not_reached(number)
        return self._reached(number, states)

    def _unfinished(self, thing: Thing) -> bool:
        look = self.looks.get(thing)
        return look is not None and bool(look.there) and not look.whole

    def _not_reached(self, number: int) -> Verdict:
        own = any(self.first[one.thing][0] == number and not one.needed for one in self._as_done(number))
        return Verdict(Found.UNKNOWN, _BEFORE, before=True) if own else Verdict(Found.ABSENT, left=False)

    def _reached(self, number: int, states: list[bool | None]) -> Verdict:
        change = self.changes[number - 1]
        if not change.effects or change.kind is Kind.DATA:
            return Verdict(Found.UNKNOWN, change.why)
        again = [self._again(number, one.thing) for one in change.effects]
        if self._excludes_less(number):
            if any(now is False and not late for now, late in zip(states, again, strict=True)):
                return Verdict(Found.PARTLY, "something else of that name is there", before=True)
            if not change.whole:
                return Verdict(Found.UNKNOWN, change.why)
            return Verdict(Found.THERE, before=not all(one.strict for one in change.effects))
        if not any(again) and change.whole and all(now is False for now in states):
            return Verdict(Found.ABSENT, left=False)
        initial = all(self._as_before(one.thing) for one in change.effects) and change.whole
        return Verdict(Found.UNKNOWN, _AGAIN if any(again) else change.why or _BEFORE, left=not initial)

    def _as_before(self, thing: Thing) -> bool:
        """Whether a thing is as it was before the first statement that changes it; unknown of one that is made anew."""
        _, effect = self.first[thing]
        if effect.replaced or any(one and one.there is not effect.there for _, one in self.history[thing]):
            return False
        return effect.strict and not self.since[thing] and self._matches(opposite(effect)) is True

    def _alone(self, number: int, states: list[bool | None]) -> Verdict:
        """What is there when some of it was done or undone by hand: each statement for itself."""
        change = self.changes[number - 1]
        if not change.effects or not all(self._begins(number, one.thing) for one in change.effects):
            return Verdict(Found.UNKNOWN, change.why or _AGAIN)
        if any(
            self._again(number, one.thing, named=now is True) for one, now in zip(change.effects, states, strict=True)
        ):
            return Verdict(Found.UNKNOWN, _AGAIN)
        if change.kind is Kind.DATA and set(states) != {False}:
            return Verdict(Found.UNKNOWN, change.why)
        if set(states) == {True}:
            return Verdict(Found.THERE if change.whole else Found.UNKNOWN, change.why, before=True)
        if set(states) == {False}:
            return Verdict(Found.ABSENT, left=False)
        if True in states and False in states:
            return Verdict(Found.PARTLY, "a part of it was done or undone by hand")
        return Verdict(Found.UNKNOWN, change.why or _BEFORE)

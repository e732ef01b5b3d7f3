"""How often each item was in each state: what its evidence shows at one look is counted, only the rest is judged.

Evidence in its window settles an occurrence, whatever else is on record of it, unless somebody skipped it or it runs.
In a good year that is all of them, so the runs of the others alone are read, by the day.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from tabsync.kernel.clock import iso, parse_iso
from tabsync.schedule.evidence import Evidence
from tabsync.schedule.expected import Due, Occurrence, expected_of_each, next_midnight, zone_of
from tabsync.schedule.items import Item
from tabsync.schedule.judge import Attempt, Record, State, Verdict, judge, next_known
from tabsync.schedule.look import Look
from tabsync.schedule.record import attempts_of, marks_by_item, silent_services

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

AttemptsOf = Callable[[datetime, datetime], Mapping[datetime, Attempt]]
"""Reads the runs of an item's occurrences with start <= due < end."""

_SLACK = timedelta(days=1)  # evidence of a run is looked for from before it was due


@dataclass(slots=True)
class Tally:
    """An item over a span. counts: of its states; caught_up: how many of those missed were done afterwards.

    others: what became of the occurrences that were not done; days: of an item that is due often, the states of each.
    """

    item: Item
    counts: Counter[State] = field(default_factory=Counter)
    caught_up: int = 0
    others: list[Verdict] = field(default_factory=list)
    days: dict[date, Counter[State]] = field(default_factory=dict)


def tallies(workspace: Workspace, seen: Look, start: datetime, end: datetime) -> list[Tally]:
    """A tally of each item that was expected in a span by the manuals in force, in the order of the manual."""
    dues = expected_of_each(seen.versions, start, max(end, seen.now), seen.here)
    dues = {key: found for key, found in dues.items() if found}
    ledger = workspace.ledger()
    silent, marks = silent_services(ledger), marks_by_item(ledger)
    running: dict[str, set[datetime]] = {}
    since = iso(start - _SLACK)
    for row in ledger.read("open_occurrences"):
        running.setdefault(row["item"], set()).add(parse_iso(row["due"]))
    evidence = Evidence(ledger, seen.manual, seen.subject, since, brief=True)
    found = []
    for key, ones in dues.items():
        item = ones[-1][0]

        def attempts(first: datetime, last: datetime, key: str = key) -> Mapping[datetime, Attempt]:
            return attempts_of(ledger, key, iso(first), silent, iso(last))

        record = Record(evidence.of(item), {}, marks.get(key, ()))
        found.append(tally(ones, record, running.get(key, ()), attempts, seen, end))
    place = {item.key: number for number, item in enumerate(seen.items)}
    return sorted(found, key=lambda one: (place.get(one.item.key, len(place)), one.item.line))


def tally(
    dues: Sequence[Due], record: Record, running: Collection[datetime], attempts: AttemptsOf, seen: Look, end: datetime
) -> Tally:
    """The tally of one item.

    dues: all until now; record: without its runs, which `attempts` reads; running: the occurrences that are under way;
    end: those due later are only there for the ones before them.
    """
    counted = bisect_left(dues, end, key=lambda one: one[1])
    found = Tally(dues[-1][0])
    left = unsettled(dues[:counted], record, running)
    found.counts[State.DONE] = counted - len(left)
    for verdict in _judged(dues, left, record, attempts, seen):
        found.counts[verdict.state] += 1
        found.caught_up += verdict.caught_up is not None
        if verdict.state is not State.DONE:
            found.others.append(verdict)
    found.counts = +found.counts
    if found.item.is_frequent and counted:
        found.days = _by_day(dues[:counted], found.others, zone_of(found.item.when, seen.here))
    return found


def unsettled(dues: Sequence[Due], record: Record, running: Collection[datetime]) -> list[int]:
    """The numbers of those of which evidence in their window doesn't say at one look that they were done."""
    good = [one.at for one in record.proofs if one.counts]
    special = {*running, *(one.due for one in record.marks if one.due is not None)}
    found, place = [], 0
    for number, (item, due, until) in enumerate(dues):
        while place < len(good) and good[place] < due:
            place += 1
        shown = place < len(good) and good[place] < until and due not in special
        if not shown or item.is_task or item.when.kind == "continuous":
            found.append(number)
    return found


def _judged(
    dues: Sequence[Due], left: Sequence[int], record: Record, attempts: AttemptsOf, seen: Look
) -> Iterator[Verdict]:
    for numbers in _stretches(dues, left):
        first, last = dues[numbers[0]][1], dues[numbers[-1]][1]
        # Nothing is started for a task, nor for each day of what never ends.
        started = dues[numbers[-1]][0].when.kind != "continuous" and not dues[numbers[-1]][0].is_task
        known = record.with_attempts(attempts(first, last + timedelta(microseconds=1))) if started else record
        for number in numbers:
            one = Occurrence(*dues[number])
            following = dues[number + 1][1] if number + 1 < len(dues) else next_known(one, record, seen.now, seen.here)
            yield judge(one, known, seen.now, following, seen.names, seen.rpo)


def _stretches(dues: Sequence[Due], numbers: Sequence[int]) -> Iterator[list[int]]:
    """The numbers in groups that are due within days of one another: each group's runs are read at once."""
    group: list[int] = []
    for number in numbers:
        if group and dues[number][1] - dues[group[-1]][1] > timedelta(days=2):
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def _by_day(dues: Sequence[Due], others: Sequence[Verdict], zone: tzinfo) -> dict[date, Counter[State]]:
    """The states of each day of a zone: those that aren't told of were done."""
    found: dict[date, Counter[State]] = {}
    rest, begin = 0, 0
    while begin < len(dues):
        midnight = next_midnight(dues[begin][1], zone)
        end = bisect_left(dues, midnight, begin, key=lambda one: one[1])
        counts: Counter[State] = Counter()
        while rest < len(others) and others[rest].occurrence.due < midnight:
            counts[others[rest].state] += 1
            rest += 1
        counts[State.DONE] = end - begin - counts.total()
        found[dues[begin][1].astimezone(zone).date()] = +counts
        begin = end
    return found

"""How often each item was in each state: what its evidence shows at one look is counted, only the rest is judged.

Evidence in its window settles an occurrence, whatever else is on record of it, unless somebody skipped it or it runs.
In a good year that is all of them, so the runs of the others alone are read, by the day.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from tabsync.kernel.clock import iso, parse_iso
from tabsync.schedule.evidence import Evidence
from tabsync.schedule.expected import Due, Occurrence, expected_of_each, next_midnight, zone_of
from tabsync.schedule.items import Item
from tabsync.schedule.judge import AHEAD, Attempt, Record, State, Verdict, judge, next_known
from tabsync.schedule.look import Look
from tabsync.schedule.record import attempts_of, marks_by_item, silent_services

if TYPE_CHECKING:
    from tabsync.ledger.open import Ledger
    from tabsync.workspace import Workspace

_MOMENT = timedelta(microseconds=1)
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
    expected_ = expected_of_each(seen.versions, start, max(end, seen.now), seen.here)
    dues = {key: found for key, found in expected_.items() if found}
    ledger, since = workspace.ledger(), iso(start - _SLACK)
    evidence = Evidence(ledger, seen.manual, seen.subject, since, brief=True)
    proofs = evidence.of_each(found[-1][0] for found in dues.values())
    marks, running = marks_by_item(ledger), _running(ledger)
    records = {key: Record(proofs.get(key, ()), {}, marks.get(key, ())) for key in dues}
    latest = seen.now + AHEAD
    left = {key: unsettled(found, records[key], running.get(key, ()), end, latest) for key, found in dues.items()}
    spans = [(key, iso(first), iso(last)) for key, ones in left.items() for first, last in ones.runs]
    read = iter(attempts_of(ledger, spans, silent_services(ledger)))
    runs = {key: [next(read) for _ in ones.runs] for key, ones in left.items()}
    found = [tally(dues[key], left[key], records[key], runs[key], seen) for key in dues]
    place = {item.key: number for number, item in enumerate(seen.items)}
    return sorted(found, key=lambda one: (place.get(one.item.key, len(place)), one.item.line))


def _running(ledger: Ledger) -> dict[str, set[datetime]]:
    """The occurrences that are under way, by the items' keys."""
    found: dict[str, set[datetime]] = {}
    for row in ledger.read("open_occurrences"):
        found.setdefault(row["item"], set()).add(parse_iso(row["due"]))
    return found


@dataclass(frozen=True, slots=True)
class Left:
    """What evidence doesn't settle.

    counted: of how many; groups: the numbers of those that are left; runs: the spans, first <= due < last, of which
    the runs have to be read.
    """

    counted: int
    groups: list[list[int]]
    runs: list[tuple[datetime, datetime]]


def tally(
    dues: Sequence[Due], left: Left, record: Record, runs: Sequence[Mapping[datetime, Attempt]], seen: Look
) -> Tally:
    """The tally of one item. dues: all until now; record: without its runs; runs: in the spans that are left."""
    found = Tally(dues[-1][0])
    found.counts[State.DONE] = left.counted - sum(map(len, left.groups))
    known = record.with_attempts({due: one for some in runs for due, one in some.items()})
    for number in (one for group in left.groups for one in group):
        one = Occurrence(*dues[number])
        following = dues[number + 1][1] if number + 1 < len(dues) else next_known(one, record, seen.now, seen.here)
        verdict = judge(one, known, seen.now, following, seen.names, seen.rpo)
        found.counts[verdict.state] += 1
        found.caught_up += verdict.caught_up is not None
        if verdict.state is not State.DONE:
            found.others.append(verdict)
    found.counts = +found.counts
    if found.item.is_frequent and left.counted:
        found.days = _by_day(dues[: left.counted], found.others, zone_of(found.item.when, seen.here))
    return found


def unsettled(
    dues: Sequence[Due], record: Record, running: Collection[datetime], end: datetime, latest: datetime
) -> Left:
    """What evidence in its window doesn't show at one look to be done.

    dues: all until now; running: those that are under way; end: those due later are there only for those before them;
    latest: from then on evidence shows nothing yet.
    """
    good = [one.at for one in record.proofs if one.counts and one.at < latest]
    special = {*running, *(one.due for one in record.marks if one.due is not None)}
    found, place = list[int](), 0
    counted = bisect_left(dues, end, key=lambda one: one[1])
    for number in range(counted):
        item, due, until = dues[number]
        while place < len(good) and good[place] < due:
            place += 1
        shown = place < len(good) and good[place] < until and due not in special
        if not shown or item.is_task or item.when.kind == "continuous":
            found.append(number)
    groups = list(_groups(dues, found))
    if dues[-1][0].is_task or dues[-1][0].when.kind == "continuous":
        return Left(counted, groups, [])  # nothing is started for a task, nor for each day of what never ends
    return Left(counted, groups, [(dues[ones[0]][1], dues[ones[-1]][1] + _MOMENT) for ones in groups])


def _groups(dues: Sequence[Due], numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers in groups of those that are due within days of one another: the runs of a group are read at once."""
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

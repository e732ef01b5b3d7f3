"""tabsync schedule report: what ran last night, what it proved, what is missing, what was otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso
from tabsync.kernel.page import Page, Part, Style
from tabsync.kernel.request import Option
from tabsync.schedule.items import Item
from tabsync.schedule.judge import BAD, State, Verdict
from tabsync.schedule.list import newest, overdue
from tabsync.schedule.look import Look, judged, look
from tabsync.schedule.words import SIGN, as_json, first_line, moment, sum_told, told, zone_told

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_LINES = 40  # of the whole report
_WIDE = 100  # columns of a line
_STILL = 4
_OTHERWISE = 6
_ORDER = (*BAD, State.UNKNOWN, State.APPROVAL)


@dataclass(frozen=True, slots=True)
class Report:
    """What one may ask of schedule report."""

    html: Annotated[Path | None, Option("Write it as one page.", metavar="FILE")] = None


@dataclass(frozen=True, slots=True)
class Told:
    """A row of the report: one occurrence, or all of an item that is due often. at: what it is sorted by."""

    due: str
    item: Item
    text: str
    style: Style
    bad: bool
    at: datetime


def look_report(workspace: Workspace, request: Report) -> Page:
    """Last night: from yesterday's noon to today's, or to now."""
    page = report_of(workspace, look(workspace))
    if request.html is not None:
        from tabsync.workspace.html import write

        write(request.html, page, f"Last night: {workspace.name or 'this database'}")
        page.line(f"Written to {request.html}.", whole=True)
    return page


def report_of(workspace: Workspace, seen: Look) -> Page:
    """The report of the last night, as the schedule stands."""
    start, end = night_of(seen)
    found = judged(workspace, seen, start - timedelta(days=1), end)
    last = [one for one in found if one.occurrence.due >= start and one.state is not State.EXPECTED]
    before = [one for one in found if one.occurrence.due < start]
    late = [one for one in overdue(newest(workspace, seen)) if one.occurrence.due < start]
    differences = compare(before, last)
    data = {
        "from": iso(start),
        "to": iso(end),
        "occurrences": [as_json(one) for one in last],
        "sums": {name: {str(state): n for state, n in one.items()} for name, one in sums(last).items()},
        "overdue": [as_json(one) for one in late],
        "differences": differences,
        "service": seen.keeping.name if seen.keeping else None,
        "silent": seen.silent_since is not None,
    }
    page = Page("schedule report", data)
    _headline(page, seen, last, late)
    rest = _still(late, seen) + [(one, "quiet") for one in _cut(differences, _OTHERWISE, "differences")]
    _table(page, list(_rows(last, seen)), _LINES - len(page.blocks) - len(rest) - 3)
    for text, style in rest:
        page.line((text, style))
    zone_told(page, seen.zone)
    return page


def night_of(seen: Look) -> tuple[datetime, datetime]:
    """The span of the last night: from the noon before it, until now or the noon after it."""
    local = seen.now.astimezone(seen.here)
    noon = datetime(local.year, local.month, local.day, 12, tzinfo=seen.here).astimezone(UTC)
    start = noon - timedelta(days=1)
    return start, min(seen.now, noon) if local.hour < 12 else seen.now


def compare(before: Sequence[Verdict], last: Sequence[Verdict]) -> list[str]:
    """What was otherwise the night before, in sentences; of what is due often, how many were not done."""
    then, now = _states(before), _states(last)
    found = []
    for name, state in now.items():
        if name in then and then[name] != state and State.EXPECTED not in (then[name], state):
            found.append(f"{name}: {state.value}, the night before: {then[name].value}")
    before_, last_ = sums(before), sums(last)
    for name, counts in last_.items():
        if name in before_ and _not_done(before_[name]) != _not_done(counts):
            found.append(f"{name}: {sum_told(counts)}, the night before: {sum_told(before_[name])}")
    return found


def sums(verdicts: Sequence[Verdict]) -> dict[str, Counter[State]]:
    """How often each item that is due often was in each state, by the items' names."""
    found: dict[str, Counter[State]] = {}
    for one in verdicts:
        if one.occurrence.item.is_frequent:
            found.setdefault(one.occurrence.item.name, Counter())[one.state] += 1
    return found


def _states(verdicts: Sequence[Verdict]) -> dict[str, State]:
    return {one.occurrence.item.name: one.state for one in verdicts if not one.occurrence.item.is_frequent}


def _not_done(counts: Mapping[State, int]) -> dict[State, int]:
    return {state: count for state, count in counts.items() if state in _ORDER}


def _rows(last: Sequence[Verdict], seen: Look) -> Iterator[Told]:
    often: dict[str, list[Verdict]] = {}
    for one in last:
        item = one.occurrence.item
        if item.is_frequent:
            often.setdefault(item.name, []).append(one)
            continue
        zone = seen.zone
        sign, style = SIGN[one.state]
        proved = f": {first_line(one.why)}" if one.state is State.DONE and one.why else ""
        text = f"{sign} {first_line(told(one, zone))}{proved}"
        yield Told(moment(one.occurrence.due, zone), item, text, style, one.state in _ORDER, one.occurrence.due)
    for ones in often.values():
        yield _sum(ones, seen)


def _sum(ones: Sequence[Verdict], seen: Look) -> Told:
    """One row for all occurrences of an item, with the newest that was not in order."""
    item, counts = ones[-1].occurrence.item, Counter(one.state for one in ones)
    worst = next((one for one in reversed(ones) if one.state in _ORDER), None)
    sign, style = SIGN[worst.state if worst else ones[-1].state]
    text = f"{sign} {sum_told(counts)}"
    if worst is not None:
        why = f": {first_line(worst.why)}" if worst.why else ""
        text += f"; the last one due {moment(worst.occurrence.due, seen.zone)}{why}"
    return Told(item.when.name, item, text, style, worst is not None, ones[-1].occurrence.due)


def _table(page: Page, rows: Sequence[Told], room: int) -> None:
    """The rows, what is not in order first; those that have no room any more are counted. room: lines."""
    rows = sorted(rows, key=lambda one: (not one.bad, one.at))
    dues, names = (max((len(text) for text in texts), default=0) for texts in _first_two(rows))
    wide = max(20, _WIDE - dues - names - 3 * 2)
    shown: list[tuple[Part, ...]] = []
    for number, one in enumerate(rows):
        lines = len(wrap(one.text, wide)) or 1
        if lines > room - (number + 1 < len(rows)):
            break
        room -= lines
        shown.append((one.due, one.item.name, (one.text, one.style)))
    if rows:
        page.table(("Due", "Item", "What became of it, and what it proved"), shown, whole=("Due", "Item"))
    if len(shown) < len(rows):
        page.line(f"and {len(rows) - len(shown)} more: --json lists all", style="quiet")


def _first_two(rows: Sequence[Told]) -> tuple[list[str], list[str]]:
    return [one.due for one in rows], [one.item.name for one in rows]


def _still(late: Sequence[Verdict], seen: Look) -> list[tuple[str, Style]]:
    """What is overdue since before the night."""
    found = []
    for one in late:
        zone = seen.zone
        found.append(f"Still: {one.occurrence.item.name}, due {moment(one.occurrence.due, zone)}: {told(one, zone)}")
    return [(text, "bad") for text in _cut(found, _STILL, "overdue, all in: tabsync schedule list")]


def _cut(texts: Sequence[str], most: int, what: str) -> list[str]:
    """Each text in one line, and no more than so many of them."""
    found = [first_line(text, _WIDE) for text in texts[:most]]
    return found + ([f"and {len(texts) - most} more {what}"] if len(texts) > most else [])


def _headline(page: Page, seen: Look, last: Sequence[Verdict], late: Sequence[Verdict]) -> None:
    if not seen.versions:
        page.line(("Nobody has kept this schedule yet. ", "warning"), "To keep it: tabsync serve")
        return
    if seen.silent_since is not None:
        page.line((f"The scheduler is silent since {moment(seen.silent_since, seen.zone)}.", "strong bad"))
    bad = [one for one in last if one.state in BAD or one.state is State.UNKNOWN]
    done = sum(one.state is State.DONE for one in last)
    if bad or late:
        wrong = len({one.occurrence.item.name for one in [*bad, *late]})
        items = "1 item is" if wrong == 1 else f"{wrong} items are"
        page.line((f"LAST NIGHT: {items} not in order; {done} done", "strong bad"))
    elif done:
        page.line((f"LAST NIGHT: all that was due was done: {done}", "strong good"))
    else:
        page.line(("LAST NIGHT: nothing was due", "strong"))

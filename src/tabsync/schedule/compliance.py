"""tabsync schedule compliance: of all that was expected, how much was done, and what was not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.page import Page, Part, Style
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import parse_duration
from tabsync.schedule.judge import BAD, State
from tabsync.schedule.look import Look, look
from tabsync.schedule.passed import gates_since, show_gates
from tabsync.schedule.tally import Tally, tallies
from tabsync.schedule.words import (
    SIGN,
    as_json,
    first_line,
    item_as_json,
    moment,
    schedule_in,
    sum_told,
    told,
    zone_told,
)

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_OPEN = (State.EXPECTED, State.OPEN, State.WAITING, State.RUNNING, State.NOT_BUILT, State.ELSEWHERE, State.SKIPPED)
"""What can't be counted yet, is not this host's to do, or was left out for a reason: neither done nor missed."""

_BAD = (*BAD, State.UNKNOWN)
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Compliance:
    """What one may ask of schedule compliance."""

    since: Annotated[str, Option("How far back to look: 90d, 1 year.")] = "90d"
    html: Annotated[Path | None, Option("Write it as one page to be printed.", metavar="FILE")] = None


def judged_of(counts: Mapping[State, int]) -> int:
    """How many occurrences can be judged."""
    return sum(count for state, count in counts.items() if state not in _OPEN)


def good_of(counts: Mapping[State, int]) -> int:
    """How many were done in time."""
    return counts.get(State.DONE, 0)


def look_compliance(workspace: Workspace, request: Compliance) -> Page:
    """How much of what was expected was done."""
    seen = look(workspace)
    start = _start(request.since, seen)
    found = tallies(workspace, seen, start, seen.now)
    total = _percent(found)
    gates = gates_since(workspace.ledger(), seen.subject, start)
    data = {"since": iso(start), "until": iso(seen.now), "percent": total, "in_force_since": _first(seen)}
    page = Page("schedule compliance", data | {"items": [_as_json(one) for one in found], "gates": gates})
    if not seen.versions:
        page.line(("Nothing is known: no manual was ever in force. ", "warning"), "To keep the schedule: tabsync serve")
        return page
    share = "nothing was due yet" if total is None else f"{floor(total * 10) / 10} % of what was due was done in time"
    skipped = sum(one.counts[State.SKIPPED] for one in found)
    share += f", {skipped} skipped" if skipped else ""
    page.line((f"{share}, since {moment(max(start, seen.versions[0].at), seen.zone)}", _style(total)))
    page.table(
        ("Item", "When", "Done", "Missed", "Failed", "Other"),
        [_row(one, seen) for one in found],
        right=("Done", "Missed", "Failed"),
        whole=("Item",),
    )
    worst = sorted((row for one in found for row in _not_done(one, seen)), key=lambda row: row[0], reverse=True)
    if worst:
        page.line("What was not done, the newest first:")
        page.table(("Due", "Item", "What became of it"), [row[1:] for row in worst[:_SHOWN]], whole=("Due", "Item"))
    if len(worst) > _SHOWN:
        page.line(f"and {len(worst) - _SHOWN} more: --json lists all", style="quiet")
    show_gates(page, gates, seen.zone)
    zone_told(page, seen.zone)
    waiting = [one.item for one in found if one.counts[State.APPROVAL] and one.item in seen.items]
    for item in waiting:
        page.hint(f"tabsync schedule approve {item.name}")
    if request.html is not None:
        from tabsync.workspace.html import write

        write(request.html, page, f"Schedule compliance: {workspace.name or 'this database'}")
        page.line(f"Written to {request.html}.", whole=True)
    return page


def _row(one: Tally, seen: Look) -> tuple[Part, ...]:
    missed, failed = one.counts[State.MISSED], one.counts[State.FAILED] + one.counts[State.PROVED_NOTHING]
    late = f"{missed} ({one.caught_up} caught up)" if one.caught_up else str(missed)
    others = ", ".join(
        f"{count} {state.value}"
        for state, count in one.counts.items()
        if state not in (State.DONE, State.MISSED, State.FAILED, State.PROVED_NOTHING)
    )
    bad: tuple[Part, Part] = ((late, "bad" if missed else ""), (str(failed), "bad" if failed else ""))
    return (one.item.name, schedule_in(one.item, seen.zone), str(one.counts[State.DONE]), *bad, others)


def _not_done(one: Tally, seen: Look) -> Iterator[tuple[datetime, str, str, Part]]:
    """When, and what is said of it: each occurrence that was not done, or, of what is due often, each such day."""
    zone = seen.zone
    for day, counts in one.days.items():
        if any(counts[state] for state in _BAD):
            at = datetime(day.year, day.month, day.day, tzinfo=zone)
            yield at, f"{day:%a %d %b}", one.item.name, (sum_told(counts), "bad")
    for verdict in () if one.days else one.others:
        if verdict.state in _BAD:
            due = verdict.occurrence.due
            yield due, moment(due, zone), one.item.name, (first_line(told(verdict, zone)), SIGN[verdict.state][1])


def _as_json(one: Tally) -> Facts:
    judged = judged_of(one.counts)
    days = [
        {"day": day.isoformat(), "due": counts.total(), "states": {state.value: n for state, n in counts.items()}}
        for day, counts in one.days.items()
    ]
    return item_as_json(one.item) | {
        "percent": 100 * good_of(one.counts) / judged if judged else None,
        "states": {state.value: count for state, count in one.counts.items()},
        "caught_up": one.caught_up,
        "days": days or None,
        "not_done": [] if days else [as_json(verdict) for verdict in one.others if verdict.state in _BAD],
    }


def _percent(found: Iterable[Tally]) -> float | None:
    """Of all that was due, how much was done; a day of what is due often weighs as much as one occurrence.

    Else the WAL that is copied 52,000 times a year would hide each backup that was missed.
    """
    rows = [row for one in found for row in _weights(one)]
    judged = sum(one for _, one in rows)
    return 100 * sum(good for good, _ in rows) / judged if judged else None


def _weights(one: Tally) -> Iterator[tuple[float, int]]:
    """What is good, of how much."""
    if not one.days:
        yield good_of(one.counts), judged_of(one.counts)
        return
    for counts in one.days.values():
        if judged := judged_of(counts):
            yield good_of(counts) / judged, 1


def _style(percent: float | None) -> Style:
    return "strong good" if percent == 100 else "strong"


def _first(seen: Look) -> str | None:
    return iso(seen.versions[0].at) if seen.versions else None


def _start(text: str, seen: Look) -> datetime:
    try:
        span = parse_duration(text)
    except ValueError:
        raise BadUsage(f"--since {text!r} is not a span of time", "write it as 90d or '1 year'") from None
    return max(seen.now - span, seen.now - timedelta(days=3660))

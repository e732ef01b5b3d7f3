"""tabsync schedule list, next, show: what is due, what became of it, and when it is due again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import age, iso
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.page import Page, Part, Style
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.units import human_seconds
from tabsync.schedule.expected import times, zone_of
from tabsync.schedule.items import Item, gates_of
from tabsync.schedule.judge import BAD, State, Verdict
from tabsync.schedule.look import Look, judged, look, records_of
from tabsync.schedule.newest import Standing, newest_of
from tabsync.schedule.words import (
    SIGN,
    as_json,
    first_line,
    item_as_json,
    moment,
    schedule_in,
    told,
    told_short,
    zone_told,
)

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_FAR = timedelta(days=400)
_MOST = 200
_FACT = 400  # characters of a fact that are shown: its first line


@dataclass(frozen=True, slots=True)
class List:
    """What one may ask of schedule list."""

    start: Annotated[str, Option("First day to show, such as 2026-11-01.", ("--from",), metavar="DATE")] = ""
    end: Annotated[str, Option("Last day to show.", ("--to",), metavar="DATE")] = ""


@dataclass(frozen=True, slots=True)
class Next:
    """What one may ask of schedule next."""

    days: Annotated[int, Option("How many days to look ahead.", minimum=1, maximum=366)] = 7


@dataclass(frozen=True, slots=True)
class Show:
    """What one may ask of schedule show."""

    item: Annotated[str, Argument("The item: its short name, as schedule list prints it.")]
    days: Annotated[int, Option("How many days to look back.", minimum=1, maximum=3660)] = 30


def look_list(workspace: Workspace, request: List) -> Page:
    """Each item with its last occurrence and its next; or, with --from or --to, what is expected in these days."""
    seen = look(workspace)
    if request.start or request.end:
        return _span(seen, request)
    page = Page("schedule", {"service": _service(seen), "items": []})
    _head(page, seen)
    latest, zone = newest(workspace, seen), seen.zone
    rows: list[tuple[Part, ...]] = []
    wrong: list[tuple[Part, ...]] = []
    for item in seen.items:
        standing, upcoming = latest.get(item.key), following(seen, item)
        last = standing.newest if standing else None
        page.data["items"].append(
            item_as_json(item)
            | {
                "last": as_json(last) if last else None,
                "overdue": standing.is_overdue if standing else False,
                "next": upcoming.isoformat() if upcoming else None,
            }
        )
        if not item.is_gate:
            after = "" if item.when.kind == "continuous" else moment(upcoming, zone)
            rows.append((item.name, schedule_in(item, zone), _last(standing, seen), after))
            wrong += _wrong(item, standing, zone)
    page.table(("Item", "When", "Last", "Next"), rows, whole=("Item", "Next"))
    zone_told(page, zone)
    if wrong:
        page.line("")
        page.line("What is not in order:", style="strong")
        for parts in wrong:
            page.line(*parts)
        page.line("To see all of one: tabsync schedule show ITEM", style="quiet")
    if any(one.newest.state is State.APPROVAL for one in latest.values()):
        page.line("To approve one: tabsync schedule approve ITEM", style="quiet")
    for gate, items in gates_of(seen.items).items():
        page.line(f"Before {gate}: {', '.join(one.name for one in items)}")
        page.line(f'  tabsync schedule gate "{gate}"', style="quiet", whole=True)
    return page


def _last(standing: Standing | None, seen: Look) -> Part:
    """What became of the newest occurrence, in a few words."""
    if standing is None:
        return ("· not due yet" if seen.versions else "· not in force yet", "quiet")
    sign, style = SIGN[standing.newest.state]
    short = told_short(standing.newest, seen.zone)
    if standing.is_overdue and standing.settled is not standing.newest:
        return (f"{sign} {short}, {standing.settled.state} before", "bad")
    return (f"{sign} {short}", style)


def _wrong(item: Item, standing: Standing | None, zone: tzinfo) -> list[tuple[Part, ...]]:
    """What a person has to know of an item that is not in order, with the first line of the reason, whole."""
    if standing is None:
        return []
    if standing.newest.state is State.APPROVAL:
        return [(("? ", "warning"), f"{item.name} {first_line(standing.newest.state + ': ' + standing.newest.why)}")]
    if not standing.is_overdue:
        return []
    one = standing.settled
    sign, style = SIGN[one.state]
    due = moment(one.occurrence.due, zone)
    return [((f"{sign} {item.name}", style), f", due {due}: {first_line(told(one, zone), _FACT)}")]


def look_next(workspace: Workspace, request: Next) -> Page:
    """What is due in the next days."""
    seen = look(workspace)
    found = seen.upcoming(seen.now, seen.now + timedelta(days=request.days))
    found = [one for one in found if one.item.when.kind != "continuous"]
    page = Page("schedule next", {"days": request.days, "occurrences": []})
    _head(page, seen)
    often = Counter(one.item.key for one in found if one.item.is_frequent)
    rows, told_of = [], set[str]()
    for one in found:
        page.data["occurrences"].append({"item": one.item.name, "due": iso(one.due), "until": iso(one.until)})
        if one.item.key in told_of:
            continue
        who = "a person" if one.item.is_task else one.item.terms.on or ("" if one.item.built else "not built")
        if one.item.is_frequent:
            told_of.add(one.item.key)
            who = f"then {one.item.when.name}: {often[one.item.key]:,} times"
        rows.append((moment(one.due, seen.zone), one.item.name, who))
    page.table(("Due", "Item", ""), rows[:_MOST], whole=("Due", "Item"))
    if len(rows) > _MOST:
        page.line(f"and {len(rows) - _MOST} more: --json lists all")
    zone_told(page, seen.zone)
    return page


def look_show(workspace: Workspace, request: Show) -> Page:
    """One item: when it is due, what became of it in the last days, and when it is due next."""
    seen = look(workspace)
    item = seen.item(request.item)
    start = seen.now - timedelta(days=request.days)
    found = [one for one in judged(workspace, seen, start, seen.now) if one.occurrence.item.key == item.key]
    upcoming = following(seen, item)
    data = item_as_json(item) | {"next": iso(upcoming) if upcoming else None}
    page = Page("schedule item", data | {"occurrences": [as_json(one) for one in found]})
    zone = zone_of(item.when, seen.zone)
    page.line((item.text, "strong"))
    if item.words:
        page.line(f"tabsync {item.key}", whole=True)
    page.line(f"{item.schedule}, within {human_seconds(item.window)}; next: {moment(upcoming, zone) or 'not known'}")
    if item.approval:
        approved = records_of(workspace, seen, seen.now)[item.key].approved(item)
        by = f"approved by {approved.who}, {age(iso(approved.at))}" if approved else "not approved"
        page.line(f"It has to be approved, since {item.approval}: {by}")
        if approved is None:
            page.hint(f"tabsync schedule approve {item.name}")
    rows = list(_together(found, zone) if item.is_frequent else _each(found, zone))
    page.table(("Due", "What became of it", "Run"), rows[:_MOST], whole=("Due", "Run"))
    if len(rows) > _MOST:
        page.line(f"and {len(rows) - _MOST} more: --json lists all")
    zone_told(page, zone)
    return page


def _each(found: Sequence[Verdict], zone: tzinfo) -> Iterator[tuple[Part, ...]]:
    for one in reversed(found):
        yield moment(one.occurrence.due, zone), _told(one, zone), one.run_id


def _together(found: Sequence[Verdict], zone: tzinfo) -> Iterator[tuple[Part, ...]]:
    """Of what is due often: those in one row that follow one another and are the same."""
    for _, group in groupby(reversed(found), key=lambda one: (one.state, one.why if one.state in BAD else "")):
        ones = list(group)
        last, first = ones[0], ones[-1]
        if last is first:
            yield from _each(ones, zone)
            continue
        span = f"{moment(first.occurrence.due, zone)} to {moment(last.occurrence.due, zone)}"
        sign, style = SIGN[last.state]
        why = f": {last.why}" if last.why and last.state in BAD else ""
        yield span, (f"{sign} {len(ones):,} times {last.state}{why}", style), ""


def newest(workspace: Workspace, seen: Look) -> dict[str, Standing]:
    """How each item stands that was due, by the items' keys."""
    return newest_of(workspace, seen) if seen.versions else {}


def following(seen: Look, item: Item) -> datetime | None:
    """When an item is due next."""
    span = timedelta(seconds=max(item.when.period, 3600) * 2)
    start = seen.now + timedelta(microseconds=1)
    while span < _FAR * 4:
        found = next(iter(times(item, start, seen.now + span, seen.here)), None)
        if found is not None:
            return found
        span *= 3
    return None


def _told(verdict: Verdict, zone: tzinfo) -> tuple[str, Style]:
    sign, style = SIGN[verdict.state]
    return f"{sign} {told(verdict, zone)}", style


def _service(seen: Look) -> dict[str, object] | None:
    found = seen.keeping
    if found is None:
        return None
    troubles = {name: one for name, one in found.facts.items() if one}
    return {
        "name": found.name,
        "host": found.host,
        "heard_of": iso(found.beat_at),
        "silent": found.is_silent(seen.now),
        "troubles": troubles,
    }


def _head(page: Page, seen: Look) -> None:
    """Whether anybody keeps the schedule, and what is wrong."""
    if seen.trouble:
        page.line((f"{seen.trouble}; this is the schedule that was last in force.", "strong bad"))
        page.hint("tabsync manual check")
    found = seen.keeping
    if found is None:
        page.line(("Nobody keeps this schedule yet. ", "warning"), "To keep it: tabsync serve")
        return
    if found.is_silent(seen.now):
        verb = "was stopped" if found.facts.get("stopped") else "is silent: it was last heard of"
        page.line((f"The scheduler on {found.name} {verb} {age(iso(found.beat_at))}.", "strong bad"))
        page.hint("tabsync serve")
    for name, trouble in found.facts.items():
        if trouble and name != "stopped":
            page.line((f"{name}: {trouble['fact']} (since {age(trouble['since'])})", "bad"))


def _span(seen: Look, request: List) -> Page:
    first, last = _day(request.start, seen), _day(request.end or request.start, seen)
    if request.end and not request.start:
        first = seen.now.astimezone(seen.here).date()
    start, end = _midnight(first, seen), _midnight(last + timedelta(days=1), seen)
    if end <= start:
        raise BadUsage(f"--to {last} is before --from {first}", "both days are included")
    page = Page("schedule expected", {"from": iso(start), "to": iso(end), "occurrences": []})
    rows = []
    for one in seen.upcoming(start, end):
        page.data["occurrences"].append({"item": one.item.name, "due": iso(one.due), "until": iso(one.until)})
        rows.append((moment(one.due, seen.zone), one.item.name))
    page.line(f"What this manual expects from {first} to {last}, both included: {len(rows)} times.")
    page.table(("Due", "Item"), rows[:_MOST], whole=("Item",))
    if len(rows) > _MOST:
        page.line(f"and {len(rows) - _MOST} more: --json lists all")
    zone_told(page, seen.zone)
    return page


def _day(text: str, seen: Look) -> date:
    if not text:
        return seen.now.astimezone(seen.here).date()
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise BadUsage(f"{text!r} is not a date", "write it as 2026-11-28") from None
    if abs((found - seen.now.date()).days) > _FARTHEST:
        raise BadUsage(f"{text} is too far away", "at most ten years from now")
    return found


def _midnight(day: date, seen: Look) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=seen.here).astimezone(UTC)


_FARTHEST = 3660  # days


def overdue(latest: Mapping[str, Standing]) -> list[Verdict]:
    """What should have been done and wasn't, nor afterwards, the oldest first."""
    late = [one.settled for one in latest.values() if one.is_overdue]
    return sorted(late, key=lambda verdict: verdict.occurrence.due)

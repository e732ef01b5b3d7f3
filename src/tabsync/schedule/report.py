"""tabsync schedule report: what ran last night, what it proved, what is missing, what was otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso
from tabsync.kernel.page import Page, Part
from tabsync.kernel.request import Option
from tabsync.schedule.expected import zone_of
from tabsync.schedule.judge import BAD, State, Verdict
from tabsync.schedule.list import newest, overdue
from tabsync.schedule.look import Look, judged, look
from tabsync.schedule.words import SIGN, as_json, moment, told

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_MOST = 24  # rows, so that it fits forty lines
_ORDER = (State.FAILED, State.PROVED_NOTHING, State.MISSED, State.UNKNOWN, State.APPROVAL)


@dataclass(frozen=True, slots=True)
class Report:
    """What one may ask of schedule report."""

    html: Annotated[Path | None, Option("Write it as one page.", metavar="FILE")] = None


def look_report(workspace: Workspace, request: Report) -> Page:
    """Last night: from yesterday's noon to today's, or to now."""
    seen = look(workspace)
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
        "overdue": [as_json(one) for one in late],
        "differences": differences,
        "service": seen.keeping.name if seen.keeping else None,
        "silent": seen.silent_since is not None,
    }
    page = Page("schedule report", data)
    _headline(page, seen, last, late)
    worst_first = sorted(last, key=lambda one: (one.state not in _ORDER, one.occurrence.due))
    rows: list[tuple[Part, ...]] = []
    for one in worst_first[:_MOST]:
        zone = zone_of(one.occurrence.item.when, seen.here)
        sign, style = SIGN[one.state]
        about = one.why if one.state is State.DONE else ""
        rows.append(
            (moment(one.occurrence.due, zone), one.occurrence.item.name, (f"{sign} {told(one, zone)}", style), about)
        )
    page.table(("Due", "Item", "What became of it", "What it proved"), rows, whole=("Item",))
    if len(worst_first) > _MOST:
        page.line(f"and {len(worst_first) - _MOST} more: --json lists all", style="quiet")
    for one in late[:4]:
        zone = zone_of(one.occurrence.item.when, seen.here)
        page.line(
            (f"Still: {one.occurrence.item.name}, due {moment(one.occurrence.due, zone)}: {told(one, zone)}", "bad")
        )
    for difference in differences[:6]:
        page.line(difference, style="quiet")
    if request.html is not None:
        from tabsync.schedule.html import write

        write(request.html, page, f"Last night: {workspace.name or 'this database'}")
        page.line(f"Written to {request.html}.", whole=True)
    return page


def night_of(seen: Look) -> tuple[datetime, datetime]:
    """The span of the last night: from the noon before it, until now or the noon after it."""
    local = seen.now.astimezone(seen.here)
    noon = datetime(local.year, local.month, local.day, 12, tzinfo=seen.here).astimezone(UTC)
    start = noon - timedelta(days=1)
    return start, min(seen.now, noon) if local.hour < 12 else seen.now


def compare(before: Sequence[Verdict], last: Sequence[Verdict]) -> list[str]:
    """What was otherwise the night before, in sentences."""
    then, now = _states(before), _states(last)
    found = []
    for name, state in now.items():
        if name in then and then[name] != state and State.EXPECTED not in (then[name], state):
            found.append(f"{name}: {state.value}, the night before: {then[name].value}")
    return found


def _states(verdicts: Sequence[Verdict]) -> dict[str, State]:
    return {one.occurrence.item.name: one.state for one in verdicts}


def _headline(page: Page, seen: Look, last: Sequence[Verdict], late: Sequence[Verdict]) -> None:
    if not seen.versions:
        page.line(("Nobody has kept this schedule yet. ", "warning"), "To keep it: tabsync serve")
        return
    if seen.silent_since is not None:
        page.line((f"The scheduler is silent since {moment(seen.silent_since, seen.here)}.", "strong bad"))
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

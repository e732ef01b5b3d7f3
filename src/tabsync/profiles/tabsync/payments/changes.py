"""tabsync payments changes: is it us? What changed here before the payments failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso, local, now
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Cell, Page, Style
from tabsync.kernel.request import Option
from tabsync.kernel.units import human_seconds
from tabsync.profiles.tabsync.payments.change import Change, State
from tabsync.profiles.tabsync.payments.changed_database import in_database
from tabsync.profiles.tabsync.payments.changed_here import here
from tabsync.profiles.tabsync.payments.changed_outside import by_gateway, by_payments
from tabsync.profiles.tabsync.payments.changed_users import of_users
from tabsync.profiles.tabsync.payments.windows import length

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_STYLES: dict[State, Style] = {State.CHANGED: "bad", State.UNKNOWN: "warning", State.NOTHING: "quiet"}
_ORDER = (State.CHANGED, State.UNKNOWN, State.NOTHING)


@dataclass(frozen=True, slots=True)
class Changes:
    """What one may ask of payments changes."""

    since: Annotated[str, Option("How far back: from 5 min to 24 h.", metavar="DURATION")] = "2h"


def look_changes(workspace: Workspace, request: Changes) -> Page:
    """Each kind of change. Exit code 1: something changed; 6: nothing did, as far as is known. Raises BadUsage."""
    span = length(request.since)
    since = now() - span
    found = [
        *here(workspace, since),
        *in_database(workspace, since),
        of_users(workspace, since),
        *by_payments(workspace, span),
        by_gateway(workspace),
    ]
    states = {one.state for one in found}
    code = Exit.PROBLEM_FOUND if State.CHANGED in states else Exit.UNKNOWN if State.UNKNOWN in states else Exit.DONE
    page = Page("payments changes", {"since": iso(since), "changes": [one.to_json() for one in found]}, exit_code=code)
    told = human_seconds(span.total_seconds())
    page.line(*_headline(found, told))
    page.table(("What", "", "When", ""), (_row(one) for one in sorted(found, key=_place)), heading=False)
    return page


def _headline(found: list[Change], span: str) -> tuple[tuple[str, Style], str]:
    names = [one.what for one in found if one.state is State.CHANGED]
    blind = [one.what for one in found if one.state is State.UNKNOWN]
    rest = f"; unknown: {', '.join(blind)}" if blind else ""
    if names:
        return (f"CHANGED in the last {span}: {', '.join(names)}", "strong bad"), rest
    if blind:
        return (f"No change is known of in the last {span}", "strong warning"), rest
    return (f"Nothing changed here in the last {span}", "strong good"), ""


def _place(one: Change) -> tuple[int, float]:
    return _ORDER.index(one.state), -one.at.timestamp() if one.at else 0.0


def _row(one: Change) -> tuple[Cell, ...]:
    when = local(iso(one.at))[11:19] if one.at else "-"
    return one.what, (one.state.value, _STYLES[one.state]), when, one.text

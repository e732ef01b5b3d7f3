"""tabsync queries show: which statements run, for how long, what they wait for and whom they block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.page import Page
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.sessions.locks import Waiting, blocks, waiting
from tabsync.sessions.seen import Session, sessions, short
from tabsync.sessions.show import remarks
from tabsync.sessions.way_in import here, way_in

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_ROWS, _TEXT = 40, 34
_BUSY = "Client"  # an idle session waits for its client: that is not waiting


@dataclass(frozen=True, slots=True)
class Queries:
    """What one may ask of queries show."""

    all: Annotated[bool, Option("Sessions that are idle too.")] = False


def look_queries(workspace: Workspace, request: Queries) -> Page:
    """The statements that run, the longest first, and who blocks whom. Raises CannotConnect."""
    with way_in(workspace, "queries") as way:
        server = here(way)
        seen = [one for one in sessions(way) if one.kind != "this one"]
        found = waiting(way)
    blocked = blocks(found)
    running = [one for one in seen if request.all or one.state == "active" or blocked[one.pid]]
    running.sort(key=lambda one: (-blocked[one.pid], -(one.state_seconds or 0.0)))
    data: Facts = {"server": server, "through": way.told}
    data |= {"queries": [_json(one, found, blocked[one.pid]) for one in running]}
    page = Page("queries show", data, private=("query", "Statement"))
    if way.told:
        page.line(f"Through {way.told}.", style="quiet")
    count = sum(one.state == "active" for one in running)
    untracked = sum(one.is_untracked for one in seen)
    unknown = f"; of {untracked} more sessions it is unknown" if untracked else ""
    running_told = f"{count} statement{'s' if count != 1 else ''} running"
    page.line((running_told, "strong"), f", {len(found)} waiting for a lock{unknown}")
    if running:
        rows = [_row(one, found, blocked[one.pid]) for one in running[:_ROWS]]
        named = ("Process", "Application", "For", "Waits for", "Blocks", "Statement")
        page.table(named, rows, right=("Process", "For", "Blocks"))
    if len(running) > _ROWS:
        page.note(f"{len(running) - _ROWS} more are not shown; --json has all of them")
    if found:
        page.hint("to see who waits for whom: tabsync locks show")
    remarks(page, server, seen)
    return page


def waits_for(one: Session, found: Mapping[int, Waiting]) -> str:
    """What a session waits for, in words; "" while it works, or waits for its client."""
    if one.pid in found:
        who = ", ".join(str(pid) if pid else "a prepared transaction" for pid in found[one.pid].blocked_by[:3])
        return f"{short(found[one.pid].what, _TEXT)}, held by {who or 'nobody any more'}"
    if one.wait_event is None or one.wait_event_type == _BUSY:
        return ""
    return f"{one.wait_event_type}: {one.wait_event}"


def _json(one: Session, found: Mapping[int, Waiting], blocked: int) -> Facts:
    blockers = list(found[one.pid].blocked_by) if one.pid in found else []
    return one.to_json() | {"blocked_by": blockers, "blocks": blocked, "waits_for": waits_for(one, found)}


def _row(one: Session, found: Mapping[int, Waiting], blocked: int) -> tuple[str, ...]:
    since = human_seconds(one.state_seconds) if one.state_seconds is not None else "-"
    state = "" if one.state == "active" else f"{one.state_told}: "
    mark = "" if one.may_signal else " *"
    return (
        f"{one.pid}{mark}",
        short(one.name, 18),
        since,
        waits_for(one, found) or "-",
        str(blocked or "-"),
        short(f"{state}{one.query}", _TEXT),
    )

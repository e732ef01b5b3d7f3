"""tabsync incident show, list: what is wrong, since when, who has it, what comes next, and all that happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.incidents.checklist import Box, boxes
from tabsync.incidents.incident import Incident, State, next_update
from tabsync.incidents.measured import impact_of
from tabsync.incidents.parts import show_impact, show_people
from tabsync.incidents.people import call_next, people_of
from tabsync.incidents.record import incident_named, incidents
from tabsync.incidents.timeline import Moment, timeline
from tabsync.kernel.clock import age, iso, local, now
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Cell, Page, Style
from tabsync.kernel.request import Argument, Nothing, Option
from tabsync.kernel.units import human_seconds
from tabsync.manual.load import read

if TYPE_CHECKING:
    from datetime import datetime

    from tabsync.manual.model import Manual
    from tabsync.workspace import Workspace

_LINES = 200  # of a timeline on the page; JSON has all of them
_LISTED = 50
_STYLES: dict[State, Style] = {
    State.OPEN: "strong bad",
    State.MITIGATED: "strong warning",
    State.RESOLVED: "strong good",
    State.CLOSED: "quiet",
}


@dataclass(frozen=True, slots=True)
class Show:
    """What one may ask of incident show."""

    incident: Annotated[str, Argument("Its id, or the beginning of it; without it, the one that is open.")] = ""
    checklist: Annotated[bool, Option("Only the checklist and what is to be done.")] = False
    people: Annotated[bool, Option("Whom to call, with addresses; and what to tell suppliers.")] = False


def look_show(workspace: Workspace, request: Show) -> Page:
    """One incident. Exit code 1 while it is not resolved. Raises BadUsage when there is none."""
    one = incident_named(workspace, request.incident)
    manual, _ = read(workspace.manual_path)
    listed = boxes(workspace, manual, one)
    moments, missing = timeline(workspace, one)
    impact = impact_of(workspace, manual, one)
    data = one.to_json() | {
        "impact": impact,
        "timeline": [each.to_json() for each in moments],
        "unknown": missing or None,
    }
    page = Page("incident show", data | {"checklist": [each.to_json() for each in listed]})
    page.line((_state(one), _STYLES[one.state]), f": {one.title}")
    page.line(f"{one.severity}, {one.subject}, {_since(one)}")
    page.line(_who(one), style="" if one.has_it else "warning")
    if one.cause:
        page.line(f"root cause: {one.cause}")
    following = call_next(workspace, manual, one) if one.hurts and not one.has_it else None
    if following:
        page.line(f"call next: {following.role}, {following.address} ({following.when})")
    if request.people:
        page.data["people"] = people_of(workspace, manual, one, moments)
        show_people(page, page.data["people"])
    if not request.checklist:
        show_impact(page, impact)
        _timeline(page, moments, missing)
    if one.state in (State.RESOLVED, State.CLOSED) or request.checklist:
        _checklist(page, one, listed)
    page.hint(_next(one, manual, listed))
    page.exit_code = Exit.PROBLEM_FOUND if one.state in (State.OPEN, State.MITIGATED) else Exit.DONE
    return page


def look_list(workspace: Workspace, _request: Nothing) -> Page:
    """The newest incidents first."""
    found = incidents(workspace)
    page = Page("incident list", {"incidents": [one.to_json() for one in found]})
    if not found:
        page.line("No incident is known.")
        page.hint('to open one: tabsync incident open "WHAT IS WRONG"')
        return page
    page.table(("State", "Severity", "Opened", "Lasted", "Incident", "Id"), map(_row, found[:_LISTED]), whole=("Id",))
    if len(found) > _LISTED:
        page.note(f"{len(found) - _LISTED} more are not shown; --json has all of them")
    return page


def lasted(one: Incident) -> str:
    """From when it was opened until it hurt nobody any more, or until now."""
    until = min((at for at in (one.mitigated_at, one.resolved_at, one.closed_at) if at), default=now())
    return human_seconds(max(0.0, (until - one.opened_at).total_seconds()))


def _row(one: Incident) -> tuple[Cell, ...]:
    state = "false alarm" if one.false_alarm else one.state.value
    return (state, _STYLES[one.state]), one.severity, local(iso(one.opened_at)), lasted(one), one.title, one.id


def _state(one: Incident) -> str:
    return "FALSE ALARM" if one.false_alarm else one.state.value.upper()


def _since(one: Incident) -> str:
    told = f"opened {age(iso(one.opened_at))} by {one.opened_by}"
    for word, at in (("mitigated", one.mitigated_at), ("resolved", one.resolved_at), ("closed", one.closed_at)):
        told += f", {word} after {_after(one, at)}" if at else ""
    return told


def _after(one: Incident, at: datetime) -> str:
    return human_seconds(max(0.0, (at - one.opened_at).total_seconds()))


def _who(one: Incident) -> str:
    has = f"{one.has_it} takes care of it" if one.has_it else "NOBODY HAS IT"
    return has + (f"; {one.commander} leads" if one.commander else "")


def _timeline(page: Page, moments: list[Moment], missing: str) -> None:
    if missing:
        page.line((f"unknown: {missing}", "warning"))
    rows: list[tuple[Cell, ...]] = [
        (f"{each.at.astimezone():%d %b %H:%M:%S}", (each.text, each.style), each.who) for each in moments[-_LINES:]
    ]
    page.table(("When", "What", "Who"), rows, whole=("When",))
    if len(moments) > _LINES:
        page.note(f"{len(moments) - _LINES} earlier lines are not shown; --json has all of them")


def _checklist(page: Page, one: Incident, listed: list[Box]) -> None:
    signs: dict[bool, tuple[str, Style]] = {True: ("□", "warning"), False: ("■", "good")}
    rows: list[tuple[Cell, ...]] = [(str(each.number), signs[each.is_open], each.text, each.how) for each in listed]
    page.table(("Box", "", "Checklist", "By"), rows, right=("Box",))
    actions: list[tuple[Cell, ...]] = [
        (str(each.number), each.what, each.owner, each.due or "-", "done" if each.done_at else ("open", "warning"))
        for each in one.actions
    ]
    if actions:
        page.table(("Nr", "To be done", "Owner", "Until", ""), actions, right=("Nr",))


def _next(one: Incident, manual: Manual, listed: list[Box]) -> str:
    """The next command."""
    severity = manual.severity(one.severity)
    due = next_update(one, severity.every if severity else None)
    if not one.has_it and one.is_open:
        return "to take care of it: tabsync incident ack"
    if due is not None and due <= now():
        return 'an update is due: tabsync incident note "WHAT PEOPLE WERE TOLD" --update'
    if one.state is State.OPEN:
        return "once it hurts nobody any more: tabsync incident mitigate --note ..."
    if one.state is State.MITIGATED:
        return "once its reason is gone: tabsync incident resolve --note ...; it is back: tabsync incident reopen"
    if one.state is State.CLOSED:
        return f"to read it: tabsync incident report {one.id}"
    left = sum(each.is_open for each in listed)
    if left:
        return f"the checklist, tomorrow: {left} boxes are open; tabsync incident check NUMBER --note ..."
    return 'tabsync incident close --cause "..."'

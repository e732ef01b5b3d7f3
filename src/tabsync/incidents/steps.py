"""The steps of what people say of an incident: each writes one line, or two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.incidents.incident import Incident, Kind, why_not
from tabsync.incidents.joining import acknowledged
from tabsync.incidents.measured import impact_of
from tabsync.incidents.record import add, begin, incident_named
from tabsync.incidents.timeline import timeline
from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts
from tabsync.manual.load import read

if TYPE_CHECKING:
    from tabsync.workspace import Context

SHOW = "tabsync incident show"


def open_one(context: Context, *, title: str, severity: str, facts: Facts) -> Facts:
    """Open it, or join the one that was opened meanwhile."""
    id, is_new = begin(context.workspace, title, severity, facts)
    return {"id": id, "said": f"Opened: {id}, {severity}" if is_new else f"{id} is open: it was joined"}


def say(context: Context, *, incident: str, kind: str, text: str, facts: Facts) -> Facts:
    """Write an entry down. Raises Refused when the incident can't go there any more."""
    what = Kind(kind)
    one = incident_named(context.workspace, incident)
    if not facts.get("false_alarm"):
        check_move(one, what)
    add(context.workspace, incident, what, text, **facts)
    if what is Kind.ACK:
        acknowledged(context.workspace, incident_named(context.workspace, incident))
    return {"id": incident, "said": f"Written down: {incident}, {what.value}"}


def close(context: Context, *, incident: str, cause: str) -> Facts:
    """Close it, with its timeline and what it cost as they are now: runs and samples are forgotten."""
    one = incident_named(context.workspace, incident)
    check_move(one, Kind.CLOSED)
    if cause:
        add(context.workspace, incident, Kind.CAUSE, cause)
    moments, _ = timeline(context.workspace, incident_named(context.workspace, incident))
    manual, _ = read(context.workspace.manual_path)
    impact = impact_of(context.workspace, manual, one)
    add(context.workspace, incident, Kind.CLOSED, timeline=[each.to_json() for each in moments], impact=impact)
    return {"id": incident, "said": f"Closed: {incident}"}


def check_move(one: Incident, kind: Kind) -> None:
    """Raises Refused where an incident can't go there from where it is."""
    why = "" if kind is Kind.NOTE else why_not(one, kind)
    if why:
        hint = "tabsync incident resolve" if kind is Kind.CLOSED and one.is_open else f"{SHOW} {one.id}"
        raise Refused(f"{one.id} can't be {kind.value}: {why}", hint)

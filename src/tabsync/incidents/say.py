"""tabsync incident open, note, ack, mitigate, resolve, reopen, close, action, check: what people say, on record."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from tabsync.incidents.checklist import boxes
from tabsync.incidents.incident import Incident, Kind
from tabsync.incidents.record import LONGEST, incident_named, line_of, open_incident
from tabsync.incidents.steps import SHOW, check_move, close, open_one, say
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.manual.load import load

if TYPE_CHECKING:
    from tabsync.manual.model import Manual
    from tabsync.workspace import Workspace

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ID = "The incident's id, or the beginning of it; without it, the one that is open."


class Words:
    """What somebody says. A card or a key that was pasted along goes nowhere: neither to a plan nor to a record."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for one in fields(self):  # type: ignore[arg-type]
            if isinstance(value := getattr(self, one.name), str):
                if len(value) > LONGEST:
                    raise BadUsage(
                        f"{len(value):,} characters are too many for one line", "write the rest as a note of its own"
                    )
                object.__setattr__(self, one.name, line_of(value))


@dataclass(frozen=True, slots=True)
class Open(Words):
    """What one may ask of incident open."""

    title: Annotated[str, Argument("What is wrong, in a few words.")]
    severity: Annotated[str, Option("How bad it is, as the manual's Severities name it.")] = ""
    alert: Annotated[str, Option("The alert that it is about: its id.")] = ""


@dataclass(frozen=True, slots=True)
class Note(Words):
    """What one may ask of incident note."""

    text: Annotated[str, Argument("What you saw, did or decided.")]
    incident: Annotated[str, Option(_ID)] = ""
    update: Annotated[bool, Option("It is what people were told: the next update is due later.")] = False


@dataclass(frozen=True, slots=True)
class Take(Words):
    """What one may ask of incident ack."""

    incident: Annotated[str, Argument(_ID)] = ""
    commander: Annotated[str, Option("Who leads, if that is somebody.", metavar="NAME")] = ""
    severity: Annotated[str, Option("It is worse, or less bad, than it was taken for.")] = ""


@dataclass(frozen=True, slots=True)
class Move(Words):
    """What one may ask of incident mitigate, resolve, reopen."""

    incident: Annotated[str, Argument(_ID)] = ""
    note: Annotated[str, Option("What was done.")] = ""


@dataclass(frozen=True, slots=True)
class Close(Words):
    """What one may ask of incident close."""

    incident: Annotated[str, Argument(_ID)] = ""
    cause: Annotated[str, Option("The root cause.")] = ""
    false_alarm: Annotated[bool, Option("Nothing was wrong: no checklist, no post-mortem.")] = False
    note: Annotated[str, Option("Why, of a false alarm.")] = ""


@dataclass(frozen=True, slots=True)
class Act(Words):
    """What one may ask of incident action."""

    what: Annotated[str, Argument("What is to be done so that it doesn't happen again; or the number of one that is.")]
    owner: Annotated[str, Option("Who does it.")] = ""
    due: Annotated[str, Option("Until when: 2026-12-31.", metavar="DAY")] = ""
    done: Annotated[bool, Option("It is done.")] = False
    incident: Annotated[str, Option(_ID)] = ""


@dataclass(frozen=True, slots=True)
class Check(Words):
    """What one may ask of incident check."""

    box: Annotated[int, Argument("The number of the box, as incident show has it.")]
    note: Annotated[str, Option("What shows that it is so.")] = ""
    waive: Annotated[str, Option("Leave it out: why.", metavar="WHY")] = ""
    incident: Annotated[str, Option(_ID)] = ""


def plan_open(workspace: Workspace, request: Open) -> Plan:
    """Plan to open one; for an alert, or to join the one that is open.

    Raises Refused when one is open already, BadUsage for a severity that the manual lacks.
    """
    current = open_incident(workspace)
    if current is not None and not request.alert:
        raise Refused(f"{current.id} is open: {current.title}", f'tabsync incident note "{request.title}"')
    if not request.title.strip():
        raise BadUsage("what is wrong?", 'tabsync incident open "payments fail"')
    manual = load(workspace.manual_path)
    severity = _severity(manual, request.severity or _first(manual))
    alert = _alert(workspace, request.alert)
    made = call(open_one, title=request.title, severity=severity, facts=alert)
    return _plan("incident open", f"Open an incident: {request.title}", made)


def plan_note(workspace: Workspace, request: Note) -> Plan:
    """Plan a note; also of one that is closed."""
    one = incident_named(workspace, request.incident)
    facts: Facts = {"update": True} if request.update else {}
    return _said(one, "incident note", "Write down", Kind.NOTE, request.text, facts)


def plan_ack(workspace: Workspace, request: Take) -> Plan:
    """Plan to take care of one. Raises Refused when it is closed."""
    one = _open_one(workspace, request.incident)
    if request.severity:
        severity = _severity(load(workspace.manual_path), request.severity)
        return _said(one, "incident ack", "Set the severity", Kind.SEVERITY, severity)
    if request.commander:
        return _said(one, "incident ack", "Set the commander", Kind.COMMANDER, request.commander)
    return _said(one, "incident ack", "Take care of it", Kind.ACK, "")


def plan_mitigate(workspace: Workspace, request: Move) -> Plan:
    """Plan to say that it hurts nobody any more. Raises Refused."""
    return _moved(workspace, request, "incident mitigate", Kind.MITIGATED)


def plan_resolve(workspace: Workspace, request: Move) -> Plan:
    """Plan to say that its reason is gone. Raises Refused."""
    return _moved(workspace, request, "incident resolve", Kind.RESOLVED)


def plan_reopen(workspace: Workspace, request: Move) -> Plan:
    """Plan to say that it is back. Raises Refused."""
    return _moved(workspace, request, "incident reopen", Kind.REOPENED)


def plan_close(workspace: Workspace, request: Close) -> Plan:
    """Plan to close it. Raises Refused while it isn't resolved, a box is open or a root cause is owed."""
    one = _open_one(workspace, request.incident)
    if request.false_alarm:
        return _said(one, "incident close", "Close, as a false alarm", Kind.CLOSED, request.note, {"false_alarm": True})
    check_move(one, Kind.CLOSED)
    manual = load(workspace.manual_path)
    if request.cause:
        one.cause = request.cause
    severity = manual.severity(one.severity)
    if severity is not None and severity.post_mortem and not one.cause:
        fact = f"{one.id} is {one.severity}, and its root cause is not written down"
        raise Refused(fact, 'tabsync incident close --cause "..."')
    left = [box for box in boxes(workspace, manual, one) if box.is_open]
    if left:
        named = "; ".join(f"{box.number} {box.text}" for box in left)
        hint = f"tick it off: tabsync incident check {left[0].number} --note ..., or leave it out: --waive WHY"
        raise Refused(f"{len(left)} boxes of {one.id} are open: {named}", hint)
    made = call(close, incident=one.id, cause=request.cause)
    return _plan("incident close", f"Close {one.id}: {one.title}", made)


def plan_action(workspace: Workspace, request: Act) -> Plan:
    """Plan to write down what is to be done, or that it is. Raises BadUsage for a day that can't be read."""
    one = incident_named(workspace, request.incident)
    if request.done:
        if not request.what.isdecimal() or int(request.what) not in [each.number for each in one.actions]:
            raise BadUsage(f"{one.id} has no action {request.what!r}", f"{SHOW} {one.id}")
        facts: Facts = {"action": int(request.what)}
        return _said(one, "incident action", "Say that it is done", Kind.DONE, f"action {request.what}", facts)
    if request.due and not _is_day(request.due):
        raise BadUsage(f"--due {request.due!r} is no day", "write it as 2026-12-31")
    if not request.owner:
        raise BadUsage("who does it?", "--owner NAME: what nobody owns is not done")
    facts = {"owner": request.owner, "due": request.due}
    return _said(one, "incident action", "To be done", Kind.ACTION, request.what, facts)


def _is_day(text: str) -> bool:
    try:
        return _DAY.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def plan_check(workspace: Workspace, request: Check) -> Plan:
    """Plan to tick a box off, or to leave it out. Raises BadUsage for a box that isn't there."""
    one = incident_named(workspace, request.incident)
    found = {box.number: box for box in boxes(workspace, load(workspace.manual_path), one)}
    box = found.get(request.box)
    if box is None:
        raise BadUsage(f"the checklist has no box {request.box}", f"{SHOW} {one.id}")
    if box.by and not request.waive:
        raise Refused(f"box {box.number} is a fact, and not ticked off: {box.text}", "to leave it out: --waive WHY")
    if not one.is_open:
        raise Refused(f"{one.id} is closed", f"{SHOW} {one.id}")
    facts: Facts = {"box": str(box.number), "what": box.text} | ({"waived": True} if request.waive else {})
    what = f"Leave out box {box.number}" if request.waive else f"Tick off box {box.number}"
    return _said(one, "incident check", what, Kind.BOX, request.waive or request.note, facts)


def show(done: Done[Workspace, Any]) -> Page:
    """What was written down, and the next command."""
    told = done.results["record"]
    page = Page(done.planned.plan.procedure, told)
    page.line(f"{told['said']}.")
    page.hint(f"{SHOW} {told['id']}")
    return page


def _moved(workspace: Workspace, request: Move, words: str, kind: Kind) -> Plan:
    one = _open_one(workspace, request.incident)
    check_move(one, kind)
    return _said(one, words, words.removeprefix("incident ").capitalize(), kind, request.note)


def _open_one(workspace: Workspace, name: str) -> Incident:
    one = incident_named(workspace, name)
    if not one.is_open:
        raise Refused(f"{one.id} is closed", f"{SHOW} {one.id}")
    return one


def _severity(manual: Manual, name: str) -> str:
    found = manual.severity(name)
    if found is None:
        known = ", ".join(one.name for one in manual.known_severities())
        raise BadUsage(f"there is no severity {name!r}", f"one of: {known}")
    return found.name


def _first(manual: Manual) -> str:
    return manual.known_severities()[0].name


def _alert(workspace: Workspace, name: str) -> Facts:
    if not name:
        return {}
    from tabsync.monitoring.alerts.list import find_episode

    found = find_episode(workspace.ledger(), name)
    return {"alert": found.id, "began_at": iso(found.began_at)}


def _said(one: Incident, words: str, title: str, kind: Kind, text: str, facts: Facts | None = None) -> Plan:
    made = call(say, incident=one.id, kind=kind.value, text=text, facts=facts or {})
    return _plan(words, f"{title}: {one.id}" + (f": {text}" if text else ""), made)


def _plan(words: str, title: str, made: Any) -> Plan:
    step = Step(
        "record",
        title,
        made,
        "a line in the ledger, with who said it and when",
        Risk.REVERSIBLE,
        "no undo needed: nothing is changed by it, and the next line says otherwise",
    )
    return Plan(words, title, (step,), target={})

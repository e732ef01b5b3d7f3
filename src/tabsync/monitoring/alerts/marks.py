"""tabsync alert ack, silence, unsilence; window open, close, list: what people say of alerts, on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from tabsync.kernel.clock import iso, local, now, parse_iso
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import parse_duration
from tabsync.ledger.evidence import add_audit
from tabsync.manual.load import load
from tabsync.monitoring.alerts.episode import OVER
from tabsync.monitoring.alerts.list import find_episode
from tabsync.monitoring.alerts.silences import silences, windows
from tabsync.system.zone import zone_name

if TYPE_CHECKING:
    from tabsync.kernel.request import Nothing
    from tabsync.workspace import Context, Workspace

LONGEST = timedelta(days=30)
"""How long a silence or a window may be: what is silenced for ever is not watched."""


@dataclass(frozen=True, slots=True)
class Ack:
    """What one may ask of alert ack."""

    alert: Annotated[str, Argument("The alert's id, or the beginning of it.")]
    note: Annotated[str, Option("What you know of it.")] = ""
    gone: Annotated[bool, Option("What it is about does not exist any more: the alert ends.")] = False


@dataclass(frozen=True, slots=True)
class Quiet:
    """What one may ask of alert silence."""

    rule: Annotated[str, Argument("The metric, the item of the schedule or the channel, as alert list names it.")]
    reason: Annotated[str, Option("Why; it is shown wherever the alert is.")]
    lasting: Annotated[str, Option("How long: 2h, 3 days; at most 30 days.", ("--for",), metavar="DURATION")] = "1h"
    label: Annotated[str, Option("Only this label.")] = ""


@dataclass(frozen=True, slots=True)
class Loud:
    """What one may ask of alert unsilence."""

    silence: Annotated[int, Argument("The silence's number, as alert list shows it.")]


@dataclass(frozen=True, slots=True)
class Open:
    """What one may ask of window open."""

    reason: Annotated[str, Option("Why alerts are expected; it is shown with them.")]
    lasting: Annotated[str, Option("How long: 30min, 2h; at most 30 days.", ("--for",), metavar="DURATION")] = "1h"
    begin: Annotated[str, Option("From when, with a zone: 2026-12-01T02:00+01:00; by default now.", ("--from",))] = ""
    critical_too: Annotated[bool, Option("Critical alerts are not sent either.")] = False


@dataclass(frozen=True, slots=True)
class Close:
    """What one may ask of window close."""

    window: Annotated[int, Argument("The window's number, as window list shows it.")]


def plan_ack(workspace: Workspace, request: Ack) -> Plan:
    """Plan to acknowledge an alert. Raises BadUsage when there is none of that id, Refused when it has ended."""
    one = find_episode(workspace.ledger(), request.alert)
    if not one.is_open:
        raise Refused(f"the alert {one.id} has ended", f"tabsync alert show {one.id}")
    if one.is_acknowledged and not request.gone:
        raise Refused(f"{one.acked_by} has acknowledged {one.id} already", f"tabsync alert show {one.id}")
    what = "End" if request.gone else "Acknowledge"
    made = call(acknowledge, id=one.id, note=request.note, gone=request.gone)
    return _plan("alert ack", f"{what} the alert {one.id}: {one.key.rule}", made)


def plan_silence(workspace: Workspace, request: Quiet) -> Plan:
    """Plan to silence a rule. Raises BadUsage when nothing is called that, or it would last too long."""
    rule = _rule(workspace, request.rule)
    span = _span(request.lasting)
    reason = _reason(request.reason)
    until = now() + span
    title = f"Send nothing of {rule}{', ' + request.label if request.label else ''} until {local(iso(until))}"
    made = call(add_silence, rule=rule, label=request.label, reason=reason, until=iso(until))
    return _plan("alert silence", title, made)


def plan_unsilence(workspace: Workspace, request: Loud) -> Plan:
    """Plan to end a silence. Raises BadUsage when there is none of that number."""
    one = next((one for one in silences(workspace.ledger(), now()) if one.id == request.silence), None)
    if one is None:
        raise BadUsage(f"there is no silence {request.silence} in force", "to list them: tabsync alert list")
    return _plan("alert unsilence", f"End the silence of {one.what}", call(end_silence, silence=one.id))


def plan_open(workspace: Workspace, request: Open) -> Plan:
    """Plan to open a window. Raises BadUsage when its times can't be read, or it would last too long."""
    begin = _moment(request.begin) if request.begin else now()
    try:
        until = begin + _span(request.lasting)
    except OverflowError:
        raise BadUsage("there is no time after the year 9999", "--from an earlier moment") from None
    if until <= now():
        raise BadUsage("the window would have ended already", "--from a later moment")
    reason, critical = _reason(request.reason), request.critical_too
    what = "no alert" if request.critical_too else "no alert that isn't critical"
    title = f"Send {what} from {local(iso(begin))} to {local(iso(until))}"
    made = call(add_window, reason=reason, begin=iso(begin), until=iso(until), critical_too=critical)
    return _plan("window open", title, made)


def plan_close(workspace: Workspace, request: Close) -> Plan:
    """Plan to close a window. Raises BadUsage when there is none of that number."""
    one = next((one for one in windows(workspace.ledger(), now()) if one.id == request.window), None)
    if one is None:
        raise BadUsage(f"there is no window {request.window}", "to list them: tabsync window list")
    return _plan("window close", f"Close the window {one.id}: {one.reason}", call(end_window, window=one.id))


def look_windows(workspace: Workspace, _request: Nothing) -> Page:
    """The windows that are open, or will be."""
    moment = now()
    found = windows(workspace.ledger(), moment)
    page = Page("window list", {"windows": [one.to_json() for one in found]})
    if not found:
        page.line("No window is open.")
        return page
    rows = [
        (
            str(one.id),
            "open" if one.begin <= moment else "later",
            local(iso(one.begin)),
            local(iso(one.until)),
            "all alerts" if one.critical_too else "all but critical",
            one.reason,
            one.owner,
        )
        for one in found
    ]
    page.table(("Id", "", "From", "Until", "Withholds", "Reason", "By"), rows)
    return page


def _plan(words: str, title: str, calls: Any) -> Plan:
    step = Step(
        "record",
        title,
        calls,
        "a line in the ledger, with who said it and when",
        risk=Risk.REVERSIBLE,
        undo="no undo needed: it ends by itself, and can be ended before",
        repeatable=False,
    )
    return Plan(procedure=words, title=title, steps=(step,), target={})


def acknowledge(context: Context, *, id: str, note: str, gone: bool) -> Facts:
    """Write down that somebody takes care of an alert. gone: it ends."""
    from sqlalchemy import select, update

    from tabsync.ledger.tables import episode

    who, moment = context.workspace.journal_actor(), iso(now())
    ledger = context.workspace.ledger()
    with ledger.writing() as connection:
        mine = update(episode).where(episode.c.id == id, episode.c.ended_at.is_(None))
        ended: Facts = {}
        if gone:
            facts = connection.execute(select(episode.c.facts).where(episode.c.id == id)).scalar() or {}
            ended = {"state": "ended", "ended_at": moment, "facts": facts | {OVER: f"{who} said that it is gone"}}
        connection.execute(mine.values(acked_at=moment, acked_by=who, **ended))
    add_audit(ledger, who, "alert ack", id, {"note": in_one_line(note), "gone": gone})
    return {"said": f"{'Ended' if gone else 'Acknowledged'}: {id}, by {who}", "id": id, "who": who}


def add_silence(context: Context, *, rule: str, label: str, reason: str, until: str) -> Facts:
    """Write a silence down."""
    from tabsync.ledger.tables import silence

    row = {"rule": rule, "label": label, "reason": reason, "from_at": iso(now()), "until_at": until}
    number, who = _insert(context, silence, row | {"ended_at": None, "ended_by": ""}, "alert silence", rule)
    return {"said": f"Silenced: {rule}, until {local(until)}, by {who} (silence {number})", "id": number, "who": who}


def end_silence(context: Context, *, silence: int) -> Facts:
    """End a silence."""
    from sqlalchemy import update

    from tabsync.ledger import tables

    who, ledger = context.workspace.journal_actor(), context.workspace.ledger()
    with ledger.writing() as connection:
        mine = update(tables.silence).where(tables.silence.c.id == silence, tables.silence.c.ended_at.is_(None))
        connection.execute(mine.values(ended_at=iso(now()), ended_by=who))
    add_audit(ledger, who, "alert unsilence", str(silence), {})
    return {"said": f"Ended: silence {silence}, by {who}", "id": silence, "who": who}


def add_window(context: Context, *, reason: str, begin: str, until: str, critical_too: bool, run_id: str = "") -> Facts:
    """Write a window down."""
    from tabsync.ledger.tables import alert_window

    row = {"reason": reason, "zone": zone_name(), "from_at": begin, "until_at": until, "critical_too": critical_too}
    number, who = _insert(context, alert_window, row | {"ended_at": None, "run_id": run_id}, "window open", reason)
    return {"said": f"Opened: window {number}, until {local(until)}, by {who}", "id": number, "who": who}


def end_window(context: Context, *, window: int) -> Facts:
    """Close a window."""
    from sqlalchemy import update

    from tabsync.ledger.tables import alert_window

    who, ledger = context.workspace.journal_actor(), context.workspace.ledger()
    with ledger.writing() as connection:
        mine = update(alert_window).where(alert_window.c.id == window, alert_window.c.ended_at.is_(None))
        connection.execute(mine.values(ended_at=iso(now())))
    add_audit(ledger, who, "window close", str(window), {})
    return {"said": f"Closed: window {window}, by {who}", "id": window, "who": who}


def _insert(context: Context, table: Any, row: Facts, action: str, target: str) -> tuple[int, str]:
    from sqlalchemy import insert

    who, ledger = context.workspace.journal_actor(), context.workspace.ledger()
    with ledger.writing() as connection:
        (number,) = connection.execute(insert(table).values(**row, owner=who)).inserted_primary_key or (0,)
    add_audit(ledger, who, action, target, {"id": number, "reason": row["reason"], "until": row["until_at"]})
    return int(number), who


def show(done: Done[Workspace, Any]) -> Page:
    """What was written down."""
    told = done.results["record"]
    page = Page(done.planned.plan.procedure, told)
    page.line(f"{told['said']}.")
    return page


def _rule(workspace: Workspace, name: str) -> str:
    """The rule of a name, as alerts have it."""
    from difflib import get_close_matches

    manual = load(workspace.manual_path)
    known = {one.title.lower(): one.title for one in manual.metrics}
    rows = workspace.ledger().read("episodes", since="", limit=1000)
    known |= {row["rule"].lower(): row["rule"] for row in rows}
    if name.lower() in known:
        return known[name.lower()]
    near = get_close_matches(name.lower(), known, 1)
    hint = f"did you mean {known[near[0]]!r}? " if near else ""
    raise BadUsage(f"there is no alert on {name!r}", f"{hint}to list them: tabsync alert list")


def _span(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except ValueError:
        raise BadUsage(f"{text!r} is not a duration", "a duration such as 30min, 2h or 3 days") from None
    if not timedelta(0) < span <= LONGEST:
        raise BadUsage(f"{text!r} is not between a second and 30 days", "open it again when it has ended")
    return span


def _reason(text: str) -> str:
    if not text.strip():
        raise BadUsage("--reason is empty", "say why: it is shown with what is not sent")
    return in_one_line(text)


def _moment(text: str) -> datetime:
    try:
        found = parse_iso(text)
    except ValueError:
        raise BadUsage(f"{text!r} is not a moment", "for example 2026-12-01T02:00+01:00") from None
    return found if found.tzinfo else found.astimezone()

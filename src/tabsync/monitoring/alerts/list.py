"""tabsync alert list, show, history: what fires, what fired, who was told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import age, iso, local, now
from tabsync.kernel.errors import BadUsage, Exit, TabsyncError
from tabsync.kernel.page import Page, Part, Style
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds, parse_duration
from tabsync.ledger.evidence import latest_evidence
from tabsync.ledger.open import Ledger
from tabsync.manual.load import read
from tabsync.manual.model import Manual
from tabsync.monitoring.alerts.episode import OVER, Episode, State
from tabsync.monitoring.alerts.keep import fired, open_episodes
from tabsync.monitoring.alerts.rules import rule_of
from tabsync.monitoring.alerts.silences import Silence, silence_of, silences, windows
from tabsync.monitoring.alerts.watch import is_silent, last_scrape
from tabsync.monitoring.words import shortened

if TYPE_CHECKING:
    from tabsync.kernel.request import Nothing
    from tabsync.workspace import Workspace

TESTED = "alert test"
"""The kind of evidence that a test of an alert leaves; its subject is the rule."""

SIGN: dict[str, tuple[str, Style]] = {
    "critical": ("✗ CRITICAL", "strong bad"),
    "warning": ("▲ WARNING", "strong warning"),
}


@dataclass(frozen=True, slots=True)
class Show:
    """What one may ask of alert show."""

    alert: Annotated[str, Argument("The alert's id, or the beginning of it.")]


@dataclass(frozen=True, slots=True)
class History:
    """What one may ask of alert history."""

    since: Annotated[str, Option("How far back: 7d, 12h.")] = "7d"


def look_list(workspace: Workspace, _request: Nothing) -> Page:
    """What fires now, and when each bound was last proven to fire."""
    ledger = workspace.ledger()
    moment = now()
    found = [one for one in open_episodes(ledger) if one.state is not State.PENDING]
    found.sort(key=lambda one: (one.level != "critical", one.began_at))
    waiting = [one for one in open_episodes(ledger) if one.state is State.PENDING]
    silent, expected = silences(ledger, moment), windows(ledger, moment)
    manual, problems = read(workspace.manual_path)  # what fires is shown whatever an edit has broken
    bounds = _bounds(ledger, manual)
    data: Facts = {
        "alerts": [as_json(one, silent) for one in found],
        "pending": [as_json(one, silent) for one in waiting],
    }
    data |= {"silences": [one.to_json() for one in silent], "windows": [one.to_json() for one in expected]}
    data |= {"bounds": bounds}
    page = Page("alert list", data)
    if problems:
        page.line(("The manual is not valid", "warning"), f": {problems[0].described(workspace.manual_path.name)}")
        page.hint("tabsync manual check")
    blind = _not_measured(workspace, manual, data, moment)
    if blind:
        page.line(("UNKNOWN", "strong warning"), f": {blind}")
        page.hint("to measure, and to tell what is wrong: tabsync serve")
        page.exit_code = Exit.UNKNOWN
    if not found and not blind:
        page.line(("NO ALERT", "strong good"), ": nothing that is measured is beyond its bound")
    if found:
        page.line((f"{len(found)} alert{'s' if len(found) != 1 else ''}", "strong bad"))
        page.table(("", "Alert", "Value", "Since", "Id"), (_row(one, silent) for one in found), whole=("Id",))
    for one in waiting:
        page.line(
            f"Beyond its bound, not yet for long enough: {_name(one)}: {one.facts.get('text', '')}", style="quiet"
        )
    for window in expected:
        page.line(f"Window {window.id}: {window.reason}, by {window.owner}, until {local(iso(window.until))}")
    for silence in silent:
        page.line(
            f"Silence {silence.id}: {silence.what}: {silence.reason}, by {silence.owner}, "
            f"until {local(iso(silence.until))}"
        )
    rows = [(one["rule"], one["warning"], one["critical"], _proven(one)) for one in bounds]
    page.table(("Bound on", "Warning", "Critical", "Last proven to fire"), rows)
    return page


def _not_measured(workspace: Workspace, manual: Manual, data: Facts, moment: datetime) -> str:
    """Why nothing is known of what is wrong now, "" when somebody measures."""
    try:
        last = last_scrape(workspace)
    except TabsyncError as error:
        return error.fact
    data["measured_at"] = iso(last) if last else None
    if last is None:
        return "nobody has measured anything yet"
    return f"nobody has measured anything since {local(iso(last))}" if is_silent(manual, last, moment) else ""


def look_show(workspace: Workspace, request: Show) -> Page:
    """One alert: what it means, since when, what to do, who was told. Raises BadUsage when there is none of that id."""
    ledger = workspace.ledger()
    one = find_episode(ledger, request.alert)
    told = ledger.read("deliveries", episode=one.id)
    silent = silences(ledger, now())
    page = Page("alert show", as_json(one, silent) | {"deliveries": told})
    sign, style = SIGN[one.level] if one.is_open else ("ended", "quiet")
    page.line((f"{sign}: {_name(one)}", style), f": {one.facts.get('text', '')}")
    for text in _lines(one, silent):
        page.line(text)
    if told:
        rows = [(row["contact"], row["event"], _sent(row), in_one_line(row["fact"])) for row in told]
        page.table(("Contact", "Event", "", ""), rows, title="Told")
    else:
        page.line("Nobody was told of it.", style="warning" if one.is_open else "quiet")
    if one.is_open and not one.is_acknowledged:
        page.hint(f"to acknowledge it, so that nobody else is told: tabsync alert ack {one.id}")
        if one.level == "critical":
            page.hint(
                f'to keep a record of what is done about it: tabsync incident open "WHAT IS WRONG" --alert {one.id}'
            )
    return page


def look_history(workspace: Workspace, request: History) -> Page:
    """What fired, the newest first. Raises BadUsage when the time can't be read."""
    try:
        since = now() - parse_duration(request.since)
    except ValueError:
        raise BadUsage(f"{request.since!r} is not a duration", "a duration such as 7d or 12h") from None
    found = fired(workspace.ledger(), since)
    page = Page("alert history", {"alerts": [as_json(one, ()) for one in found]})
    if not found:
        page.line(f"No alert in the last {request.since}.")
        return page
    rows = [
        (local(iso(one.fired_at or one.began_at)), _lasted(one), one.level, _name(one), _worst(one), one.id)
        for one in found
    ]
    page.table(("From", "For", "Level", "Alert", "Worst value", "Id"), rows, whole=("Id",))
    return page


def find_episode(ledger: Ledger, name: str) -> Episode:
    """The alert of an id or of its beginning. Raises BadUsage when there is none, or several."""
    known = {one.id: one for one in [*open_episodes(ledger), *fired(ledger, now() - timedelta(days=400))]}
    found = [one for id, one in known.items() if id.startswith(name.lower())] if name else []
    if len(found) != 1:
        what = f"{len(found)} alerts begin with {name!r}" if found else f"there is no alert {name!r}"
        raise BadUsage(what, "to list them: tabsync alert list; tabsync alert history")
    return found[0]


def as_json(one: Episode, silent: Sequence[Silence]) -> Facts:
    """An episode for programs."""
    silence = silence_of(one, silent)
    return {
        "id": one.id,
        "kind": one.key.kind,
        "rule": one.key.rule,
        "label": one.key.label,
        "state": one.state.value,
        "level": one.level,
        "since": iso(one.began_at),
        "fired_at": iso(one.fired_at) if one.fired_at else None,
        "ended_at": iso(one.ended_at) if one.ended_at else None,
        "measured_at": iso(one.seen_at),
        "acknowledged_by": one.acked_by if one.is_acknowledged else "",
        "silenced": silence.id if silence else None,
        "test": one.is_test,
        "facts": one.facts,
    }


def _lines(one: Episode, silent: Sequence[Silence]) -> list[str]:
    facts = one.facts
    end = f" until {local(iso(one.ended_at))}" if one.ended_at else ""
    said = [f"since {local(iso(one.began_at))}{end}, last measured {age(iso(one.seen_at))}"]
    if facts.get("bound"):
        said.append(f"bound: {facts['bound']}; the worst was {_worst(one)}")
    if facts.get(OVER):
        said.append(in_one_line(f"it was not measured to be well: {facts[OVER]}"))
    said += [in_one_line(str(facts[name])) for name in ("why", "note", "meaning") if facts.get(name)]
    if facts.get("runbook"):
        said.append(f"what to do: tabsync manual show '{facts['runbook']}'")
    if facts.get("action"):
        said.append(f"action: {facts['action']}")
    if one.acked_at and one.is_acknowledged:
        said.append(f"acknowledged by {one.acked_by}, {age(iso(one.acked_at))}")
    if silence := silence_of(one, silent):
        said.append(f"silenced by {silence.owner} until {local(iso(silence.until))}: {silence.reason}")
    return said


def _row(one: Episode, silent: Sequence[Silence]) -> tuple[Part, ...]:
    marks = [f"acknowledged by {one.acked_by}" if one.is_acknowledged else "", "TEST" if one.is_test else ""]
    marks += ["silenced" if silence_of(one, silent) else "", "recovering" if one.state is State.RECOVERING else ""]
    told = ", ".join(filter(None, marks))
    value = f"{in_one_line(str(one.facts.get('text', '')))}" + (f" ({told})" if told else "")
    return SIGN[one.level], _name(one), value, age(iso(one.began_at)).removesuffix(" ago"), one.id


def _name(one: Episode) -> str:
    what = {"blind": "not measured: ", "item": "schedule: ", "channel": "channel: ", "incident": "incident: "}.get(
        one.key.kind, ""
    )
    return in_one_line(f"{what}{one.key.rule}" + (f", {shortened(one.key.label)}" if one.key.label else ""))


def _worst(one: Episode) -> str:
    worst = one.facts.get("worst")
    return in_one_line(str(worst["text"] if worst else one.facts.get("text", "")))


def _lasted(one: Episode) -> str:
    return human_seconds(((one.ended_at or now()) - (one.fired_at or one.began_at)).total_seconds())


def _sent(row: Facts) -> str:
    return f"sent {local(row['sent_at'])}" if row["sent_at"] else f"{row['state']}, {row['tries']} tries"


def _bounds(ledger: Ledger, manual: Manual) -> list[Facts]:
    """Each bound of the manual, and when it was last proven that it can fire."""
    found = []
    for metric in manual.metrics:
        for number, row in enumerate(manual.thresholds_of(metric.title)):
            rule = rule_of(metric, number)
            proof = latest_evidence(ledger, TESTED, rule, ok=True)
            levels = {
                "warning": row.warning.text if row.warning else "",
                "critical": row.critical.text if row.critical else "",
            }
            found.append({"rule": rule, **levels, "proven_at": proof["at"] if proof else None})
    return found


def _proven(bound: Facts) -> Part:
    return age(bound["proven_at"]) if bound["proven_at"] else ("never", "warning")

"""An incident: entries that are only added, and what they come to. Pure.

Nothing of an incident is stored but its entries, so that it can be kept where only a line can be written down, and so
that what was known when can be told afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from tabsync.kernel.clock import iso, parse_iso
from tabsync.kernel.step import Facts


class State(StrEnum):
    """Where an incident stands. MITIGATED: it hurts nobody any more, and its reason is still there."""

    OPEN = "open"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Kind(StrEnum):
    """What an entry says. JOINED: an alert that came while it was open; BOX: of the checklist; DONE: an action is."""

    OPENED = "opened"
    JOINED = "joined"
    NOTE = "note"
    ACK = "ack"
    SEVERITY = "severity"
    COMMANDER = "commander"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    CAUSE = "cause"
    BOX = "box"
    ACTION = "action"
    DONE = "done"
    RUN = "run"
    CLOSED = "closed"


MOVES: Mapping[Kind, tuple[tuple[State, ...], State]] = {
    Kind.MITIGATED: ((State.OPEN,), State.MITIGATED),
    Kind.RESOLVED: ((State.OPEN, State.MITIGATED), State.RESOLVED),
    Kind.REOPENED: ((State.MITIGATED, State.RESOLVED), State.OPEN),
    Kind.CLOSED: ((State.RESOLVED,), State.CLOSED),
}
"""From which states each of these leads, and to which. A false alarm is closed from any."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an incident. who: a person, or "tabsync"; text: in one line."""

    incident: str
    at: datetime
    kind: Kind
    who: str
    text: str = ""
    facts: Facts = field(default_factory=dict)

    def to_row(self) -> Facts:
        """As the ledger keeps it."""
        return {
            "incident": self.incident,
            "at": iso(self.at),
            "kind": self.kind.value,
            "who": self.who,
            "text": self.text,
            "facts": self.facts,
        }


@dataclass(frozen=True, slots=True)
class Action:
    """What is to be done so that it doesn't happen again. number: within its incident, from 1; due: a day, ISO."""

    number: int
    what: str
    owner: str
    due: str
    done_at: datetime | None = None


@dataclass(slots=True)
class Incident:
    """What the entries of one come to. subject: which database, in words; facts: what was known when it was opened."""

    id: str
    subject: str
    title: str
    severity: str
    state: State
    opened_at: datetime
    opened_by: str
    facts: Facts
    has_it: str = ""
    commander: str = ""
    cause: str = ""
    false_alarm: bool = False
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    told_at: datetime | None = None
    alerts: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    boxes: dict[str, Facts] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it is not closed."""
        return self.state is not State.CLOSED

    @property
    def hurts(self) -> bool:
        """Whether it hurts, or may again: what comes meanwhile belongs to it. Of a resolved one only boxes are left."""
        return self.state in (State.OPEN, State.MITIGATED)

    def to_json(self) -> Facts:
        """It for programs, without its entries."""
        times = ("opened_at", "mitigated_at", "resolved_at", "closed_at")
        return {
            "id": self.id,
            "database": self.subject,
            "title": self.title,
            "severity": self.severity,
            "state": self.state.value,
            "opened_by": self.opened_by,
            "has_it": self.has_it or None,
            "commander": self.commander or None,
            "cause": self.cause or None,
            "false_alarm": self.false_alarm,
            "alerts": self.alerts,
            "runs": self.runs,
            "actions": [_action_as_json(one) for one in self.actions],
        } | {name: iso(at) if (at := getattr(self, name)) else None for name in times}


def entry_of(row: Facts) -> Entry:
    """An entry out of its row."""
    return Entry(row["incident"], parse_iso(row["at"]), Kind(row["kind"]), row["who"], row["text"], row["facts"] or {})


def incidents_of(entries: Iterable[Entry]) -> list[Incident]:
    """The incidents that some entries come to, the newest first. One that has no beginning is none."""
    found: dict[str, list[Entry]] = {}
    for one in entries:
        found.setdefault(one.incident, []).append(one)
    made = [incident for each in found.values() if (incident := _folded(each))]
    return sorted(made, key=lambda one: one.opened_at, reverse=True)


def why_not(incident: Incident, kind: Kind) -> str:
    """Why an incident can't go there from where it is, in words; "" when it can."""
    if not incident.is_open:
        return "it is closed"
    if kind not in MOVES:
        return ""
    allowed, _ = MOVES[kind]
    return "" if incident.state in allowed else f"it is {incident.state.value}"


def next_update(incident: Incident, every: timedelta | None) -> datetime | None:
    """When people are to hear of it again; None when that isn't owed. every: by its severity."""
    if every is None or incident.state in (State.RESOLVED, State.CLOSED):
        return None
    return (incident.told_at or incident.opened_at) + every


def _folded(entries: Sequence[Entry]) -> Incident | None:
    ordered = sorted(entries, key=lambda one: one.at)
    first = next((one for one in ordered if one.kind is Kind.OPENED), None)
    if first is None:
        return None
    made = Incident(
        first.incident,
        str(first.facts.get("subject", "")),
        first.text,
        str(first.facts.get("severity", "")),
        State.OPEN,
        first.at,
        first.who,
        first.facts,
    )
    for one in ordered:
        made.entries.append(one)
        _take(made, one)
    return made


def _take(made: Incident, one: Entry) -> None:
    """What an entry changes."""
    if one.kind in MOVES and not one.facts.get("false_alarm"):
        allowed, state = MOVES[one.kind]
        if made.state not in allowed:
            return  # two did the same at once: the first counts
        made.state = state
        _set_time(made, one)
    elif one.kind is Kind.CLOSED and made.is_open:
        made.state, made.false_alarm, made.closed_at = State.CLOSED, True, one.at
    elif one.kind is Kind.ACK:
        made.has_it = one.who
    elif one.kind is Kind.SEVERITY:
        made.severity = one.text
    elif one.kind is Kind.COMMANDER:
        made.commander = one.text
    elif one.kind is Kind.CAUSE:
        made.cause = one.text
    elif one.kind is Kind.BOX:
        made.boxes[str(one.facts.get("what") or one.facts["box"])] = one.facts | {
            "who": one.who,
            "at": iso(one.at),
            "text": one.text,
        }
    elif one.kind is Kind.ACTION:
        number = len(made.actions) + 1
        made.actions.append(Action(number, one.text, str(one.facts.get("owner", "")), str(one.facts.get("due", ""))))
    elif one.kind is Kind.DONE:
        made.actions = [_done(each, one) for each in made.actions]
    elif one.kind in (Kind.OPENED, Kind.JOINED) and one.facts.get("alert"):
        made.alerts += [] if (alert := str(one.facts["alert"])) in made.alerts else [alert]
    if one.kind in (Kind.OPENED, Kind.RUN) and one.facts.get("run"):
        made.runs.append(str(one.facts["run"]))
    if one.kind is Kind.NOTE and one.facts.get("update"):
        made.told_at = one.at


def _set_time(made: Incident, one: Entry) -> None:
    if one.kind is Kind.MITIGATED:
        made.mitigated_at = one.at
    elif one.kind is Kind.RESOLVED:
        made.resolved_at = one.at
    elif one.kind is Kind.CLOSED:
        made.closed_at = one.at
    else:
        made.mitigated_at = made.resolved_at = None


def _done(action: Action, one: Entry) -> Action:
    if action.number != one.facts.get("action") or action.done_at is not None:
        return action
    return Action(action.number, action.what, action.owner, action.due, one.at)


def _action_as_json(one: Action) -> Facts:
    done = iso(one.done_at) if one.done_at else None
    return {"number": one.number, "what": one.what, "owner": one.owner, "due": one.due or None, "done_at": done}

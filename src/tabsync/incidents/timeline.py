"""The timeline of an incident, which writes itself: what people said, and what the ledger has of that time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.incidents.incident import Entry, Incident, Kind
from tabsync.incidents.joining import KIND
from tabsync.incidents.record import since_of
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import NotRecorded, TabsyncError
from tabsync.kernel.page import Style
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.ledger.runs import one_run

if TYPE_CHECKING:
    from tabsync.ledger.open import Ledger
    from tabsync.workspace import Workspace

_RUNS = 5_000  # the newest that are told
_TOLD = ("incident ", "alert ack")
"""Runs that the entries tell already; in the ledger they are left out by the statement."""

_BEFORE = timedelta(hours=6)
_FIRST_SENTENCE = re.compile(r"(?<=[.:])\s")
_WORDS = {
    Kind.OPENED: "opened",
    Kind.JOINED: "an alert joined it",
    Kind.ACK: "takes care of it",
    Kind.SEVERITY: "severity is now",
    Kind.COMMANDER: "commander is now",
    Kind.MITIGATED: "MITIGATED",
    Kind.RESOLVED: "RESOLVED",
    Kind.REOPENED: "OPEN AGAIN",
    Kind.CAUSE: "root cause",
    Kind.BOX: "checklist",
    Kind.ACTION: "to be done",
    Kind.DONE: "was done",
    Kind.RUN: "runbook",
    Kind.CLOSED: "closed",
}
_STATES = {"done": "done", "failed": "FAILED", "interrupted": "interrupted", "skipped": "left out", "running": "runs"}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a timeline. kind: alert, message, run, step, window, or that of an entry; style: how it is drawn."""

    at: datetime
    kind: str
    text: str
    who: str = ""
    style: Style = ""
    run: str = ""

    def to_json(self) -> Facts:
        """It for programs."""
        return {
            "at": iso(self.at),
            "kind": self.kind,
            "text": self.text,
            "who": self.who or None,
            "run": self.run or None,
        }


def timeline(workspace: Workspace, incident: Incident) -> tuple[list[Moment], str]:
    """All that belongs to an incident, in order; and why something may be missing, "" when nothing is.

    What was frozen when it was closed is given as it was then: the ledger forgets its runs.
    """
    frozen = next((one.facts.get("timeline") for one in incident.entries if one.kind is Kind.CLOSED), None)
    if frozen:
        return [_thawed(one) for one in frozen], ""
    found = [one for entry in incident.entries if (one := _said(entry))]
    ledger = workspace.record()
    until = (incident.closed_at or now()) + timedelta(seconds=1)
    span = iso(since_of(incident)), iso(until)
    journal = dict(_of_journal(ledger, *span))
    found += [one for each in journal.values() for one in each]
    with suppress(NotRecorded):
        since = iso(began(ledger, incident))
        runs = ledger.read("titled_runs_between", since=since, until=span[1], limit=_RUNS + 1)
        from_ledger = [*_of_ledger(ledger, since, span[1]), *map(_run, runs[:_RUNS])]
        found += [one for one in from_ledger if one.run not in journal]
        missing = f"runs before {runs[_RUNS - 1]['started_at'][:16]} UTC are not in it" if len(runs) > _RUNS else ""
        return sorted(found, key=lambda one: one.at), missing
    return sorted(found, key=lambda one: one.at), "the ledger can't be read: alerts, messages and runs are not in it"


def began(ledger: Ledger, incident: Incident) -> datetime:
    """Since when it goes on: since the first of the alerts began that fired when it was opened, or were joined to it.

    One that has been firing for longer than some hours has its own reason. Raises NotRecorded.
    """
    span = {"since": iso(incident.opened_at), "until": iso(incident.opened_at)}
    rows = ledger.read("episodes_between", **span)
    alerts = [parse_iso(row["began_at"]) for row in rows if not row["is_test"]]
    near = [one for one in alerts if incident.opened_at - one <= _BEFORE]
    return min([since_of(incident), *near])


def _of_ledger(ledger: Ledger, since: str, until: str) -> Iterator[Moment]:
    span = {"since": since, "until": until}
    for row in ledger.read("episodes_between", **span):
        yield from _alert(row, since)
    for row in ledger.read("deliveries_between", **span):
        what = _named(row) if row["kind"] != KIND else "an update that is due" if row["label"] else "this incident"
        text = f"{row['contact']} was told by {row['channel']}: {what} ({row['event']})"
        yield Moment(parse_iso(row["sent_at"]), "message", text)
    for row in ledger.read("steps_between", **span):
        yield _step(row)
    for row in ledger.read("alert_windows_between", **span):
        if row["from_at"] >= since:
            text = f"window: {in_one_line(row['reason'])}"
            yield Moment(parse_iso(row["from_at"]), "window", text, row["owner"])


def _of_journal(ledger: Ledger, since: str, until: str) -> Iterator[tuple[str, list[Moment]]]:
    """Each run of which the emergency journal has more than the ledger, with what is to be told of it."""
    for run_id in ledger.emergency.runs():
        with suppress(TabsyncError):
            run = one_run(ledger, run_id)
            if run is None or not since <= run["started_at"] < until:
                continue
            if run["procedure"] == "runbook run":
                yield run_id, [_step(one | {"run_id": run_id}) for one in run["steps"] if one["started_at"]]
            elif not run["procedure"].startswith(_TOLD) and not run["parent"]:
                yield run_id, [_run(run)]


def _said(entry: Entry) -> Moment | None:
    if entry.kind is Kind.NOTE:
        return Moment(entry.at, entry.kind.value, entry.text, entry.who)
    word = _WORDS[entry.kind]
    text = f"{word}: {entry.text}" if entry.text else word
    if entry.kind is Kind.BOX:
        what = entry.facts.get("what") or f"box {entry.facts.get('box')}"
        how = "left out" if entry.facts.get("waived") else "ticked off"
        text = f"{word}: {what}: {how}" + (f": {entry.text}" if entry.text else "")
    strong: Style = "strong" if word.isupper() or entry.kind in (Kind.OPENED, Kind.CLOSED) else ""
    return Moment(entry.at, entry.kind.value, text, entry.who, strong, str(entry.facts.get("run", "")))


def _alert(row: Facts, since: str) -> Iterator[Moment]:
    level: Style = "strong bad" if row["level"] == "critical" else "strong warning"
    fired = parse_iso(row["fired_at"])
    if row["fired_at"] >= since:
        yield Moment(fired, "alert", f"{row['level'].upper()}: {_named(row)}", "", level)
    if row["acked_at"] and row["acked_at"] >= since:
        yield Moment(parse_iso(row["acked_at"]), "alert", f"acknowledged: {_named(row)}", row["acked_by"])
    if row["ended_at"]:
        lasted = human_seconds((parse_iso(row["ended_at"]) - parse_iso(row["began_at"])).total_seconds())
        yield Moment(parse_iso(row["ended_at"]), "alert", f"recovered: {_named(row)}, after {lasted}", "", "good")


def _run(row: Facts) -> Moment:
    text = f"{in_one_line(row['title'])}: {_STATES.get(row['state'], row['state'])}"
    style: Style = "bad" if row["state"] in ("failed", "interrupted") else ""
    return Moment(parse_iso(row["started_at"]), "run", text, row["actor"], style, row["id"])


def _step(row: Facts) -> Moment:
    facts = row["facts"] or {}
    state = _STATES.get(row["state"], row["state"])
    why = row["fact"] or facts.get("note") or "; ".join(facts.get("said", ()))
    title = _FIRST_SENTENCE.split(in_one_line(row["title"]), maxsplit=1)[0].rstrip(".:")
    text = f"step {row['number']}, {title}: {state}" + (f": {in_one_line(why)}" if why else "")
    style: Style = "bad" if row["state"] in ("failed", "interrupted") else ""
    return Moment(parse_iso(row["started_at"]), "step", text, str(facts.get("by", "")), style, row["run_id"])


def _named(row: Facts) -> str:
    return in_one_line(f"{row['rule']}, {row['label']}" if row["label"] else str(row["rule"]))


def _thawed(one: Facts) -> Moment:
    return Moment(parse_iso(one["at"]), one["kind"], one["text"], one["who"] or "", "", one["run"] or "")

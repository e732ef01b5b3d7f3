"""tabsync incident report: what happened, for somebody who wasn't there, in Markdown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.incidents.checklist import Box, boxes
from tabsync.incidents.incident import Incident
from tabsync.incidents.measured import impact_of, rows_of, times_of
from tabsync.incidents.record import incident_named, since_of
from tabsync.incidents.show import lasted
from tabsync.incidents.timeline import Moment, timeline
from tabsync.kernel.clock import iso, local, now, parse_iso
from tabsync.kernel.errors import FailedPartway, NotRecorded
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.manual.load import read

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_MARKED = str.maketrans({one: f"\\{one}" for one in "\\`*_<>[]|#"})


@dataclass(frozen=True, slots=True)
class Report:
    """What one may ask of incident report."""

    incident: Annotated[str, Argument("Its id, or the beginning of it; without it, the one that is open.")] = ""
    file: Annotated[Path | None, Option("Write it there.", metavar="FILE", of="host")] = None


def look_report(workspace: Workspace, request: Report) -> Page:
    """The post-mortem of one. Raises BadUsage when there is none, FailedPartway when the file can't be written."""
    one = incident_named(workspace, request.incident)
    manual, _ = read(workspace.manual_path)
    moments, missing = timeline(workspace, one)
    alerts = _alerts(workspace, one)
    impact = impact_of(workspace, manual, one)
    text = "\n".join(_lines(one, moments, missing, alerts, impact, boxes(workspace, manual, one))) + "\n"
    page = Page("incident report", one.to_json() | {"markdown": text, "alerts": alerts, "impact": impact})
    if request.file is None:
        for line in text.splitlines():
            page.line(line, whole=True)
        return page
    try:
        with os.fdopen(
            os.open(request.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as out:
            out.write(text)
    except OSError as error:
        raise FailedPartway(f"{request.file}: {error.strerror}", "--file another one") from None
    page.line(f"Written to {request.file}.", whole=True)
    return page


def _alerts(workspace: Workspace, one: Incident) -> list[Facts]:
    """What was beyond its bound, and for how long: what it cost, as far as it was measured."""
    until = one.resolved_at or one.closed_at or now()
    span = {"since": iso(since_of(one)), "until": iso(until + timedelta(seconds=1))}
    try:
        rows = workspace.record().read("episodes_between", **span)
    except NotRecorded:
        return []
    found = []
    for row in rows:
        ended = parse_iso(row["ended_at"]) if row["ended_at"] else until
        seconds = max(0.0, (min(ended, until) - parse_iso(row["began_at"])).total_seconds())
        named = f"{row['rule']}, {row['label']}" if row["label"] else row["rule"]
        told = {"alert": named, "level": row["level"], "began_at": row["began_at"], "seconds": seconds}
        found.append(told | {"ended_at": row["ended_at"]})
    return found


def _lines(
    one: Incident, moments: list[Moment], missing: str, alerts: list[Facts], impact: Facts, listed: list[Box]
) -> Iterator[str]:
    yield f"# {_plain(one.title)}"
    yield ""
    yield f"Incident {one.id}, {_plain(one.severity)}, database {_plain(one.subject)}."
    yield ""
    yield from _table(("", ""), [*_times(one, alerts), *times_of(impact)[1:]])
    yield "## What it cost"
    yield ""
    rows = [(_plain(each["alert"]), each["level"], human_seconds(each["seconds"])) for each in alerts]
    yield from _table(("Alert", "Level", "For"), rows) if rows else ("No alert fired.", "")
    yield from _cost(impact)
    yield "## Root cause"
    yield ""
    yield _plain(one.cause) if one.cause else "Not known."
    yield ""
    yield "## What happened"
    yield ""
    if missing:
        yield f"Unknown: {missing}."
        yield ""
    yield from _table(
        ("When", "What", "Who"), [(local(iso(each.at)), _plain(each.text), _plain(each.who)) for each in moments]
    )
    yield "## So that it doesn't happen again"
    yield ""
    done = [
        (_plain(each.what), _plain(each.owner), each.due or "-", "done" if each.done_at else "open")
        for each in one.actions
    ]
    yield from _table(("What", "Owner", "Until", ""), done) if done else ("Nothing is planned.", "")
    yield "## Checklist"
    yield ""
    for box in listed:
        yield f"- [{' ' if box.is_open else 'x'}] {_plain(box.text)}" + (f" ({_plain(box.how)})" if box.how else "")


def _cost(impact: Facts) -> Iterator[str]:
    """What was measured meanwhile, and what nobody measured."""
    rows, unmeasured = rows_of(impact)
    if rows:
        shown = [tuple(_plain(cell) for cell in row) for row in rows]
        yield from _table(("Metric", "Beyond its bound", "Worst", "Counted"), shown)
    elif any(one["worst"] for one in impact["metrics"]):
        yield from ("No metric was seen beyond its bound.", "")
    if impact["unknown"]:
        yield from (f"Unknown: {_plain(impact['unknown'])}.", "")
    elif unmeasured:
        yield from (f"Unknown, since nobody measured it: {_plain(', '.join(unmeasured))}.", "")


def _times(one: Incident, alerts: list[Facts]) -> Iterator[tuple[str, str]]:
    began = min((parse_iso(each["began_at"]) for each in alerts), default=None)
    if began:
        yield "Began", local(iso(began))
        yield "Noticed after", human_seconds(max(0.0, (one.opened_at - began).total_seconds()))
    yield "Opened", f"{local(iso(one.opened_at))}, by {_plain(one.opened_by)}"
    yield "Taken by", _plain(one.has_it) or "nobody"
    for word, at in (("Mitigated", one.mitigated_at), ("Resolved", one.resolved_at), ("Closed", one.closed_at)):
        yield word, local(iso(at)) if at else "not yet"
    yield "It hurt for", lasted(one)


def _table(columns: tuple[str, ...], rows: object) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:  # type: ignore[attr-defined]
        yield f"| {' | '.join(row)} |"
    yield ""


def _plain(text: object) -> str:
    """Text that means nothing to Markdown."""
    return in_one_line(str(text)).translate(_MARKED)

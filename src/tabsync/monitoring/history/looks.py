"""tabsync metrics list, show, history: what was measured. They read what was kept, so the database may be down."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import age, iso, now
from tabsync.kernel.errors import BadUsage, Exit
from tabsync.kernel.page import Page, Part, Style
from tabsync.kernel.plain import in_one_line, plain
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds, parse_duration
from tabsync.manual.load import read
from tabsync.manual.model import Manual, Metric, Threshold
from tabsync.manual.show import NONE, bounds_text, time_text, unit_text
from tabsync.monitoring.history.history import History
from tabsync.monitoring.history.lines import Line
from tabsync.monitoring.history.place import history_of
from tabsync.monitoring.history.spark import columns, fitting, sparkline
from tabsync.monitoring.history.standing import Kept, Standing, metric_named, standings
from tabsync.monitoring.judge import Level
from tabsync.monitoring.words import amount, quantity

if TYPE_CHECKING:
    from tabsync.kernel.request import Nothing
    from tabsync.workspace import Workspace

SIGN: dict[Level, tuple[str, Style]] = {
    Level.OK: ("✓", "good"),
    Level.WARNING: ("▲", "warning"),
    Level.CRITICAL: ("✕", "bad"),
    Level.UNKNOWN: ("?", "warning"),
    Level.UNBOUNDED: ("·", "quiet"),
}
"""A shape and a style for each level: nobody has to see colours."""

_MOST = 40  # labels that a terminal shows
_COLUMNS = 48  # of a sparkline
_POINTS = 500  # of a line for programs
_LABEL = 40  # characters of a label on a terminal
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class Show:
    """What one may ask of metrics show."""

    name: Annotated[str, Argument("The metric: its title, in any case.")]


@dataclass(frozen=True, slots=True)
class Past:
    """What one may ask of metrics history."""

    name: Annotated[str, Argument("The metric: its title, in any case.")]
    since: Annotated[str, Option("How far back: 6h, 7d, 13 months.")] = "24h"
    label: Annotated[str, Option("Only this label.")] = ""
    csv: Annotated[
        bool,
        Option(
            "Print CSV: a line for each point. A label that a spreadsheet would take for a formula has a ' before it."
        ),
    ] = False


def look_list(workspace: Workspace, _request: Nothing) -> Page:
    """Each metric of the manual: how it stands, and when it was measured."""
    manual, kept, said = _kept(workspace)
    found = standings(manual, kept, now())
    page = Page("metrics", {"last_scrape": _iso(kept.last_scrape), "metrics": [as_json(one) for one in found]})
    _head(page, kept.last_scrape, said)
    rows = [
        (_sign(one.level), in_one_line(one.metric.title), _value(one), time_text(one.metric.every), _age(one.at))
        for one in found
    ]
    page.table(("", "Metric", "Value", "Every", "Measured"), rows, whole=("", "Every"))
    why: dict[str, list[str]] = {}
    for one in found:
        if one.why:
            why.setdefault(in_one_line(one.why), []).append(in_one_line(one.metric.title))
    for reason, titles in why.items():
        page.line(("? ", "warning"), f"unknown: {', '.join(titles)}: {reason}")
    return page


def look_show(workspace: Workspace, request: Show) -> Page:
    """One metric: its last values, its bounds, what it is and how it is measured."""
    manual, kept, said = _kept(workspace)
    metric = metric_named(manual, request.name)
    found = next(one for one in standings(manual, kept, now()) if one.metric is metric)
    page = Page("metric", as_json(found) | {"prose": metric.prose, "sql": metric.sql or None})
    page.line((in_one_line(metric.title), "strong"), f"  {unit_text(metric.unit)}, every {time_text(metric.every)}")
    if metric.prose:
        page.line(plain(metric.prose))
    _head(page, kept.last_scrape, said)
    if found.why:
        page.line(("? unknown: ", "strong warning"), in_one_line(found.why))
    rows = [
        (_sign(one.level), _label(one.label) or NONE, amount(metric.unit, one), _age(found.at))
        for one in found.samples[:_MOST]
    ]
    if rows:
        page.table(("", "Label", "Value", "Measured"), rows, whole=("",))
    elif found.at and not found.why:
        page.line("Nothing to measure: the query gave no rows.")
    if len(found.samples) > _MOST:
        page.line(f"and {len(found.samples) - _MOST} more: --json lists all")
    for row in found.thresholds:
        page.line(_bound(row))
    if not found.thresholds:
        page.line("The manual sets no bound on it.", style="quiet")
    if metric.sql:
        page.line(f"Its query, line {metric.sql_line} of the manual:", style="quiet")
        page.line(plain(metric.sql.rstrip()), style="quiet", whole=True)
    for since, text, line in metric.newer:
        page.line(f"From PostgreSQL {since} on, line {line}:", style="quiet")
        page.line(plain(text.rstrip()), style="quiet", whole=True)
    page.line(f'tabsync metrics history "{in_one_line(metric.title)}"', style="quiet", whole=True)
    return page


def look_history(workspace: Workspace, request: Past) -> Page:
    """A metric over time: one line for each of its labels."""
    manual, _ = read(workspace.manual_path)
    until = now()
    since = until - span_of(request.since)
    with history_of(workspace) as history:
        metric, title = _meant(manual, history, request.name)
        every = metric.every if metric else timedelta(minutes=5)
        shown = fitting(until - since, every, _COLUMNS)
        asked = (title.lower(), request.label or None, since, until)
        lines = history.series(*asked, fitting(until - since, every, _POINTS))
        drawn = lines if request.csv else history.series(*asked, shown)
        latest = history.latest()
    data: Facts = {"metric": title, "unit": unit_text(metric.unit) if metric else None}
    data |= {"since": iso(since), "until": iso(until), "lines": [line_as_json(one) for one in lines]}
    page = Page("metric history", data)
    if request.csv:
        page.line(_csv(lines), whole=True)
        return page
    counted = f", {unit_text(metric.unit)}" if metric else ""
    ago = human_seconds((until - since).total_seconds())
    page.line((in_one_line(title), "strong"), f"{counted}, since {ago} ago")
    if not lines:
        page.line(("? nothing was measured in this time", "warning"))
        page.hint("tabsync serve collects; to see what is known: tabsync metrics list")
        page.exit_code = Exit.UNKNOWN
        return page
    rows = [_over_time(one, metric, latest.get((title.lower(), one.label)), since, until) for one in drawn[:_MOST]]
    columns_ = ("Label", "Over time", "Lowest", "Highest", "Last")
    page.table(columns_, rows, right=columns_[2:], whole=("Over time",))
    if len(drawn) > _MOST:
        page.line(f"and {len(drawn) - _MOST} more: --json lists all")
    page.line(f"Each character stands for {time_text(drawn[0].step)}; · where nothing was measured.", style="quiet")
    return page


def _over_time(
    line: Line, metric: Metric | None, last: tuple[datetime, float] | None, since: datetime, until: datetime
) -> tuple[Part, ...]:
    low, high = min(one.low for one in line.points), max(one.high for one in line.points)
    values = (low, high, last[1] if last else line.points[-1].mean)
    told = (f"{value:g}" if metric is None else quantity(metric.unit, value) for value in values)
    return (_label(line.label) or NONE, sparkline(columns(line, since, until)), *told)


def as_json(one: Standing) -> Facts:
    """A metric as it stands, for programs."""
    return {
        "metric": one.metric.title,
        "unit": unit_text(one.metric.unit),
        "every_seconds": one.metric.every.total_seconds(),
        "level": one.level.value,
        "why": one.why or None,
        "at": _iso(one.at),
        "samples": [
            {"label": each.label, "value": each.value, "of": each.of, "level": each.level.value} for each in one.samples
        ],
        "bounds": [
            {
                "warning": bounds_text([row.warning]),
                "critical": bounds_text([row.critical]),
                "for_seconds": row.for_.total_seconds(),
                "action": row.action,
                "runbook": row.runbook or None,
            }
            for row in one.thresholds
        ],
    }


def line_as_json(line: Line) -> Facts:
    """A line over time, for programs."""
    return {
        "label": line.label,
        "step_seconds": line.step.total_seconds(),
        "points": [
            {"at": iso(one.at), "low": one.low, "mean": one.mean, "high": one.high, "count": one.count, "of": one.of}
            for one in line.points
        ],
    }


def _kept(workspace: Workspace) -> tuple[Manual, Kept, list[str]]:
    manual, _ = read(workspace.manual_path)
    with history_of(workspace) as history:
        said = [str(one) for name in ("corrupt", "dropped") if (one := history.state(name))]
        return manual, Kept.of(history), said


def _head(page: Page, last: datetime | None, said: Iterable[str]) -> None:
    """Whether anybody measures, and what became of the file."""
    if last is None:
        page.line(("Nothing was ever measured. ", "warning"), "To measure: tabsync serve")
    for words in said:
        page.note(in_one_line(words))


def _meant(manual: Manual, history: History, name: str) -> tuple[Metric | None, str]:
    """The metric that somebody means; None, and its title, of one that only the history knows any more."""
    try:
        metric = metric_named(manual, name)
    except BadUsage:
        if any(title == name.lower() for title, _ in history.latest()):
            return None, name
        raise
    return metric, metric.title


def span_of(text: str) -> timedelta:
    """How far back somebody wants to look. Raises BadUsage."""
    try:
        found = parse_duration(text)
        if timedelta(0) < found <= timedelta(days=3660):
            return found
        raise ValueError(f"{text!r} is not between a second and ten years")
    except ValueError as error:
        raise BadUsage(f"--since: {error}", "such as 6h, 7d or 1 year") from None


def _sign(level: Level) -> Part:
    sign, style = SIGN[level]
    return (f"{sign} {level.value}", style)


def _value(one: Standing) -> str:
    found = one.worst
    if found is None:
        return "none" if one.at and not one.why else "unknown"
    more = f", of {len(one.samples)}" if len(one.samples) > 1 else ""
    told = amount(one.metric.unit, found)
    return f"{told} ({_label(found.label)}{more})" if found.label else told


def _label(label: str) -> str:
    """A label as a terminal shows it: in one line, and not longer than it is worth."""
    text = in_one_line(label)
    return text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"


def _bound(row: Threshold) -> str:
    told = f"warning {bounds_text([row.warning])}, critical {bounds_text([row.critical])}"
    told += f", for {time_text(row.for_)}" if row.for_ else ""
    what = f": {row.action}" if row.action else ""
    return f"Bound: {told}{what}{f' ({row.runbook})' if row.runbook else ''}"


def _age(at: datetime | None) -> Part:
    return age(iso(at)) if at else ("never", "quiet")


def _iso(at: datetime | None) -> str | None:
    return iso(at) if at else None


def _csv(lines: Iterable[Line]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("at", "label", "low", "mean", "high", "count", "of"))
    for line in lines:
        label = in_one_line(line.label)
        cell = f"'{label}" if label.startswith(_FORMULA) else label  # labels are the database's, and it is hostile
        for one in line.points:
            of = "" if one.of is None else one.of
            writer.writerow((iso(one.at), cell, one.low, one.mean, one.high, one.count, of))
    return text.getvalue().rstrip("\n")

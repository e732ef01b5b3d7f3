"""tabsync alert backtest: what a bound would have told in the past, by the history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso, local, now
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.manual.load import load
from tabsync.manual.model import Manual, Metric, Threshold
from tabsync.manual.thresholds import comparable, leaving, parse_bound
from tabsync.monitoring.alerts.episode import Episode, Key, advance
from tabsync.monitoring.alerts.rules import conditions
from tabsync.monitoring.history.lines import Line
from tabsync.monitoring.history.place import history_of
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import Reading, Sample

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_POINTS = 20_000  # of a line, at most
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Backtest:
    """What one may ask of alert backtest."""

    metric: Annotated[str, Argument("The metric, as the manual names it.")]
    days: Annotated[int, Option("How many days back.", unit="days", minimum=1, maximum=396)] = 30
    bound: Annotated[str, Option('Another bound: "> 70 %", with the same For.')] = ""


def look_backtest(workspace: Workspace, request: Backtest) -> Page:
    """Which alerts a bound would have given. Raises BadUsage when there is no such metric or bound."""
    manual = load(workspace.manual_path)
    metric = manual.metric(request.metric)
    if metric is None:
        raise BadUsage(f"the manual has no metric {request.metric!r}", "to list them: tabsync metrics list")
    rows = [_with_bound(metric, manual, request.bound)] if request.bound else [*manual.thresholds_of(metric.title)]
    if not rows:
        raise BadUsage(
            f"the manual has no bound on {metric.title!r}", f"tabsync alert backtest '{metric.title}' --bound ..."
        )
    until = now()
    since = until - timedelta(days=request.days)
    with history_of(workspace) as history:
        lines = history.series(metric.title, None, since, until, _POINTS)
    tried = manual.model_copy(update={"thresholds": tuple(rows)})
    found = list(episodes_of(tried, metric, lines))
    bounds = "; ".join(filter(None, (one.text for row in rows for one in (row.warning, row.critical) if one)))
    measured = [point.at for line in lines for point in line.points]
    data: Facts = {"metric": metric.title, "bounds": bounds, "since": iso(since), "until": iso(until)}
    data |= {"measured_from": iso(min(measured)) if measured else None, "alerts": [_json(one) for one in found]}
    page = Page("alert backtest", data)
    if not measured:
        page.line(("UNKNOWN", "strong warning"), f": nothing of {metric.title} was kept in this time")
        page.hint("tabsync serve measures and keeps; tabsync metrics list shows since when")
        return page
    count = f"{len(found)} alert{'s' if len(found) != 1 else ''}"
    page.line((count, "strong"), f" of {metric.title} {bounds} in the {request.days} days to now")
    page.line(f"measured from {local(iso(min(measured)))}, in steps of {_step(lines)}", style="quiet")
    if found:
        shown = [
            (local(iso(one.fired_at or one.began_at)), _lasted(one, until), one.level, _worst(one)) for one in found
        ]
        page.table(("From", "For", "Level", "Worst value"), shown[-_SHOWN:])
    if len(found) > _SHOWN:
        page.line(f"and {len(found) - _SHOWN} before: --json lists all", style="quiet")
    return page


def episodes_of(manual: Manual, metric: Metric, lines: Sequence[Line]) -> Iterator[Episode]:
    """The episodes that fired, in the order in which they began, by the worst value of each point."""
    falls = any(
        bound is not None and bound.comparisons[0].operator[0] == "<"
        for row in manual.thresholds_of(metric.title)
        for bound in (row.warning, row.critical)
    )
    at: dict[datetime, list[Sample]] = {}
    for line in lines:
        for point in line.points:
            value = point.low if falls else point.high
            at.setdefault(point.at, []).append(Sample(line.label, value, point.of, Level.OK))
    held: dict[Key, Episode] = {}
    fired: dict[str, Episode] = {}
    for moment in sorted(at):
        reading = Reading(metric.title, metric.unit, tuple(at[moment]), Level.OK, 0.0, moment)
        for seen in conditions(reading, manual, held, ()):
            after = advance(held.get(seen.key), seen, f"{len(fired)} {moment.isoformat()} {seen.key.label}", "")
            if after is None:
                continue
            held[seen.key] = after
            if after.fired_at is not None:
                fired[after.id] = after
            if not after.is_open:
                del held[seen.key]
    yield from fired.values()


def _row(one: Episode, until: datetime) -> tuple[str, ...]:
    return local(iso(one.fired_at or one.began_at)), _lasted(one, until), one.level, _worst(one)


def _with_bound(metric: Metric, manual: Manual, text: str) -> Threshold:
    try:
        bound = parse_bound(text)
    except ValueError as error:
        raise BadUsage(str(error), 'a bound such as "> 70 %"') from None
    if bound is None or not all(comparable(one.unit, metric.unit) for one in bound.comparisons):
        raise BadUsage(
            f"{text!r} can't be compared with {metric.title!r}", "a bound in the metric's unit, or in percent"
        )
    rows = manual.thresholds_of(metric.title)
    return Threshold(
        metric=metric.title,
        warning=bound,
        critical=None,
        for_=rows[0].for_ if rows else timedelta(0),
        action=rows[0].action if rows else "",
        runbook=rows[0].runbook if rows else "",
        line=rows[0].line if rows else 0,
        leave_warning=leaving(bound),
    )


def _json(one: Episode) -> dict[str, object]:
    ended = iso(one.ended_at) if one.ended_at else None
    fired = iso(one.fired_at) if one.fired_at else None
    return {"label": one.key.label, "level": one.level, "fired_at": fired, "ended_at": ended, "worst": _worst(one)}


def _step(lines: Sequence[Line]) -> str:
    return human_seconds(max(line.step for line in lines).total_seconds())


def _lasted(one: Episode, until: datetime) -> str:
    return human_seconds(((one.ended_at or until) - (one.fired_at or one.began_at)).total_seconds())


def _worst(one: Episode) -> str:
    label = f"{one.key.label}: " if one.key.label else ""
    return in_one_line(label + str((one.facts.get("worst") or one.facts).get("text", "")))

"""/metrics: what was measured, now and over time; the same facts as `tabsync metrics`. It asks the database nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.console.base.access import Viewer
from tabsync.console.base.chart import MOST, Mark, chart_of, small_picture
from tabsync.console.base.happened import happened
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.clock import now
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.manual.load import read
from tabsync.manual.model import Metric
from tabsync.manual.show import bounds_text, time_text, unit_text
from tabsync.monitoring.history.history import History
from tabsync.monitoring.history.lines import Line
from tabsync.monitoring.history.place import history_of
from tabsync.monitoring.history.spark import fitting
from tabsync.monitoring.history.standing import Kept, Standing, metric_named, standings
from tabsync.monitoring.history.who import has_looked, rows_of, unseen_text
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import Sample
from tabsync.monitoring.words import amount

router = APIRouter()

RANGES: dict[str, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_FIRST = "24h"
_POINTS = 360  # of a line
_SMALL = 96  # of a line in the list
_LISTED = 200  # labels

_Found = Annotated[Console, Depends(console_of)]


@router.get("/metrics")
def show(request: Request, _: Viewer, console: _Found) -> Response:
    """Each metric of the manual: how it stands, and how it went in the last day."""
    manual, _problems = read(console.workspace.manual_path)
    until = now()
    since = until - RANGES[_FIRST]
    with history_of(console.workspace) as history:
        kept = Kept.of(history)
        said = [str(one) for name in ("corrupt", "dropped") if (one := history.state(name))]
        found = standings(manual, kept, until)
        names = {(one.metric.title.lower(), one.worst.label) for one in found if one.worst}
        lines = history.many(names, since, until, _SMALL)
        week = until - RANGES["7d"]
        who, unseen = history.sessions(week), unseen_text(history.logins(week)) if has_looked(history) else ""
    rows = [_row(one, lines, since, until) for one in found]
    sessions = {"rows": rows_of(who[:_LISTED]), "more": max(0, len(who) - _LISTED), "unseen": unseen}
    return page(request, "metrics.html", rows=rows, measured=kept.last_scrape is not None, said=said, sessions=sessions)


@router.get("/metrics/{name}")
def one(
    name: str,
    request: Request,
    _: Viewer,
    console: _Found,
    range: str = "",
    label: str | None = None,
) -> Response:
    """One metric over time, with its bounds and what happened meanwhile."""
    manual, _problems = read(console.workspace.manual_path)
    metric = metric_named(manual, name)
    until = now()
    with history_of(console.workspace) as history:
        kept = Kept.of(history)
        found = next(one for one in standings(manual, kept, until) if one.metric is metric)
        word = range if range in RANGES else _fitting(history, metric, until)
        span = (until - RANGES[word], until)
        lines = history.series(metric.title, label, *span, fitting(RANGES[word], metric.every, _POINTS))
        marks, trouble = _marks(console, history, *span)
    drawn = _drawn(lines, found.samples)
    chart = chart_of(metric, found.thresholds, drawn, marks, span)
    return page(
        request,
        "metric.html",
        one=found,
        unit=unit_text(metric.unit),
        every=time_text(metric.every),
        rows=[_sample_row(each, found, name, word) for each in found.samples[:_LISTED]],
        more=max(0, len(found.samples) - _LISTED),
        bounds=[(row, bounds_text([row.warning]), bounds_text([row.critical])) for row in found.thresholds],
        drawn_bounds=chart["bounds"],
        chart=json.dumps(chart) if drawn else "",
        labels=[in_one_line(each.label) for each in drawn],
        left_out=len(lines) - len(drawn),
        step=time_text(drawn[0].step) if drawn else "",
        percent=chart["unit"]["kind"] == "percent",
        marks=marks,
        trouble=trouble,
        ranges=[(each, _address(name, each, label)) for each in RANGES],
        range=word,
        label=label,
        whole=_address(name, word, None),
    )


def _fitting(history: History, metric: Metric, until: datetime) -> str:
    """The range that is shown first: a day, or less where less is kept, so that it shows something soon."""
    lines = history.series(metric.title, None, until - RANGES[_FIRST], until, _SMALL)
    first = min((line.points[0].at for line in lines if line.points), default=until - RANGES[_FIRST])
    return next(word for word, span in RANGES.items() if span >= until - first or word == _FIRST)


def _drawn(lines: Sequence[Line], samples: Sequence[Sample]) -> list[Line]:
    """The lines that are drawn: of labels that are there now the worst, then the highest; then those that were."""
    severity = [Level.CRITICAL, Level.WARNING, Level.UNKNOWN, Level.OK, Level.UNBOUNDED]
    levels = {one.label: severity.index(one.level) for one in samples}
    order = sorted(lines, key=lambda one: (levels.get(one.label, len(severity)), -one.points[-1].mean, one.label))
    return order[:MOST]


def _marks(console: Console, history: History, since: datetime, until: datetime) -> tuple[list[Mark], str]:
    try:
        return happened(console.ledger, history, since, until), ""
    except TabsyncError as error:
        return [], error.fact  # the values are there all the same


def _row(one: Standing, lines: dict[tuple[str, str], Line], since: datetime, until: datetime) -> Facts:
    worst = one.worst
    line = lines.get((one.metric.title.lower(), worst.label)) if worst else None
    return {
        "standing": one,
        "value": amount(one.metric.unit, worst) if worst else "none" if one.at and not one.why else "unknown",
        "label": in_one_line(worst.label) if worst else "",
        "of": len(one.samples),
        "paths": small_picture(line, since, until) if line else [],
        "at": one.at.isoformat() if one.at else None,
    }


def _sample_row(sample: Sample, one: Standing, name: str, word: str) -> Facts:
    return {
        "label": in_one_line(sample.label),
        "level": sample.level.value,
        "value": amount(one.metric.unit, sample),
        "address": _address(name, word, sample.label),
    }


def _address(name: str, word: str, label: str | None) -> str:
    asked = {"range": word} | ({} if label is None else {"label": label})
    return f"?{urlencode(asked)}"

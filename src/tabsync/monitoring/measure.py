"""Measures what the manual names. One metric that fails never keeps the others from being measured."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

from tabsync.kernel.clock import Clock, now
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual, Metric, Threshold
from tabsync.manual.parts import Unit
from tabsync.monitoring.judge import Level, judge, worst
from tabsync.postgres.connect import Connection
from tabsync.postgres.readonly import Rows, run_readonly

MAX_ROWS = 200
"""Rows of one metric that are kept; a metric that gives more is cut, and says so."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a metric. label: "" for a single value; value, of: in the metric's base unit; why: of UNKNOWN."""

    label: str
    value: float | None
    of: float | None
    level: Level
    note: str = ""
    why: str = ""

    @property
    def percent(self) -> float | None:
        """The value as a percentage of `of`, when there is one."""
        return None if self.value is None or not self.of else self.value * 100 / self.of


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric, measured. error: why it could not be, "" when it was; cut: there were more rows than were kept."""

    metric: str
    unit: Unit
    samples: tuple[Sample, ...]
    level: Level
    seconds: float
    at: datetime
    error: str = ""
    cut: bool = False

    @property
    def worst(self) -> Sample | None:
        """The sample that decides the level: the first of the worst ones."""
        return next((sample for sample in self.samples if sample.level is self.level), None)


def measure(
    conn: Connection,
    manual: Manual,
    *,
    only: Iterable[str] | None = None,
    statement_timeout: str = "5s",
    clock: Clock = now,
) -> list[Reading]:
    """Measure every metric of the manual that has a query, each in a READ ONLY transaction of its own.

    conn: a session outside any transaction; only: titles of the metrics to measure; statement_timeout: of each, with
    its unit. Never raises for a metric that could not be measured: its reading is UNKNOWN and says why, and so are all
    that follow a lost connection.
    """
    wanted = None if only is None else {title.lower() for title in only}
    metrics = [metric for metric in manual.metrics if metric.sql and (wanted is None or metric.title.lower() in wanted)]
    return [
        _measure(conn, metric, manual.thresholds_of(metric.title), statement_timeout, clock()) for metric in metrics
    ]


def own_reading(metric: Metric, thresholds: Sequence[Threshold], known: Facts | None, at: datetime) -> Reading:
    """A metric that tabsync itself knows. known: {"value", "of", "note"}, None where nobody could tell."""
    if known is None:
        return Reading(metric.title, metric.unit, (), Level.UNKNOWN, 0.0, at, "nobody could tell")
    sample = _sample(metric, known, thresholds)
    return Reading(metric.title, metric.unit, (sample,), _level([sample], thresholds), 0.0, at)


def _measure(
    conn: Connection, metric: Metric, thresholds: Sequence[Threshold], statement_timeout: str, at: datetime
) -> Reading:
    started = time.monotonic()
    samples: tuple[Sample, ...] = ()
    error, cut = "", False
    try:
        rows = run_readonly(conn, metric.sql, statement_timeout=statement_timeout, max_rows=MAX_ROWS)
        samples, cut = read_samples(metric, rows, thresholds), rows.cut
    except (psycopg.Error, TabsyncError, ValueError) as failure:
        error = _message(failure)
    if not error and not samples and not metric.no_rows_ok:
        error = "the query returned no rows"
    level = Level.UNKNOWN if error else _level(samples, thresholds)
    return Reading(metric.title, metric.unit, samples, level, time.monotonic() - started, at, error, cut)


def _level(samples: Sequence[Sample], thresholds: Sequence[Threshold]) -> Level:
    if not samples:
        return Level.OK if thresholds else Level.UNBOUNDED
    return worst(sample.level for sample in samples)


def _message(failure: Exception) -> str:
    """Why a metric could not be measured, in one line."""
    if isinstance(failure, psycopg.Error) and failure.diag.message_primary:
        return failure.diag.message_primary
    return (str(failure) or type(failure).__name__).splitlines()[0]


def read_samples(metric: Metric, rows: Rows, thresholds: Sequence[Threshold]) -> tuple[Sample, ...]:
    """The rows of a metric as judged samples. Raises ValueError when they don't have the shape of a metric."""
    columns = [column.lower() for column in rows.columns]
    if "value" not in columns:
        raise ValueError(f"the query returns the columns {', '.join(columns)}, but no 'value'")
    if "label" not in columns and len(rows.rows) > 1:
        raise ValueError(f"the query returns {len(rows.rows)} rows without a 'label'")
    return tuple(_sample(metric, dict(zip(columns, row, strict=True)), thresholds) for row in rows.rows)


def _sample(metric: Metric, row: dict[str, Any], thresholds: Sequence[Threshold]) -> Sample:
    value = _number(row["value"])
    of = _number(row.get("of")) if "of" in row else metric.of
    level = worst(judge(threshold, value, of) for threshold in thresholds)
    note = str(row.get("note") or "")
    if value is None:
        level = Level.UNKNOWN
    why = _why(metric, value, note) if level is Level.UNKNOWN else ""
    return Sample(str(row.get("label") or ""), value, of, level, note, why)


def _why(metric: Metric, value: float | None, note: str) -> str:
    if value is None:
        return note or "the value is null"
    if metric.of_line:
        return f"the bound is in percent, but line {metric.of_line} of the manual declares no limit (Of:)"
    return "the bound is in percent, but there is no limit (Of:) to compare the value with"


def _number(value: object) -> float | None:
    """A number of PostgreSQL's. Raises ValueError for anything else: a metric counts."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{value!r} is not a number")
    return float(value)

"""Measures what the manual names. One metric that fails never keeps the others from being measured."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

from tabsync.kernel.clock import Clock, now
from tabsync.kernel.step import Facts
from tabsync.kernel.units import parse_duration
from tabsync.manual.model import Manual, Metric, Threshold
from tabsync.manual.parts import Unit
from tabsync.monitoring.judge import Level, judge, worst
from tabsync.monitoring.unknown import Kind, kind_of
from tabsync.postgres.connect import Connection
from tabsync.postgres.readonly import Bounds, Outcome, Reader, Rows

_ON_STANDBY = 1.0  # seconds: what reads there can hold up the replay
_LONGEST = 30.0  # seconds for all metrics of a page; each has a limit of its own below it

MAX_ROWS = 200
"""Rows of one metric that are kept; a metric that gives more is cut, and says so."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a metric. label: "" for a single value; value, of: in the metric's base unit.

    why, kind: of an UNKNOWN one.
    """

    label: str
    value: float | None
    of: float | None
    level: Level
    note: str = ""
    why: str = ""
    kind: Kind = ""

    @property
    def percent(self) -> float | None:
        """The value as a percentage of `of`, when there is one."""
        return None if self.value is None or not self.of else self.value * 100 / self.of


@dataclass(frozen=True, slots=True)
class Limit:
    """What `Of: disk` stands for, in the metric's base unit. value: None where it is unknown; why, kind: then."""

    value: float | None
    why: str = ""
    kind: Kind = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric, measured. error: why it could not be, "" when it was; cut: there were more rows than were kept.

    failed: the kind of unknown that the error is; standby: whether the server was one.
    """

    metric: str
    unit: Unit
    samples: tuple[Sample, ...]
    level: Level
    seconds: float
    at: datetime
    error: str = ""
    cut: bool = False
    failed: Kind = ""
    standby: bool = False

    @property
    def kind(self) -> Kind:
        """Which kind of unknown it is, "" when it is known."""
        if self.level is not Level.UNKNOWN:
            return ""
        return self.failed or (self.worst.kind if self.worst else "") or "failed"

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
    """Measure every metric of the manual that has a query, all in one READ ONLY transaction.

    conn: a session outside any transaction; only: titles of the metrics to measure; statement_timeout: of each, with
    its unit. Never raises for a metric that could not be measured: its reading is UNKNOWN and says why, and so are all
    that follow a lost connection.
    """
    wanted = None if only is None else {title.lower() for title in only}
    metrics = [metric for metric in manual.metrics if metric.sql and (wanted is None or metric.title.lower() in wanted)]
    statement = parse_duration(statement_timeout).total_seconds()
    return read(Reader(conn), metrics, manual, max(_LONGEST, statement), statement=statement, clock=clock)


def read(
    reader: Reader, metrics: Sequence[Metric], manual: Manual, seconds: float, *, statement: float, clock: Clock = now
) -> list[Reading]:
    """Measure some metrics through a reader, in as few round trips as it needs, and judge them by the manual.

    seconds: for all of them; statement: the limit of each, in seconds, but at most one on a standby.
    Never raises for what could not be measured.
    """
    at = clock()
    lost = reader.conn.closed
    major = 0 if lost else reader.conn.info.server_version // 10_000
    texts = [metric.sql_for(major) for metric in metrics]
    standby = not lost and reader.conn.info.parameter_status("in_hot_standby") == "on"
    if standby:
        statement = min(statement, _ON_STANDBY)
    outcomes = reader.run(texts, seconds, Bounds(statement=statement, rows=MAX_ROWS))
    return [
        replace(_reading(metric, manual.thresholds_of(metric.title), outcome, at), standby=standby)
        for metric, outcome in zip(metrics, outcomes, strict=True)
    ]


def own_reading(metric: Metric, thresholds: Sequence[Threshold], known: Facts | None, at: datetime) -> Reading:
    """A metric that tabsync itself knows.

    known: {"value", "of", "note"}, and "kind" of an unknown one; None where nobody could tell.
    """
    if known is None:
        return Reading(metric.title, metric.unit, (), Level.UNKNOWN, 0.0, at, "nobody could tell", failed="failed")
    sample = _sample(metric, known, thresholds)
    if sample.value is None:  # a note says why, and not, as in a query, that a privilege is missing
        sample = replace(sample, kind=known.get("kind") or "failed")
    return Reading(metric.title, metric.unit, (sample,), _level([sample], thresholds), 0.0, at)


def with_limits(readings: Sequence[Reading], manual: Manual, limits: Mapping[str, Limit]) -> list[Reading]:
    """The same readings, those with `Of: disk` compared with what that is. limits: by what the manual calls it."""
    return [_limited(one, manual, limits) for one in readings]


def _limited(reading: Reading, manual: Manual, limits: Mapping[str, Limit]) -> Reading:
    metric = manual.metric(reading.metric)
    if metric is None or not metric.of_source or not reading.samples:
        return reading
    limit = limits.get(metric.of_source, Limit(None, *_without_limit(metric, {})))
    thresholds = manual.thresholds_of(metric.title)
    samples = tuple(one if one.of is not None else _with_limit(one, limit, thresholds) for one in reading.samples)
    return replace(reading, samples=samples, level=_level(samples, thresholds))


def _with_limit(sample: Sample, limit: Limit, thresholds: Sequence[Threshold]) -> Sample:
    if sample.value is None:
        return sample
    level = worst(judge(threshold, sample.value, limit.value) for threshold in thresholds)
    unknown = level is Level.UNKNOWN
    return replace(
        sample, of=limit.value, level=level, why=limit.why if unknown else "", kind=limit.kind if unknown else ""
    )


def _reading(metric: Metric, thresholds: Sequence[Threshold], outcome: Outcome, at: datetime) -> Reading:
    samples: tuple[Sample, ...] = ()
    failure = outcome.failure
    if outcome.rows is not None:
        try:
            samples = read_samples(metric, outcome.rows, thresholds)
        except ValueError as wrong:
            failure = wrong
    if failure is None and not samples and not metric.no_rows_ok:
        failure = ValueError("the query returned no rows")
    if failure is not None:
        error, kind = _message(failure), kind_of(failure)
        return Reading(metric.title, metric.unit, (), Level.UNKNOWN, outcome.seconds, at, error, failed=kind)
    cut = outcome.rows is not None and outcome.rows.cut
    return Reading(metric.title, metric.unit, samples, _level(samples, thresholds), outcome.seconds, at, cut=cut)


def _level(samples: Sequence[Sample], thresholds: Sequence[Threshold]) -> Level:
    if not samples:
        return Level.OK if thresholds else Level.UNBOUNDED
    return worst(sample.level for sample in samples)


def _message(failure: Exception) -> str:
    """Why a metric could not be measured, in one line."""
    if isinstance(failure, psycopg.Error) and failure.diag.message_primary:
        message = failure.diag.message_primary
        if isinstance(failure, psycopg.errors.InsufficientPrivilege) and re.search(r"\bpg_ls_\w+", message):
            return f"the role is not a member of pg_monitor: {message}"
        return message
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
    value, of = _number(row["value"]), _number(row["of"]) if "of" in row else metric.of
    if of is None and metric.unit.kind == "percent" and "of" not in row:
        of = 100.0  # what is in percent is a part of a hundred: a bound in percent is meant like that
    note = str(row.get("note") or "")
    level = worst(judge(threshold, value, of) for threshold in thresholds)
    why: str = ""
    kind: Kind = ""
    if value is None:
        level = Level.UNKNOWN
        why, kind = _why_not(row["value"], note)
    elif level is Level.UNKNOWN:
        why, kind = _without_limit(metric, row)
    return Sample(str(row.get("label") or ""), value, of, level, note, why, kind)


def _why_not(value: object, note: str) -> tuple[str, Kind]:
    """Why a row has no value: a query that gives a null and a note says what it is not shown."""
    if value is not None:
        return f"the value is {_odd(value)}", "failed"
    return (note, "hidden") if note else ("the value is null", "failed")


def _odd(value: object) -> str:
    """What keeps a number from being compared."""
    if isinstance(value, float | Decimal):
        if value != value:  # NaN alone is unequal to itself
            return "NaN"
        if math.isinf(value) if isinstance(value, float) else value.is_infinite():
            return "infinite"
    return "too large"


def _without_limit(metric: Metric, row: dict[str, Any]) -> tuple[str, Kind]:
    if metric.of_source:
        return f"nobody asked for the {metric.of_source} that it is a part of", "failed"
    if metric.of_line:
        return f"the bound is in percent, but line {metric.of_line} of the manual declares no limit (Of:)", "declare"
    why = "the bound is in percent, but there is no limit (Of:) to compare the value with"
    return why, "failed" if "of" in row else "declare"


def _number(value: object) -> float | None:
    """A number of PostgreSQL's; None for a null, and for NaN and infinity, which no bound can be compared with.

    Raises ValueError for anything else: a metric counts.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{_shown(value)} is not a number")
    try:
        number = float(value)
    except (OverflowError, ValueError):  # too large, or a signalling NaN
        return None
    return number if math.isfinite(number) else None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."

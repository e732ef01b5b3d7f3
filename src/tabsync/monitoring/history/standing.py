"""How each metric of the manual stands by what was kept last: its values, or why it is unknown. Pure.

What is too old to speak of now is unknown, and so is what was never measured: neither is ever shown as in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from urllib.parse import quote

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.units import human_seconds
from tabsync.manual.model import Manual, Metric, Threshold
from tabsync.monitoring.history.history import History
from tabsync.monitoring.judge import Level, judge, worst
from tabsync.monitoring.measure import Sample

NEVER = "never measured: tabsync serve collects"
_LATE = 3  # intervals after which a value is too old to speak of now
_LEAST = timedelta(minutes=2)  # and no less than this: a restart of the collector is no news


@dataclass(frozen=True, slots=True)
class Kept:
    """What the history says of now: see History."""

    latest: Mapping[tuple[str, str], tuple[datetime, float, float | None]]
    tried: Mapping[str, tuple[datetime, str]]
    last_scrape: datetime | None

    @classmethod
    def of(cls, history: History) -> Kept:
        """Read it. Raises Unreadable."""
        return cls(history.latest_of(), history.tried(), history.last_scrape())


@dataclass(frozen=True, slots=True)
class Standing:
    """A metric as it stands. samples: of its newest measurement, however old; at: when that was, None if never.

    why: why the level is UNKNOWN, "" when it isn't.
    """

    metric: Metric
    thresholds: tuple[Threshold, ...]
    samples: tuple[Sample, ...]
    level: Level
    at: datetime | None
    why: str

    @property
    def worst(self) -> Sample | None:
        """The sample that decides."""
        return next((one for one in self.samples if one.level is self.level), next(iter(self.samples), None))


def standings(manual: Manual, kept: Kept, now: datetime) -> list[Standing]:
    """How all metrics of the manual stand, in its order."""
    nobody = _nobody(manual, kept, now)
    by_metric: dict[str, list[tuple[str, datetime, float, float | None]]] = {}
    for (title, label), (at, value, of) in kept.latest.items():
        by_metric.setdefault(title, []).append((label, at, value, of))
    return [
        _standing(one, manual.thresholds_of(one.title), by_metric.get(one.title.lower(), ()), kept, nobody, now)
        for one in manual.metrics
    ]


def metric_named(manual: Manual, name: str) -> Metric:
    """The metric that somebody means: its title in any case, or as it stands in addresses. Raises BadUsage."""
    wanted = plain_name(name)
    alike = [one for one in manual.metrics if plain_name(one.title) == wanted]
    found = next((one for one in alike if one.title.lower() == name.lower()), next(iter(alike), None))
    if found is not None:
        return found
    titles = {plain_name(one.title): one.title for one in manual.metrics}
    close = [one for one in titles if wanted and wanted in one] or get_close_matches(wanted, titles, 3, 0.5)
    near = ", ".join(titles[one] for one in close[:3])
    hint = f"did you mean {near}?" if near else "to list them: tabsync metrics list"
    raise BadUsage(f"the manual has no metric {name!r}", hint)


def plain_name(text: str) -> str:
    """A title without what people leave out when they type it: "Active connections", "active-connections"."""
    return " ".join("".join(one if one.isalnum() else " " for one in text.lower()).split())


def address_of(title: str) -> str:
    """A title as it stands in the address of its page; metric_named() finds it by that."""
    return quote(plain_name(title).replace(" ", "-"))


def labels_now(
    rows: Iterable[tuple[str, datetime, float, float | None]], tried: datetime | None
) -> list[tuple[str, datetime, float, float | None]]:
    """The rows of the newest measurement only: a label that it did not have any more is not there any more."""
    found = list(rows)
    newest = max((at for _, at, _, _ in found), default=None)
    moment = tried if tried is not None and any(at == tried for _, at, _, _ in found) else newest
    return sorted((one for one in found if one[1] == moment), key=lambda one: one[0])


def _standing(
    metric: Metric,
    thresholds: tuple[Threshold, ...],
    rows: Sequence[tuple[str, datetime, float, float | None]],
    kept: Kept,
    nobody: str,
    now: datetime,
) -> Standing:
    tried, why = kept.tried.get(metric.title.lower(), (None, ""))
    found = labels_now(rows, tried)
    if tried is not None and not why and all(at < tried for _, at, _, _ in found):
        found = []  # the newest measurement had no rows, and that was in order
    samples = tuple(_sample(one, thresholds) for one in found)
    at = max((one[1] for one in found), default=tried if not why else None)
    unknown = _unknown(metric, at, tried, why, now) or nobody
    if unknown:
        samples = tuple(replace(one, level=Level.UNKNOWN) for one in samples)
        return Standing(metric, thresholds, samples, Level.UNKNOWN, at, unknown)
    level = worst(one.level for one in samples) if samples else Level.OK if thresholds else Level.UNBOUNDED
    said = next((one.why for one in samples if one.level is level and one.why), "")
    return Standing(metric, thresholds, samples, level, at, said)


def _nobody(manual: Manual, kept: Kept, now: datetime) -> str:
    """Why even a value that is not old yet says nothing of now: nobody measures, or can keep what is measured."""
    if kept.last_scrape is None:
        return NEVER
    old = now - kept.last_scrape
    often = min((one.every for one in manual.metrics), default=_LEAST)
    if old <= max(often * _LATE, _LEAST):
        return ""
    return (
        f"nothing was kept for {human_seconds(old.total_seconds())}: nobody measures, or the history can't be written"
    )


def _unknown(metric: Metric, at: datetime | None, tried: datetime | None, why: str, now: datetime) -> str:
    """Why nothing is known of now, "" when something is."""
    if why:
        return why
    if at is None and tried is None:
        return NEVER
    newest = max(one for one in (at, tried) if one is not None)
    old = now - newest
    if -old > _LEAST:
        return f"its time is {human_seconds(-old.total_seconds())} ahead of this clock, which was changed"
    if old > max(metric.every * _LATE, _LEAST):
        return f"not measured for {human_seconds(old.total_seconds())}: tabsync serve collects"
    return ""


def _sample(row: tuple[str, datetime, float, float | None], thresholds: Sequence[Threshold]) -> Sample:
    label, _, value, of = row
    level = worst(judge(one, value, of) for one in thresholds)
    percent = "the bound is in percent, and nothing says what the value is a part of (Of:)"
    return Sample(label, value, of, level, why=percent if level is Level.UNKNOWN else "")

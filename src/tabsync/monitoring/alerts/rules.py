"""What a measurement says of each condition: a metric's rows against the manual's thresholds. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual, Metric, Threshold
from tabsync.manual.parts import Bound
from tabsync.monitoring.alerts.episode import OVER, Episode, Key, Seen, Severity
from tabsync.monitoring.judge import Level, judge, reached
from tabsync.monitoring.measure import Reading, Sample
from tabsync.monitoring.words import amount

BLIND = timedelta(minutes=1)
"""How long a metric must have been impossible to measure before that is told; and at least two of its intervals."""

DOWN = timedelta(seconds=30)
"""How long the database must not have answered before that is told."""

_NAMED = 3  # labels that are named, of those that went blind
_PID = re.compile(r"\bpid\b", re.IGNORECASE)

Open = Mapping[Key, Episode]


def conditions(
    reading: Reading,
    manual: Manual,
    now_open: Open,
    before: Collection[str],
    labels: Collection[tuple[str, str]] = (),
    at: datetime | None = None,
) -> Iterator[Seen]:
    """What one reading says of every condition of its metric.

    now_open: the episodes that are open; before: titles, in lower case, of what has been measured at any time before;
    labels: the same with each label; at: when, if not when the reading was made.
    """
    metric = manual.metric(reading.metric)
    if metric is None:
        return
    moment = at or reading.at
    rows = _by_label(reading.samples, metric)
    blind = is_blind(reading)
    for number, threshold in enumerate(manual.thresholds_of(metric.title)):
        rule = rule_of(metric, number)
        for label, samples in rows.items():
            seen = _seen(metric, threshold, Key("threshold", rule, label), samples, now_open, moment)
            held = now_open.get(seen.key)
            if seen.level is None and held is not None and _elsewhere(reading, held):
                seen = replace(seen, fresh=False)
            yield replace(seen, facts=seen.facts | {"standby": reading.standby}) if seen.facts else seen
        for key, one in now_open.items():
            if key.kind == "threshold" and key.rule == rule and key.label not in rows:
                yield _not_there(metric, threshold, one, reading, moment)
    if before:
        lost = [one for one in reading.samples if one.value is None and (metric.title.lower(), one.label) in labels]
        some = lost if manual.thresholds_of(metric.title) else []
        yield from _blindness(metric, reading, blind, some, before, moment)


def is_blind(reading: Reading) -> bool:
    """Whether nothing of a metric could be measured."""
    values = [one.value for one in reading.samples]
    nothing = all(one is None for one in values) and (bool(values) or reading.level is Level.UNKNOWN)
    return bool(reading.error) or nothing


def left_over(manual: Manual, now_open: Open, at: datetime) -> Iterator[Seen]:
    """Ends the episodes of bounds and metrics that the manual doesn't have any more."""
    rules = {rule_of(one, number) for one in manual.metrics for number, _ in enumerate(manual.thresholds_of(one.title))}
    titles = {one.title for one in manual.metrics}
    for key in now_open:
        if (key.kind == "threshold" and key.rule not in rules) or (key.kind == "blind" and key.rule not in titles):
            yield Seen(key, None, at, facts={OVER: "the manual has no such bound any more"})


def worse_only(seen: Seen, held: Episode | None) -> Seen:
    """What was seen by a manual that lacks bounds: it may begin and worsen what is there, and ends nothing."""
    milder = seen.level is None or (held is not None and held.level == "critical" and seen.level == "warning")
    return replace(seen, level=None, goes_on=None, fresh=False) if milder else seen


def rule_of(metric: Metric, number: int) -> str:
    """The name of a threshold: its metric's title; a second one on the same metric has a number."""
    return metric.title if not number else f"{metric.title} ({number + 1})"


def stable(label: str, metric: Metric) -> str:
    """A label without what is another one each time: the numbers that stand alone, where the query reads pids.

    Elsewhere a number is the name of something that stays, such as a restaurant's.
    """
    if not any(_reads_pids(text) for text in (metric.sql, *(text for _, text, _ in metric.newer))):
        return label
    return " ".join(word for word in label.split() if not word.isdigit())


@lru_cache
def _reads_pids(query: str) -> bool:
    return _PID.search(query) is not None


def _by_label(samples: Sequence[Sample], metric: Metric) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for one in samples:
        found.setdefault(stable(one.label, metric), []).append(one)
    return found


def _seen(
    metric: Metric, threshold: Threshold, key: Key, samples: Sequence[Sample], now_open: Open, at: datetime
) -> Seen:
    """One label against one threshold: the worst of its rows counts."""
    order = (Level.OK, Level.UNKNOWN, Level.WARNING, Level.CRITICAL)
    judged = [(judge(threshold, one.value, one.of), one) for one in samples]
    level, sample = max(judged, key=lambda one: order.index(one[0]))
    if level is Level.UNKNOWN:
        return Seen(key, None, at, fresh=False)
    severity: Severity | None = level.value if level in (Level.WARNING, Level.CRITICAL) else None  # type: ignore[assignment]
    facts = _facts(metric, threshold, sample, severity)
    held = now_open.get(key)
    going = _goes_on(threshold, sample)
    if held is not None and held.fired_at is not None and held.level == "critical" and going == "critical":
        severity = "critical" if severity else None  # it was, and has not gone back far enough
        return Seen(key, severity, at, goes_on=going, hold=threshold.for_, every=metric.every, facts=facts)
    if going == "critical":
        going = "warning" if threshold.warning else ("critical" if held is not None else None)
    return Seen(key, severity, at, goes_on=going, hold=threshold.for_, every=metric.every, facts=facts)


def _goes_on(threshold: Threshold, sample: Sample) -> Severity | None:
    """At which level an episode that is open would go on."""
    levels: tuple[tuple[Bound | None, Severity], ...] = (
        (threshold.leave_critical, "critical"),
        (threshold.leave_warning, "warning"),
    )
    for bound, level in levels:
        if bound is not None and sample.value is not None and reached(bound, sample.value, sample.of):
            return level
    return None


def _elsewhere(reading: Reading, held: Episode) -> bool:
    """Whether it is of a standby, which has counters, slots and sessions of its own, and the episode of its primary."""
    return reading.standby and not held.facts.get("standby")


def _not_there(metric: Metric, threshold: Threshold, held: Episode, reading: Reading, at: datetime) -> Seen:
    """A label that fired, and is not among the rows any more. That is only well where the manual says so."""
    key = held.key
    # One row that can't be read may be the label's: its own row says only that something is not visible.
    hidden = any(one.value is None for one in reading.samples)
    if reading.error or reading.level is Level.UNKNOWN or reading.cut or hidden or _elsewhere(reading, held):
        return Seen(key, None, at, fresh=False)
    single = key.label == "" and metric.no_rows_ok and not reading.samples
    # A list of the worst may be full of what is worse: only if one of its rows is well, all that are left out are.
    room = not reading.samples or any(judge(threshold, one.value, one.of) is Level.OK for one in reading.samples)
    facts = {"text": "it is not there any more"} if metric.gone_ok else {}
    well = single or (metric.gone_ok and room)
    return Seen(key, None, at, fresh=well, hold=threshold.for_, every=metric.every, facts=facts)


def _blindness(
    metric: Metric, reading: Reading, blind: bool, lost: Sequence[Sample], before: Collection[str], at: datetime
) -> Iterator[Seen]:
    """That a metric was measured before, and isn't any more. What never was is a matter of setting it up.

    lost: those of its labels that were measured before, and aren't any more.
    """
    key = Key("blind", metric.title)
    hold = max(BLIND, 2 * metric.every)
    if not blind and not lost:
        if any(one.value is not None for one in reading.samples) or not reading.samples:
            yield Seen(key, None, at, hold=hold, every=metric.every)
        return
    if metric.title.lower() not in before:
        return
    why = reading.error or next((one.why for one in lost or reading.samples if one.why), "the query gave no value")
    text = "not measured" if blind else f"not measured for {_some([one.label for one in lost])}"
    facts: Facts = {"metric": metric.title, "text": text, "why": why, "meaning": metric.prose, "runbook": ""}
    facts |= {"action": "Find out why it can't be measured: nothing is known of it meanwhile"}
    yield Seen(key, "warning", at, hold=hold, every=metric.every, facts=facts)


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return ", ".join(labels[:_NAMED]) + more


def _facts(metric: Metric, threshold: Threshold, sample: Sample, level: Severity | None) -> Facts:
    bound = threshold.critical if level == "critical" or threshold.warning is None else threshold.warning
    return {
        "metric": metric.title,
        "value": sample.value,
        "of": sample.of,
        "text": amount(metric.unit, sample),
        "bound": bound.text if bound else "",
        "note": sample.note,
        "meaning": metric.prose,
        "action": threshold.action,
        "runbook": threshold.runbook,
        "tell": list(threshold.tell),
        "line": threshold.line,
    }

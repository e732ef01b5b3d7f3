"""The judgement of a number against a threshold."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.manual.model import Threshold
from tabsync.manual.thresholds import parse_bound
from tabsync.monitoring.judge import Level, judge, worst


def threshold(warning: str, critical: str) -> Threshold:
    return Threshold(
        metric="m",
        warning=parse_bound(warning),
        critical=parse_bound(critical),
        for_=timedelta(0),
        action="",
        runbook="",
        line=1,
    )


numbers = st.floats(min_value=0, max_value=1e12)


@given(numbers, st.integers(0, 1000), st.integers(1, 1000))
def test_the_level_follows_the_bounds(value: float, warning: int, gap: int) -> None:
    level = judge(threshold(f"> {warning}", f"> {warning + gap}"), value, None)
    expected = Level.CRITICAL if value > warning + gap else Level.WARNING if value > warning else Level.OK
    assert level is expected


@given(numbers, numbers)
def test_more_is_never_better(one: float, other: float) -> None:
    row = threshold("> 80", "> 95")
    low, high = sorted((one, other))
    assert worst([judge(row, low, None), judge(row, high, None)]) is judge(row, high, None)


@given(numbers, numbers)
def test_less_is_never_better_for_a_lower_bound(one: float, other: float) -> None:
    row = threshold("< 80", "< 20")
    low, high = sorted((one, other))
    assert worst([judge(row, low, None), judge(row, high, None)]) is judge(row, low, None)


@given(st.one_of(st.none(), st.just(float("nan"))), st.one_of(st.none(), numbers))
def test_nothing_measured_is_unknown(value: float | None, of: float | None) -> None:
    assert judge(threshold("> 80", "> 95"), value, of) is Level.UNKNOWN


@given(numbers, st.sampled_from([None, 0.0, -1.0, float("nan")]))
def test_a_percentage_of_nothing_is_unknown(value: float, of: float | None) -> None:
    assert judge(threshold("> 80 %", "> 95 %"), value, of) is Level.UNKNOWN
    assert judge(threshold("—", "> 95 %"), value, of) is Level.UNKNOWN


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_percentages_are_exact(value: int, of: int) -> None:
    expected = Level.CRITICAL if value * 100 > 95 * of else Level.WARNING if value * 100 > 80 * of else Level.OK
    assert judge(threshold("> 80 %", "> 95 %"), value, of) is expected


@pytest.mark.parametrize(
    ("value", "of", "level"),
    [
        (6, 10, Level.WARNING),
        (6, 10_000, Level.OK),  # many payments, few fail
        (2, 2, Level.OK),  # all fail, but there were two
        (21, 100, Level.CRITICAL),
        (21, 1000, Level.WARNING),
        (0, 0, Level.OK),  # nothing failed, whatever the share would be
        (6, None, Level.UNKNOWN),
    ],
)
def test_count_and_share_count_together(value: float, of: float | None, level: Level) -> None:
    assert judge(threshold("> 5 and > 2 %", "> 20 and > 10 %"), value, of) is level


def test_a_warning_does_not_hide_that_the_critical_bound_is_unknown() -> None:
    assert judge(threshold("> 5", "> 90 %"), 6, None) is Level.UNKNOWN


def test_the_worst_of_several() -> None:
    assert worst([Level.OK, Level.WARNING]) is Level.WARNING
    assert worst([Level.WARNING, Level.UNKNOWN]) is Level.UNKNOWN
    assert worst([Level.UNKNOWN, Level.CRITICAL]) is Level.CRITICAL
    assert worst([Level.UNBOUNDED, Level.OK]) is Level.OK
    assert worst([]) is Level.UNBOUNDED

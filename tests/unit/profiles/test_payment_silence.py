"""That nothing is tried is good news only where it is known that hardly anything is, at this time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tabsync.profiles.tabsync.payments.seen import Count
from tabsync.profiles.tabsync.payments.tallies import tally, usual
from tabsync.profiles.tabsync.payments.verdict import Judged, Verdict, judged

AT = datetime(2026, 11, 30, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def paid(number: int, day: int = 0, minutes: float = 1) -> list[Count]:
    at = AT - timedelta(days=day, minutes=minutes)
    return [Count("stripe", "CARD", "PAID", False, number, at)] if number else []


def after(days: Sequence[int], now: int = 0, minutes: float = 1) -> Judged:
    """The verdict on so many payments now, and on each day before: yesterday first."""
    week = usual([paid(number, day) for day, number in enumerate(days, start=1)], "stripe", AT)
    return judged("stripe", tally(paid(now, minutes=minutes), "stripe"), week, [], (), AT, HOUR)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ((62, 62, 62, 0, 0, 0, 0), Verdict.WORSE),  # in use for three days
        ((62, 62, 0, 0, 0, 0, 0), Verdict.WORSE),
        ((62, 0, 0, 0, 0, 0, 0), Verdict.UNKNOWN),
        ((0, 0, 0, 0, 62, 62, 62), Verdict.UNKNOWN),  # restored, or emptied
        ((62, 0, 62, 0, 62, 0, 0), Verdict.UNKNOWN),
        ((5, 5, 5, 0, 0, 0, 0), Verdict.UNKNOWN),
        ((0, 0, 0, 0, 0, 0, 1), Verdict.USUAL),
        ((3, 0, 0, 0, 0, 0, 0), Verdict.USUAL),  # once a table paid so late
        ((0,) * 7, Verdict.UNKNOWN),
    ],
)
def test_nothing_is_tried(days: tuple[int, ...], expected: Verdict) -> None:
    assert after(days).verdict is expected


@pytest.mark.parametrize("now", [1, 3, 5])
def test_hardly_anything_is_tried(now: int) -> None:
    assert after((62, 62, 62, 0, 0, 0, 0), now).verdict is Verdict.WORSE
    assert after((62, 0, 62, 0, 62, 0, 0), now).verdict is Verdict.UNKNOWN
    assert after((62, 0, 62, 0, 62, 0, 0), now).why == f"only {now} payments were tried, usually 0 to 62"


def test_it_stops_in_the_middle() -> None:
    assert after((62, 62, 62, 0, 0, 0, 0), 30, minutes=40).verdict is Verdict.WORSE
    assert after((62, 0, 62, 0, 62, 0, 0), 30, minutes=40).verdict is Verdict.UNKNOWN


@given(some.lists(some.integers(0, 200), min_size=7, max_size=7))
def test_nothing_is_never_usual_where_one_a_day_is(days: list[int]) -> None:
    if sum(days) >= 7:
        assert after(days).verdict is not Verdict.USUAL


@given(some.lists(some.integers(30, 200), min_size=2, max_size=7))
def test_the_days_before_the_first_payment_change_nothing(days: list[int]) -> None:
    assert after(days).verdict is after([*days, *[0] * (7 - len(days))]).verdict is Verdict.WORSE

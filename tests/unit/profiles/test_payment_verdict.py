"""Whether more payments fail than usual: by chance, by the week before, by the manual, and never for want of data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tabsync.manual.model import Threshold
from tabsync.manual.parse import parse
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.profiles.tabsync.payments.failures import METRIC
from tabsync.profiles.tabsync.payments.metadata import Said
from tabsync.profiles.tabsync.payments.seen import Count, Failed
from tabsync.profiles.tabsync.payments.tallies import Tally, Usual, tally, usual
from tabsync.profiles.tabsync.payments.verdict import Judged, Verdict, judged, percent
from tabsync.profiles.tabsync.payments.windows import aware, literal, windows

AT = datetime(2026, 11, 30, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = Usual(0.03, (60,) * 7, of=420)
NO_WEEK = Usual(None, ())
ORDER = [Verdict.USUAL, Verdict.UNKNOWN, Verdict.WORSE]


@cache
def limits() -> tuple[Threshold, ...]:
    """The manual's: more than 5 in an hour and more than 5 %."""
    return parse(PROFILE_MANUAL.read_text())[0].thresholds_of(METRIC)


@pytest.fixture
def bounds() -> tuple[Threshold, ...]:
    return limits()


def failing(number: int, code: str) -> list[Failed]:
    return [Failed(str(one), AT, "stripe", "CARD", "1", Said(code, {}, 0)) for one in range(number)]


def judge(
    tried: int, failed: int, normal: Usual, bounds: tuple[Threshold, ...], code: str = "api_error", stuck: int = 0
) -> Judged:
    now = Tally(tried, failed, stuck, 0, AT - timedelta(seconds=30) if tried else None)
    return judged("stripe", now, normal, failing(failed, code), bounds, AT, HOUR)


@pytest.mark.parametrize(
    ("tried", "failed", "expected"),
    [
        (60, 2, Verdict.USUAL),
        (60, 5, Verdict.USUAL),  # twice as many, which chance explains
        (60, 9, Verdict.WORSE),
        (20, 1, Verdict.USUAL),
        (1000, 40, Verdict.USUAL),  # more than chance explains, and not twice as many
        (1000, 80, Verdict.WORSE),
    ],
)
def test_against_the_week_before(tried: int, failed: int, expected: Verdict, bounds: tuple[Threshold, ...]) -> None:
    assert judge(tried, failed, Usual(0.03, (tried,) * 7, of=7 * tried), bounds).verdict is expected


@given(some.integers(0, 80), some.integers(0, 80), some.sampled_from([WEEK, NO_WEEK, Usual(0.0, (40,) * 7, of=280)]))
def test_more_failures_are_never_a_better_verdict(tried: int, failed: int, normal: Usual) -> None:
    if failed >= tried:
        return
    fewer, more = (judge(tried, number, normal, limits()) for number in (failed, failed + 1))
    assert ORDER.index(fewer.verdict) <= ORDER.index(more.verdict)


def test_too_few_are_judged_by_the_manual(bounds: tuple[Threshold, ...]) -> None:
    assert judge(5, 5, NO_WEEK, bounds).verdict is Verdict.UNKNOWN
    assert judge(5, 5, NO_WEEK, bounds, "insufficient_funds").verdict is Verdict.USUAL, "guests without money"
    assert judge(5, 0, NO_WEEK, bounds).verdict is Verdict.USUAL
    assert judge(12, 6, NO_WEEK, bounds).verdict is Verdict.WORSE
    assert judge(12, 6, NO_WEEK, ()).verdict is Verdict.UNKNOWN
    assert judge(30, 15, NO_WEEK, ()).verdict is Verdict.WORSE, "half is never usual"
    assert judge(30, 2, NO_WEEK, ()).verdict is Verdict.UNKNOWN


def test_what_does_not_end_counts(bounds: tuple[Threshold, ...]) -> None:
    one = judge(60, 0, WEEK, bounds, stuck=30)
    assert (one.verdict, one.side and one.side.value) == (Verdict.WORSE, "unknown")


def test_no_payments_are_no_good_news(bounds: tuple[Threshold, ...]) -> None:
    assert judge(0, 0, WEEK, bounds).verdict is Verdict.WORSE
    assert judge(0, 0, NO_WEEK, bounds).verdict is Verdict.UNKNOWN
    assert judge(0, 0, Usual(None, (5,) * 7), bounds).verdict is Verdict.UNKNOWN
    assert judge(0, 0, Usual(None, (0, 0, 0, 0, 0, 0, 1)), bounds).verdict is Verdict.USUAL
    assert judge(8, 0, WEEK, bounds).why == "only 8 payments were tried, usually 60"
    busy = Usual(0.0, (0, 60, 60, 60, 60, 60, 60))
    assert judge(0, 0, busy, bounds).verdict is Verdict.WORSE, "one day of rest in the week"
    assert judge(0, 0, Usual(0.0, (0, 0, 60, 60, 60, 60, 60)), bounds).verdict is Verdict.UNKNOWN


def test_the_end_of_an_evening_is_no_silence(bounds: tuple[Threshold, ...]) -> None:
    """On each day the last guest paid half an hour before this time."""
    days = [[Count("stripe", "CARD", "PAID", False, 60, AT - timedelta(days=day, minutes=30))] for day in range(1, 8)]
    normal = usual(days, "stripe", AT)
    assert normal.gap == 1800

    def verdict(minutes: float) -> Verdict:
        now = Tally(60, 0, 0, 0, AT - timedelta(minutes=minutes))
        return judged("stripe", now, normal, [], bounds, AT, HOUR).verdict

    assert (verdict(40), verdict(59.9)) == (Verdict.USUAL, Verdict.USUAL)
    assert judge(0, 0, normal, bounds).verdict is Verdict.WORSE, "they come before that, on every day"


@pytest.mark.parametrize(
    ("code", "side"),
    [
        ("api_connection_error", "gateway"),
        ("do_not_honor", "guest"),
        ("api_key_expired", "ours"),
        ("(no code)", "unknown"),
    ],
)
def test_whose_side_it_is_on(code: str, side: str, bounds: tuple[Threshold, ...]) -> None:
    found = judge(60, 40, WEEK, bounds, code).side
    assert found is not None
    assert found.value == side


def counts(gateway: str, status: str, number: int, *, young: bool = False, minutes: int = 10) -> Count:
    return Count(gateway, "CARD", status, young, number, AT - timedelta(minutes=minutes))


def test_what_is_counted() -> None:
    found = [
        counts("stripe", "PAID", 50),
        counts("stripe", "FAILED", 3, minutes=2),
        counts("stripe", "PENDING", 4),
        counts("stripe", "PENDING", 2, young=True),
        counts("mercadopago", "REFUNDED", 1),
        counts("", "PAID", 100),
    ]
    one = tally(found, "stripe")
    assert (one.tried, one.failed, one.stuck, one.undecided) == (57, 3, 4, 2)
    assert one.latest == AT - timedelta(minutes=2)
    assert tally(found, "").tried == 58, "cash needs no gateway"


def test_the_worst_day_is_left_out_of_what_is_usual() -> None:
    good = [counts("stripe", "PAID", 57), counts("stripe", "FAILED", 3)]
    bad = [counts("stripe", "FAILED", 60)]
    assert usual([good] * 6 + [bad], "stripe", AT).share == 0.05
    assert usual([good] * 5 + [bad, None], "stripe", AT).attempts == (60,) * 6
    assert usual([[]] * 7, "stripe", AT) == NO_WEEK
    assert usual([None] * 7, "stripe", AT) == NO_WEEK


def test_the_same_time_of_each_day() -> None:
    now, *days = windows(AT, HOUR, 7)
    assert (now.since, now.until > AT, now.settled) == (AT - HOUR, True, AT - timedelta(minutes=15))
    assert [(one.since, one.until) for one in days[:1]] == [(AT - timedelta(hours=25), AT - timedelta(hours=24))]
    assert len(days) == 7
    assert literal(AT) == "2026-11-30 20:00:00+00:00"
    assert aware(datetime(2026, 11, 30, 20)) == AT


def test_percentages() -> None:
    assert [percent(one) for one in (None, 0.0, 0.004, 0.03, 0.683, 1.0)] == [
        "unknown", "0 %", "0.4 %", "3 %", "68 %", "100 %",
    ]  # fmt: skip

"""Worse is what chance does not explain and what matters: never ordinary variation, and always a large rise."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import comb, factorial

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tabsync.profiles.tabsync.payments.chance import at_least
from tabsync.profiles.tabsync.payments.seen import Count
from tabsync.profiles.tabsync.payments.tallies import Tally, Usual, tally, usual
from tabsync.profiles.tabsync.payments.verdict import Verdict, judged

AT = datetime(2026, 11, 30, 20, tzinfo=UTC)


def verdict(tried: int, bad: int, share: float) -> Verdict:
    """Of so many of which so many came to nothing, where this share usually does."""
    now = Tally(tried, bad, 0, 0, AT)
    return judged("stripe", now, Usual(share, (tried,) * 7, of=7 * tried), [], (), AT, timedelta(hours=1)).verdict


def beta(one: int, other: int) -> Fraction:
    return Fraction(factorial(one - 1) * factorial(other - 1), factorial(one + other - 1))


@given(some.integers(0, 40), some.integers(0, 40), some.integers(0, 60), some.integers(0, 60))
def test_the_chance_is_the_exact_one(count: int, tried: int, bad: int, good: int) -> None:
    each = (comb(tried, n) * beta(n + bad + 1, tried - n + good + 1) for n in range(count, tried + 1))
    exact = sum(each) / beta(bad + 1, good + 1)
    assert at_least(count, tried, bad, bad + good) == pytest.approx(float(exact), abs=1e-9)


def test_many_attempts_are_quick_and_exact() -> None:
    assert at_least(3_300, 100_000, 21_000, 700_000) < 1e-6
    assert 0.4 < at_least(3_000, 100_000, 21_000, 700_000) < 0.6


@pytest.mark.parametrize(
    ("usually", "now", "tried"),
    [(20, 39, 200), (30, 55, 200), (40, 78, 200), (45, 85, 200), (49, 97, 200), (45, 85, 20_000), (45, 52, 20_000)],
)
def test_where_many_are_declined_anyway(usually: int, now: int, tried: int) -> None:
    assert verdict(tried, tried * now // 100, usually / 100) is Verdict.WORSE


def test_half_is_not_usual_where_it_is_not() -> None:
    assert verdict(40, 20, 0.4) is Verdict.UNKNOWN, "chance explains it"
    assert verdict(40, 19, 0.4) is Verdict.USUAL


def test_an_outage_of_all_the_week_is_nothing_to_compare_with() -> None:
    assert verdict(200, 90, 0.6) is Verdict.UNKNOWN
    assert verdict(200, 100, 0.6) is Verdict.WORSE


def test_a_small_rise_that_is_no_chance() -> None:
    assert verdict(20_000, 6_600, 0.30) is Verdict.USUAL
    assert verdict(20_000, 8_400, 0.30) is Verdict.WORSE


@given(some.integers(200, 20_000), some.floats(0, 0.95), some.floats(0.25, 1))
def test_a_large_rise_is_never_usual(tried: int, share: float, lost: float) -> None:
    """Of those who usually can pay, a quarter or more can't now."""
    bad = round(tried * (share + (1 - share) * lost))
    assert verdict(tried, bad, share) is Verdict.WORSE


def test_ordinary_variation_is_practically_never_worse() -> None:
    """10,000 hours in which the usual share fails, by chance; a bound of one in 1,000 on each."""
    chance = random.Random(15)
    worse = 0
    for _ in range(10_000):
        tried, share = chance.randint(20, 300), chance.uniform(0, 0.45)
        worse += verdict(tried, drawn(chance, tried, share), share) is Verdict.WORSE
    assert worse <= 10


def test_nor_is_it_where_the_week_is_drawn_too() -> None:
    """A usual share that is known from few payments is not known exactly."""
    chance = random.Random(16)
    worse = 0
    for _ in range(1_000):
        tried, share = chance.randint(20, 60), chance.uniform(0, 0.3)
        days = [counts(tried, drawn(chance, tried, share), day) for day in range(8)]
        now, week = tally(days[0], "stripe"), usual(days[1:], "stripe", AT)
        worse += judged("stripe", now, week, [], (), AT, timedelta(hours=1)).verdict is Verdict.WORSE
    assert worse <= 3


def drawn(chance: random.Random, tried: int, share: float) -> int:
    return sum(chance.random() < share for _ in range(tried))


def counts(tried: int, bad: int, day: int) -> list[Count]:
    at = AT - timedelta(days=day)
    return [
        Count("stripe", "CARD", status, False, number, at)
        for status, number in (("PAID", tried - bad), ("FAILED", bad))
        if number
    ]

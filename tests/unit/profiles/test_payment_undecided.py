"""What is not known to be paid is not counted as paid: without an outcome yet, or with one that nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tabsync.profiles.tabsync.payments.seen import Count
from tabsync.profiles.tabsync.payments.tallies import tally, usual
from tabsync.profiles.tabsync.payments.verdict import Judged, Verdict, judged

AT = datetime(2026, 11, 30, 20, tzinfo=UTC)


def count(status: str, number: int, *, young: bool = False, day: int = 0) -> Count:
    return Count("stripe", "CARD", status, young, number, AT - timedelta(days=day, minutes=1 if young else 16))


def verdict(*now: Count, before: tuple[int, int] = (59, 1), odd: int = 0) -> Judged:
    """Against a week of so many paid and failed a day; odd: and so many of which nobody knows."""
    paid, failed = before
    days = [
        [count("PAID", paid, day=day), count("FAILED", failed, day=day), count("DECLINED", odd, day=day)]
        for day in range(1, 8)
    ]
    return judged("stripe", tally(now, "stripe"), usual(days, "stripe", AT), [], (), AT, timedelta(hours=1))


def test_a_gateway_that_hangs() -> None:
    """For its first 15 minutes no payment fails, and none is stuck."""
    one = verdict(count("PAID", 45), count("PENDING", 15, young=True))
    assert one.verdict is Verdict.UNKNOWN
    assert one.why == "of 15 payments of the last 15 min, 15 have no outcome yet"
    assert verdict(count("PAID", 4500), count("PENDING", 1500, young=True), before=(5900, 100)).verdict is one.verdict


def test_a_burst_of_failures_is_not_hidden() -> None:
    assert verdict(count("FAILED", 45), count("PENDING", 15, young=True)).verdict is Verdict.WORSE


@pytest.mark.parametrize(("decided", "undecided"), [(15, 5), (0, 4), (100, 90)])
def test_payments_that_are_under_way(decided: int, undecided: int) -> None:
    now = [count("PAID", 45), count("PAID", decided, young=True), count("PENDING", undecided, young=True)]
    assert verdict(*now).verdict is Verdict.USUAL


def test_a_status_that_is_not_known() -> None:
    one = verdict(count("DECLINED", 200), before=(190, 10))
    assert one.verdict is Verdict.UNKNOWN
    told = "0 of 200 failed (0 %), usually 5 %; what became of 200 is unknown: their status is not a known one"
    assert one.why == told
    assert one.to_json()["unclear"] == 200


def test_one_that_would_change_nothing() -> None:
    assert verdict(count("PAID", 59), count("CANCELLED", 1)).verdict is Verdict.USUAL


def test_what_was_never_known_is_not_what_is_usual() -> None:
    one = verdict(count("DECLINED", 60), before=(0, 0), odd=60)
    assert (one.verdict, one.usual.share) == (Verdict.UNKNOWN, None)


@given(some.integers(20, 500), some.text().filter(lambda word: word not in ("PAID", "REFUNDED", "PENDING", "FAILED")))
def test_half_of_unknown_words_is_never_usual(tried: int, word: str) -> None:
    assert verdict(count("PAID", tried // 2), count(word, tried - tried // 2)).verdict is not Verdict.USUAL

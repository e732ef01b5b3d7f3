"""The same time of the days before is the guests' time: it stays so when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tabsync.profiles.tabsync.payments.seen import Count
from tabsync.profiles.tabsync.payments.tallies import tally, usual
from tabsync.profiles.tabsync.payments.verdict import Verdict, judged
from tabsync.profiles.tabsync.payments.windows import Window, windows

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


def opened(month: int) -> list[datetime]:
    """A payment a minute from 18:00 to 23:00 of the last fortnight of a month, and of the first days of the next."""
    first = datetime(2027, month, 15, 18, 0, 30, tzinfo=BERLIN)
    evenings = [(first + timedelta(days=day)).astimezone(UTC) for day in range(24)]
    return [evening + timedelta(minutes=minute) for evening in evenings for minute in range(300)]


def counts(paid: list[datetime], window: Window, at: datetime) -> list[Count]:
    found = [one for one in paid if window.since <= one < min(window.until, at)]
    return [Count("stripe", "CARD", "PAID", False, len(found), max(found))] if found else []


@pytest.mark.parametrize("month", [3, 10])
@pytest.mark.parametrize("clock", ["18:20", "20:00", "23:30", "23:50"])
def test_an_evening_is_as_usual_when_the_clocks_change(month: int, clock: str) -> None:
    paid = opened(month)
    hour, minute = map(int, clock.split(":"))
    for day in range(27, 32):
        at = datetime(2027, month, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)
        now, *days = (counts(paid, one, at) for one in windows(at, HOUR, 7, BERLIN))
        week = usual(days, "stripe", at, BERLIN)
        found = judged("stripe", tally(now, "stripe"), week, [], (), at, HOUR)
        assert found.verdict is Verdict.USUAL, (day, found.why)
        assert week.attempts == (tally(now, "stripe").tried,) * 7


def test_a_day_is_24_hours_where_no_clock_changes() -> None:
    at = datetime(2027, 3, 28, 20, tzinfo=UTC)
    assert windows(at, HOUR, 7)[1].until == at - timedelta(days=1)
    assert windows(at, HOUR, 7, BERLIN)[1].until == at - timedelta(hours=23)
    assert windows(at, HOUR, 7, BERLIN)[2].until == at - timedelta(hours=47)

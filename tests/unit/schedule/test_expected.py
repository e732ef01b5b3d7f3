"""What should happen: the odd night of each zone, edits, new items; and what became of it where a clock was set."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from tabsync.manual.terms import Terms
from tabsync.manual.when import When, parse_when
from tabsync.schedule.expected import Version, expected, newest_before, next_due, times
from tabsync.schedule.items import Item
from tabsync.schedule.judge import Attempt, Mark, Proof, Record, State, Verdict, judge_all
from tabsync.schedule.newest import known_since
from tabsync.service.due import due_now, next_look
from tests.unit.schedule.histories import ODD

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def item(heading: str, key: str = "backup take full", *, first: bool = False, approval: str = "") -> Item:
    """An item of a manual."""
    when = parse_when(heading)
    return Item(key, key.replace(" ", "-"), key, when, Terms(), tuple(key.split()), first=first, approval=approval)


def at(text: str) -> datetime:
    """A moment, of UTC where it says no other."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def dues(heading: str, start: str, days: int, zone: str) -> list[str]:
    """When a heading is due in some days, as the clock of the zone shows it."""
    here = ZoneInfo(zone)
    begin = datetime.fromisoformat(start).replace(tzinfo=here)
    version = Version(begin, "", (item(heading),))
    found = expected([version], begin, begin + timedelta(days=days), here)
    return [f"{one.due.astimezone(here):%d %H:%M%z}" for one in found]


@pytest.mark.parametrize(
    ("zone", "heading", "night", "due"),
    [
        # There is no such time: at the moment when the clock jumps.
        ("Europe/Berlin", "Daily, 02:30", "2026-03-29", "29 03:00+0200"),
        ("America/New_York", "Daily, 02:30", "2026-03-08", "08 03:00-0400"),
        ("Europe/Lisbon", "Daily, 01:30", "2026-03-29", "29 02:00+0100"),
        ("Australia/Lord_Howe", "Daily, 02:15", "2026-10-04", "04 02:30+1100"),
        ("Australia/Lord_Howe", "Daily, 02:45", "2026-10-04", "04 02:45+1100"),
        ("America/Sao_Paulo", "Daily, 00:30", "2018-11-04", "04 01:00-0200"),
        ("America/Sao_Paulo", "Daily, 00:00", "2018-11-04", "04 01:00-0200"),
        ("Europe/Berlin", "Weekly, Sunday 02:30", "2026-03-29", "29 03:00+0200"),
        ("Europe/Berlin", "Monthly, last Sunday 02:30", "2026-03-29", "29 03:00+0200"),
        ("Europe/Berlin", "Monthly, 28, 02:30", "2027-03-28", "28 03:00+0200"),
        # It comes twice: the first time.
        ("Europe/Berlin", "Daily, 02:30", "2026-10-25", "25 02:30+0200"),
        ("America/New_York", "Daily, 01:30", "2026-11-01", "01 01:30-0400"),
        ("Europe/Lisbon", "Daily, 01:30", "2026-10-25", "25 01:30+0100"),
        ("Australia/Lord_Howe", "Daily, 01:45", "2026-04-05", "05 01:45+1100"),
        ("America/Sao_Paulo", "Daily, 23:30", "2018-02-17", "17 23:30-0200"),
        ("America/New_York", "Monthly, 1, 01:30", "2026-11-01", "01 01:30-0400"),
    ],
)
def test_an_odd_night_has_one_occurrence(zone: str, heading: str, night: str, due: str) -> None:
    assert dues(heading, night, 1, zone) == [due]


@pytest.mark.parametrize(
    ("zone", "heading", "start", "due"),
    [
        (
            "Europe/Berlin",
            "Every 30 minutes, 02:00-03:00",
            "2026-10-25",
            ["25 02:00+0200", "25 02:30+0200", "25 02:00+0100", "25 02:30+0100"],
        ),
        ("Europe/Berlin", "Every 30 minutes, 02:00-03:00", "2026-03-29", []),
        (
            "Australia/Lord_Howe",
            "Every 1 hour, 01:00-03:00",
            "2026-04-05",
            ["05 01:00+1100", "05 01:30+1030", "05 02:30+1030"],
        ),
        ("America/Sao_Paulo", "Every 12 hours", "2018-11-04", ["04 01:00-0200", "04 13:00-0200"]),
        ("America/Sao_Paulo", "Every 12 hours", "2018-02-17", ["17 00:00-0200", "17 12:00-0200", "17 23:00-0300"]),
        (
            "Europe/Berlin",
            "Every 7 hours",
            "2026-06-01",
            ["01 00:00+0200", "01 07:00+0200", "01 14:00+0200", "01 21:00+0200"],
        ),
    ],
)
def test_every_is_counted_in_real_time_from_each_midnight(zone: str, heading: str, start: str, due: list[str]) -> None:
    assert dues(heading, start, 1, zone) == due


@pytest.mark.parametrize(
    ("zone", "heading", "start", "first", "last", "count"),
    [
        ("Europe/Berlin", "Hourly", "2026-03-29", "29 00:00+0100", "29 23:00+0200", 23),
        ("Europe/Berlin", "Hourly", "2026-10-25", "25 00:00+0200", "25 23:00+0100", 25),
        ("Australia/Lord_Howe", "Hourly, :45", "2026-10-04", "04 00:45+1030", "04 23:45+1100", 24),
        ("Australia/Lord_Howe", "Hourly, :15", "2026-10-04", "04 00:15+1030", "04 23:15+1100", 23),
        ("Australia/Lord_Howe", "Hourly, :45", "2026-04-05", "05 00:45+1100", "05 23:45+1030", 25),
    ],
)
def test_hourly_is_whenever_the_clock_shows_the_minute(
    zone: str, heading: str, start: str, first: str, last: str, count: int
) -> None:
    begin = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    end = (begin + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone))
    found = expected([Version(begin, "", (item(heading),))], begin, end, ZoneInfo(zone))
    told = [f"{one.due.astimezone(ZoneInfo(zone)):%d %H:%M%z}" for one in found]
    assert (told[0], told[-1], len(told)) == (first, last, count)
    assert len(set(told)) == count


@settings(max_examples=150)
@given(
    st.sampled_from([*ODD, "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu", "UTC"]),
    st.integers(2005, 2037),
    st.integers(0, 1439) | st.sampled_from((0, 15, 30, 60, 90, 105, 120, 135, 150, 165, 179, 180)),
    st.frozensets(st.integers(0, 6), max_size=6),
)
def test_one_day_after_the_other_is_what_cronsim_finds(
    zone: str, year: int, minute: int, weekdays: frozenset[int]
) -> None:
    """A year of it: with every odd night there is, also the day that Samoa left out in 2011."""
    cron = f"{minute % 60} {minute // 60} * * {','.join(map(str, sorted(weekdays))) or '*'}"
    here = ZoneInfo(zone)
    begin, end = (datetime(one, 1, 1, tzinfo=here).astimezone(UTC) for one in (year, year + 1))
    when = When(kind="clock", name="daily", cron=cron)
    one = Item("x", "x", "x", when, Terms(), ("x",))
    wanted = []
    for due in CronSim(cron, datetime(year, 1, 1, tzinfo=here) - timedelta(minutes=1)):
        if due.astimezone(UTC) >= end:
            break
        wanted.append(due.astimezone(UTC))
    assert list(times(one, begin, end, here)) == [due for due in wanted if due >= begin]


def test_the_day_that_samoa_left_out_is_no_second_midnight() -> None:
    assert dues("Daily, 00:00", "2011-12-29", 3, "Pacific/Apia") == ["29 00:00-1000", "31 00:00+1400"]
    assert dues("Daily, 01:00", "2011-12-29", 3, "Pacific/Apia")[0] == "29 01:00-1000"


def test_a_night_of_friday_ends_on_saturday() -> None:
    found = dues("Every 2 hours, 22:00-04:00, Fri", "2026-06-05", 2, "UTC")
    assert found == ["05 22:00+0000", "06 00:00+0000", "06 02:00+0000"]


def test_the_zone_of_the_heading_comes_before_that_of_the_machine() -> None:
    assert dues("Daily, 02:00 Asia/Tokyo", "2026-06-05", 1, "UTC") == ["05 17:00+0000"]
    assert dues("Daily, 02:00", "2026-06-05", 1, "Asia/Tokyo") == ["05 02:00+0900"]


def test_it_does_not_matter_from_when_one_asks() -> None:
    here, version = ZoneInfo("Europe/Lisbon"), Version(at("2026-01-01"), "", (item("Every 45 minutes"),))
    whole = expected([version], at("2026-10-24"), at("2026-10-27"), here)
    assert len({one.due for one in whole}) == len(whole)
    for hours in range(72):
        start = at("2026-10-24") + timedelta(hours=hours, minutes=hours % 7)
        assert expected([version], start, at("2026-10-27"), here) == [one for one in whole if one.due >= start]


def test_before_an_edit_the_old_manual_counts_after_it_the_new_one() -> None:
    old = Version(at("2026-06-01"), "1", (item("Daily, 02:00"), item("Daily, 06:00", "audit schema")))
    new = Version(at("2026-06-02T03:00"), "2", (item("Daily, 04:00"),))
    found = expected([old, new], at("2026-05-01"), at("2026-06-04"), ZoneInfo("UTC"))
    told = [(f"{one.due:%d %H}", one.item.key) for one in found]
    assert told == [
        ("01 02", "backup take full"),
        ("01 06", "audit schema"),
        ("02 02", "backup take full"),
        ("02 04", "backup take full"),
        ("03 04", "backup take full"),
    ]


def test_what_is_new_and_was_never_done_is_due_when_it_comes_into_force() -> None:
    start = at("2026-06-01T20:00")
    found = expected(
        [Version(start, "", (item("Daily, 02:00", first=True),))], start, at("2026-06-03"), ZoneInfo("UTC")
    )
    assert [(one.due, one.until - one.due) for one in found] == [
        (start, 6 * HOUR),
        (at("2026-06-02T02:00"), 6 * HOUR),
    ]
    only = expected(
        [Version(at("2026-06-01T02:00"), "", (item("Daily, 02:00", first=True),))], start - 24 * HOUR, start, UTC
    )
    assert len(only) == 1, "due by the clock at the moment at which it comes into force: once"


def test_a_task_with_a_date_is_open_for_two_weeks_before_it() -> None:
    task = Item("Review", "review", "Review", When(kind="clock", name="once"), Terms(), day=date(2026, 6, 20))
    one = expected([Version(at("2026-01-01"), "", (task,))], at("2026-01-01"), at("2027-01-01"), ZoneInfo("UTC"))[0]
    assert (one.due, one.until) == (at("2026-06-06"), at("2026-06-21"))


def test_newest_and_next() -> None:
    monthly, here = item("Monthly, last day 02:30"), ZoneInfo("Europe/Berlin")
    assert next(newest_before(monthly, at("2026-03-30T12:00"), here)) == at("2026-02-28T01:30")
    assert next_due(monthly, at("2026-03-30T12:00"), here) == at("2026-03-31T00:30")
    assert next_due(item("Yearly, March"), at("2026-03-01T05:00"), here) == at("2027-03-01T05:00")
    weekdays = item("Every 10 minutes, Mon-Fri 09:00-18:00")
    assert next_due(weekdays, at("2026-06-05T15:55"), here) == at("2026-06-08T07:00")


def test_what_is_due_on_weekdays_is_known_of_since_friday() -> None:
    """Else the scheduler finds it not done on Sunday, and `serve --once` never ends."""
    weekdays = item("Every 10 minutes, Mon-Fri 09:00-18:00")
    sunday, version = at("2026-06-07T12:00"), Version(at("2026-01-01"), "", (weekdays,))
    assert known_since([version], weekdays, sunday, UTC) <= at("2026-06-05T17:50")


def _judged(record: Record, now: str, one: Item | None = None, start: str = "2026-06-01") -> list[Verdict]:
    one = one or item("Daily, 02:00")
    version = Version(at(start), "", (one,))
    found = expected([version], at(start), at(now) + timedelta(microseconds=1), UTC)
    return judge_all(found, {one.key: record}, at(now), ("alpha",), timedelta(minutes=15), UTC)


def test_evidence_of_a_run_counts_by_its_name_when_the_clock_was_set_meanwhile() -> None:
    due = at("2026-06-01T02:00")
    run = Attempt("ended", due + MINUTE, due - HOUR, 0, run_id="r1")
    proof = Proof(due - HOUR, True, run_id="r1")
    assert _judged(Record([proof], {due: run}), "2026-06-01T03:00")[0].state is State.DONE
    other = Proof(due - HOUR, True, run_id="r2")
    assert _judged(Record([other], {due: run}), "2026-06-01T03:00")[0].state is State.PROVED_NOTHING


def test_evidence_from_the_future_is_no_catching_up_of_today() -> None:
    ahead = Record([Proof(at("2026-06-05T12:00"), True)])
    today = _judged(ahead, "2026-06-01T12:00")[0]
    assert (today.state, today.caught_up) == (State.MISSED, None)
    a_little = Record([Proof(at("2026-06-01T12:04"), True)])
    assert _judged(a_little, "2026-06-01T12:00")[0].caught_up == at("2026-06-01T12:04")


def test_what_a_person_does_after_a_catch_up_that_failed_is_a_catching_up() -> None:
    due = at("2026-06-01T02:00")
    run = Attempt("ended", due + 7 * HOUR, due + 8 * HOUR, 1, "no room")
    assert _judged(Record([], {due: run}), "2026-06-01T12:00")[0].state is State.FAILED
    by_hand = Record([Proof(due + 9 * HOUR, True)], {due: run})
    told = _judged(by_hand, "2026-06-01T12:00")[0]
    assert (told.state, told.caught_up) == (State.MISSED, due + 9 * HOUR)


def test_an_approval_after_the_window_starts_what_waits_for_it() -> None:
    one, due = item("Yearly, 1 June 02:00"), at("2026-06-01T02:00")
    asked = Attempt("waits for approval", due, due + MINUTE, 5, "it asks")
    versions, late = [Version(at("2026-05-01"), "", (one,))], due + timedelta(days=20)
    waits = {one.key: Record([], {due: asked})}
    assert due_now(versions, waits, late, UTC, ()) == []
    yes = Mark("approve", late + timedelta(days=1), "admin", "", None, one.text_digest)  # by a clock that was ahead
    approved = {one.key: Record([], {due: asked}, [yes])}
    assert [(start.occurrence.due, start.catch_up) for start in due_now(versions, approved, late, UTC, ())] == [
        (due, True)
    ]


def test_a_manual_from_the_future_is_kept_now() -> None:
    """The clock was ten years ahead when the service came up for the first time."""
    one = item("Daily, 02:00", first=True)
    versions, now = [Version(at("2036-06-01"), "", (one,))], at("2026-06-05T02:00")
    assert [start.occurrence.due for start in due_now(versions, {}, now, UTC, ())] == [now]
    assert next_look(versions, {}, now - MINUTE, UTC) == now


def test_a_day_of_something_continuous_is_done_when_no_gap_was_longer_than_the_rpo() -> None:
    one = item("Continuously", "wal receive")
    day = at("2026-06-01")
    proofs = [Proof(day + timedelta(minutes=10 * n), True) for n in range(144)]
    assert _judged(Record(proofs), "2026-06-02T00:00", one)[0].state is State.DONE
    assert _judged(Record(proofs[:60]), "2026-06-01T09:55", one)[0].state is State.RUNNING
    holed = [*proofs[:60], *proofs[62:]]
    told = _judged(Record(holed), "2026-06-02T00:00", one)[0]
    assert told.state is State.MISSED
    assert "0:30:00" in told.why
    assert _judged(Record(proofs[2:]), "2026-06-02T00:00", one)[0].state is State.MISSED
    assert _judged(Record(proofs[:-2]), "2026-06-02T00:00", one)[0].state is State.MISSED
    bad = [*proofs[:60], Proof(proofs[60].at, False), *proofs[61:]]
    assert _judged(Record(bad), "2026-06-02T00:00", one)[0].state is State.MISSED


def test_evidence_from_the_future_does_not_do_what_is_due_before() -> None:
    ahead = Record([Proof(at("2026-06-01T04:00"), True)])
    assert _judged(ahead, "2026-06-01T02:30")[0].state is State.WAITING
    assert _judged(ahead, "2026-06-01T04:00")[0].state is State.DONE


@pytest.mark.parametrize(("day", "until"), [("2026-05-01", "2026-06-01T10:00:01"), ("2026-06-05", "2026-06-06T00:00")])
def test_a_date_that_is_near_or_past_when_a_manual_first_names_it_is_due_from_then_on(day: str, until: str) -> None:
    review = Item("review", "review", "Review", When(kind="clock", name="once"), Terms(), day=date.fromisoformat(day))
    first = Version(at("2026-06-01T10:00"), "a", (review,))
    second = Version(at("2026-06-03T10:00"), "b", (review,))
    found = expected([first, second], at("2026-01-01T00:00"), at("2026-12-01T00:00"), UTC)
    assert [(one.due, one.until) for one in found] == [(first.at, at(until))]

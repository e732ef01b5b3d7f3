"""The words of the Schedule: every form of a heading and of brackets, and what is refused."""

from __future__ import annotations

from datetime import time

import pytest

from tabsync.manual.terms import Terms, parse_terms
from tabsync.manual.when import When, parse_when


@pytest.mark.parametrize(
    ("heading", "cron", "zone", "window"),
    [
        ("Hourly", "0 * * * *", "", 0),
        ("Hourly, :15", "15 * * * *", "", 0),
        ("Daily", "0 2 * * *", "", 0),
        ("DAILY,  at  02:30", "30 2 * * *", "", 0),
        ("Daily, 2:30", "30 2 * * *", "", 0),
        ("Daily, 02:00-05:00 America/Sao_Paulo", "0 2 * * *", "America/Sao_Paulo", 3 * 3_600),
        ("Daily, America/Sao_Paulo 02:00-05:00", "0 2 * * *", "America/Sao_Paulo", 3 * 3_600),
        ("Daily, 02:00–05:00", "0 2 * * *", "", 3 * 3_600),
        ("Daily, 22:00-02:00", "0 22 * * *", "", 4 * 3_600),
        ("Daily, 22:00-00:00", "0 22 * * *", "", 2 * 3_600),
        ("Daily, 00:00-24:00", "0 0 * * *", "", 24 * 3_600),
        ("Daily, Mon-Fri 06:00", "0 6 * * 1,2,3,4,5", "", 0),
        ("Daily, Fri-Mon 06:00", "0 6 * * 0,1,5,6", "", 0),
        ("Daily, Saturdays, Sundays", "0 2 * * 0,6", "", 0),
        ("Weekly", "0 3 * * 0", "", 0),
        ("Weekly, Sunday 03:00", "0 3 * * 0", "", 0),
        ("Weekly, on Tue", "0 3 * * 2", "", 0),
        ("Monthly", "0 4 1 * *", "", 0),
        ("Monthly, 15", "0 4 15 * *", "", 0),
        ("Monthly, on the 15th, 01:00 UTC", "0 1 15 * *", "UTC", 0),
        ("Monthly, first Sunday", "0 4 * * 0#1", "", 0),
        ("Monthly, the last Friday of", "0 4 * * 5L", "", 0),
        ("Monthly, last day", "0 4 L * *", "", 0),
        ("Monthly, first", "0 4 1 * *", "", 0),
        ("Quarterly", "0 5 1 1,4,7,10 *", "", 0),
        ("Quarterly, second Monday 08:00", "0 8 * 1,4,7,10 1#2", "", 0),
        ("Yearly", "0 6 1 1 *", "", 0),
        ("Yearly, March 3rd", "0 6 3 3 *", "", 0),
        ("Yearly, last day of February", "0 6 L 2 *", "", 0),
    ],
)
def test_a_heading_with_a_clock(heading: str, cron: str, zone: str, window: int) -> None:
    when = parse_when(heading)
    assert (when.kind, when.cron, when.zone, when.window) == ("clock", cron, zone, window)


@pytest.mark.parametrize(
    ("heading", "seconds", "begin", "end", "days"),
    [
        ("Every 10 minutes", 600, 0, 0, ()),
        ("Every minute", 60, 0, 0, ()),
        ("every 30 seconds", 30, 0, 0, ()),
        ("Every second", 1, 0, 0, ()),
        ("Every 24 hours", 86_400, 0, 0, ()),
        ("Every 10 minutes, Mon-Fri 09:00-18:00", 600, 540, 1080, (1, 2, 3, 4, 5)),
        ("Every 10 minutes, 22:00-06:00", 600, 1320, 360, ()),
        ("Every 10 minutes, 22:00-00:00", 600, 1320, 1440, ()),
    ],
)
def test_a_heading_with_every(heading: str, seconds: int, begin: int, end: int, days: tuple[int, ...]) -> None:
    when = parse_when(heading)
    assert (when.kind, when.seconds, when.begin, when.end, when.days) == ("every", seconds, begin, end, days)


def test_a_heading_without_a_clock() -> None:
    assert parse_when("Continuously") == parse_when("continuous") == When(kind="continuous", name="continuously")
    gate = parse_when("Before a  production deployment")
    assert (gate.kind, gate.name) == ("before", "before a production deployment")


@pytest.mark.parametrize(
    "heading",
    [
        "Nightly",
        "Daily 02:00",
        "Daily, 25:00",
        "Daily, 24:00",
        "Daily, 02:60",
        "Daily, 02:00-02:00",
        "Daily, 02:00 14:00",
        "Daily, 02:00-05:00 03:00",
        "Daily, 02:00-05:00 12:00-13:00",
        "Daily, at noon",
        "Daily, 02:00 Mars/Phobos",
        "Daily, 02:00 europe/berlin",
        "Hourly, 02:30",
        "Hourly, :15 :45",
        "Hourly, 09:00-18:00",
        "Hourly, :60",
        "Weekly, Mon-Fri",
        "Weekly, Sunday Sun 03:00 04:00",
        "Monthly, 30",
        "Monthly, 0",
        "Monthly, Sunday",
        "Monthly, fifth Sunday",
        "Monthly, March 1",
        "Yearly, 29 February",
        "Yearly, March April",
        "Every 0 minutes",
        "Every 25 hours",
        "Every 10 fortnights",
        "Every 10 minutes, 02:30",
        "Every 24 hours, 01:00-03:00",
        "Continuously, 02:00",
        "",
    ],
)
def test_a_heading_that_is_refused_or_would_be_half_understood(heading: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_when(heading)


@pytest.mark.parametrize(
    ("heading", "at", "cron", "window"),
    [
        ("Daily", time(2, 30), "30 2 * * *", 0),
        ("Daily, Mon-Fri", time(23, 0), "0 23 * * 1,2,3,4,5", 0),
        ("Daily, 02:00-05:00", time(4, 0), "0 4 * * *", 3_600),
        ("Daily, 22:00-02:00", time(1, 0), "0 1 * * *", 3_600),
        ("Daily, Sun-Thu 22:00-02:00", time(1, 0), "0 1 * * 1,2,3,4,5", 3_600),
        ("Weekly, Saturday 22:00-02:00", time(1, 0), "0 1 * * 0", 3_600),
        ("Monthly, 15, 22:00-02:00", time(1, 0), "0 1 16 * *", 3_600),
        ("Monthly, last day 02:00-05:00", time(3, 0), "0 3 L * *", 7_200),
    ],
)
def test_an_item_has_a_time_within_that_of_its_heading(heading: str, at: time, cron: str, window: int) -> None:
    moved = parse_when(heading).moved_to(at)
    assert (moved.cron, moved.window) == (cron, window)


@pytest.mark.parametrize(
    ("heading", "at"),
    [
        ("Daily, 02:00-05:00", time(5, 0)),
        ("Daily, 02:00-05:00", time(1, 59)),
        ("Every 10 minutes", time(2, 30)),
        ("Hourly", time(2, 30)),
        ("Continuously", time(2, 30)),
        ("Monthly, last day 22:00-02:00", time(1, 0)),
        ("Monthly, 28, 22:00-02:00", time(1, 0)),
        ("Monthly, first Sunday 22:00-02:00", time(1, 0)),
    ],
)
def test_an_item_has_no_time_outside_that_of_its_heading(heading: str, at: time) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_when(heading).moved_to(at)


@pytest.mark.parametrize(
    ("text", "whole", "terms"),
    [
        ("Full backup", "Full backup", Terms()),
        ("Full backup (at 02:30)", "Full backup", Terms(at=time(2, 30))),
        (
            "Full backup (at 02:30, within 2 hours, retry 2, on backup-host, owner Database Admin)",
            "Full backup",
            Terms(at=time(2, 30), within=7_200, retry=2, on="backup-host", owner="Database Admin"),
        ),
        ("Full backup (retry 0)", "Full backup", Terms(retry=0)),
        ("Full backup (on backup-host)", "Full backup", Terms(on="backup-host")),
        ("Look (all of it) at the logs", "Look (all of it) at the logs", Terms()),
        ("Look at the logs (errors and worse)", "Look at the logs (errors and worse)", Terms()),
        ("Pay the bill (on the first working day)", "Pay the bill (on the first working day)", Terms()),
    ],
)
def test_what_an_item_says_in_brackets(text: str, whole: str, terms: Terms) -> None:
    assert parse_terms(text) == (whole, terms)


@pytest.mark.parametrize(
    "text",
    [
        "Full backup (at 25:00)",
        "Full backup (at noon)",
        "Full backup (within soon)",
        "Full backup (within 0 minutes)",
        "Full backup (retry often)",
        "Full backup (retry 101)",
        "Full backup (retry -1)",
        "Full backup (at 02:30, at 03:30)",
        "Full backup (at 02:30, quickly)",
    ],
)
def test_brackets_that_are_understood_in_part(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_terms(text)

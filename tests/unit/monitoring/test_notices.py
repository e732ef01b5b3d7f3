"""What is no alert is told to those who are told of warnings: once, and what can wait by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tabsync.manual.people import Contact, parse_hours
from tabsync.monitoring.alerts.episode import State
from tabsync.monitoring.alerts.notices import Notice
from tabsync.monitoring.collect.granting import relations_in
from tabsync.monitoring.notify.message import Part, subject_of, text_of
from tabsync.monitoring.notify.notices import due_notices
from tabsync.monitoring.notify.who import Told, due_messages

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def contact(role: str, told_of: str = "critical, warning", hours: str = "24/7", by: str = "mail") -> Contact:
    return Contact.model_validate(
        {
            "role": role,
            "address": f"{role}@example.org",
            "availability": hours,
            "line": 1,
            "hours": parse_hours(hours),
            "told_of": tuple(filter(None, told_of.split(", "))),
            "by": by,
        }
    )


def notice(kind: str = "hidden", lines: int = 1) -> Notice:
    return Notice(kind, "1/shop", NOON.date(), NOON, "A thing", tuple(f"line {n}" for n in range(lines)))  # type: ignore[arg-type]


def told_at(kind: str, at: datetime, *contacts: Contact, told: tuple[Told, ...] = ()) -> list[str]:
    return [one.contact.role for one in due_notices(notice(kind).as_episode(), told, contacts, at, UTC)]


def test_those_who_are_told_of_warnings_are_told_once() -> None:
    people = contact("a"), contact("b", "critical"), contact("c", ""), contact("d", "warning"), contact("e", by="")
    assert told_at("report", NOON, *people) == ["a", "d"]
    heard = (Told("a", "notice", "sent", NOON),)
    assert told_at("report", NOON, *people, told=heard) == ["d"]


def test_what_can_wait_is_told_by_day_of_whoever_is_told() -> None:
    here, away = contact("here"), contact("away", hours="Mon-Sun 00:00-23:59 Asia/Tokyo")
    night = NOON + timedelta(hours=9)  # 21:00 in UTC, 06:00 in Tokyo
    assert told_at("hidden", NOON, here, away) == ["here"]
    assert told_at("hidden", night, here, away) == []
    assert told_at("hidden", night + timedelta(hours=2), here, away) == ["away"]
    assert told_at("report", night, here, away) == ["here", "away"]


def test_who_is_away_gets_it_later_and_nobody_gets_what_is_old() -> None:
    monday = contact("monday", hours="Mon-Fri 09:00-17:00")
    assert told_at("hidden", NOON, monday) == []  # a Sunday
    assert told_at("hidden", NOON + timedelta(hours=22), monday) == ["monday"]
    assert told_at("hidden", NOON + timedelta(days=8), monday) == []
    assert told_at("report", NOON + timedelta(hours=25), contact("a")) == []
    assert told_at("report", NOON - timedelta(hours=1), contact("a")) == []  # the clock was set back


def test_a_notice_is_no_alert() -> None:
    episode = notice(lines=70).as_episode()
    assert (episode.state, episode.fired_at, len(episode.facts["lines"])) == (State.ENDED, None, 61)
    assert due_messages(episode, [], [contact("a")], NOON, UTC) == []
    part = Part(episode, "notice", "id/a/notice")
    assert subject_of([part], "shop") == "A thing (shop)"
    text = text_of([part], "shop", UTC, NOON)
    assert "line 59\nand 10 lines more\n" in text and "acknowledge" not in text
    assert "delivery: id/a/notice" in text


def test_whoever_writes_a_notice_twice_means_the_same() -> None:
    assert notice().id == notice(lines=5).id != notice("report").id


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("select 1 as value", set()),
        ('select count(*) from Orders o join s."Pay ments" using (id)', {("", "orders"), ("s", "Pay ments")}),
        ("with orders as (select 1) select * from orders, other", {("", "other")}),
        ("with t as (select * from a) select (select max(x) from b.c) from t", {("", "a"), ("b", "c")}),
        ("select * from pg_ls_waldir() f, pg_stat_activity", {("", "pg_stat_activity")}),
        ("select * from (", set()),
        ("show work_mem", set()),
    ],
)
def test_the_relations_that_a_query_names(sql: str, found: set[tuple[str, str]]) -> None:
    assert relations_in(sql) == found

"""What a message says, and that each alert in it can be found again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tabsync.monitoring.alerts.episode import Episode, Key, State
from tabsync.monitoring.notify.message import MOST, Part, id_of, subject_of, text_of

BEGAN = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)


def _part(number: int) -> Part:
    episode = Episode(f"e{number}", "s", Key("threshold", f"M{number}"), State.FIRING, "warning", BEGAN, BEGAN, BEGAN)
    return Part(episode, "start", id_of(f"e{number}", "Admin", "start"))


def test_a_long_message_names_each_alert() -> None:
    parts = [_part(number) for number in range(MOST + 2)]
    text = text_of(parts, "shop", UTC, BEGAN + timedelta(minutes=3))
    assert subject_of(parts, "shop").endswith(f"and {MOST + 1} more (shop)")
    lines = text.splitlines()
    for one in parts:
        assert sum(line == f"WARNING: {one.episode.key.rule}" for line in lines) == 1
    assert sum(line.startswith("to acknowledge:") for line in lines) == MOST
    assert "all that is to know of these: tabsync alert list" in lines


def test_an_id_is_plain_letters_and_two_names_are_never_one() -> None:
    assert id_of("e", "Chefe, Cozinha", "start") == "e/Chefe_2c_ Cozinha/start"
    assert id_of("e", "a,b", "end") != id_of("e", "a_b", "end") != id_of("e", "a b", "end")

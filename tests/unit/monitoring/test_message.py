"""What a message says, and that each alert in it can be found again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tabsync.monitoring.alerts.episode import Episode, Key, Seen, State, advance
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


def test_what_nobody_looks_at_any_more_has_not_recovered() -> None:
    seen = Seen(
        Key("threshold", "M1"), None, BEGAN + timedelta(hours=1), facts={"over": "the manual has no such bound"}
    )
    ended = advance(_part(1).episode, seen, "", "s")
    assert ended is not None and ended.state is State.ENDED
    part = replace(_part(1), episode=ended, event="end")
    assert subject_of([part], "shop") == "ENDED: M1 (shop)"
    text = text_of([part], "shop", UTC, seen.at)
    assert "It was not measured to be well: the manual has no such bound." in text
    assert "RECOVERED" not in text
    well = advance(_part(1).episode, replace(seen, facts={}), "", "s")
    assert well is not None and subject_of([replace(part, episode=well)], "shop").startswith("RECOVERED")


def test_a_label_that_never_ends_is_cut() -> None:
    part = _part(1)
    part = replace(part, episode=replace(part.episode, key=Key("threshold", "M1", "x" * 3_000)))
    text = text_of([part], "shop", UTC, BEGAN)
    assert max(map(len, text.splitlines())) < 200

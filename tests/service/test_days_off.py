"""A service that was off: what it missed is told, one run catches up, the next runs come when they are due."""

from __future__ import annotations

from collections.abc import Callable

from tests.service.place import Home
from tests.whole import whole

DAILY = """### Daily, 02:00-05:00 UTC

- Full backup: `tabsync backup take full`
- Health check: `tabsync health`
"""


def test_fourteen_days_off(home: Callable[..., Home]) -> None:
    place = home(DAILY)
    place.at("2026-12-01 12:00")
    assert place.run("serve", "--once").code == 0
    assert {item: one["done"] for item, one in place.states().items()} == {"backup-take-full": 1, "health": 1}
    place.at("2026-12-15 12:00")
    told = place.run("schedule", "list").out
    assert told.count("○ missed ") == 2
    assert place.run("serve", "--once").code == 0
    off = {"done": 1, "missed": 14, "caught up": 1}
    assert place.states() == {"backup-take-full": off, "health": off}
    shown = place.json("schedule", "show", "backup-take-full")["occurrences"]
    assert [one["due"][:10] for one in shown if one["caught_up"]] == ["2026-12-15"]
    assert "missed, caught up Tue 15 Dec 12:00" in place.run("schedule", "list").out
    assert place.run("serve", "--once").err.endswith("0 runs were due\n")
    place.at("2026-12-16 02:00:05")
    assert place.run("serve", "--once").code == 0
    assert place.states() == {"backup-take-full": off | {"done": 2}, "health": off | {"done": 2}}
    starts = place.rows("select item, due, count(*) from occurrence group by 1, 2")
    assert all(count == 1 for _, _, count in starts)
    assert len(place.rows("select 1 from evidence where kind = 'backup'")) == 3


@whole
def test_a_clock_that_is_set_runs_nothing_twice_and_stops_nothing(home: Callable[..., Home]) -> None:
    place = home(DAILY)
    place.at("2026-12-01 12:00")
    place.run("serve", "--once")
    place.at("2026-12-02 02:30")
    place.run("serve", "--once")
    place.at("2026-12-02 01:30")  # back over what has run
    assert place.run("serve", "--once").err.endswith("0 runs were due\n")
    place.at("2026-12-02 02:30")
    assert place.run("serve", "--once").err.endswith("0 runs were due\n")
    place.at("2027-12-02 12:00")  # a year ahead, by mistake
    place.run("serve", "--once")
    place.at("2026-12-03 02:01")
    assert "2 runs were due" in place.run("serve", "--once").err
    assert all(count == 1 for _, _, count in place.rows("select item, due, count(*) from occurrence group by 1, 2"))


def test_an_edit_is_judged_by_what_was_in_force(home: Callable[..., Home]) -> None:
    place = home(DAILY)
    place.at("2026-12-01 12:00")
    place.run("serve", "--once")
    place.at("2026-12-02 02:10")
    place.run("serve", "--once")
    place.manual(DAILY.replace("02:00-05:00", "04:00-06:00"))
    place.run("serve", "--once")
    place.at("2026-12-02 04:10")
    place.run("serve", "--once")
    assert [one["due"][11:16] for one in place.json("schedule", "show", "health")["occurrences"]] == [
        "12:00",
        "02:00",
        "04:00",
    ]
    assert place.states()["health"] == {"done": 3, "caught up": 0}

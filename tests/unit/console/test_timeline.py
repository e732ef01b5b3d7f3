"""Where backups stand in the timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tabsync.console.base.timeline import NO_CLASS, WIDTH, timeline
from tabsync.kernel.clock import iso
from tabsync.kernel.step import Facts

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


def row(days_ago: float, *, name: str | None = "full", keeps: float | None = 90, **more: object) -> Facts:
    taken = NOW - timedelta(days=days_ago)
    expires = iso(taken + timedelta(days=keeps)) if keeps is not None else None
    facts: Facts = {"id": f"b{days_ago}", "taken_at": iso(taken), "class": name, "expires_at": expires, "kind": "full"}
    return facts | {"database": "shop", "proof": None, "held": None} | more


def test_nothing_is_no_picture() -> None:
    assert timeline([], ["full"], NOW) is None


def test_lanes_stand_as_in_the_manual() -> None:
    rows = [row(1, name=None, keeps=None), row(2, name="tables"), row(3), row(4, name="gone")]
    found = timeline(rows, ["pitr", "full", "tables"], NOW)
    assert found is not None
    assert [lane.name for lane in found.lanes] == ["full", "tables", NO_CLASS, "gone"]
    assert found.lanes[2].marks[0].until is None
    assert "kept until it is deleted by hand" in found.lanes[2].marks[0].told


def test_what_is_known_of_a_backup_is_told_in_words() -> None:
    found = timeline([row(1, proof="identical", held="incident 7"), row(2, proof="not proven", held="")], ["full"], NOW)
    assert found is not None
    proven, failed = found.lanes[0].marks
    assert (proven.state, proven.held, failed.state) == ("proven", True, "failed")
    assert proven.told.endswith("proven; held: incident 7")
    assert failed.told.endswith("the last drill failed; held")
    partly = timeline([row(1, proof="partial")], ["full"], NOW)
    assert partly is not None
    assert (partly.lanes[0].marks[0].state, "; partly proven; " in partly.lanes[0].marks[0].told) == ("unproven", True)
    assert proven.until is None  # its class doesn't let go of what is held


@given(st.lists(st.tuples(st.floats(0, 4000), st.none() | st.floats(0, 4000)), min_size=1, max_size=30))
def test_everything_is_in_the_picture_and_in_order(backups: list[tuple[float, float | None]]) -> None:
    rows = [row(days, keeps=keeps) for days, keeps in backups]
    found = timeline(rows, ["full"], NOW)
    assert found is not None
    marks = found.lanes[0].marks
    assert len(marks) == len(rows)
    for one, mark in zip(rows, marks, strict=True):
        assert 0 < mark.x <= found.now < WIDTH
        assert mark.until is None or 0 < mark.until <= WIDTH
        assert mark.until is None or (mark.until > found.now) <= (one["expires_at"] > iso(NOW))
    by_time = sorted(zip(rows, marks, strict=True), key=lambda pair: str(pair[0]["taken_at"]))
    places = [mark.x for _, mark in by_time]
    assert places == sorted(places)

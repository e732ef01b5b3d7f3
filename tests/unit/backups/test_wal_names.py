"""Names of WAL in a store are read as they are written, and reach() finds gaps and follows timelines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.backups.wal.contents import Archive, missing, parse_history, reach, timelines_from
from tabsync.backups.wal.names import (
    Partial,
    Segment,
    history_stored,
    left_stored,
    partial_name,
    partial_stored,
    segment_at,
    segment_named,
    stored_name,
    whole_stored,
    written_up_to,
)
from tabsync.backups.wal.slot import size_of
from tabsync.kernel.errors import BadUsage

SIZE = 16 << 20
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
sizes = st.sampled_from([1 << 20, 16 << 20, 64 << 20, 1 << 30])


@given(st.integers(1, 2**32 - 1), st.integers(0, 2**64 - 1), sizes)
def test_segments_are_read_as_they_are_named(timeline: int, position: int, size: int) -> None:
    segment = segment_at(timeline, position, size)
    assert segment_named(segment.name(size), size) == segment
    assert segment_at(timeline, segment.start(size) + size - 1, size) == segment


@given(st.integers(0, SIZE), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_open_ones_are_read_as_they_are_named_and_never_promise_more(size: int, until: datetime) -> None:
    name = partial_name("7", Partial("000000010000000000000003", size, until))
    found = partial_stored(name)
    assert found is not None
    assert (found.segment, found.bytes, found.until) == ("000000010000000000000003", size, until.replace(microsecond=0))
    assert whole_stored(name) == ""


def test_other_names() -> None:
    assert stored_name("7", "00000002.history") == "wal/7/history/00000002.history.zst"
    assert history_stored("history/00000002.history.zst") == 2
    assert whole_stored("0000000100000000/000000010000000000000003.zst") == "000000010000000000000003"
    left = stored_name("7", "000000010000000000000003.partial")
    assert (left_stored(left), whole_stored(left), partial_stored(left)) == ("000000010000000000000003", "", None)
    with pytest.raises(ValueError, match="not the name"):
        stored_name("7", "../../etc/passwd")


@pytest.mark.parametrize(
    ("position", "expected"), [(40, 0), (8192 + 24, 8192), (8192 + 40, 8232), (SIZE + 40, SIZE), (99, 99)]
)
def test_an_empty_page_needs_no_header(position: int, expected: int) -> None:
    assert written_up_to(position, SIZE) == expected


def archive(*names: str, partial: Partial | None = None, histories: dict[int, str] | None = None) -> Archive:
    whole = {segment_named(name, SIZE): NOON for name in names}
    parts = {segment_named(partial.segment, SIZE): partial} if partial else {}
    return Archive(SIZE, whole, parts, {key: parse_history(text) for key, text in (histories or {}).items()})


def name(timeline: int, number: int) -> str:
    return Segment(timeline, number).name(SIZE)


def test_replay_ends_at_the_first_gap() -> None:
    found = archive(name(1, 2), name(1, 3), name(1, 6), partial=Partial(name(1, 7), 100, NOON))
    ends = reach(found, 1, 2 * SIZE + 5)
    assert (ends.end, ends.exact, ends.segments) == (4 * SIZE, False, 2)
    assert missing(found, 1, 2 * SIZE) == [(Segment(1, 4), 2)]
    assert reach(found, 1, 6 * SIZE).until == NOON
    assert reach(found, 1, 6 * SIZE).exact
    assert reach(found, 1, 4 * SIZE).until is None


def test_replay_follows_the_newest_timeline_that_comes_from_there() -> None:
    history = {2: f"1\t0/{3 * SIZE + 77:X}\tno recovery target specified\n"}
    found = archive(name(1, 2), name(1, 3), name(1, 4), name(2, 3), name(2, 4), name(2, 5), histories=history)
    ends = reach(found, 1, 2 * SIZE)
    assert (ends.timeline, ends.end) == (2, 6 * SIZE)
    late = reach(found, 1, 4 * SIZE)  # a base taken on the old timeline after it was left stays on it
    assert (late.timeline, late.end) == (1, 5 * SIZE)


HISTORIES = {
    2: f"1\t0/{3 * SIZE + 77:X}\tbefore 2026-11-22 12:00:00+00\n",
    3: f"1\t0/{3 * SIZE + 77:X}\tbefore\n2\t0/{4 * SIZE + 5:X}\tbefore\n",
}


def test_each_timeline_that_goes_on_from_a_backup_can_be_followed() -> None:
    found = archive(name(1, 2), name(1, 3), name(1, 4), name(2, 3), name(2, 4), name(3, 4), histories=HISTORIES)
    assert timelines_from(found, 1, 2 * SIZE) == [1, 2, 3]
    assert timelines_from(found, 1, 4 * SIZE) == [1]
    assert timelines_from(found, 2, 4 * SIZE + 5) == [2, 3]
    assert [reach(found, 1, 2 * SIZE, one).timeline for one in (1, 2, 3)] == [1, 2, 3]
    assert [reach(found, 1, 2 * SIZE, one).toward for one in (1, 2, 3, None)] == [1, 2, 3, 3]


def test_what_was_abandoned_later_than_the_new_timeline_has_come_is_no_gap() -> None:
    tail = [name(1, number) for number in range(2, 9)]
    found = archive(*tail, name(2, 3), name(2, 4), histories={2: HISTORIES[2]})
    assert missing(found, 1, 2 * SIZE) == []
    assert missing(archive(*tail, name(2, 4), histories={2: HISTORIES[2]}), 1, 2 * SIZE) == [(Segment(2, 3), 1)]
    assert found.newest == Segment(2, 4)
    assert found.newest_of(1) == Segment(1, 8)


def test_a_segment_that_the_backup_has_itself_is_only_needed_where_a_later_timeline_wrote_it_anew() -> None:
    assert missing(archive(name(1, 4), name(1, 5)), 1, 3 * SIZE + 9, held=True) == []
    assert missing(archive(name(1, 4), name(1, 5)), 1, 3 * SIZE + 9) == [(Segment(1, 3), 1)]
    anew = archive(name(2, 4), histories={2: HISTORIES[2]})
    assert missing(anew, 1, 3 * SIZE + 9, held=True) == [(Segment(2, 3), 1)]
    assert reach(anew, 1, 3 * SIZE + 9, held=True).segments == 0


def test_sizes() -> None:
    assert [size_of(text) for text in ("1 kB", "2MB", "0.5GB")] == [1024, 2 << 20, 1 << 29]
    with pytest.raises(BadUsage):
        size_of("10 apples")

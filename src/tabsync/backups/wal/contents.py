"""What WAL the store has, and how far one can replay it from a position. But for the listing, it is pure."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tabsync.backups.physical.base import lsn
from tabsync.backups.wal.archive import fetch
from tabsync.backups.wal.names import (
    Partial,
    Segment,
    folder,
    history_stored,
    partial_stored,
    segment_at,
    segment_named,
    whole_stored,
)
from tabsync.kernel.errors import NotAllowed
from tabsync.stores.store import Store

Branch = tuple[int, int]
"""A timeline and the WAL position at which the next one left it."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A cluster's WAL in the store. size: of a segment; whole: when each segment was stored; partial: the open ones.

    histories: of each timeline but the first, the timelines before it and where they were left; learned: when the store
    got its history, which is soon after it began.
    """

    size: int
    whole: Mapping[Segment, datetime] = field(default_factory=dict)
    partial: Mapping[Segment, Partial] = field(default_factory=dict)
    histories: Mapping[int, tuple[Branch, ...]] = field(default_factory=dict)
    learned: Mapping[int, datetime] = field(default_factory=dict)

    @property
    def newest(self) -> Segment | None:
        """The last segment that there is something of, on the newest timeline."""
        return max({**self.whole, **self.partial}, default=None)

    def newest_of(self, timeline: int) -> Segment | None:
        """The last segment of a timeline that there is something of."""
        return max((one for one in {**self.whole, **self.partial} if one.timeline == timeline), default=None)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far WAL can be replayed. end: the position that it ends at; until: what was committed by then is in it.

    exact: until was told by the server's clock; else it is when the last segment was stored, and commits of the last
    moments before that may be in the next one. segments: how many are read for it. toward: the timeline that is
    followed; timeline: the one that it ends on, an earlier one when WAL is missing.
    """

    timeline: int
    end: int
    until: datetime | None
    exact: bool
    segments: int
    toward: int


def read_archive(store: Store, system_identifier: str, size: int) -> Archive:
    """List a cluster's WAL; size: of a segment, in bytes. Histories, which are tiny, are read where they can be."""
    whole: dict[Segment, datetime] = {}
    partial: dict[Segment, Partial] = {}
    learned: dict[int, datetime] = {}
    for one in store.files(folder(system_identifier)):
        open_one = partial_stored(one.name)
        if name := whole_stored(one.name):
            whole[segment_named(name, size)] = one.modified
        elif open_one is not None:
            segment = segment_named(open_one.segment, size)
            there = partial.get(segment)
            if there is None or (there.bytes, there.until) < (open_one.bytes, open_one.until):
                partial[segment] = open_one
        elif timeline := history_stored(one.name):
            learned[timeline] = one.modified
    read = {timeline: _history(store, system_identifier, timeline) for timeline in learned}
    histories = {timeline: history for timeline, history in read.items() if history}
    return Archive(size, whole, partial, histories, {timeline: learned[timeline] for timeline in histories})


def parse_history(text: str) -> tuple[Branch, ...]:
    """The timelines before one, and where each was left, oldest first.

    https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
    """
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return tuple((int(words[0]), lsn(words[1])) for words in lines)


def timelines_from(archive: Archive, timeline: int, position: int) -> list[int]:
    """The timelines that can be followed from a position on one: itself, and those that left it later; oldest first."""
    found = (new for new, path in archive.histories.items() if any(_leaves(one, timeline, position) for one in path))
    return [timeline, *sorted(found)]


def reach(archive: Archive, timeline: int, position: int, toward: int | None = None, *, held: bool = False) -> Reach:
    """How far one comes from a position on a timeline.

    toward: which of timelines_from() to follow, the newest by default. held: the segment of the position need not be
    in the store.
    """
    path = _path(archive, timeline, position, toward)
    number = _first(archive, path, timeline, position, held=held)
    read, last, begins = 0, None, max(position, number * archive.size)
    while (segment := Segment(_timeline_of(path, number, archive.size), number)) in archive.whole:
        last, number, read = segment, number + 1, read + 1
    open_one = archive.partial.get(segment)
    if open_one is not None:
        end = max(begins, segment.start(archive.size) + open_one.bytes)
        return Reach(segment.timeline, end, open_one.until, True, read + 1, path[-1][0])
    if last is None:
        return Reach(timeline, begins, None, False, 0, path[-1][0])
    end = segment.start(archive.size)
    return Reach(last.timeline, end, archive.whole[last], False, read, path[-1][0])


def missing(
    archive: Archive, timeline: int, position: int, toward: int | None = None, *, held: bool = False
) -> list[tuple[Segment, int]]:
    """The gaps after a position: the first segment of each and how many are missing. toward, held: as in reach()."""
    path, gaps, begun = _path(archive, timeline, position, toward), list[tuple[Segment, int]](), None
    known = {**archive.whole, **archive.partial}
    newest = max(
        (one.number for one in known if _timeline_of(path, one.number, archive.size) == one.timeline), default=0
    )
    for number in range(_first(archive, path, timeline, position, held=held), newest):
        segment = Segment(_timeline_of(path, number, archive.size), number)
        if segment in archive.whole:
            begun = None
        elif begun is None:
            begun = len(gaps)
            gaps.append((segment, 1))
        else:
            gaps[begun] = (gaps[begun][0], gaps[begun][1] + 1)
    return gaps


def _path(archive: Archive, timeline: int, position: int, toward: int | None) -> list[Branch]:
    """The timelines to go through: each with the position at which it is left, the last one never."""
    if toward is None:
        toward = timelines_from(archive, timeline, position)[-1]
    before = archive.histories.get(toward, ())
    index = next((at for at, one in enumerate(before) if _leaves(one, timeline, position)), len(before))
    return [*before[index:], (toward, 1 << 64)]


def _leaves(branch: Branch, timeline: int, position: int) -> bool:
    return branch[0] == timeline and branch[1] >= position


def _first(archive: Archive, path: list[Branch], timeline: int, position: int, *, held: bool) -> int:
    """The number of the first segment that is needed. One that a later timeline writes anew is needed in any case."""
    segment = Segment(_timeline_of(path, position // archive.size, archive.size), position // archive.size)
    there = segment in archive.whole or segment in archive.partial
    return segment.number + 1 if held and not there and segment.timeline == timeline else segment.number


def _timeline_of(path: list[Branch], number: int, size: int) -> int:
    # The segment in which a timeline begins is written anew by it, with what came before the branch.
    return next(
        timeline for timeline, left in path if number < segment_at(timeline, left, size).number or left >= 1 << 64
    )


def _history(store: Store, system_identifier: str, timeline: int) -> tuple[Branch, ...]:
    """Where the timelines before one were left; nothing on a host that may write to the store and not read it."""
    with tempfile.TemporaryDirectory(prefix="tabsync-wal-") as directory:
        target = Path(directory) / "history"
        try:
            fetch(store, system_identifier, f"{timeline:08X}.history", target)
        except NotAllowed:
            return ()
        return parse_history(target.read_text())

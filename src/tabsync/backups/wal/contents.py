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
from tabsync.stores.store import Store

Branch = tuple[int, int]
"""A timeline and the WAL position at which the next one left it."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A cluster's WAL in the store. size: of a segment; whole: when each segment was stored; partial: the open ones.

    histories: of each timeline but the first, the timelines before it and where they were left.
    """

    size: int
    whole: Mapping[Segment, datetime] = field(default_factory=dict)
    partial: Mapping[Segment, Partial] = field(default_factory=dict)
    histories: Mapping[int, tuple[Branch, ...]] = field(default_factory=dict)

    @property
    def newest(self) -> Segment | None:
        """The last segment that there is something of."""
        return max({**self.whole, **self.partial}, default=None, key=lambda one: (one.number, one.timeline))


@dataclass(frozen=True, slots=True)
class Reach:
    """How far WAL can be replayed. end: the position that it ends at; until: what was committed by then is in it.

    exact: until was told by the server's clock; else it is when the last segment was stored, and commits of the last
    moments before that may be in the next one. segments: how many are read for it.
    """

    timeline: int
    end: int
    until: datetime | None
    exact: bool
    segments: int


def read_archive(store: Store, system_identifier: str, size: int) -> Archive:
    """List a cluster's WAL; size: of a segment, in bytes. Histories, which are tiny, are read."""
    whole: dict[Segment, datetime] = {}
    partial: dict[Segment, Partial] = {}
    timelines = []
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
            timelines.append(timeline)
    histories = {timeline: _history(store, system_identifier, timeline) for timeline in timelines}
    return Archive(size, whole, partial, histories)


def parse_history(text: str) -> tuple[Branch, ...]:
    """The timelines before one, and where each was left, oldest first.

    https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
    """
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return tuple((int(words[0]), lsn(words[1])) for words in lines)


def reach(archive: Archive, timeline: int, position: int) -> Reach:
    """How far one comes from a position on a timeline, following the newest timeline that comes from there."""
    path = _path(archive, timeline, position)
    number, read, last = position // archive.size, 0, None
    while (segment := Segment(_timeline_of(path, number, archive.size), number)) in archive.whole:
        last, number, read = segment, number + 1, read + 1
    open_one = archive.partial.get(segment)
    if open_one is not None:
        end = max(position, segment.start(archive.size) + open_one.bytes)
        return Reach(segment.timeline, end, open_one.until, True, read + 1)
    if last is None:
        return Reach(timeline, position, None, False, 0)
    return Reach(last.timeline, segment.start(archive.size), archive.whole[last], False, read)


def missing(archive: Archive, timeline: int, position: int) -> list[tuple[Segment, int]]:
    """The gaps after a position: the first segment of each and how many are missing."""
    newest = archive.newest
    path, gaps, begun = _path(archive, timeline, position), list[tuple[Segment, int]](), None
    for number in range(position // archive.size, newest.number if newest else 0):
        segment = Segment(_timeline_of(path, number, archive.size), number)
        if segment in archive.whole:
            begun = None
        elif begun is None:
            begun = len(gaps)
            gaps.append((segment, 1))
        else:
            gaps[begun] = (gaps[begun][0], gaps[begun][1] + 1)
    return gaps


def _path(archive: Archive, timeline: int, position: int) -> list[Branch]:
    """The timelines to go through: each with the position at which it is left, the last one never."""
    for newest in sorted(archive.histories, reverse=True):
        for index, (old, left) in enumerate(archive.histories[newest]):
            if old == timeline and left >= position:
                return [*archive.histories[newest][index:], (newest, 1 << 64)]
    return [(timeline, 1 << 64)]


def _timeline_of(path: list[Branch], number: int, size: int) -> int:
    # The segment in which a timeline begins is written anew by it, with what came before the branch.
    return next(
        timeline for timeline, left in path if number < segment_at(timeline, left, size).number or left >= 1 << 64
    )


def _history(store: Store, system_identifier: str, timeline: int) -> tuple[Branch, ...]:
    with tempfile.TemporaryDirectory(prefix="tabsync-wal-") as directory:
        target = Path(directory) / "history"
        fetch(store, system_identifier, f"{timeline:08X}.history", target)
        return parse_history(target.read_text())

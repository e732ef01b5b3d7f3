"""Names of WAL files, as PostgreSQL gives them and as the store has them. Pure.

wal/<system identifier>/<timeline and log, 16 digits>/<segment>.zst                           a whole segment
wal/<system identifier>/<timeline and log>/<segment>.<bytes, hex>.<time>.partial.zst          the open one, so far
wal/<system identifier>/<timeline and log>/<segment>.partial.zst                              see LEFT
wal/<system identifier>/history/<timeline>.history.zst                                        where timelines part

A folder holds at most 4 GB of WAL, so that it is listed in one go. The time of a partial one is a moment of the
server's clock: all that was committed until then is in it or before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

SEGMENT = re.compile(r"[0-9A-F]{24}")
OTHERS = re.compile(r"[0-9A-F]{8}\.history|[0-9A-F]{24}\.[0-9A-F]{8}\.backup")
"""What else PostgreSQL archives: timeline histories and the notes that base backups leave."""

LEFT = re.compile(r"([0-9A-F]{24})\.partial")
"""The segment in which a timeline was left, archived by the server that was promoted there. Nobody asks for it: the new
timeline begins with a copy of it."""

USUAL_SIZE = 16 << 20
"""Bytes of a segment, unless initdb was told otherwise."""

_PARTIAL = re.compile(r"([0-9A-F]{24})\.([0-9A-F]{8})\.(\d{8}T\d{6}Z)\.partial\.zst")
_STORED = re.compile(r"([0-9A-F]{24})\.zst")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history\.zst")
_LEFT = re.compile(LEFT.pattern + r"\.zst")
_LOG = 1 << 32  # bytes of WAL that the middle part of a name counts


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A WAL segment. number: counted from the beginning of the WAL, in segments."""

    timeline: int
    number: int

    def name(self, size: int) -> str:
        """Its file name; size: of a segment, in bytes."""
        log, part = divmod(self.number, _LOG // size)
        return f"{self.timeline:08X}{log:08X}{part:08X}"

    def start(self, size: int) -> int:
        """The WAL position that it begins at."""
        return self.number * size


@dataclass(frozen=True, slots=True)
class Partial:
    """The open segment, as far as it was stored. bytes: that are valid; until: what was committed by then is in it."""

    segment: str
    bytes: int
    until: datetime


def segment_named(name: str, size: int) -> Segment:
    """The inverse of Segment.name. Raises ValueError when it isn't one."""
    if not SEGMENT.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a WAL segment")
    return Segment(int(name[:8], 16), int(name[8:16], 16) * (_LOG // size) + int(name[16:], 16))


def segment_at(timeline: int, position: int, size: int) -> Segment:
    """The segment that holds a WAL position."""
    return Segment(timeline, position // size)


def written_up_to(position: int, size: int) -> int:
    """Where WAL must be written to for everything before an insert position to be there.

    Where nothing is on a page yet, the insert position is after its header (24 bytes, 40 at the start of a segment),
    which is only written with the next record.
    """
    if position % size == 40:
        return position - 40
    return position - 24 if position % 8192 == 24 else position


def folder(system_identifier: str) -> str:
    """Where a cluster's WAL lies in the store."""
    return f"wal/{system_identifier}"


def stored_name(system_identifier: str, name: str) -> str:
    """Where a whole file lies. Raises ValueError when the name isn't one that PostgreSQL archives."""
    if name.endswith(".history") and OTHERS.fullmatch(name):
        return f"{folder(system_identifier)}/history/{name}.zst"
    if SEGMENT.fullmatch(name) or OTHERS.fullmatch(name) or LEFT.fullmatch(name):
        return f"{folder(system_identifier)}/{name[:16]}/{name}.zst"
    raise ValueError(f"{name!r} is not the name of a WAL file")


def partial_name(system_identifier: str, partial: Partial) -> str:
    """Where the open segment lies, as far as it was stored."""
    moment = partial.until.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")  # cut to the second: earlier is safe
    place = f"{folder(system_identifier)}/{partial.segment[:16]}"
    return f"{place}/{partial.segment}.{partial.bytes:08X}.{moment}.partial.zst"


def whole_stored(name: str) -> str:
    """The segment that a file in the store is; "" for others."""
    match = _STORED.fullmatch(name.rpartition("/")[2])
    return match[1] if match else ""


def partial_stored(name: str) -> Partial | None:
    """What a file in the store says of an open segment; None for others."""
    match = _PARTIAL.fullmatch(name.rpartition("/")[2])
    if not match:
        return None
    until = datetime.strptime(match[3], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return Partial(match[1], int(match[2], 16), until)


def left_stored(name: str) -> str:
    """The segment in which a timeline was left that a file in the store is; "" for others."""
    match = _LEFT.fullmatch(name.rpartition("/")[2])
    return match[1] if match else ""


def history_stored(name: str) -> int:
    """The timeline whose history a file in the store is; 0 for others."""
    match = _HISTORY.fullmatch(name.rpartition("/")[2])
    return int(match[1], 16) if match else 0

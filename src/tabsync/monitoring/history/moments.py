"""Moments as the file has them: whole milliseconds since 1970. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(milliseconds=1)


def ticks(moment: datetime) -> int:
    """A moment as the file has it, rounded down."""
    return (moment - _EPOCH) // _TICK


def moment_of(at: int) -> datetime:
    """The inverse of ticks()."""
    return _EPOCH + at * _TICK

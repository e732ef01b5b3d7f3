"""Time, in one place, so that a test can set it and nothing mixes naive and aware times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tabsync.kernel.units import human_seconds

Clock = Callable[[], datetime]


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def compact(moment: datetime) -> str:
    """A moment as it stands in ids: 20261122T181500Z."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def iso(moment: datetime) -> str:
    """A moment as it stands in records: 2026-11-22T18:15:00.123456+00:00."""
    return moment.astimezone(UTC).isoformat()


def parse_iso(text: str) -> datetime:
    """The inverse of iso()."""
    return datetime.fromisoformat(text)


def age(moment: str) -> str:
    """How long ago a recorded moment was, in words."""
    return f"{human_seconds(max(0.0, (now() - parse_iso(moment)).total_seconds()))} ago"


def local(moment: str) -> str:
    """A recorded moment as a person reads it here: 2026-11-22 15:15:00 -03."""
    return f"{parse_iso(moment).astimezone():%Y-%m-%d %H:%M:%S %Z}"

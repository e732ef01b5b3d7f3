"""Time, in one place, so that a test can set it and nothing mixes naive and aware times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

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

"""Times as people write them: 2026-11-22 14:30, in local time, or how long ago: 1 hour ago, 30 min."""

from __future__ import annotations

from datetime import datetime

from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.units import parse_duration


def moment_of(text: str, option: str) -> datetime:
    """The time that an option says. Raises BadUsage when it is none."""
    plain = text.strip()
    try:
        return datetime.fromisoformat(plain).astimezone()
    except (ValueError, OverflowError):
        pass
    try:
        return now() - parse_duration(plain.removesuffix("ago"))
    except (ValueError, OverflowError):
        hint = f"{option} '2026-11-22 14:30', or with a zone 2026-11-22T14:30Z, or {option} '1 hour ago'"
        raise BadUsage(f"{text!r} is no time", hint) from None

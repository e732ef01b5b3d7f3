"""Times as people write them: 2026-11-22 14:30 or 14:30 (today), in local time, or how long ago: 1 hour ago, 30 min."""

from __future__ import annotations

import re
from datetime import datetime

from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.units import parse_duration

_TODAY = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")


def moment_of(text: str, option: str) -> datetime:
    """The time that an option says. Raises BadUsage when it is none."""
    plain = text.strip()
    if _TODAY.fullmatch(plain):
        plain = f"{now().astimezone():%Y-%m-%d} {plain.zfill(len(plain) + (plain[1] == ':'))}"
    try:
        return datetime.fromisoformat(plain).astimezone()
    except (ValueError, OverflowError):
        pass
    try:
        return now() - parse_duration(plain.removesuffix("ago"))
    except (ValueError, OverflowError):
        days = "'2026-11-22 14:30', 14:30 for today, or with a zone 2026-11-22T14:30Z"
        hint = f"{option} {days}; or {option} '1 hour ago'"
        raise BadUsage(f"{text!r} is no time", hint) from None

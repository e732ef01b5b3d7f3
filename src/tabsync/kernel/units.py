"""Bytes, durations and ages as people read and write them."""

from __future__ import annotations

import re
from datetime import timedelta

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")

_SECONDS = {
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "m": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "week": 604800.0,
    "month": 2592000.0,  # 30 days, as retention tables mean it
    "year": 31536000.0,  # 365 days
}

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB)\s*")

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def human_bytes(size: float) -> str:
    """1536 -> '1.5 kB'. Powers of 1024 under PostgreSQL's names, as pg_size_pretty prints them."""
    for unit in _BYTE_UNITS:
        if abs(size) < 1024 or unit == _BYTE_UNITS[-1]:
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" or abs(size) >= 100 else f"{size:.1f} {unit}"


def parse_bytes(text: str) -> int:
    """'500MB' -> 524288000, with PostgreSQL's units. Raises ValueError when it isn't a size."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a size such as 500MB or 20GB")
    return int(float(match[1]) * 1024 ** _BYTE_UNITS.index(match[2]))


def human_seconds(seconds: float) -> str:
    """0.0123 -> '12 ms', 75 -> '1 min 15 s', 90000 -> '1 d 1 h'."""
    if seconds < 0:
        return f"-{human_seconds(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 and seconds % 1 else f"{int(seconds)} s"
    if seconds < 3600:
        return _two_units(seconds, (60, "min"), (1, "s"))
    if seconds < 86400:
        return _two_units(seconds, (3600, "h"), (60, "min"))
    return _two_units(seconds, (86400, "d"), (3600, "h"))


def _two_units(seconds: float, large: tuple[int, str], small: tuple[int, str]) -> str:
    whole, rest = divmod(int(seconds), large[0])
    part = rest // small[0]
    return f"{whole} {large[1]} {part} {small[1]}" if part else f"{whole} {large[1]}"


def parse_duration(text: str) -> timedelta:
    """'15 minutes', '1 year', '30s' -> timedelta. A month is 30 days and a year 365.

    Raises ValueError when it isn't a duration.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a duration such as '15 minutes' or '90 days'")
    unit = match[2].lower()
    seconds = _SECONDS.get(unit) or _SECONDS.get(unit.removesuffix("s"))
    if seconds is None:
        raise ValueError(f"{match[2]!r} is not a unit of time")
    try:
        return timedelta(seconds=float(match[1]) * seconds)
    except OverflowError:
        raise ValueError(f"the duration {text[:40]!r} is too long") from None

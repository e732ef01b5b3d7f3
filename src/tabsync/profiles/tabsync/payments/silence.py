"""Whether fewer payments are tried than usual: the application may not reach the gateway at all. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from tabsync.kernel.units import human_seconds
from tabsync.profiles.tabsync.payments.tallies import ENOUGH, SURE, Tally, Usual

_SILENT = 300.0  # seconds; a gap that is shorter is none, however many there usually are
_FEW = 0.2  # of the usual number of attempts


def dry(now: Tally, expected: float, usually: str, gap: float, at: datetime, span: timedelta) -> str:
    """What is wrong with how few are tried, "" when nothing is. A burst of failures must not hide that.

    expected: attempts; usually: the same, as it is shown; gap: seconds without any that are usual.
    """
    seconds = span.total_seconds()
    silent = min(seconds, (at - now.latest).total_seconds()) if now.latest else seconds
    if expected * silent / seconds >= SURE and silent >= max(_SILENT, 2 * gap):
        return f"no payment was tried for {human_seconds(silent)}; usually {usually} are in {human_seconds(seconds)}"
    count = now.tried + now.undecided
    if expected >= ENOUGH and count < _FEW * expected:
        return f"only {count} payments were tried, usually {usually}"
    return ""


def between(normal: Usual) -> str:
    """How many are tried, by the days before."""
    least, most = min(normal.attempts, default=0), max(normal.attempts, default=0)
    return f"{least} to {most}" if least < most else str(most)

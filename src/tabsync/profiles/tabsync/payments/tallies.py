"""What was tried and what failed, of one gateway: in one time, and at the same time of the days before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from statistics import median

from tabsync.profiles.tabsync.payments.seen import STATUSES, Count
from tabsync.profiles.tabsync.payments.windows import days_before

ENOUGH = 20
"""Attempts from which on a rate says something."""

SURE = 10.0
"""Payments that should have been tried: by chance none happens once in 20,000 times."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one gateway in one time. stuck: PENDING for too long; undecided: PENDING for less; latest: when the last one
    was tried; fresh: tried so lately that they may be undecided; unclear: with a status that is not a known one.
    """

    tried: int = 0
    failed: int = 0
    stuck: int = 0
    undecided: int = 0
    latest: datetime | None = None
    fresh: int = 0
    unclear: int = 0

    @property
    def bad(self) -> int:
        """Those that came to nothing."""
        return self.failed + self.stuck

    @property
    def share(self) -> float | None:
        """Which part of what was tried."""
        return self.bad / self.tried if self.tried else None


@dataclass(frozen=True, slots=True)
class Usual:
    """The days before. share: None where too little was tried to say; of: attempts that it is the share of.

    attempts: of each day that is known, since it is in use; gaps: seconds from the last attempt of each day to this
    time of it.
    """

    share: float | None
    attempts: tuple[int, ...]
    gaps: tuple[float, ...] = ()
    of: int = 0

    @property
    def tried(self) -> float:
        """Attempts on an ordinary day."""
        return median(self.attempts) if self.attempts else 0.0

    @property
    def fewest(self) -> int:
        """Attempts on the calmest day but one: a day on which the restaurants were closed says nothing."""
        known = sorted(self.attempts)
        return known[1 if len(known) > 2 else 0] if len(known) > 1 else 0

    @property
    def busy(self) -> float:
        """Attempts on an ordinary day among those on which there were any."""
        return median([one for one in self.attempts if one] or [0])

    @property
    def is_calm(self) -> bool:
        """Whether nothing is usual: on most days nothing was tried, and on all together less than once a day."""
        return bool(self.attempts) and self.tried < 1 and sum(self.attempts) < len(self.attempts)

    @property
    def gap(self) -> float:
        """The longest gap but one: at the end of an evening it is usual that nobody pays any more."""
        return sorted(self.gaps)[-2] if len(self.gaps) > 1 else 0.0


def tally(counts: Sequence[Count], gateway: str) -> Tally:
    """What was tried through a gateway, or through any ("")."""
    found = Tally()
    for one in counts:
        if one.gateway != gateway if gateway else not one.gateway:
            continue
        pending = one.status == "PENDING"
        found = Tally(
            found.tried + (0 if pending and one.young else one.payments),
            found.failed + (one.payments if one.status == "FAILED" else 0),
            found.stuck + (one.payments if pending and not one.young else 0),
            found.undecided + (one.payments if pending and one.young else 0),
            max(filter(None, (found.latest, one.latest)), default=None),
            found.fresh + (one.payments if one.young else 0),
            found.unclear + (0 if one.status in STATUSES else one.payments),
        )
    return found


def usual(days: Sequence[Sequence[Count] | None], gateway: str, at: datetime, zone: tzinfo = UTC) -> Usual:
    """What is usual, by the days that are known: yesterday first, up to this time of the day."""
    each = [tally(one, gateway) if one is not None else None for one in days]
    known = [one for one in each if one is not None]
    active = [one for one in known if one.tried]
    if len(active) > 2:
        active.remove(max(active, key=lambda one: (one.share or 0.0, one.tried)))
    tried, bad = sum(one.tried - one.unclear for one in active), sum(one.bad for one in active)
    attempts = _in_use([one.tried for one in known])
    ends = [(one.latest, days_before(at, day, zone)) for day, one in enumerate(each, start=1) if one is not None]
    gaps = tuple((end - latest).total_seconds() for latest, end in ends if latest)
    return Usual(bad / tried if tried >= ENOUGH else None, attempts, gaps, tried)


def _in_use(attempts: Sequence[int]) -> tuple[int, ...]:
    """The days without those before it was used: there chance does not explain that nothing was tried."""
    first = max((number for number, one in enumerate(attempts, start=1) if one), default=0)
    since = attempts[:first]
    return tuple(since if sum(since) >= SURE * first else attempts) if first else ()

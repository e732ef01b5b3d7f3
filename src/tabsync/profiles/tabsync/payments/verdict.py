"""Whether more payments fail than usual, whose side that is on, and whether any are tried at all. Pure.

What is usual is our own rate at the same time of the seven days before: pooled, without the worst of them, so that an
outage of last Tuesday is not what is usual. It decides where at least 20 were tried now and then. Else the bounds of
the manual decide, and where these are not reached and most failed for no reason of the guests', it is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from tabsync.kernel.clock import iso
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.manual.model import Threshold
from tabsync.monitoring.judge import Level, judge, worst
from tabsync.profiles.tabsync.payments.chance import HALF, RARE, at_least, matters
from tabsync.profiles.tabsync.payments.codes import WORDS, Side, side_of
from tabsync.profiles.tabsync.payments.seen import Failed
from tabsync.profiles.tabsync.payments.silence import between, dry
from tabsync.profiles.tabsync.payments.tallies import ENOUGH, Tally, Usual
from tabsync.profiles.tabsync.payments.windows import STUCK

_WAITING = 5  # payments: fewer are one table that pays just now


class Verdict(StrEnum):
    """How it stands."""

    USUAL = "as usual"
    UNKNOWN = "unknown"
    WORSE = "worse than usual"


_ORDER = (Verdict.USUAL, Verdict.UNKNOWN, Verdict.WORSE)


@dataclass(frozen=True, slots=True)
class Judged:
    """A gateway, or all of them. side: whose, where it is worse.

    by: what decided: history, manual, half or nothing; unclear: how it is depends on what became of some.
    """

    name: str
    verdict: Verdict
    now: Tally
    usual: Usual
    why: str
    by: str
    side: Side | None = None
    codes: tuple[tuple[str, int], ...] = field(default=())

    def to_json(self) -> Facts:
        """It for programs."""
        return {
            "gateway": self.name or None,
            "verdict": self.verdict.value,
            "why": self.why,
            "by": self.by,
            "side": self.side.value if self.side else None,
            "tried": self.now.tried,
            "failed": self.now.failed,
            "stuck": self.now.stuck,
            "undecided": self.now.undecided,
            "unclear": self.now.unclear,
            "share": None if self.now.share is None else round(self.now.share, 4),
            "usual_share": None if self.usual.share is None else round(self.usual.share, 4),
            "usual_tried": self.usual.tried if self.usual.attempts else None,
            "last_tried": iso(self.now.latest) if self.now.latest else None,
        }


def judged(
    name: str,
    now: Tally,
    normal: Usual,
    failed: Sequence[Failed] | None,
    thresholds: Sequence[Threshold],
    at: datetime,
    span: timedelta,
) -> Judged:
    """The verdict on one gateway, or on all ("").

    failed: those that were looked at, None where that is unknown; thresholds: the manual's, per hour; span: of `now`.
    """
    mine = [one for one in failed or () if not name or one.gateway == name]
    codes = Counter(one.said.code for one in mine if one.said)
    listed = tuple(codes.most_common())
    if few := dry(now, normal.fewest, f"{normal.tried:.0f}", normal.gap, at, span):
        failing = f"; {now.failed} of {now.tried} failed: {most_of(codes)}" if codes else ""
        return Judged(name, Verdict.WORSE, now, normal, few + failing, "history", None, listed)
    if not now.tried and not now.undecided:
        return _nothing(name, now, normal)
    verdict, by = _verdict(now, normal, codes, thresholds, span)
    if verdict is Verdict.USUAL and (doubt := _doubt(now, normal, at, span)):
        return Judged(name, Verdict.UNKNOWN, now, normal, doubt, "nothing", None, listed)
    if verdict is Verdict.USUAL and now.unclear:
        worst_case = replace(now, failed=now.failed + now.unclear)
        if _verdict(worst_case, normal, codes, thresholds, span)[0] is not Verdict.USUAL:
            verdict, by = Verdict.UNKNOWN, "unclear"
    side = _side(codes, now) if verdict is not Verdict.USUAL else None
    why = _why(now, normal, codes, side, by, verdict)
    return Judged(name, verdict, now, normal, why, by, side, listed)


def overall(parts: Sequence[Judged]) -> Verdict:
    """The worst of several."""
    return max((one.verdict for one in parts), key=_ORDER.index, default=Verdict.UNKNOWN)


def _doubt(now: Tally, normal: Usual, at: datetime, span: timedelta) -> str:
    """Why what was tried says nothing, "" when it does."""
    if _waits(now):
        minutes = human_seconds(STUCK.total_seconds())
        return f"of {now.fresh} payments of the last {minutes}, {now.undecided} have no outcome yet"
    return dry(now, normal.busy, between(normal), normal.gap, at, span)


def _waits(now: Tally) -> bool:
    """Whether most of what was tried lately has no outcome yet, as with a gateway that hangs."""
    return now.undecided >= _WAITING and now.undecided * 2 >= now.fresh


def _verdict(
    now: Tally, normal: Usual, codes: Counter[str], thresholds: Sequence[Threshold], span: timedelta
) -> tuple[Verdict, str]:
    if now.tried >= ENOUGH and normal.share is not None and normal.share < HALF:
        return _by_history(now, normal)
    return _by_manual(now, normal, codes, thresholds, span)


def _nothing(name: str, now: Tally, normal: Usual) -> Judged:
    if normal.is_calm:
        return Judged(name, Verdict.USUAL, now, normal, "none was tried, as usual at this time", "history")
    tried = f"usually {between(normal)}" if normal.attempts else "what is usual at this time is unknown"
    return Judged(name, Verdict.UNKNOWN, now, normal, f"no payment was tried; {tried}", "nothing")


def _by_history(now: Tally, normal: Usual) -> tuple[Verdict, str]:
    share = now.bad / now.tried
    normally = normal.share or 0.0
    chance = at_least(now.bad, now.tried, normally * normal.of, normal.of)
    if chance < RARE and matters(share, normally):
        return Verdict.WORSE, "history"
    return (Verdict.UNKNOWN, "half") if share >= HALF else (Verdict.USUAL, "history")


def _by_manual(
    now: Tally, normal: Usual, codes: Counter[str], thresholds: Sequence[Threshold], span: timedelta
) -> tuple[Verdict, str]:
    hours = span.total_seconds() / 3600
    level = worst(judge(one, now.bad / hours, now.tried / hours) for one in thresholds)
    if level in (Level.WARNING, Level.CRITICAL):
        return Verdict.WORSE, "manual"
    if not now.bad and now.tried:
        return Verdict.USUAL, "manual"
    if now.tried >= ENOUGH and now.bad >= HALF * now.tried:
        return Verdict.WORSE, "half"
    guests = sum(number for code, number in codes.items() if side_of(code) is Side.GUEST)
    others = now.bad - guests
    if level is not Level.OK or not now.tried:
        return Verdict.UNKNOWN, "nothing"
    if now.tried < ENOUGH and others * 2 >= now.tried:
        return Verdict.UNKNOWN, "nothing"
    return Verdict.USUAL, "manual"


def _side(codes: Counter[str], now: Tally) -> Side:
    """Whose side most of what failed is on. What does not end has no code."""
    sides: Counter[Side] = Counter()
    for code, number in codes.items():
        sides[side_of(code)] += number
    seen = sum(codes.values())
    if not seen or now.stuck > now.failed:
        return Side.UNKNOWN
    side, number = sides.most_common(1)[0]
    return side if number * 5 >= seen * 3 else Side.UNKNOWN


def percent(share: float | None) -> str:
    """A share as it is shown."""
    if share is None:
        return "unknown"
    return f"{share * 100:.1f} %" if 0 < share < 0.01 else f"{share * 100:.0f} %"


def _why(now: Tally, normal: Usual, codes: Counter[str], side: Side | None, by: str, verdict: Verdict) -> str:
    told = f"{now.failed} of {now.tried} failed ({percent(now.failed / now.tried if now.tried else None)})"
    if now.stuck:
        told += f", and {now.stuck} do not end"
    usually = f", usually {percent(normal.share)}" if normal.share is not None else ""
    if verdict is Verdict.USUAL:
        return f"{told}{usually}" + ("" if by == "history" else "; within the manual's bounds")
    reasons = f": {most_of(codes)}" if codes else ""
    whose = f" ({WORDS[side]})" if side and side is not Side.UNKNOWN else ""
    if by == "unclear":
        return f"{told}{usually}; what became of {now.unclear} is unknown: their status is not a known one"
    return f"{told}{usually}{reasons}{whose}{_decided(now, by)}"


def _decided(now: Tally, by: str) -> str:
    if by == "history":
        return ""
    if by == "half":
        return "; half or more is never usual"
    if by == "manual":
        return "; beyond the manual's bounds"
    if now.tried < ENOUGH:
        return f"; too few to judge: below {ENOUGH}, and within the manual's bounds"
    return "; neither what is usual nor a bound of the manual is known"


def most_of(codes: Counter[str]) -> str:
    """Which codes there are, in a few words."""
    total = sum(codes.values())
    (first, number), *rest = codes.most_common()
    if number == total:
        return f"all {first}"
    if number * 10 >= total * 9:
        return f"almost all {first}"
    if number * 2 > total:
        return f"most {first}, {number} of {total}"
    return ", ".join(f"{code} {count}" for code, count in [(first, number), *rest][:3]) + (
        f" and {len(rest) - 2} more" if len(rest) > 2 else ""
    )

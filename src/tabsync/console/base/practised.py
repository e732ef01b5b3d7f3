"""Game days that were played, each with its times, as bars beside each other. Pure.

A bar reaches from the beginning of a condition to its end; the marks in it are when somebody was told, and when the
cause was named. All bars of one condition have one scale, so that a longer one is worse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tabsync.kernel.step import Facts

DRAWN = 20
"""How many of the newest of each condition."""

WIDE, HIGH, _BAR = 320, 96, 10
_BASE = HIGH - 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One game day. x, top, bottom: of the bar, in the picture's units; marks: (class, y); told: in words."""

    x: float
    top: float
    bottom: float
    ok: bool
    marks: tuple[tuple[str, float], ...]
    told: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of one game day. played: the newest first; bars: oldest first; scale: seconds at the top."""

    name: str
    title: str
    played: tuple[Facts, ...]
    bars: tuple[Bar, ...]
    scale: float


def conditions_of(rows: Iterable[Facts]) -> list[Condition]:
    """What the evidence has of game days, by condition. rows: the newest first, as evidence_since() gives them."""
    found: dict[tuple[str, str], list[Facts]] = {}
    for row in rows:
        facts: Facts = row["facts"]
        for part in facts.get("parts", ()):
            if not part.get("missing"):
                known = {name: part.get(name) for name in ("ok", "detect", "diagnose", "recover", "cause")}
                known |= {"at": str(facts.get("began") or row["at"]), "wrong": list(part.get("wrong") or ())}
                found.setdefault((str(facts.get("game_day", "")), str(part.get("title", ""))), []).append(known)
    return [_condition(name, title, tuple(played)) for (name, title), played in sorted(found.items())]


def _condition(name: str, title: str, played: tuple[Facts, ...]) -> Condition:
    drawn = played[:DRAWN][::-1]
    scale = max((float(value) for one in drawn for value in _times(one).values()), default=0.0) or 1.0
    step = WIDE / max(len(drawn), 1)
    bars = tuple(_bar(one, number * step + (step - _BAR) / 2, scale) for number, one in enumerate(drawn))
    return Condition(name, title, played, bars, scale)


def _bar(one: Facts, x: float, scale: float) -> Bar:
    times = _times(one)
    heights = {name: _BASE - (_BASE - 4) * value / scale for name, value in times.items()}
    top = round(min(heights.values(), default=_BASE - 1), 1)
    marks = tuple((name, round(heights[name], 1)) for name in ("detect", "diagnose") if name in heights)
    words = {"detect": "told", "diagnose": "named", "recover": "recovered"}
    told = ", ".join(f"{words[name]} after {value:.0f} s" for name, value in times.items()) or "no time is known"
    return Bar(round(x, 1), top, _BASE, bool(one["ok"]), marks, f"{one['at'][:10]}: {told}")


def _times(one: Facts) -> dict[str, float]:
    known = {name: one[name] for name in ("detect", "diagnose", "recover")}
    return {name: float(value) for name, value in known.items() if value is not None}

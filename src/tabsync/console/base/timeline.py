"""The timeline of backups: where each one stands in the picture. Pure; the page's template draws it.

Past and future have a scale each: backups of some days with classes that keep them for a year would otherwise be one
dot. Left of "now" is when they were taken, right of it when their class lets go of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from tabsync.kernel.clock import parse_iso
from tabsync.kernel.step import Facts

WIDTH = 100
"""Of the picture: places along it are per cent, so that a narrow window brings dots together and makes none smaller."""

LANE = 52
"""Pixels of a lane: its name, and the line below it."""

_LINE = 34  # pixels from the top of a lane to its line
_LEFT, _NOW, _RIGHT = 0.5, 62.0, 99.5
_SHORTEST = timedelta(hours=1)
"""The least that the past shows: a single backup stands clear of "now"."""

NO_CLASS = "no class"

_Place: TypeAlias = Callable[[datetime], float]


@dataclass(frozen=True, slots=True)
class Mark:
    """One backup. x: where it was taken; until: where it expires, None when never or unknown; told: all in words."""

    id: str
    x: float
    until: float | None
    state: str
    held: bool
    told: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The backups of one class. y: of its line, in pixels."""

    name: str
    y: float
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The picture. ticks: (x, text, anchor) along the bottom; height: with them, in pixels."""

    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str, str], ...]
    now: float
    height: int


def timeline(rows: Sequence[Facts], classes: Sequence[str], moment: datetime) -> Timeline | None:
    """Place backups (as backups.list gives them); None when there is nothing to draw.

    classes: names in the manual's order, so that the lanes stand as in the Retention table; moment: now.
    """
    if not rows:
        return None
    taken = [parse_iso(one["taken_at"]) for one in rows]
    begin = min(min(taken), moment - _SHORTEST)
    expiries = [parse_iso(one["expires_at"]) for one in rows if one["expires_at"]]
    end = max([*expiries, moment + _SHORTEST])

    def place(at: datetime) -> float:
        if at <= moment:
            return round(_LEFT + (_NOW - _LEFT) * ((at - begin) / (moment - begin)), 2)
        return round(_NOW + (_RIGHT - _NOW) * ((at - moment) / (end - moment)), 2)

    names = [name for name in (*classes, NO_CLASS) if any((one["class"] or NO_CLASS) == name for one in rows)]
    names += sorted({one["class"] for one in rows if one["class"]} - set(names))
    lanes = tuple(
        Lane(name, number * LANE + _LINE, _marks([one for one in rows if (one["class"] or NO_CLASS) == name], place))
        for number, name in enumerate(names)
    )
    recent = moment - begin < timedelta(days=2)
    ticks = [(_LEFT, f"{begin:%H:%M} UTC" if recent else f"{begin:%Y-%m-%d}", "start"), (_NOW, "now", "middle")]
    if expiries and max(expiries) > moment:
        ticks.append((_RIGHT, f"{max(expiries):%Y-%m-%d}", "end"))
    return Timeline(lanes, tuple(ticks), _NOW, len(lanes) * LANE + 30)


def _marks(rows: Sequence[Facts], place: _Place) -> tuple[Mark, ...]:
    return tuple(_mark(one, place) for one in rows)


def _mark(one: Facts, place: _Place) -> Mark:
    state = {"identical": "proven", "partial": "unproven", None: "unproven"}.get(one["proof"], "failed")
    words = [f"{one['id']}, {one['kind']} of {one['database']}", f"taken {one['taken_at'][:16].replace('T', ' ')} UTC"]
    words.append({"proven": "proven", "failed": "the last drill failed", "unproven": "not proven"}[state])
    words[-1] = "partly proven" if one["proof"] == "partial" else words[-1]
    if one["held"] is not None:
        words.append(f"held: {one['held']}" if one["held"] else "held")
    else:
        words.append(
            f"kept until {one['expires_at'][:10]}" if one["expires_at"] else "kept until it is deleted by hand"
        )
    ends = one["expires_at"] if one["held"] is None else None
    until = place(parse_iso(ends)) if ends else None
    return Mark(one["id"], place(parse_iso(one["taken_at"])), until, state, one["held"] is not None, "; ".join(words))

"""Histories for hypothesis to draw: a manual, and what befalls the machine, around an odd night of a zone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, time

from hypothesis import strategies as st

from tests.unit.schedule.naive import DAY, Rule, Thing, shows
from tests.unit.schedule.world import LIVES, Written

ODD = {
    "Europe/Berlin": ((2026, 3, 29), (2026, 10, 25)),
    "America/New_York": ((2026, 3, 8), (2026, 11, 1)),
    "Europe/Lisbon": ((2026, 3, 29), (2026, 10, 25)),
    "Australia/Lord_Howe": ((2026, 10, 4), (2026, 4, 5)),
    "America/Sao_Paulo": ((2018, 11, 4), (2018, 2, 18)),
}
"""The days on which a zone's clock jumps."""

_MINUTES = {
    "Europe/Berlin": (120, 150, 179, 180),
    "America/New_York": (60, 90, 120, 150, 180),
    "Europe/Lisbon": (60, 90, 120),
    "Australia/Lord_Howe": (90, 105, 120, 135, 150, 165),
    "America/Sao_Paulo": (0, 30, 60, 1380, 1410),
}
_DEFAULT = {"hourly": 1_800, "daily": 21_600, "weekly": DAY, "monthly": 2 * DAY, "quarterly": 7 * DAY}
_PERIOD = {"hourly": 3_600, "daily": DAY, "weekly": 7 * DAY, "monthly": 28 * DAY, "quarterly": 90 * DAY}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ORDINAL = {1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}
_RUNS = ("backup take full", "drill --backup latest", "wal copy", "audit schema", "check indexes", "backup list")
_TASK, _UNBUILT, _PRUNE, _OTHER = "Review the error logs", "forecast growth", "backup prune --apply", "report replica"


@dataclass(frozen=True, slots=True)
class History:
    """A machine's story. begin: in real time; events: name and what goes with it; lives: of the runs, in turn."""

    zone: str
    begin: int
    manual: tuple[Written, ...]
    lives: tuple[tuple[str, int], ...]
    events: tuple[tuple[object, ...], ...]
    after: int


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def _days(draw: st.DrawFn, zone: str, day: date, kind: str) -> tuple[Rule, str]:
    """On which days a rule of a clock is due, and how one says that."""
    if kind == "daily":
        if draw(st.booleans()):
            return Rule(kind, zone), ""
        first = draw(st.integers(0, 6))
        days = tuple((first + step) % 7 for step in range(draw(st.integers(1, 6))))
        return Rule(kind, zone, weekdays=days), f" {_WEEKDAYS[days[0]][:3]}-{_WEEKDAYS[days[-1]][:3]}"
    if kind == "weekly":
        weekday = draw(st.just(day.weekday()) | st.integers(0, 6))
        return Rule(kind, zone, weekdays=(weekday,)), f" {_WEEKDAYS[weekday]}"
    which = draw(st.sampled_from(("day", "last", "nth")))
    if which == "last":
        return Rule(kind, zone, day=-1), " last day"
    if which == "nth":
        nth, weekday = draw(st.sampled_from(list(_ORDINAL))), day.weekday()
        return Rule(kind, zone, weekdays=(weekday,), nth=nth), f" {_ORDINAL[nth]} {_WEEKDAYS[weekday]}"
    number = draw(st.just(min(day.day, 28)) | st.integers(1, 28))
    return Rule(kind, zone, day=number), f" day {number}"


def _later(rule: Rule) -> Rule | None:
    """The same on the days after; None where a manual can't say it."""
    if rule.nth or rule.day < 0 or rule.day == 28:
        return None
    weekdays = tuple((one + 1) % 7 for one in rule.weekdays)
    return replace(rule, weekdays=weekdays, day=rule.day + 1 if rule.day else 0)


@st.composite
def _at_clock(draw: st.DrawFn, zone: str, day: date, said: str, kind: str) -> tuple[Rule, str, int, time | None]:
    """A rule of a clock, its heading, its window where the heading has a range, and the item's own time in it."""
    minute = draw(st.sampled_from(_MINUTES[zone]) | st.integers(0, 1439))
    if kind == "hourly":
        return Rule(kind, zone, minute % 60), f"Hourly, :{minute % 60:02}{said}", 0, None
    rule, days = draw(_days(zone, day, kind))
    length = draw(st.sampled_from((0, 0, 60, 180, 300)))
    if not length:
        return replace(rule, at=minute), f"{kind.capitalize()},{days} {_clock(minute)}{said}", 0, None
    heading = f"{kind.capitalize()},{days} {_clock(minute)}-{_clock((minute + length) % 1440)}{said}"
    late = draw(st.sampled_from((0, 0, 30, length - 1)))
    moved = _later(rule) if minute + late >= 1440 else rule
    if not late or moved is None:
        return replace(rule, at=minute), heading, length * 60, None
    at = (minute + late) % 1440
    return replace(moved, at=at), heading, (length - late) * 60, time(at // 60, at % 60)


@st.composite
def _every(draw: st.DrawFn, zone: str, said: str, *, fine: bool) -> tuple[Rule, str]:
    minutes = draw(st.sampled_from((10, 15, 30, 45, 60, 90) if fine else (120, 180, 300, 420, 720, 1440)))
    begin = end = 0
    days: tuple[int, ...] = ()
    told = ""
    if draw(st.booleans()):
        ranges = ((540, 1080), (1320, 360), (60, 180), (0, 720), (1200, 1440), (0, 1440))
        begin, end = draw(st.sampled_from([one for one in ranges if minutes < 180 or one[0] in (0, 1320)]))
        told = f", {_clock(begin)}-{_clock(end)}"
    if draw(st.booleans()):
        days, told = (0, 1, 2, 3, 4), f"{told}, Mon-Fri"
    rule = Rule("every", zone, seconds=minutes * 60, begin=begin, end=end, weekdays=days)
    return rule, f"Every {minutes} minutes{told}{',' if said and not told else ''}{said}"


@st.composite
def _written(draw: st.DrawFn, zone: str, day: date, key: str, *, fine: bool) -> Written:
    """An item of the manual; its zone is said, or that of the machine."""
    said = draw(st.sampled_from(("", f" {zone}")))
    kinds = ("hourly", "daily", "daily") if fine else ("daily", "daily", "daily", "weekly", "monthly", "quarterly")
    at = None
    if draw(st.integers(0, 2)) == 0:
        rule, heading = draw(_every(zone, said, fine=fine))
        period = window = rule.seconds
    else:
        rule, heading, ranged, at = draw(_at_clock(zone, day, said, draw(st.sampled_from(kinds))))
        period = _PERIOD[rule.kind]
        window = ranged or (period if key == _TASK else _DEFAULT[rule.kind])
    within = draw(
        st.none() | st.sampled_from([one for one in (60, 600, 3_600, 2 * 3_600, 12 * 3_600) if one <= period])
    )
    thing = Thing(
        key,
        rule,
        within or window,
        task=key == _TASK,
        built=key != _UNBUILT,
        on=draw(st.sampled_from(("beta", "alpha"))) if key == _OTHER else "",
        approval=key == _PRUNE,
        retry=draw(st.none() | st.integers(1, 2)),
        wording=draw(st.integers(0, 1)),
    )
    return Written(thing, heading, at, within)


@st.composite
def _manual(draw: st.DrawFn, zone: str, day: date, *, fine: bool) -> tuple[Written, ...]:
    runs = draw(st.lists(st.sampled_from(_RUNS), min_size=1, max_size=3, unique=True))
    rest = draw(st.lists(st.sampled_from((_TASK, _UNBUILT, _PRUNE, _OTHER)), max_size=2, unique=True))
    return tuple(draw(_written(zone, day, key, fine=fine)) for key in runs + rest)


@st.composite
def _event(draw: st.DrawFn, zone: str, day: date, unit: int, *, fine: bool) -> tuple[object, ...]:
    """Something that happens. unit: seconds, about as long as things take here."""
    kind = draw(st.sampled_from((*("pass",) * 4, *("off", "on", "jump", "hand", "skip") * 2, *_RARE)))
    if kind == "pass":
        return kind, draw(st.integers(1, 3 * unit))
    if kind == "jump":
        return kind, draw(st.sampled_from((1, -1))) * draw(st.sampled_from((30, 600, 3_600)) | st.integers(1, 5 * unit))
    if kind == "hand":
        return kind, draw(st.integers(0, 5)), draw(st.sampled_from(("done", "done", "unfit", "unsure")))
    if kind in ("skip", "tick"):
        return kind, draw(st.integers(0, 5)), draw(st.integers(0, 2))
    if kind == "edit":
        return kind, draw(_manual(zone, day, fine=fine))
    return kind, draw(st.integers(0, 5))


_RARE = ("return", "return", "kill", "power", "edit", "edit", "tick", "approve")


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A machine's story, of hours or of days."""
    zone = draw(st.sampled_from(list(ODD)))
    day = date(*draw(st.sampled_from(ODD[zone])))
    fine = draw(st.integers(0, 3)) == 0
    unit = 3_600 if fine else DAY
    odd = shows(zone, day.toordinal() - date(1970, 1, 1).toordinal(), 120)
    lasts = st.integers(2, 900) | st.integers(2, 4 * 3_600)
    lives = draw(st.lists(st.tuples(st.sampled_from(("done",) * 6 + LIVES), lasts), min_size=1, max_size=12))
    return History(
        zone,
        odd - draw(st.integers(0, 4 * unit)),
        draw(_manual(zone, day, fine=fine)),
        tuple(lives),
        tuple(draw(st.lists(_event(zone, day, unit, fine=fine), min_size=2, max_size=10))),
        2 * unit,
    )

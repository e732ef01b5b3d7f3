"""When something is due: the heading of a part of the Schedule, in words.

The words become fields of cron, which cronsim reads (it skips no night without 02:30, and runs none with two of them
twice), or plain arithmetic from midnight for "every 10 minutes". Nothing here looks at a clock.
"""

from __future__ import annotations

import re
from datetime import time
from typing import Literal

from tabsync.manual.parts import Policy
from tabsync.system.zone import is_zone

Kind = Literal["clock", "every", "continuous", "before"]

DAY = 86_400
PERIOD = {
    "hourly": 3_600,
    "daily": DAY,
    "weekly": 7 * DAY,
    "monthly": 28 * DAY,
    "quarterly": 90 * DAY,
    "yearly": 365 * DAY,
}
"""Seconds between two occurrences, at least."""

WINDOW = {
    "hourly": 1_800,
    "daily": 6 * 3_600,
    "weekly": DAY,
    "monthly": 2 * DAY,
    "quarterly": 7 * DAY,
    "yearly": 14 * DAY,
}
"""Seconds in which a command that became due has to leave its evidence, where the manual doesn't say."""

_AT = {
    "hourly": (0, 0),
    "daily": (2, 0),
    "weekly": (3, 0),
    "monthly": (4, 0),
    "quarterly": (5, 0),
    "yearly": (6, 0),
}
"""Hour and minute of a heading that names none."""

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4}
_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_RANGE = re.compile(r"(\d{1,2}:\d{2})\s*[-–]\s*(\d{1,2}:\d{2})")
_EVERY = re.compile(r"every(?:\s+(\d+))?\s+(second|minute|hour)s?")
_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?")


class When(Policy):
    """When something is due.

    name: its first words, "daily", "every 10 minutes", "before a production deployment"; cron: of a clock; seconds:
    between two of "every"; zone: an IANA name, "" for that of this machine; window: seconds, 0 where none is given;
    begin, end: minutes of the day between which "every" applies; days: the days of the week, 0 is Sunday, () for all.
    """

    kind: Kind
    name: str
    cron: str = ""
    seconds: int = 0
    zone: str = ""
    window: int = 0
    begin: int = 0
    end: int = 0
    days: tuple[int, ...] = ()

    @property
    def period(self) -> int:
        """Seconds between two occurrences, at least; 0 where there are none."""
        return self.seconds or PERIOD.get(self.name, 0)

    @property
    def hour_and_minute(self) -> time | None:
        """The time of day of a clock frequency that has one."""
        if self.kind != "clock" or self.name == "hourly":
            return None
        minute, hour = self.cron.split()[:2]
        return time(int(hour), int(minute))

    def applies_at(self, minute: int) -> bool:
        """Whether a minute of the day is within the times of "every"; a range may go over midnight."""
        if not self.end:
            return True
        inside = self.begin <= minute < self.end
        return inside if self.begin < self.end else not self.end <= minute < self.begin

    def moved_to(self, moment: time) -> When:
        """The same at another time of day. Raises ValueError when it has no time of day, or is outside its window."""
        own = self.hour_and_minute
        if own is None:
            raise ValueError(f"{self.name!r} has no time of day")
        late = ((moment.hour - own.hour) * 60 + moment.minute - own.minute) % 1440 * 60
        if self.window and late >= self.window:
            raise ValueError(f"{moment:%H:%M} is not within the heading's time")
        days = self.cron.split()[2:]
        if self.window and moment < own and days != ["*", "*", "*"]:
            days = _days_later(days)  # the night of Sunday ends on Monday
        fields = [str(moment.minute), str(moment.hour), *days]
        return self.model_copy(update={"cron": " ".join(fields), "window": self.window and self.window - late})


def _days_later(fields: list[str]) -> list[str]:
    """The fields day, month and weekday of cron for the day after, where these can say it."""
    day, month, weekday = fields
    if day == "*" and re.fullmatch(r"[0-6](,[0-6])*", weekday):
        return [day, month, ",".join(str(one) for one in sorted((int(one) + 1) % 7 for one in weekday.split(",")))]
    if weekday == "*" and day.isdecimal() and int(day) < 28:
        return [str(int(day) + 1), month, weekday]
    raise ValueError("after midnight is another day than the heading's: begin the heading's time after midnight")


def parse_when(title: str) -> When:
    """Read a heading: "Daily, 02:00-05:00 America/Sao_Paulo", "Every 10 minutes". Raises ValueError."""
    words, _, rest = " ".join(title.split()).partition(",")
    name = words.strip().lower()
    if name.startswith("before "):
        return When(kind="before", name=" ".join(title.lower().split()))
    if name in ("continuous", "continuously"):
        if rest.strip():
            raise ValueError(f"{name!r} takes nothing after it, and not {rest.strip()!r}")
        return When(kind="continuous", name="continuously")
    tokens = rest.replace(",", " ").split()
    zone = next((one for one in tokens if is_zone(one)), "")
    tokens = [one.lower() for one in tokens if one != zone and one.lower() not in ("at", "the", "on", "of")]
    if match := _EVERY.fullmatch(name):
        return _every(match, tokens, zone)
    if name not in PERIOD:
        raise ValueError(f"{name!r} is unknown")
    return _clock(name, tokens, zone)


def _every(match: re.Match[str], tokens: list[str], zone: str) -> When:
    count, unit = int(match[1] or 1), match[2]
    seconds = count * {"second": 1, "minute": 60, "hour": 3_600}[unit]
    if not 1 <= seconds <= DAY:
        raise ValueError(f"every {count} {unit}s is not between a second and a day")
    begin, end, tokens = taken_range(tokens)
    days, tokens = taken_days(tokens)
    if tokens:
        raise ValueError(f"{' '.join(tokens)!r} is not understood")
    name = f"every {count} {unit}s" if count > 1 else f"every {unit}"
    when = When(kind="every", name=name, seconds=seconds, zone=zone, begin=begin, end=end, days=days)
    if not any(when.applies_at(second // 60) for second in range(0, DAY, seconds)):
        raise ValueError(f"{name}, counted from midnight, is never between these times")
    return when


def _clock(name: str, tokens: list[str], zone: str) -> When:
    if name == "hourly":
        minute, tokens = _taken_minute(tokens)
        return _made(name, f"{minute} * * * *", tokens, zone, window=0)
    hour, minute = _AT[name]
    window = 0
    begin, end, tokens = taken_range(tokens)
    if end:
        hour, minute, window = begin // 60, begin % 60, ((end - begin) % 1440 or 1440) * 60
    elif said := next((one for one in tokens if _TIME.fullmatch(one)), None):
        hour, minute = divmod(minutes_of(said), 60)
        tokens.remove(said)  # a second one stays, and is not understood
    day, month, weekday, tokens = _date(name, tokens)
    return _made(name, f"{minute} {hour} {day} {month} {weekday}", tokens, zone, window)


def _taken_minute(tokens: list[str]) -> tuple[int, list[str]]:
    """The minute of the hour, and the words that are left; where none is said, the full hour."""
    if tokens and re.fullmatch(r":\d{2}", tokens[0]):
        return minutes_of(f"00{tokens[0]}"), tokens[1:]
    return 0, tokens


def _made(name: str, cron: str, tokens: list[str], zone: str, window: int) -> When:
    if tokens:
        raise ValueError(f"{' '.join(tokens)!r} is not understood")
    return When(kind="clock", name=name, cron=cron, zone=zone, window=window)


def _date(name: str, tokens: list[str]) -> tuple[str, str, str, list[str]]:
    """The fields day, month and weekday of cron, and the words that are left."""
    if name == "daily":
        days, tokens = taken_days(tokens)
        return "*", "*", ",".join(map(str, days)) or "*", tokens
    if name == "weekly":
        days, tokens = taken_days(tokens)
        if len(days) > 1:
            raise ValueError("a week has one of each day: name one, or use 'Daily, Mon-Fri'")
        return "*", "*", str(days[0] if days else 0), tokens
    months = {"monthly": "*", "quarterly": "1,4,7,10", "yearly": "1"}[name]
    if name == "yearly":
        month = next((one for one in tokens if _month(one)), "")
        months = str(_month(month)) if month else months
        tokens = [one for one in tokens if one != month]
    day, weekday, tokens = _day_of_month(tokens)
    return day, months, weekday, tokens


def _day_of_month(tokens: list[str]) -> tuple[str, str, list[str]]:
    if tokens[:2] == ["last", "day"]:
        return "L", "*", tokens[2:]
    if len(tokens) > 1 and tokens[0] in (*_NTH, "last") and _weekday(tokens[1]) is not None:
        weekday = _weekday(tokens[1])
        return "*", f"{weekday}L" if tokens[0] == "last" else f"{weekday}#{_NTH[tokens[0]]}", tokens[2:]
    tokens = [one for one in tokens if one != "day"]
    first = _NTH.get(tokens[0]) if tokens else None
    match = _ORDINAL.fullmatch(tokens[0]) if tokens else None
    if not tokens or (first is None and match is None):
        return "1", "*", tokens
    day = first or int(match[1] if match else 1)
    if not 1 <= day <= 28:
        raise ValueError(f"not every month has a day {day}: name one up to 28, or the last day")
    return str(day), "*", tokens[1:]


def taken_range(tokens: list[str]) -> tuple[int, int, list[str]]:
    """A range of times of day in minutes, and the words that are left."""
    for token in tokens:
        if match := _RANGE.fullmatch(token):
            begin, end = minutes_of(match[1]), minutes_of(match[2], last=True)
            if begin == end:
                raise ValueError(f"{token!r} begins when it ends")
            return begin, end or 1440, [one for one in tokens if one != token]
    return 0, 0, tokens


def minutes_of(text: str, *, last: bool = False) -> int:
    """A time of day in minutes; last: 24:00 is one too. Raises ValueError when it is none."""
    match = _TIME.fullmatch(text)
    hour, minute = (int(match[1]), int(match[2])) if match else (99, 99)
    if minute > 59 or hour > 24 or (hour == 24 and (minute or not last)):
        raise ValueError(f"{text!r} is not a time of day")
    return hour * 60 + minute


def taken_days(tokens: list[str]) -> tuple[tuple[int, ...], list[str]]:
    days: list[int] = []
    left = []
    for token in tokens:
        first, dash, last = token.replace("–", "-").partition("-")
        one, other = _weekday(first), _weekday(last) if dash else _weekday(first)
        if one is None or other is None:
            left.append(token)
            continue
        days += [(one + step) % 7 for step in range((other - one) % 7 + 1)]
    return tuple(sorted(set(days))), left


def _weekday(word: str) -> int | None:
    return _named(word.removesuffix("s") if len(word) > 4 else word, _DAYS)


def _month(word: str) -> int | None:
    found = _named(word, _MONTHS)
    return None if found is None else found + 1


def _named(word: str, names: tuple[str, ...]) -> int | None:
    if len(word) < 3:
        return None
    return next((number for number, name in enumerate(names) if name.startswith(word)), None)

"""Whether anybody would be told at all: what the contacts and the channels leave open. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import get_args

from tabsync.manual.people import Contact, Severity

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_STEP = timedelta(minutes=30)


def gaps(contacts: Sequence[Contact], channels: Collection[str] | None, week: datetime, here: tzinfo) -> list[str]:
    """For each severity, why or when nobody would be told; [] when somebody always is.

    channels: the names in [notify]; None where these aren't known; week: a moment in the week that is looked at; here:
    the zone of contacts whose hours name none.
    """
    found = []
    for severity in get_args(Severity):
        told = [one for one in contacts if severity in one.told_of]
        if not told:
            found.append(f"nobody is told of what is {severity}: no contact is 'Told of' it")
            continue
        reached = [one for one in told if one.by and (channels is None or one.by in channels)]
        if not reached:
            names = ", ".join(sorted({one.by or "none" for one in told}))
            found.append(f"nobody is told of what is {severity}: tabsync.toml has no channel {names} in [notify]")
            continue
        if lacking := sorted({one.by for one in told if one not in reached}):
            found.append(
                f"not everybody is told of what is {severity}: [notify] has no {', '.join(lacking) or 'channel'}"
            )
        if severity == "warning" and (hours := _away(reached, week, here)):
            found.append(f"nobody is told of what is warning {hours}")
    return found


def _away(contacts: Sequence[Contact], week: datetime, here: tzinfo) -> str:
    """When in the week nobody of them is there, in words; "" when somebody always is."""
    start = week.astimezone(here).replace(hour=0, minute=0, second=0, microsecond=0)
    start -= timedelta(days=start.weekday())
    alone: list[datetime] = []
    for number in range(7 * 48):
        moment = start + number * _STEP
        if not any(one.hours is None or one.hours.reachable(moment, here) for one in contacts):
            alone.append(moment)
    if not alone:
        return ""
    first = alone[0]
    hours = len(alone) / 2
    return f"in {hours:g} hours of the week, such as {_DAYS[first.weekday()]} {first:%H:%M}"

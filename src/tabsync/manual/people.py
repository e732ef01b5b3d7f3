"""Whom to call, and when they can be reached: `24/7`, `On-call`, `Mon-Fri 09:00-18:00 America/Sao_Paulo`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

from tabsync.manual.parts import Policy
from tabsync.manual.when import taken_days, taken_range
from tabsync.system.zone import is_zone

HOURS_EXPECTED = "'24/7', 'On-call' or 'Mon-Fri 09:00-18:00 America/Sao_Paulo', and a remark in brackets if wanted"
Severity = Literal["critical", "warning"]
_REMARK = re.compile(r"\s*\([^()]*\)\s*$")


class Hours(Policy):
    """When somebody can be reached.

    kind: "on call" is always, after those who are there always; days: 0 is Sunday, () for all; begin, end: minutes of
    the day, end 0 for the whole day; zone: an IANA name, "" for that of this machine.
    """

    kind: Literal["always", "on call", "hours"]
    days: tuple[int, ...] = ()
    begin: int = 0
    end: int = 0
    zone: str = ""

    def reachable(self, moment: datetime, here: tzinfo) -> bool:
        """Whether somebody can be reached at a moment; hours over midnight belong to the day on which they begin."""
        if self.kind != "hours":
            return True
        local = moment.astimezone(ZoneInfo(self.zone) if self.zone else here)
        minute, day = local.hour * 60 + local.minute, local.isoweekday() % 7
        if self.end and self.end <= self.begin and minute < self.end:
            return self._on((day - 1) % 7)
        late = self.end if self.end > self.begin else 1440
        return self._on(day) and self.begin <= minute < late

    def _on(self, day: int) -> bool:
        return not self.days or day in self.days


class Contact(Policy):
    """Whom to call. address: an e-mail address, a telephone number or a link.

    hours: None where the availability is prose; order: who is told first, 1 at once; after: how long nobody may have
    acknowledged before the next is told; told_of: the severities that a machine tells; by: a channel of [notify].
    """

    role: str
    address: str
    availability: str
    line: int
    hours: Hours | None = None
    order: int = 1
    after: timedelta | None = None
    told_of: tuple[Severity, ...] = ()
    by: str = ""


class IncidentSeverity(Policy):
    """One row. told: roles of contacts; every: how often people hear of it until it is resolved, None for never.

    post_mortem: whether it is not closed before its root cause is known.
    """

    name: str
    told: tuple[str, ...] = ()
    every: timedelta | None = None
    post_mortem: bool = False
    line: int = 0


def severities_by_default(contacts: tuple[Contact, ...]) -> tuple[IncidentSeverity, ...]:
    """Those of a manual without the table: critical and major are looked into later, minor is told to nobody."""
    told = {level: tuple(one.role for one in contacts if level in one.told_of) for level in ("critical", "warning")}
    return (
        IncidentSeverity(name="critical", told=told["critical"], every=timedelta(minutes=30), post_mortem=True),
        IncidentSeverity(name="major", told=told["warning"], every=timedelta(hours=2), post_mortem=True),
        IncidentSeverity(name="minor"),
    )


def parse_hours(text: str) -> Hours:
    """Read a cell of the column Availability. Raises ValueError for what can't be understood."""
    words = _REMARK.sub("", text).strip()
    if words.lower() in ("24/7", "24x7", "always"):
        return Hours(kind="always")
    if words.lower() in ("on-call", "on call"):
        return Hours(kind="on call")
    tokens = words.replace(",", " ").split()
    zone = next((one for one in tokens if is_zone(one)), "")
    begin, end, tokens = taken_range([one.lower() for one in tokens if one != zone])
    days, tokens = taken_days(tokens)
    if tokens or not (end or days):
        raise ValueError(f"{text!r} is not a time in which somebody can be reached")
    return Hours(kind="hours", days=days, begin=begin, end=end % 1440, zone=zone)

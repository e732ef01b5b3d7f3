"""Who is told of a notice, and when: all who are told of warnings, once. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from tabsync.manual.people import Contact
from tabsync.monitoring.alerts.episode import Episode
from tabsync.monitoring.alerts.notices import HIDDEN
from tabsync.monitoring.notify.who import Due, Told

NOTICE = "notice"
"""The event of its messages."""

_DAY = range(8, 20)  # hours in which people are told of what can wait
_WAITS = {HIDDEN: timedelta(days=7)}
_A_DAY = timedelta(days=1)  # for how long anything else is news


def due_notices(
    episode: Episode, told: Sequence[Told], contacts: Sequence[Contact], now: datetime, here: tzinfo
) -> list[Due]:
    """The messages of a notice that are to be made now.

    told: what was made so far; here: the zone of contacts whose hours name none. Who isn't there gets it when they
    are; a week later, or a day later where it is of one night, nobody does any more.
    """
    if not timedelta(0) <= now - episode.began_at <= _WAITS.get(episode.key.kind, _A_DAY):
        return []
    heard = {one.contact for one in told}
    return [
        Due(one, NOTICE)
        for one in contacts
        if one.by
        and "warning" in one.told_of
        and one.role not in heard
        and _there(one, now, here)
        and (episode.key.kind != HIDDEN or _by_day(one, now, here))
    ]


def _there(contact: Contact, now: datetime, here: tzinfo) -> bool:
    return contact.hours is None or contact.hours.reachable(now, here)


def _by_day(contact: Contact, now: datetime, here: tzinfo, hours: Collection[int] = _DAY) -> bool:
    zone = contact.hours.zone if contact.hours is not None else ""
    return now.astimezone(ZoneInfo(zone) if zone else here).hour in hours

"""Who is told of an alert, and when. Pure: the contacts, what was told so far and the time are arguments.

Order 1 is told at once. Each next order is told when nobody has acknowledged for as long as the order before it says
under After, or at once when a channel before it fails. Within an order those who are there come before those on call.
What was acknowledged as a warning begins anew when it becomes critical: the time counts from there, for everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from tabsync.manual.people import Contact
from tabsync.monitoring.alerts.episode import Episode, State

PATIENCE = timedelta(minutes=15)
"""How long nobody may have acknowledged a critical alert until the next order is told, where the manual doesn't say."""

REMIND = {"critical": timedelta(minutes=30), "warning": timedelta(days=1)}
"""How often those who were told are reminded, until somebody acknowledges."""

MISSED = timedelta(days=1)
"""For how long an alert that began and ended while no notifier ran is told all the same."""

START, RISEN, END, REMINDER = "start", "critical", "end", "reminder"


@dataclass(frozen=True, slots=True)
class Told:
    """A message that was made. state: waiting, sending, sent, withheld, given up; failing: it was tried in vain.

    created_at: since when it is to be sent; one that was withheld: since when it no longer is.
    """

    contact: str
    event: str
    state: str
    created_at: datetime
    failing: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A message to be made."""

    contact: Contact
    event: str


def due_messages(
    episode: Episode, told: Sequence[Told], contacts: Sequence[Contact], now: datetime, here: tzinfo
) -> list[Due]:
    """The messages of an episode that are to be made now.

    told: what was made so far, oldest first; here: the zone of contacts whose hours name none.
    """
    if episode.fired_at is None:
        return []
    by_role = {one.role: one for one in contacts if one.by}
    mine = [one for one in told if one.contact in by_role]
    if episode.state is State.ENDED:
        ends = [Due(by_role[role], END) for role in _heard(mine) if not _has(mine, role, END)]
        return ends or _missed(episode, told, contacts, now, here)
    if episode.is_acknowledged:
        return []
    asked = groups(episode, contacts, now, here, {one.contact for one in mine})
    found = [*_starts(episode, mine, asked, now), *_rises(episode, mine, by_role)]
    there = {one.role for one in _there(episode, contacts, now, here)}
    there -= {one.contact.role for one in found}
    return found + [one for one in _reminders(episode, mine, by_role, now) if one.contact.role in there]


def _missed(
    episode: Episode, told: Sequence[Told], contacts: Sequence[Contact], now: datetime, here: tzinfo
) -> list[Due]:
    """That it began and ended while nobody told: the first ones hear of both, at once."""
    lately = episode.ended_at is not None and now - episode.ended_at <= MISSED
    if told or episode.is_test or episode.is_acknowledged or not lately:
        return []
    first = groups(episode, contacts, now, here)[:1]
    return [Due(one, event) for group in first for one in group for event in (START, END)]


def _rose(episode: Episode) -> datetime | None:
    rose = episode.facts.get("rose")
    return datetime.fromisoformat(str(rose)) if rose and episode.level == "critical" else None


def _starts(episode: Episode, told: Sequence[Told], asked: Sequence[Sequence[Contact]], now: datetime) -> Iterator[Due]:
    heard = {one.contact for one in told if one.event in (START, RISEN)}
    since: datetime | None = episode.told_since
    for number, group in enumerate(asked):
        if since is None or (number and since > now):
            return  # the first are told at once, whatever a clock that was set back says
        yield from (Due(one, START) for one in group if one.role not in heard)
        since = _until_next(episode, group, told, since)


def _until_next(episode: Episode, group: Sequence[Contact], told: Sequence[Told], since: datetime) -> datetime | None:
    """From when on the next group is told; None: it is not."""
    last = {one.contact: one for one in told if one.event in (START, RISEN)}
    mine = [last[one.role] for one in group if one.role in last]
    if mine and all(one.state == "withheld" for one in mine):
        return None  # for them it has not begun, and so not for the next
    if len(mine) == len(group) and all(one.failing or one.state == "given up" for one in mine):
        return since  # nobody of them could be reached
    since = max([since, *(one.created_at for one in mine)])
    waits = [one.after for one in group if one.after is not None]
    if waits:
        return since + min(waits)
    return since + PATIENCE if episode.level == "critical" else None


def _rises(episode: Episode, told: Sequence[Told], by_role: Mapping[str, Contact]) -> Iterator[Due]:
    """Those who were told of a warning are told that it is critical now."""
    rose = _rose(episode)
    if rose is None:
        return
    for role in _heard(told):
        started = next(one for one in told if one.contact == role and one.event in (START, RISEN))
        if started.created_at < rose and not _has(told, role, RISEN):
            yield Due(by_role[role], RISEN)


def _reminders(episode: Episode, told: Sequence[Told], by_role: Mapping[str, Contact], now: datetime) -> Iterator[Due]:
    for role in _heard(told):
        mine = [one for one in told if one.contact == role]
        if any(one.state in ("waiting", "sending") for one in mine):
            continue  # it has not even arrived
        count = sum(one.event.startswith(REMINDER) for one in mine)
        if now - max(one.created_at for one in mine) >= REMIND[episode.level]:
            yield Due(by_role[role], f"{REMINDER} {count + 1}")


def groups(
    episode: Episode, contacts: Sequence[Contact], moment: datetime, here: tzinfo, told: Collection[str] = ()
) -> list[list[Contact]]:
    """The contacts who are told of an episode, in the order in which they are told.

    Who is not there at this hour is left out; but a critical alert for which nobody is there is told to all of the
    first order all the same. told: the roles of those who were told already: they keep their place when they go home.
    """
    there = {one.role for one in _there(episode, contacts, moment, here)}
    found: dict[tuple[int, bool], list[Contact]] = {}
    for one in _wanted(episode, contacts):
        if one.role in there or one.role in told:
            on_call = one.hours is not None and one.hours.kind == "on call"
            found.setdefault((one.order, on_call), []).append(one)
    return [found[key] for key in sorted(found)]


def _there(episode: Episode, contacts: Sequence[Contact], moment: datetime, here: tzinfo) -> list[Contact]:
    wanted = _wanted(episode, contacts)
    there = [one for one in wanted if one.hours is None or one.hours.reachable(moment, here)]
    if not there and episode.level == "critical":
        first = min((one.order for one in wanted), default=0)
        there = [one for one in wanted if one.order == first]
    return there


def _wanted(episode: Episode, contacts: Sequence[Contact]) -> list[Contact]:
    return [one for one in contacts if one.by and _concerns(episode, one)]


def _concerns(episode: Episode, contact: Contact) -> bool:
    said = [str(one).lower() for one in episode.facts.get("tell") or ()]
    return contact.role.lower() in said if said else episode.level in contact.told_of


def _heard(told: Sequence[Told]) -> list[str]:
    """Who was told that it began, or is being told, in that order."""
    return list(dict.fromkeys(one.contact for one in told if one.event in (START, RISEN) and one.state != "withheld"))


def _has(told: Sequence[Told], role: str, event: str) -> bool:
    return any(one.contact == role and one.event == event for one in told)

"""An episode: a condition that began, may fire, and ends. Pure: what was seen, and when, are arguments.

The one rule on which all else rests: an episode ends by a fresh measurement that says so, and by nothing else. A metric
that can't be measured any more recovers nothing; it is an episode of its own, of the kind "blind".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from tabsync.kernel.step import Facts

Kind = Literal["threshold", "blind", "down", "item", "channel", "history", "incident", "hidden", "report"]
"""What an episode is about: a bound of the manual; a metric that went blind; a database that doesn't answer; an item of
the schedule; a channel that takes no messages; the history; an incident. The last two are notices; see notices.py."""

BEFORE: dict[str, str] = {
    "blind": "not measured: ",
    "item": "schedule: ",
    "channel": "channel: ",
    "incident": "incident: ",
}
"""What stands before the rule of an alert that is about no bound, by its kind."""

NOTICES: tuple[Kind, ...] = ("hidden", "report")

Severity = Literal["warning", "critical"]
CALM = timedelta(seconds=60)
"""How long it must be well again before an episode ends, when its bound has no `For`; else as long as that, at most."""


OVER = "over"
"""The fact of an episode that ended though nothing was measured to be well: why nobody looks at it any more."""

FRESH = timedelta(minutes=1)
"""How old what is written down of an episode that goes on may be."""

_INTERVALS = 3
_SOON = timedelta(minutes=2)  # until all has been measured again


class State(StrEnum):
    """Where an episode stands. PENDING: its bound is exceeded, not yet for long enough; nobody has been told."""

    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Key:
    """What makes two conditions the same: kind, rule and a label that stays the same (never a pid)."""

    kind: Kind
    rule: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a condition. level: None: it is well; goes_on: it is not, but would not begin an episode.

    fresh: False when it could not be measured: then nothing is known of it, and nothing ends. hold: how long it must
    last before it fires; every: how often it is looked at.
    """

    key: Key
    level: Severity | None
    at: datetime
    goes_on: Severity | None = None
    fresh: bool = True
    hold: timedelta = timedelta(0)
    every: timedelta = timedelta(minutes=1)
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode, as the ledger keeps it. seen_at: of the last fresh measurement."""

    id: str
    subject: str
    key: Key
    state: State
    level: Severity
    began_at: datetime
    seen_at: datetime
    fired_at: datetime | None = None
    ended_at: datetime | None = None
    acked_at: datetime | None = None
    acked_by: str = ""
    is_test: bool = False
    facts: Facts = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state is not State.ENDED

    @property
    def told_since(self) -> datetime:
        """From when on people are told: since it fired, or since it became critical."""
        rose = self.facts.get("rose") if self.level == "critical" else None
        return datetime.fromisoformat(str(rose)) if rose else self.fired_at or self.began_at

    @property
    def is_acknowledged(self) -> bool:
        """Whether somebody takes care of it, as bad as it is now."""
        return self.acked_at is not None and self.acked_at >= self.told_since


def advance(episode: Episode | None, seen: Seen, new_id: str, subject: str, *, is_test: bool = False) -> Episode | None:
    """The episode after what was seen; the same object when nothing about it changed but its value.

    episode: the open one of this key, if there is one. None: there is none, and there has never been anything to tell.
    """
    if episode is None or not episode.is_open:
        return _begun(seen, seen.level, new_id, subject, is_test) if seen.level and seen.fresh else None
    if not seen.fresh:
        return episode
    level = seen.level or seen.goes_on
    passed = _passed(episode, seen)
    if level is None:
        return _well(episode, seen, passed)
    return _unwell(episode, seen, level, passed)


def _passed(episode: Episode, seen: Seen) -> float:
    """Seconds for which what is seen now has held since it was last seen.

    No more than a few intervals count: nobody looked while the collector was dead, or while a clock jumped ahead; and a
    clock that was set back takes nothing away.
    """
    return min(max(0.0, (seen.at - episode.seen_at).total_seconds()), _INTERVALS * seen.every.total_seconds())


def _begun(seen: Seen, level: Severity, new_id: str, subject: str, is_test: bool) -> Episode:
    facts = dict(seen.facts)
    if level == "critical" and seen.hold:
        facts["raised"] = 0.0
    begun = Episode(new_id, subject, seen.key, State.PENDING, level, seen.at, seen.at, is_test=is_test, facts=facts)
    return _fired(begun, seen.at) if not seen.hold else begun


def _fired(episode: Episode, moment: datetime) -> Episode:
    return replace(episode, state=State.FIRING, fired_at=episode.fired_at or moment)


def _unwell(episode: Episode, seen: Seen, level: Severity, passed: float) -> Episode:
    """Its bound is exceeded, or it has not gone back far enough."""
    facts, hold = _merged(episode.facts, seen.facts), seen.hold.total_seconds()
    facts.pop("calm", None)
    pending = episode.state is State.PENDING
    if level == "critical" and (pending or episode.level == "warning"):
        # It must last as long at the higher level as it had to at the first one.
        facts["raised"] = facts.get("raised", 0.0) + (passed if "raised" in facts else 0.0)
        if facts["raised"] >= hold and not pending:
            facts.setdefault("rose", seen.at.isoformat())
            episode = replace(episode, level=level)
            del facts["raised"]
    else:
        facts.pop("raised", None)
        episode = replace(episode, level=level)
    changed = replace(episode, seen_at=seen.at, facts=facts)
    if not pending:
        return replace(changed, state=State.FIRING)
    if seen.level is None:
        return replace(changed, state=State.ENDED, ended_at=seen.at)  # it didn't last
    facts["held"] = facts.get("held", 0.0) + passed
    lasted = level == "critical" and facts["raised"] >= hold
    if lasted:
        del facts["raised"]
    changed = replace(changed, level=level)
    if facts["held"] < hold:
        return changed
    return _fired(replace(changed, level="critical" if lasted else "warning"), seen.at)


def _well(episode: Episode, seen: Seen, passed: float) -> Episode:
    facts = {name: value for name, value in seen.facts.items() if name in ("value", "of", "text")}
    kept = episode.facts | ({"now": facts} if facts else {})
    kept.pop("raised", None)
    if seen.facts.get(OVER):
        return replace(episode, state=State.ENDED, ended_at=seen.at, facts=kept | {OVER: seen.facts[OVER]})
    if episode.state is State.PENDING:
        return replace(episode, state=State.ENDED, ended_at=seen.at, seen_at=seen.at)
    kept["calm"] = kept.get("calm", 0.0) + (passed if "calm" in kept else 0.0)
    if kept["calm"] >= min(seen.hold, CALM).total_seconds():
        return replace(episode, state=State.ENDED, ended_at=seen.at, seen_at=seen.at, facts=kept)
    return replace(episode, state=State.RECOVERING, seen_at=seen.at, facts=kept)


def _merged(before: Mapping[str, Any], now: Mapping[str, Any]) -> Facts:
    """What is known now, and the worst value so far."""
    merged = {**before, **now}
    merged.pop("now", None)
    values = [one.get("value") for one in (before.get("worst") or before, now)]
    numbers = [one for one in values if isinstance(one, int | float)]
    if len(numbers) == 2:
        falls = str(now.get("bound", "")).strip().startswith("<")
        worse = (numbers[1] < numbers[0]) if falls else (numbers[1] > numbers[0])
        told = now if worse else (before.get("worst") or before)
        merged["worst"] = {"value": told.get("value"), "text": told.get("text", "")}
    return merged


def changed(before: Episode | None, after: Episode | None) -> bool:
    """Whether the difference has to be written down: values alone needn't be, each time."""
    if before is None or after is None or before is after:
        return after is not before
    if (before.state, before.level, before.ended_at) != (after.state, after.level, after.ended_at):
        return True
    counting = ("held", "calm", "raised")
    if any(before.facts.get(one) != after.facts.get(one) for one in counting):
        return True
    if after.state is not State.FIRING or "raised" in after.facts:
        return after.seen_at != before.seen_at  # a clock that was set back: from here on the time counts
    return abs(after.seen_at - before.seen_at) >= FRESH


def inhibited(episode: Episode, others: Sequence[Episode]) -> Episode | None:
    """The episode because of which nobody needs to be told of this one: the database is down, and all else follows."""
    if episode.key.kind in ("down", "channel", "item", "history", "incident"):
        return None
    firing = (one for one in others if one.key.kind == "down" and one.fired_at is not None and _meets(one, episode))
    return next((one for one in firing if one.subject == episode.subject and one.is_test == episode.is_test), None)


def _meets(down: Episode, episode: Episode) -> bool:
    """Whether the database is down now; or was, at the time of an episode that has ended by now."""
    if down.is_open or down.ended_at is None or episode.ended_at is None or episode.fired_at is None:
        return down.is_open
    return down.began_at <= episode.fired_at and episode.ended_at <= down.ended_at + _SOON

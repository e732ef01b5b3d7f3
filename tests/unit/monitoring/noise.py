"""Lives through the days of a restaurant: what is measured goes through judge, episodes and who is told. No server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import tabsync.profiles
from tabsync.manual.load import read
from tabsync.manual.model import Manual, Metric
from tabsync.monitoring.alerts.episode import Episode, Key, advance
from tabsync.monitoring.alerts.rules import conditions
from tabsync.monitoring.judge import Level, judge, worst
from tabsync.monitoring.measure import Reading, Sample
from tabsync.monitoring.notify.who import RISEN, START, Told, due_messages
from tests.unit.monitoring.restaurant import DAYS, METRICS, Fault, Restaurant, moment_of

TICK = 15  # seconds, the shortest `Every:` of the profile
ACKNOWLEDGED = 600  # seconds until the first who was told takes care of it
AFTER = 3_600.0  # seconds after a fault for which what is told of it is no false message
_FAILS = 0.0003  # of the scrapes, by chance: the metric could not be measured


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was made. fault: what it is about; None: it is false."""

    episode: str
    metric: str
    contact: str
    event: str
    at: datetime
    fault: Fault | None


@dataclass(slots=True)
class Month:
    """What was told in the days of a restaurant."""

    restaurant: Restaurant
    messages: list[Message] = field(default_factory=list)
    readings: int = 0

    @property
    def false(self) -> list[Message]:
        """The messages that are about nothing."""
        return [one for one in self.messages if one.fault is None]

    @property
    def missed(self) -> list[Fault]:
        """The faults of which nobody was told while they were there."""
        told = {one.fault.name for one in self.messages if one.fault and one.event == START}
        return [one for one in self.restaurant.faults if one.name not in told]

    @property
    def begun(self) -> Counter[str]:
        """In how many episodes each fault was told: more than one is a fault that flaps."""
        pairs = {(one.fault.name, one.episode) for one in self.messages if one.fault and one.event == START}
        return Counter(name for name, _ in pairs)

    def worst_week(self) -> int:
        """The most false messages in any seven days in a row."""
        moments = sorted(one.at for one in self.false)
        return max((sum(a <= b < a + timedelta(days=7) for b in moments) for a in moments), default=0)


def lived(seed: int, at_least: timedelta = timedelta(seconds=TICK)) -> Month:
    """Live through the days of a seed. at_least: no metric is measured more often, so that it takes less time."""
    path = Path(next(iter(tabsync.profiles.__path__))) / "tabsync" / "manual.md"
    manual, problems = read(path)
    assert not problems, problems
    slower = [one.model_copy(update={"every": max(one.every, at_least)}) for one in manual.metrics]
    manual = manual.model_copy(update={"metrics": tuple(slower)})
    metrics = [one for one in slower if one.title.lower() in METRICS]
    assert {one.title.lower() for one in metrics} == METRICS
    month = Month(Restaurant(seed))
    life = _Life(manual, month, Random(seed + 1))
    for second in range(0, DAYS * 86_400, TICK):
        for metric in metrics:
            if second % int(metric.every.total_seconds()) == 0:
                life.measured(metric, second)
        if second % 60 == 0:
            life.tell(second)
    return month


@dataclass(slots=True)
class _Life:
    """What is open, and what was told so far."""

    manual: Manual
    month: Month
    random: Random
    open: dict[Key, Episode] = field(default_factory=dict)
    ended: list[Episode] = field(default_factory=list)
    told: dict[str, list[Told]] = field(default_factory=dict)
    about: dict[str, Fault | None] = field(default_factory=dict)
    count: int = 0

    def measured(self, metric: Metric, second: int) -> None:
        """One scrape of one metric, into the episodes."""
        moment = moment_of(second)
        reading = self._reading(metric, second, moment)
        self.month.readings += 1
        for seen in conditions(reading, self.manual, dict(self.open), METRICS):
            self.count += 1
            after = advance(self.open.get(seen.key), seen, f"e{self.count}", "shop")
            if after is None:
                continue
            if after.is_open:
                self.open[seen.key] = after
                continue
            del self.open[seen.key]
            if after.fired_at is not None:
                self.ended.append(after)

    def tell(self, second: int) -> None:
        """What the notifier makes at this minute."""
        moment = moment_of(second)
        for key, episode in self.open.items():
            told = [one for one in self.told.get(episode.id, []) if one.event in (START, RISEN)]
            if not told or episode.is_acknowledged:
                continue
            if (moment - told[-1].created_at).total_seconds() >= ACKNOWLEDGED:
                self.open[key] = replace(episode, acked_at=moment, acked_by="Database Admin")
        for episode in [*self.open.values(), *self.ended]:
            self._messages(episode, second, moment)
        self.ended.clear()

    def _messages(self, episode: Episode, second: int, moment: datetime) -> None:
        told = self.told.setdefault(episode.id, [])
        metric = str(episode.facts.get("metric", episode.key.rule)).lower()
        if episode.id not in self.about:  # what it was told of first: its end comes when the fault is long over
            is_bound = episode.key.kind == "threshold" and episode.fired_at is not None
            if is_bound:
                self.about[episode.id] = self.month.restaurant.fault_of(metric, second, AFTER)
        fault = self.about.get(episode.id)
        for due in due_messages(episode, told, self.manual.contacts, moment, UTC):
            told.append(Told(due.contact.role, due.event, "sent", moment))
            message = Message(episode.id, metric, due.contact.role, due.event, moment, fault)
            self.month.messages.append(message)

    def _reading(self, metric: Metric, second: int, moment: datetime) -> Reading:
        if self.random.random() < _FAILS:
            return Reading(metric.title, metric.unit, (), Level.UNKNOWN, 0.1, moment, error="canceling statement")
        thresholds = self.manual.thresholds_of(metric.title)
        rows: Sequence[tuple[str, tuple[float, float | None]]]
        rows = list(self.month.restaurant.values(metric.title.lower(), second).items())
        samples = tuple(
            Sample(label, value, of, worst(judge(one, value, of) for one in thresholds)) for label, (value, of) in rows
        )
        return Reading(metric.title, metric.unit, samples, worst(one.level for one in samples), 0.01, moment)

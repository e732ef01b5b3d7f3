"""A restaurant, as its database looks to a collector: lunch, dinner, the nightly dump, the weekly vacuum, deployments.

A model, and no server: 30 days pass in seconds. Everything that is drawn comes from one seed. Ten faults are planted;
whatever is told of a metric outside of its fault is a false message.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

BEGIN = datetime(2026, 3, 2, 3, tzinfo=UTC)  # a Monday, midnight in São Paulo
DAYS = 30
MB, GB = 1e6, 1e9

Value = tuple[float, float | None]
"""A value, and what it is a part of."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is really wrong. metrics: in lower case; begin, end: seconds from the first midnight on."""

    name: str
    metrics: frozenset[str]
    begin: float
    end: float

    def holds(self, second: float, after: float = 0.0) -> bool:
        """Whether it is there; after: or was within so many seconds."""
        return self.begin <= second <= self.end + after


_FAULTS = (
    # name, metrics, minutes that it lasts, hours of the day in which it begins
    ("connections run out", ("active connections",), 10, (19, 22)),
    ("a query that does not end", ("query duration",), 10, (9, 22)),
    ("a forgotten transaction", ("idle in transaction",), 40, (0, 23)),
    ("a lock with a queue", ("blocked sessions",), 6, (11, 21)),
    ("the gateway fails", ("failed payments",), 60, (12, 13)),
    ("autovacuum is held up", ("dead tuples", "dead tuples against autovacuum"), 300, (6, 17)),
    ("the standby comes and goes", ("replication lag",), 20, (0, 23)),
    ("a slot without a receiver", ("retained wal",), 180, (0, 20)),
    ("the archive is full", ("wal archiving",), 45, (0, 22)),
    ("a log table fills the disk", ("database size",), 360, (0, 17)),
)


@dataclass(slots=True)
class Restaurant:
    """What its metrics give at a second. deployments: seconds at which they begin."""

    seed: int
    faults: list[Fault] = field(default_factory=list)
    deployments: list[float] = field(default_factory=list)
    _random: Random = field(init=False)
    _payments: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random = Random(self.seed)
        days = random.sample(range(1, DAYS - 1), len(_FAULTS))
        for day, (name, metrics, minutes, (early, late)) in zip(days, _FAULTS, strict=True):
            begin = day * 86_400 + random.uniform(early, late) * 3_600
            self.faults.append(Fault(name, frozenset(metrics), begin, begin + minutes * 60))
        for day in range(DAYS):
            if day % 7 < 5 and random.random() < 0.8:
                self.deployments.append(day * 86_400 + random.uniform(14, 17) * 3_600)

    def values(self, metric: str, second: float) -> Mapping[str, Value]:
        """The rows of a metric (lower case), by their label."""
        return _METRICS[metric](self, second)

    def fault_of(self, metric: str, second: float, after: float = 0.0) -> Fault | None:
        """The fault of a metric that is there at a second, or was so many seconds before."""
        return next((one for one in self.faults if metric in one.metrics and one.holds(second, after)), None)

    def _noise(self, mean: float, spread: float) -> float:
        return max(0.0, self._random.gauss(mean, spread))

    def _deployed(self, second: float, lasts: float) -> bool:
        return any(begin <= second < begin + lasts for begin in self.deployments)

    def _connections(self, second: float) -> Mapping[str, Value]:
        used = self._noise(8 + 52 * crowd(second), 3)
        if self._deployed(second, 45):
            used += 30  # the old processes and the new ones
        if self._random.random() < 0.0005:
            used += 35  # a burst of retries
        if self.fault_of("active connections", second):
            used = self._noise(98, 1)
        return {"": (min(100.0, round(used)), 100.0)}

    def _duration(self, second: float) -> Mapping[str, Value]:
        longest = math.exp(self._random.gauss(math.log(0.4), 0.9))
        day, hour = divmod(second / 3_600, 24)
        if day % 7 == 0 and 8 <= hour < 8.5:
            longest += self._random.uniform(5, 20)  # the report of the week
        if fault := self.fault_of("query duration", second):
            longest = max(longest, second - fault.begin)
        return {"": (longest, None)}

    def _idle(self, second: float) -> Mapping[str, Value]:
        longest = math.exp(self._random.gauss(math.log(2), 1))
        if self._deployed(second, 120):
            longest += 60
        if fault := self.fault_of("idle in transaction", second):
            longest = second - fault.begin
        return {"": (longest, None)}

    def _blocked(self, second: float) -> Mapping[str, Value]:
        count = float(self._random.random() < 0.1 + 0.3 * crowd(second))
        if self._deployed(second, 40):
            count += self._random.randint(4, 14)  # a migration waits for its lock, and all wait behind it
        if self.fault_of("blocked sessions", second):
            count = self._random.randint(22, 40)
        return {"": (count, None)}

    def _failed(self, second: float) -> Mapping[str, Value]:
        minute = int(second // 60)
        for one in (number for number in range(minute - 60, minute) if number not in self._payments):
            tried = _poisson(self._random, 0.05 + 5 * crowd(one * 60))
            share = 0.6 if self.fault_of("failed payments", one * 60) else 0.006
            self._payments[one] = (tried, sum(self._random.random() < share for _ in range(tried)))
        hour = [self._payments[one] for one in range(minute - 60, minute)]
        return {"": (float(sum(one[1] for one in hour)), float(sum(one[0] for one in hour)))}

    def _dead(self, second: float) -> Mapping[str, Value]:
        found: dict[str, Value] = {}
        for number, (label, every, most) in enumerate((("orders", 3.0, 8_000), ("sessions", 1.5, 9_000))):
            found[label] = (self._noise(most * ((second / 3_600 + number) % every) / every, 200), None)
        day, hour = divmod(second / 3_600, 24)
        if 3 <= hour < 3.6:
            found["sessions"] = (self._noise(35_000, 2_000), None)  # deleted by the night, until autovacuum comes
        if day % 7 == 6 and 4 <= hour < 5:
            found = dict.fromkeys(found, (0.0, None))  # the weekly vacuum
        if fault := self.fault_of("dead tuples", second):
            found["orders"] = (self._noise(12_000 + (second - fault.begin) * 4, 300), None)
        return found

    def _against(self, second: float) -> Mapping[str, Value]:
        limits = {"orders": 9_000.0, "sessions": 12_000.0}
        return {label: (value, limits[label]) for label, (value, _) in self._dead(second).items()}

    def _lag(self, second: float) -> Mapping[str, Value]:
        lag, hour = self._noise(0.05, 0.05), second / 3_600 % 24
        if 2 <= hour < 2.5 and second % 600 < 45:
            lag += self._random.uniform(3, 12)  # the dump reads there, and the replay waits for it
        if self.fault_of("replication lag", second):
            lag = self._random.choice((2.0, 12.0, 40.0, 60.0))  # around the bounds, up and down
        return {"standby": (lag, None)}

    def _retained(self, second: float) -> Mapping[str, Value]:
        held, hour = self._noise(80 * MB, 30 * MB), second / 3_600 % 24
        if 2 <= hour < 2.5:
            held += self._random.uniform(200 * MB, 600 * MB)
        if fault := self.fault_of("retained wal", second):
            held += (second - fault.begin) * 2 * MB
        return {"standby": (held, None)}

    def _archiving(self, second: float) -> Mapping[str, Value]:
        behind = self._noise(20, 15)
        if self._random.random() < 0.002:
            behind += 120  # the store was slow
        if fault := self.fault_of("wal archiving", second):
            behind = second - fault.begin
        return {"": (behind, None)}

    def _size(self, second: float) -> Mapping[str, Value]:
        size = self._noise(3.2 * GB + second / 86_400 * 0.03 * GB, 0.02 * GB)
        if fault := self.fault_of("database size", second):
            size += (second - fault.begin) / 21_600 * 4.5 * GB
        return {"": (min(size, 8 * GB), 8 * GB)}


def crowd(second: float) -> float:
    """How full the restaurant is, 0 to 1: lunch, dinner, and more at the weekend."""
    day, hour = divmod(second / 3_600, 24)
    weekend = 1.0 if day % 7 in (4, 5) else 0.75
    lunch, dinner = math.exp(-((hour - 13) ** 2) / 1.5), math.exp(-((hour - 20.5) ** 2) / 2.5)
    return min(1.0, weekend * max(0.8 * lunch, dinner))


def moment_of(second: float) -> datetime:
    """The time of a second of the model."""
    return BEGIN + timedelta(seconds=second)


def _poisson(random: Random, mean: float) -> int:
    limit, product, count = math.exp(-mean), random.random(), 0
    while product > limit:
        product, count = product * random.random(), count + 1
    return count


_METRICS: dict[str, Callable[[Restaurant, float], Mapping[str, Value]]] = {
    "active connections": Restaurant._connections,
    "query duration": Restaurant._duration,
    "idle in transaction": Restaurant._idle,
    "blocked sessions": Restaurant._blocked,
    "failed payments": Restaurant._failed,
    "dead tuples": Restaurant._dead,
    "dead tuples against autovacuum": Restaurant._against,
    "replication lag": Restaurant._lag,
    "retained wal": Restaurant._retained,
    "wal archiving": Restaurant._archiving,
    "database size": Restaurant._size,
}

METRICS = frozenset(_METRICS)

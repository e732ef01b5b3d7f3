"""The episodes beside a naive model of them: random values, blindness, gaps, and a clock that jumps both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tabsync.manual.model import Manual
from tabsync.manual.parse import parse
from tabsync.monitoring.alerts.episode import Episode, Key, State, advance, changed
from tabsync.monitoring.alerts.rules import conditions
from tabsync.monitoring.measure import Reading, _level, read_samples
from tabsync.postgres.readonly import Rows
from tests.whole import WHOLE

EVERY = 15.0
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = Key("threshold", "Load")
MANUAL = """# M

## Metrics

### Load

Unit: count of things
Every: 15 s

```sql
select 1 as value
```

## Thresholds

| Metric | Warning | Critical | For | Leave | Action | Runbook |
|---|---|---|---|---|---|---|
| Load | {} | {} | {} | {} | Look | — |
"""


@dataclass(frozen=True)
class Bounds:
    """A threshold in plain numbers. rising: whether more is worse; hold: seconds; without warning it is None."""

    rising: bool
    hold: int
    warning: float | None
    critical: float
    leave_warning: float
    leave_critical: float

    def manual(self) -> Manual:
        sign = ">" if self.rising else "<"
        warning = "—" if self.warning is None else f"{sign} {self.warning:g}"
        leave = f"{sign} {self.leave_critical:g}"
        leave = leave if self.warning is None else f"{sign} {self.leave_warning:g} / {leave}"
        held = f"{self.hold} s" if self.hold else "—"
        found, problems = parse(MANUAL.format(warning, f"{sign} {self.critical:g}", held, leave))
        assert len(found.thresholds) == 1, problems
        return found

    def past(self, value: float, bound: float | None) -> bool:
        return bound is not None and (value > bound if self.rising else value < bound)


RISING = (80.0, 90.0, 70.0, 85.0)
FALLING = (20.0, 10.0, 30.0, 15.0)
BOUNDS = [
    Bounds(rising, hold, warning if both else None, *rest)
    for rising, (warning, *rest) in ((True, RISING), (False, FALLING))
    for hold in (0, 40, 300)
    for both in (True, False)
]


@dataclass
class Naive:
    """What an episode has to do, without any thought of how it is kept: all looks since it began, summed up anew."""

    bounds: Bounds
    looks: list[tuple[float, float]] = field(default_factory=list)
    """(seconds that count since the look before, value) of each look that measured something."""
    fired: bool = False
    level: str = ""
    before: float | None = None

    def look(self, clock: float, value: float | None) -> None:
        if value is None:
            return
        gone = 0.0 if self.before is None or not self.looks else min(max(clock - self.before, 0.0), 3 * EVERY)
        self.before = clock
        beyond = self._beyond(value)
        if not self.looks and not beyond:
            return
        self.looks.append((gone, value))
        if not self.fired:
            self.level = beyond
            if not beyond:
                self._end()
            elif sum(seconds for seconds, _ in self.looks[1:]) >= self.bounds.hold:
                self.fired = True
                self.level = "critical" if self._lasted("critical", self._beyond) >= self.bounds.hold else "warning"
                if not self.bounds.hold:
                    self.level = beyond
            return
        now = self._now(value)
        if not now:
            if self._lasted("") >= min(self.bounds.hold, 60):
                self._end()
        elif now == "warning" or self._lasted("critical") >= self.bounds.hold:
            self.level = now

    def _beyond(self, value: float) -> str:
        if self.bounds.past(value, self.bounds.critical):
            return "critical"
        return "warning" if self.bounds.past(value, self.bounds.warning) else ""

    def _now(self, value: float) -> str:
        """The level of a value for an episode that fires: it has to go back further than to where it began."""
        if self._beyond(value) == "critical":
            return "critical"
        if self.level == "critical" and self.bounds.past(value, self.bounds.leave_critical):
            return "critical"
        if self.bounds.warning is not None and self.bounds.past(value, self.bounds.leave_warning):
            return "warning"
        return ""

    def _lasted(self, level: str, of: Callable[[float], str] | None = None) -> float:
        """Seconds for which the last looks have all been of a level; the first of them begins it."""
        total, last = 0.0, 0.0
        for seconds, value in reversed(self.looks):
            if (of or self._now)(value) != level:
                break
            total, last = total + seconds, seconds
        return total - last

    def _end(self) -> None:
        self.looks.clear()
        self.fired, self.level = False, ""


def reading(manual: Manual, at: datetime, value: float | None) -> Reading:
    (metric,) = manual.metrics
    rules = manual.thresholds_of(metric.title)
    samples = read_samples(metric, Rows(("value",), ((value,),), False, 0.0), rules)
    return Reading(metric.title, metric.unit, samples, _level(samples, rules), 0.0, at)


def kept(manual: Manual, steps: list[tuple[float, float | None]]) -> Iterator[tuple[Episode | None, Episode | None]]:
    """What is kept of the episode after each look, and what became of it in that look."""
    open_: Episode | None = None
    clock = AT
    for number, (seconds, value) in enumerate(steps):
        clock += timedelta(seconds=seconds)
        held = {} if open_ is None else {KEY: open_}
        (seen,) = [one for one in conditions(reading(manual, clock, value), manual, held, ()) if one.key == KEY]
        after = advance(open_, seen, str(number), "s")
        if after is not None and changed(open_, after):
            open_ = after if after.is_open else None
        yield open_, after


VALUES = st.sampled_from([None, 5.0, 12.0, 17.0, 25.0, 50.0, 75.0, 82.0, 87.0, 95.0])
TICKS = st.sampled_from([EVERY] * 6 + [EVERY * 2, 50.0, 4000.0, 4e7, -1.0, -50.0, -4000.0, -4e7])
STEPS = st.lists(st.tuples(TICKS, VALUES), max_size=40)
# Most random sequences change too often to fire: these stay where they are for a while.
RUNS = st.lists(st.tuples(TICKS, VALUES, st.integers(1, 25)), max_size=12).map(
    lambda runs: [(tick if not number else EVERY, value) for tick, value, count in runs for number in range(count)]
)


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@settings(max_examples=400 if WHOLE else 40)
@given(steps=STEPS | RUNS)
@example(steps=[(EVERY, 95.0), (EVERY, 87.0), (EVERY, 82.0), (EVERY, 50.0), (EVERY, 95.0)])
def test_episodes_do_what_the_naive_model_does(bounds: Bounds, steps: list[tuple[float, float | None]]) -> None:
    naive, clock = Naive(bounds), 0.0
    was: Episode | None = None
    for (seconds, value), (now, became) in zip(steps, kept(bounds.manual(), steps), strict=True):
        clock += seconds
        naive.look(clock, value)
        assert (now is not None) == bool(naive.looks), "it is open exactly when the model's is"
        if now is not None:
            assert (now.fired_at is not None, now.level) == (naive.fired, naive.level)
        if was is not None and now is None:
            assert became is not None
            assert became.state is State.ENDED
            assert value is not None, "nothing ends without a fresh measurement"
            assert not naive._beyond(value), "and that measurement is well"
        if was is not None and now is not None:
            assert was.id == now.id, "one at a time"
        was = now

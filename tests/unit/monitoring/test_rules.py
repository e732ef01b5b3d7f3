"""What one reading says of the episodes that are open: a label that is not among its rows has not recovered by that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tabsync.manual.model import Manual
from tabsync.manual.parse import parse
from tabsync.monitoring.alerts.episode import Episode, Key, State
from tabsync.monitoring.alerts.rules import conditions
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import Reading, read_samples
from tabsync.monitoring.measure import _level as level_of
from tabsync.monitoring.words import amount
from tabsync.postgres.readonly import Rows

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
MANUAL = """# M

## Metrics

### Sequences

Unit: count of numbers
No rows: ok
Gone: ok

```sql
select 1 as value
```

## Thresholds

| Metric | Warning | Critical | For | Action | Runbook |
|---|---|---|---|---|---|
| Sequences | > 70 % | > 90 % | — | Widen | — |
"""

Row = tuple[str, float | None, float | None, str | None]


def manual() -> Manual:
    found, problems = parse(MANUAL)
    assert not [one for one in problems if one.line == 0]
    return found


def reading_of(*rows: Row) -> Reading:
    policy = manual()
    (metric,) = policy.metrics
    rules = policy.thresholds_of(metric.title)
    samples = read_samples(metric, Rows(("label", "value", "of", "note"), rows, False, 0.0), rules)
    return Reading(metric.title, metric.unit, samples, level_of(samples, rules), 0.0, AT)


GONE: dict[str, tuple[tuple[Row, ...], bool]] = {
    "nothing is left": ((), True),
    "another one is well": ((("b", 10, 100, None),), True),
    "all that are shown are worse": ((("b", 95, 100, None), ("c", 94, 100, None)), False),
    "one can't be read": ((("b", 10, 100, None), ("", None, None, "the role may not read 1 sequence")), False),
    "one can't be read, and another is critical": (
        (("b", 95, 100, None), ("c", 10, 100, None), ("", None, None, "the role may not read 1 sequence")),
        False,
    ),
}


@pytest.mark.parametrize("case", GONE)
def test_a_label_that_is_gone_has_recovered_only_where_nothing_is_hidden(case: str) -> None:
    rows, ended = GONE[case]
    key = Key("threshold", "Sequences", "a")
    began = AT - timedelta(hours=1)
    held = {key: Episode("1", "s", key, State.FIRING, "critical", began, began, began)}
    (seen,) = [one for one in conditions(reading_of(*rows), manual(), held, {"sequences"}) if one.key == key]
    assert (seen.level, seen.fresh) == (None, ended)


@pytest.mark.parametrize(("began_there", "looks_there", "ended"), [(0, 0, 1), (0, 1, 0), (1, 1, 1), (1, 0, 1)])
def test_what_a_standby_does_not_have_has_not_recovered_on_its_primary(
    began_there: int, looks_there: int, ended: int
) -> None:
    """A slot of the primary is not on its standby; after a failover it is gone indeed."""
    key = Key("threshold", "Sequences", "a")
    facts = {"standby": bool(began_there)}
    held = {key: Episode("1", "s", key, State.FIRING, "critical", AT, AT, AT, facts=facts)}
    reading = replace(reading_of(("b", 10, 100, None)), standby=bool(looks_there))
    (seen,) = [one for one in conditions(reading, manual(), held, {"sequences"}) if one.key == key]
    assert seen.fresh is bool(ended)


@pytest.mark.parametrize(
    ("query", "episodes"),
    [("select id as label, 1 as value from restaurant", 2), ("select pid || ' app' as label, 1 as value", 1)],
)
def test_a_number_is_a_name_unless_it_is_a_pid(query: str, episodes: int) -> None:
    policy, _ = parse(MANUAL.replace("select 1 as value", query))
    reading = reading_of(("17 app", 95, 100, None), ("18 app", 80, 100, None))
    found = [one.key.label for one in conditions(reading, policy, {}, ()) if one.level]
    assert len(found) == episodes
    assert ("app" in found) == (episodes == 1)


def test_one_label_that_went_blind_is_told() -> None:
    reading = reading_of(("a", None, None, None), ("b", 10, 100, None), ("c", None, None, None))
    (seen,) = [
        one
        for one in conditions(reading, manual(), {}, {"sequences"}, {("sequences", "a"), ("sequences", "b")})
        if one.key.kind == "blind"
    ]
    assert (seen.level, seen.facts["text"]) == ("warning", "not measured for a")
    kinds = {one.key.kind for one in conditions(reading, manual(), {}, {"sequences"}, {("sequences", "b")})}
    assert kinds == {"threshold", "blind"}  # c and a never were measured: that is well, as far as it ever was
    (well,) = [one for one in conditions(reading, manual(), {}, {"sequences"}) if one.key.kind == "blind"]
    assert well.level is None


@pytest.mark.parametrize("began_there", [True, False])
def test_a_standby_that_is_well_ends_only_what_began_on_a_standby(began_there: bool) -> None:
    key = Key("threshold", "Sequences", "a")
    held = Episode("e", "s", key, State.FIRING, "warning", AT, AT, AT, facts={"standby": began_there})
    reading = replace(reading_of(("a", 1, 100, None)), standby=True, at=AT + timedelta(minutes=5))
    (seen,) = [one for one in conditions(reading, manual(), {key: held}, ()) if one.key == key]
    assert (seen.level, seen.fresh) == (None, began_there)


@pytest.mark.parametrize(("value", "level"), [(69, Level.OK), (71, Level.WARNING), (91, Level.CRITICAL)])
def test_a_value_in_percent_needs_no_whole(value: float, level: Level) -> None:
    policy, _ = parse(MANUAL.replace("Unit: count of numbers", "Unit: percent"))
    (metric,) = policy.metrics
    rows = Rows(("value",), ((value,),), False, 0.0)
    (sample,) = read_samples(metric, rows, policy.thresholds_of(metric.title))
    assert (sample.level, amount(metric.unit, sample)) == (level, f"{value} %")

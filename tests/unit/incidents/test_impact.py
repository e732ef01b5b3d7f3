"""What an incident cost: beyond a bound, unknown, and how many: what nobody measured is never nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tabsync.incidents.impact import Cost, cost_of, told
from tabsync.manual.model import Metric, Threshold
from tabsync.manual.parts import Bound, Comparison, Operator, Unit
from tabsync.monitoring.history.lines import Line, Point

BEGAN = datetime(2026, 12, 1, 20, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
UNIT = Unit(kind="count", noun="payments", per="hour")


def metric(unit: Unit = UNIT) -> Metric:
    return Metric(
        title="Failed payments",
        unit=unit,
        sql="select 1 as value",
        prose="",
        every=MINUTE,
        of=None,
        of_line=0,
        no_rows_ok=False,
        line=1,
        sql_line=1,
    )


def bound(value: float, operator: Operator = ">") -> tuple[Threshold, ...]:
    made = Bound(text=f"{operator} {value}", comparisons=(Comparison(operator=operator, value=value, unit=UNIT),))
    hold = timedelta(0)
    return (Threshold(metric="Failed payments", warning=made, critical=None, for_=hold, action="", runbook="", line=1),)


def line(values: dict[int, float], label: str = "") -> Line:
    """Values by the minute since it began."""
    return Line(label, [Point(BEGAN + minute * MINUTE, one, one, one, 1) for minute, one in values.items()], MINUTE)


def cost(lines: list[Line], minutes: int, bounds: tuple[Threshold, ...] | None = None) -> Cost:
    return cost_of(metric(), bounds or bound(5), lines, BEGAN, BEGAN + minutes * MINUTE)


def test_minutes_beyond_the_bound_and_the_worst() -> None:
    found = cost([line({minute: 9 if 2 <= minute < 6 else 1 for minute in range(-60, 10)})], 10)
    assert (found.over, found.unknown, found.worst) == (240, 0, "9 payments/hour")
    below = cost([line(dict.fromkeys(range(10), 3.0) | {4: 0.0})], 10, bound(1, "<"))
    assert (below.over, below.worst) == (60, "0 payments/hour")


def test_labels_that_share_a_minute_count_it_once() -> None:
    found = cost([line(dict.fromkeys(range(4), 9), "card"), line(dict.fromkeys(range(2, 6), 11), "pix")], 6)
    assert (found.over, found.worst) == (360, "11 payments/hour (pix)")


def test_what_nobody_measured_is_unknown() -> None:
    nothing = cost([], 10)
    assert (nothing.unknown, told(nothing), nothing.to_json()["over_seconds"]) == (600, "unknown", None)
    stopped = cost([line({0: 9, 1: 9})], 10)
    assert (stopped.over, stopped.unknown) == (240, 360), "a value holds for three intervals, and then nobody knows"
    assert told(stopped) == "4 min, unknown for 6 min"
    assert stopped.events == "unknown"
    before = cost([line({-30: 9})], 10)
    assert (before.is_known, before.over) == (False, 0)


@given(st.lists(st.integers(-90, 150), max_size=40), st.integers(1, 140))
def test_how_many_there_were_is_between_what_is_told(events: list[int], minutes: int) -> None:
    """A metric that looks an hour back each minute: the events of the incident are within the bounds, if not exact."""
    at = range(-61, minutes + 1)
    found = cost([line({now: float(sum(now - 60 < one <= now for one in events)) for now in at})], minutes)
    true = sum(0 < one <= minutes for one in events)
    low, _, high = found.events.removesuffix(" payments").partition(" to ")
    assert int(low) <= true <= int(high or low)


@given(st.dictionaries(st.integers(-5, 40), st.sampled_from([1.0, 9.0])), st.integers(1, 40))
def test_beyond_and_unknown_are_never_more_than_the_whole(values: dict[int, float], minutes: int) -> None:
    found = cost([line(dict(sorted(values.items())))], minutes)
    assert 0 <= found.over <= minutes * 60 - found.unknown + 1e-6
    assert found.is_known == (found.unknown < minutes * 60)

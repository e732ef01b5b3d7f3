"""Units and bounds, and the judgement that rests on them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.units import parse_duration
from tabsync.manual.parts import Unit
from tabsync.manual.thresholds import comparable, is_milder, parse_bound, parse_quantity, parse_unit

SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "days": 86400}
BYTES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("seconds", Unit(kind="seconds")),
        ("count of connections", Unit(kind="count", noun="connections")),
        ("count of payments per hour", Unit(kind="count", noun="payments", per="hour")),
        ("bytes per second.", Unit(kind="bytes", per="second")),
        ("percent", Unit(kind="percent")),
    ],
)
def test_units(text: str, unit: Unit) -> None:
    assert parse_unit(text) == unit


@pytest.mark.parametrize("text", ["furlongs", "", "count per furlong", "count of", "seconds and bytes"])
def test_unknown_units_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unit"):
        parse_unit(text)


@given(st.sampled_from([">", ">=", "<", "<="]), st.integers(0, 10**6), st.sampled_from([*SECONDS.items()]))
def test_a_bound_in_time_is_kept_in_seconds(operator: str, number: int, word: tuple[str, float]) -> None:
    bound = parse_bound(f"{operator} {number} {word[0]}")
    assert bound is not None
    (comparison,) = bound.comparisons
    assert comparison.operator == operator
    assert comparison.unit.kind == "seconds"
    assert comparison.value == pytest.approx(number * word[1])


@given(st.integers(0, 10**6), st.sampled_from([*BYTES.items()]))
def test_a_bound_in_bytes_is_kept_in_bytes(number: int, word: tuple[str, int]) -> None:
    assert parse_quantity(f"{number} {word[0]}", "bytes") == number * word[1]


@given(st.integers(0, 10_000), st.sampled_from([*SECONDS.items()]))
def test_a_duration_is_the_number_times_its_unit(number: int, word: tuple[str, float]) -> None:
    assert parse_duration(f"{number} {word[0]}").total_seconds() == pytest.approx(number * word[1], abs=1e-6)


def test_a_bound_may_have_two_parts() -> None:
    bound = parse_bound("> 5/hour and > 2 %")
    assert bound is not None
    assert [(one.value, one.unit) for one in bound.comparisons] == [
        (5, Unit(kind="count", per="hour")),
        (2, Unit(kind="percent")),
    ]


@pytest.mark.parametrize("text", ["—", "-", "", " none "])
def test_no_bound(text: str) -> None:
    assert parse_bound(text) is None


@pytest.mark.parametrize(
    "text", ["80", "> ", "> many", "> 5 furlongs", "> 5 per furlong", "=> 5", "> 5 or > 6", "> -1"]
)
def test_what_is_not_a_bound_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_bound(text)


def test_a_quantity_in_another_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="not in bytes"):
        parse_quantity("8 s", "bytes")


@given(st.integers(0, 1000), st.integers(0, 1000), st.booleans())
def test_the_milder_bound_is_the_one_reached_first(a: int, b: int, upwards: bool) -> None:
    sign = ">" if upwards else "<"
    warning, critical = parse_bound(f"{sign} {a}"), parse_bound(f"{sign} {b}")
    assert warning is not None
    assert critical is not None
    assert is_milder(warning, critical) == (a < b if upwards else a > b)


@pytest.mark.parametrize(
    ("warning", "critical", "milder"),
    [
        ("> 5/hour and > 2 %", "> 20/hour and > 10 %", True),
        ("> 5/hour and > 10 %", "> 20/hour and > 2 %", False),
        ("> 5/hour and > 2 %", "> 5/hour and > 2 %", False),
        ("> 5", "< 20", False),
        ("> 2 %", "> 20", True),
    ],
)
def test_bounds_of_several_parts(warning: str, critical: str, milder: bool) -> None:
    first, second = parse_bound(warning), parse_bound(critical)
    assert first is not None
    assert second is not None
    assert is_milder(first, second) is milder


def test_a_percentage_judges_everything_and_seconds_only_seconds() -> None:
    assert comparable(Unit(kind="percent"), Unit(kind="bytes"))
    assert comparable(Unit(kind="seconds"), Unit(kind="seconds", noun="x"))
    assert not comparable(Unit(kind="seconds"), Unit(kind="bytes"))
    assert not comparable(Unit(kind="count"), Unit(kind="count", per="hour"))

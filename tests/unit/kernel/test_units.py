"""Durations and sizes: what is printed can be read back, and a longer time never reads as a shorter one."""

from __future__ import annotations

import contextlib
import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.units import human_bytes, human_seconds, parse_duration

SECONDS = st.floats(min_value=0, max_value=1e9, allow_nan=False)
SIZES = st.integers(min_value=0, max_value=1 << 60)
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def read_back(text: str) -> float:
    """'1 min 15 s' as seconds, by the parser of manuals."""
    words = text.split()
    return math.fsum(
        parse_duration(f"{number} {unit}").total_seconds() for number, unit in zip(words[::2], words[1::2], strict=True)
    )


def size_of(text: str) -> float:
    number, unit = text.split()
    return float(number) * 1024.0 ** _UNITS.index(unit)


def step_of(seconds: float) -> float:
    """The coarsest step that a time of this length may be rounded to."""
    steps = ((1, 0.001), (10, 0.1), (3600, 1), (86400, 60))
    return next((step for below, step in steps if seconds < below), 3600)


@given(SECONDS)
def test_a_printed_time_reads_back_to_within_its_last_digit(seconds: float) -> None:
    assert abs(read_back(human_seconds(seconds)) - seconds) <= step_of(seconds) * 1.001


@given(SECONDS, SECONDS)
def test_a_longer_time_never_reads_as_a_shorter_one(one: float, other: float) -> None:
    shorter, longer = sorted((one, other))
    # Below ten seconds times are rounded, above they are cut: 9.96 s prints as 10.0 s, 10.4 s as 10 s.
    assert read_back(human_seconds(shorter)) <= read_back(human_seconds(longer)) + 1e-9


@given(SECONDS.filter(bool))
def test_a_negative_time_has_a_sign(seconds: float) -> None:
    assert human_seconds(-seconds) == f"-{human_seconds(seconds)}"


@given(SIZES)
def test_a_printed_size_is_within_one_part_in_twenty(size: int) -> None:
    assert abs(size_of(human_bytes(size)) - size) <= max(0.5, size / 20)


@given(SIZES, SIZES)
def test_a_larger_size_never_reads_as_a_smaller_one(one: int, other: int) -> None:
    smaller, larger = sorted((one, other))
    assert size_of(human_bytes(smaller)) <= size_of(human_bytes(larger))


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 kB"), (1536, "1.5 kB"), (150 << 20, "150 MB"), (1 << 61, "2048 PB")],
)
def test_sizes(size: int, text: str) -> None:
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12 ms"), (75, "1 min 15 s"), (3600, "1 h"), (90000, "1 d 1 h"), (9.94, "9.9 s"), (59.9, "59 s")],
)
def test_times(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text


@given(st.integers(0, 10_000), st.sampled_from(["s", "min", "h", "d", "week"]))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert parse_duration(f" {number}{unit.upper()} ") == number * parse_duration(f"1 {unit}")
    assert parse_duration(f"{number} {unit}") <= parse_duration(f"{number + 1} {unit}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15 minutes", timedelta(minutes=15)),
        ("1 year", timedelta(days=365)),
        ("2 months", timedelta(days=60)),
        ("250ms", timedelta(milliseconds=250)),
        ("1.5 hours", timedelta(minutes=90)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@given(st.one_of(st.text(), st.from_regex(r"\d+(\.\d+)? ?[a-z]+", fullmatch=True)))
def test_what_is_no_duration_is_a_value_error_and_nothing_else(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) >= timedelta(0)


@pytest.mark.parametrize(
    "text", ["", "5", "minutes", "-5 min", "5 parsecs", "1e3 s", "99999999999999 years", "9" * 400 + " s"]
)
def test_these_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|unit of time"):
        parse_duration(text)

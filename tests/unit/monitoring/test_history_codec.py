"""Samples as bytes and back, and rolled up."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.monitoring.history.codec import Sample, Scraped, pack_chunk, pack_scrape, unpack_chunk, unpack_scrape
from tabsync.monitoring.history.rollup import FIVE, HOUR, WIDTHS, merged, rolled, width_of

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SAMPLES = st.lists(
    st.builds(Sample, st.integers(-3 * HOUR, 3 * HOUR), NUMBERS, st.none() | NUMBERS), min_size=1, max_size=60
)


@given(st.dictionaries(st.integers(1, 2**32 - 1), st.tuples(NUMBERS, st.none() | NUMBERS), max_size=50))
def test_a_scrape_comes_back_as_it_was(found: dict[int, tuple[float, float | None]]) -> None:
    scrape = [Scraped(series, *one) for series, one in found.items()]
    assert unpack_scrape(pack_scrape(scrape)) == scrape
    wanted = set(list(found)[:2])
    assert unpack_scrape(pack_scrape(scrape), wanted) == [one for one in scrape if one.series in wanted]


@given(SAMPLES)
def test_a_chunk_comes_back_in_the_order_in_which_it_came(samples: list[Sample]) -> None:
    assert unpack_chunk(pack_chunk(samples, 0), 0) == samples


@given(SAMPLES, st.sampled_from([one for one in WIDTHS if one >= FIVE]))
def test_what_is_rolled_up_twice_is_the_same_as_rolled_up_once(samples: list[Sample], width: int) -> None:
    once, twice = rolled(samples, width), merged(rolled(samples, FIVE), width)
    assert [one[:2] + one[3:5] for one in once] == [one[:2] + one[3:5] for one in twice]
    assert all(one.low <= one.mean <= one.high for one in (*once, *twice))
    assert sum(one.samples for one in once) == len(samples)


def test_the_mean_of_numbers_whose_sum_is_too_large_is_a_number() -> None:
    most = sys.float_info.max
    for value in (1.7e308, most, -most):
        huge = [Sample(at * FIVE // 2, value, value) for at in range(7)]
        (one,) = merged(rolled(huge, FIVE), HOUR)
        assert one == (0, value, value, value, 7, value)
    (one,) = merged(rolled([Sample(0, most, None), Sample(FIVE, -most, None), Sample(FIVE, -most, None)], FIVE), HOUR)
    assert one.mean == pytest.approx(-most / 3)


def test_a_point_is_as_narrow_as_fits() -> None:
    assert width_of(timedelta(hours=6), 400) == 60_000
    assert width_of(timedelta(days=30), 400) == 2 * HOUR
    assert width_of(timedelta(days=30_000), 10) == WIDTHS[-1]
    assert all(HOUR % one == 0 or one % HOUR == 0 for one in WIDTHS), "else a roll-up falls between two points"

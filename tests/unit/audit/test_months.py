"""The months of the log: where they begin, what their partitions are called, how many there are ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tabsync.audit.database.months import first_of, part_name, written
from tabsync.audit.drift import months_ahead


@pytest.mark.parametrize(
    ("moment", "later", "first"),
    [
        (datetime(2026, 11, 29, 23, tzinfo=UTC), 0, "2026-11-01 00:00:00+00"),
        (datetime(2026, 11, 29, tzinfo=UTC), 3, "2027-02-01 00:00:00+00"),
        (datetime(2026, 1, 31, tzinfo=UTC), -1, "2025-12-01 00:00:00+00"),
        (datetime(2026, 12, 31, 22, tzinfo=timezone(timedelta(hours=-3))), 0, "2027-01-01 00:00:00+00"),
        (datetime(2024, 2, 29, tzinfo=UTC), 12, "2025-02-01 00:00:00+00"),
    ],
)
def test_months_are_those_of_utc(moment: datetime, later: int, first: str) -> None:
    assert written(first_of(moment, later)) == first


@pytest.mark.parametrize("log", ["audit_logs", "x" * 63, "é" * 31, "日" * 21])
def test_a_partitions_name_fits_and_tells_which_it_is(log: str) -> None:
    name = part_name(log, "2026_11")
    assert len(name.encode()) <= 63
    assert name.endswith("_2026_11")
    assert log.startswith(name.removesuffix("_2026_11"))


def part(since: int | None, until: int | None) -> dict[str, Any]:
    here = datetime(2026, 11, 1, tzinfo=UTC)
    return {
        "is_default": False,
        "since": None if since is None else first_of(here, since),
        "until": None if until is None else first_of(here, until),
    }


@pytest.mark.parametrize(
    ("parts", "ahead"),
    [
        ([], -1),
        ([{"is_default": True, "since": None, "until": None}], -1),
        ([part(None, 0)], -1),
        ([part(None, 1)], 0),
        ([part(None, 1), part(1, 2), part(2, 3)], 2),
        ([part(-2, 1), part(2, 3)], 0),  # a hole
        ([part(None, 7)], 6),
        ([part(0, None)], 1_200),
    ],
)
def test_months_ahead_are_counted_up_to_the_first_hole(parts: list[dict[str, Any]], ahead: int) -> None:
    assert months_ahead(parts, datetime(2026, 11, 29, 12, tzinfo=UTC)) == ahead

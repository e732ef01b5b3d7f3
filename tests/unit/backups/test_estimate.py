"""The speed of earlier restores, from what the ledger keeps of their steps."""

from __future__ import annotations

import pytest

from tabsync.backups.restore.estimate import Estimate, seconds_per_byte

STEPS = [
    {"key": "fetch", "seconds": 2.0, "facts": {"bytes": 1000}},
    {"key": "create", "seconds": 1.0, "facts": {}},
    {"key": "restore", "seconds": 6.0, "facts": {}},
    {"key": "verify", "seconds": 1.0, "facts": {}},
    {"key": "dump", "seconds": 99.0, "facts": {"bytes": 7}},
]


def test_only_the_steps_of_the_restore_count() -> None:
    assert seconds_per_byte(STEPS) == pytest.approx(0.01)


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [one for one in STEPS if one["key"] != "restore"],
        [one for one in STEPS if one["key"] != "fetch"],
        [{"key": "fetch", "seconds": 2.0, "facts": {"bytes": 0}}, STEPS[2]],
        [{"key": "fetch", "seconds": 2.0, "facts": None}, STEPS[2]],
    ],
)
def test_without_its_facts_a_run_tells_nothing(steps: list[dict[str, object]]) -> None:
    assert seconds_per_byte(steps) is None


def test_a_guess_is_never_shown() -> None:
    assert "the time is unknown" in str(Estimate(1 << 20, None))
    assert "about 2 min, at the speed of run x" in str(Estimate(1 << 20, 120.0, "x"))

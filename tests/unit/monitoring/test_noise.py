"""Thirty days of a restaurant: ten faults are told, and of nothing else more than once a week.

The whole, as often as the manual measures and with 20 seeds, is in the soak run: make soak PARTS=noise.
"""

from __future__ import annotations

from datetime import timedelta

from tests.unit.monitoring.noise import lived

SEED = 1


def test_ten_faults_are_told_and_next_to_nothing_else() -> None:
    month = lived(SEED, at_least=timedelta(minutes=2))
    print(f"seed {SEED}: {len(month.messages)} messages, {len(month.false)} false, {dict(month.begun)}")
    assert len(month.restaurant.faults) == 10
    assert month.missed == []
    assert month.worst_week() <= 1, month.false

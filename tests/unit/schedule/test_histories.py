"""Random histories against the naive model: each occurrence is in exactly one state, and both say which.

Whole, in chunks with a seed: make soak PARTS=histories.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from tests.unit.schedule.histories import History, histories
from tests.unit.schedule.lived import lived

EXAMPLES = 100


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories())
def test_a_history_is_judged_as_the_naive_model_judges_it(history: History) -> None:
    lived(history)

"""The verdict: only what was shown counts, and what is missing never counts as good."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.backups.drill.verdict import against, judge
from tabsync.kernel.step import Facts

GOOD: dict[str, Facts] = {
    "disaster": {"rpo_seconds": 60.0, "wal_bytes": 1024},
    "fetch": {"files": 3},
    "scratch": {"directory": "/x"},
    "restore": {"unproven": []},
    "answer": {"rto_seconds": 12.0},
    "round_trip": {"tables": 2, "bytes": 2048},
    "rows": {"total": 1234},
    "orphans": {"foreign_keys": 5},
}
PROOFS = [key for key in GOOD if key != "disaster"]


def judged(results: dict[str, Facts], rto: float = 3600, rpo: float = 900) -> Any:
    return judge(results, rto_target=rto, rpo_target=rpo)


def test_all_of_it_is_good() -> None:
    verdict = judged(GOOD)
    assert (verdict.ok, verdict.content) == (True, "identical")
    assert verdict.sentence == "PROVEN RESTORABLE: identical, 2 tables, 1,234 rows, 2.0 kB"
    assert json.loads(json.dumps(verdict.to_json()))["ok"] is True


@pytest.mark.parametrize("missing", PROOFS)
def test_a_step_that_is_missing_was_not_proven(missing: str) -> None:
    verdict = judged({key: facts for key, facts in GOOD.items() if key != missing})
    assert (verdict.ok, verdict.content) == (False, "not proven")
    assert verdict.sentence.startswith("NOT PROVEN")


@given(st.sets(st.sampled_from(sorted(GOOD))))
def test_absence_never_counts_as_good(present: set[str]) -> None:
    verdict = judged({key: GOOD[key] for key in present})
    assert verdict.ok == (present == set(GOOD))
    assert (verdict.content == "identical") == (present >= set(PROOFS))
    assert verdict.rto_met == ("answer" in present)
    assert verdict.rpo_met == ("disaster" in present)


def test_without_the_moment_of_the_disaster_the_rpo_is_missed() -> None:
    verdict = judged({key: facts for key, facts in GOOD.items() if key != "disaster"})
    assert (verdict.ok, verdict.rpo_met) == (False, False)
    assert verdict.sentence.endswith("BUT RPO MISSED")


def test_something_unproven_makes_it_partial_and_not_ok() -> None:
    results = deepcopy(GOOD)
    results["restore"]["unproven"] = ["extension postgis"]
    verdict = judged(results)
    assert (verdict.ok, verdict.content) == (False, "partial")
    assert verdict.sentence.startswith("PARTLY PROVEN")


@pytest.mark.parametrize(
    ("rto", "rpo", "missed"),
    [(12, 60, ""), (11.9, 60, "RTO"), (12, 59.9, "RPO"), (1, 1, "RTO AND RPO")],
)
def test_a_missed_target_is_said_and_is_not_ok(rto: float, rpo: float, missed: str) -> None:
    verdict = judged(GOOD, rto, rpo)
    assert verdict.ok == (not missed)
    assert (f"BUT {missed} MISSED" in verdict.sentence) == bool(missed)


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (None, "not reached, target 1 h: missed"),
        (12.0, "12 s, target 1 h: met"),
        (3600.0, "1 h, target 1 h: met"),
        (7200.0, "2 h, target 1 h: MISSED"),
    ],
)
def test_a_time_against_its_target(measured: float | None, words: str) -> None:
    assert against(measured, 3600) == words


def test_what_was_interrupted_was_not_missed() -> None:
    assert against(None, 3600, interrupted=True) == "interrupted: not measured"
    assert against(None, None, interrupted=True) == "interrupted: not measured"
    assert against(12.0, 3600, interrupted=True) == "12 s, target 1 h: met"  # that much was measured before

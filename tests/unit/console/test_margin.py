"""What stands in the manual's margin; what was not seen is unknown, never ok."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tabsync.console.base.margin import Beside, margin
from tabsync.console.base.watch import Seen
from tabsync.kernel.step import Facts
from tabsync.manual.load import read
from tabsync.manual.model import Manual
from tabsync.workspace import PROFILE_MANUAL

NOTHING = Seen(None, 0.0, 3.0, None)


@pytest.fixture(scope="module")
def manual() -> Manual:
    return read(PROFILE_MANUAL)[0]


def seen(**facts: Any) -> Seen:
    return Seen(facts, 1.0, None, None)


def test_nothing_seen_is_unknown_everywhere(manual: Manual) -> None:
    remarks = margin(manual, NOTHING, NOTHING, [])
    overdue = {key for key, one in remarks.items() if one.text == "overdue"}
    assert overdue == {"now-class-full", "now-class-critical-tables"}  # daily, and in stores of ours
    assert {one.level for key, one in remarks.items() if key not in overdue} == {"unknown"}
    assert {remarks[key].level for key in overdue} == {"warning"}
    assert remarks["now-class-pitr"] == Beside("unknown", "unknown", "kept by the provider: Supabase")
    assert remarks["now-metric-active-connections"].note == "no answer yet"
    expected = len(manual.metrics) + len(manual.key_tables) + len(manual.retention) + 2
    assert len(remarks) == expected


def test_a_database_that_is_down_says_why(manual: Manual) -> None:
    status = seen(database={"error": {"fact": "can't connect", "hint": ""}}, drill=None, readings=[])
    assert margin(manual, status, NOTHING, [])["now-metric-query-duration"] == Beside(
        "unknown", "unknown", "can't connect"
    )


def test_targets_beside_what_was_measured(manual: Manual) -> None:
    assert manual.targets is not None
    limit = manual.targets.rto.value.total_seconds()
    for measured, level in ((limit, "ok"), (limit + 1, "critical"), (None, "unknown")):
        remarks = margin(manual, seen(drill={"rto_seconds": measured, "rpo_seconds": 1.0}), NOTHING, [])
        assert remarks["now-target-rto"].level == level
        assert remarks["now-target-rpo"].level == "ok"


def test_a_table_that_cannot_be_read_is_critical(manual: Manual) -> None:
    checks = [{"name": "users", "ok": True, "seconds": 0.002, "error": ""}]
    checks += [{"name": "orders", "ok": False, "seconds": 0.001, "error": "permission denied"}]
    remarks = margin(manual, NOTHING, seen(checks=checks), [])
    assert remarks["now-table-users"] == Beside("ok", "read in 2 ms")
    assert remarks["now-table-orders"] == Beside("critical", "can't be read", "permission denied")
    assert remarks["now-table-payments"].level == "unknown"


_PROOF = {True: "identical", False: "not proven", None: None}


@pytest.mark.parametrize(
    ("age", "proven", "level"),
    [
        (timedelta(days=1), True, "ok"),
        (timedelta(days=1), None, "warning"),
        (timedelta(days=1), False, "warning"),
        (timedelta(days=8), True, "warning"),  # weekly, says the manual
    ],
)
def test_a_backup_counts_if_it_is_proven_and_not_overdue(
    manual: Manual, age: timedelta, proven: bool | None, level: str
) -> None:
    backup: Facts = {"kind": "full", "reason": "manual", "taken_at": "2026-11-22", "age_seconds": age.total_seconds()}
    remarks = margin(manual, NOTHING, NOTHING, [backup | {"proven": proven, "proof": _PROOF[proven]}])
    assert remarks["now-class-full"].level == level
    assert remarks["now-class-pre-migration"].level == "unknown"


def test_a_backup_counts_for_the_class_that_keeps_it(manual: Manual) -> None:
    backup: Facts = {"kind": "tables", "reason": "manual", "taken_at": "2026-11-22", "age_seconds": 3600.0}
    remarks = margin(manual, NOTHING, NOTHING, [backup | {"proven": True, "proof": "identical"}])
    assert remarks["now-class-critical-tables"].level == "ok"
    assert remarks["now-class-full"].text == "overdue"

"""What stands in the manual's margin; what was not seen is unknown, never ok."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tabsync.console.base.margin import Beside, late_classes, margin
from tabsync.console.base.watch import Seen
from tabsync.kernel.step import Facts
from tabsync.manual.load import read
from tabsync.manual.model import Manual
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.schedule.expected import Occurrence
from tabsync.schedule.items import items_of
from tabsync.schedule.judge import State, Verdict

NOTHING = Seen(None, 0.0, 3.0, None)


@pytest.fixture(scope="module")
def manual() -> Manual:
    return read(PROFILE_MANUAL)[0]


def seen(**facts: Any) -> Seen:
    return Seen(facts, 1.0, None, None)


def test_nothing_seen_is_unknown_everywhere(manual: Manual) -> None:
    remarks = margin(manual, NOTHING, NOTHING, [], {})
    assert {one.level for one in remarks.values()} == {"unknown"}
    assert remarks["now-class-pitr"] == Beside("unknown", "unknown", "kept by the provider: Supabase")
    assert remarks["now-metric-active-connections"].note == "no answer yet"
    expected = len(manual.metrics) + len(manual.key_tables) + len(manual.retention) + 2
    assert len(remarks) == expected


def test_a_database_that_is_down_says_why(manual: Manual) -> None:
    status = seen(database={"error": {"fact": "can't connect", "hint": ""}}, drill=None, readings=[])
    assert margin(manual, status, NOTHING, [], {})["now-metric-query-duration"] == Beside(
        "unknown", "unknown", "can't connect"
    )


def test_targets_beside_what_was_measured(manual: Manual) -> None:
    assert manual.targets is not None
    limit = manual.targets.rto.value.total_seconds()
    for measured, level in ((limit, "ok"), (limit + 1, "critical"), (None, "unknown")):
        remarks = margin(manual, seen(drill={"rto_seconds": measured, "rpo_seconds": 1.0}), NOTHING, [], {})
        assert remarks["now-target-rto"].level == level
        assert remarks["now-target-rpo"].level == "ok"


def test_a_table_that_cannot_be_read_is_critical(manual: Manual) -> None:
    checks = [{"name": "users", "ok": True, "seconds": 0.002, "error": ""}]
    checks += [{"name": "orders", "ok": False, "seconds": 0.001, "error": "permission denied"}]
    remarks = margin(manual, NOTHING, seen(checks=checks), [], {})
    assert remarks["now-table-users"] == Beside("ok", "read in 2 ms")
    assert remarks["now-table-orders"] == Beside("critical", "can't be read", "permission denied")
    assert remarks["now-table-payments"].level == "unknown"


_PROOF = {True: "identical", False: "not proven", None: None}


@pytest.mark.parametrize(
    ("proven", "late", "level"),
    [(True, "", "ok"), (None, "", "warning"), (False, "", "warning"), (True, "backup-take-full missed", "warning")],
)
def test_a_backup_counts_if_it_is_proven_and_not_overdue(
    manual: Manual, proven: bool | None, late: str, level: str
) -> None:
    backup: Facts = {"kind": "full", "reason": "manual", "taken_at": "2026-11-22", "age_seconds": 86_400.0}
    found = [backup | {"proven": proven, "proof": _PROOF[proven]}]
    remarks = margin(manual, NOTHING, NOTHING, found, {"full": late})
    assert remarks["now-class-full"].level == level
    assert ("overdue" in remarks["now-class-full"].text) is bool(late)
    assert remarks["now-class-pre-migration"].level == "unknown"


def test_a_backup_counts_for_the_class_that_keeps_it(manual: Manual) -> None:
    backup: Facts = {"kind": "tables", "reason": "manual", "taken_at": "2026-11-22", "age_seconds": 3600.0}
    found = [backup | {"proven": True, "proof": "identical"}]
    remarks = margin(manual, NOTHING, NOTHING, found, {"full": "backup-take-full missed"})
    assert remarks["now-class-critical-tables"].level == "ok"
    assert (remarks["now-class-full"].text, remarks["now-class-full"].level) == ("overdue", "warning")


def test_a_class_is_overdue_when_the_item_that_feeds_it_is(manual: Manual) -> None:
    moment = datetime(2026, 11, 22, 3, tzinfo=UTC)
    items = {one.name: one for one in items_of(manual)}
    names = ("backup-take-full", "backup-take-tables-users-orders-payments", "health")
    found = [Verdict(Occurrence(items[name], moment, moment), State.MISSED) for name in names]
    assert late_classes(found, manual.retention) == {
        "full": "backup-take-full missed",
        "critical-tables": "backup-take-tables-users-orders-payments missed",
    }

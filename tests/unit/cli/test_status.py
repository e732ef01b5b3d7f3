"""The exit code of the page at 3 in the morning."""

from __future__ import annotations

import pytest

from tabsync.monitoring.shown import exit_code


@pytest.mark.parametrize(
    ("reachable", "level", "code"),
    [
        (True, "ok", 0),
        (True, "warning", 1),
        (True, "critical", 1),
        (True, "unknown", 6),
        (False, "critical", 3),
        (False, "unknown", 3),
        (True, "a level that nobody knows yet", 1),
    ],
)
def test_each_verdict_has_its_exit_code(reachable: bool, level: str, code: int) -> None:
    assert exit_code({"database": {"reachable": reachable}, "verdict": {"level": level}}) == code

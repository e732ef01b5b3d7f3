"""The line that says what went wrong, out of what a program wrote."""

from __future__ import annotations

import pytest

from tabsync.system.programs import Finished


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ((), "exit code 1"),
        (("", "  "), "exit code 1"),
        (
            ("pg_dump: reading schemas", "pg_dump: error: query failed", "pg_dump: detail: x"),
            "pg_dump: error: query failed",
        ),
        (("initdb: creating", "FATAL:  no space", "later error: y"), "FATAL:  no space"),
        (("  something odd  ", "more"), "something odd"),
    ],
)
def test_the_first_error_or_else_the_first_line(lines: tuple[str, ...], complaint: str) -> None:
    assert Finished(1, "", lines).complaint() == complaint

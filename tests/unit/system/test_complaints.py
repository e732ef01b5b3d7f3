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
            "pg_dump: error: query failed: x",
        ),
        (
            (
                'pg_dump: error: Dumping the contents of table "docs" failed: PQgetResult() failed.',
                "pg_dump: detail: Error message from server: ERROR:  invalid page in block 20 of relation base/5/16385",
                "pg_dump: detail: Command was: COPY public.docs (id, body) TO stdout;",
                "pg_dump: error: a worker process died unexpectedly",
                "pg_dump: detail: of another error",
            ),
            'pg_dump: error: Dumping the contents of table "docs" failed: PQgetResult() failed.:'
            " ERROR:  invalid page in block 20 of relation base/5/16385",
        ),
        (
            (
                "pg_restore: error: could not execute query: FEHLER:  ungültig",
                "DETAIL:  Schlüssel (p)=(2)",
                "TIP:  etwas",
                "KONTEXT:  irgendwo",
                "Command was: ALTER TABLE t",
                "pg_restore: warning: errors ignored on restore: 1",
                "DETAIL:  of nothing",
            ),
            "pg_restore: error: could not execute query: FEHLER:  ungültig: Schlüssel (p)=(2); etwas; irgendwo",
        ),
        (("initdb: creating", "FATAL:  no space", "later error: y"), "FATAL:  no space"),
        (("  something odd  ", "more"), "something odd"),
    ],
)
def test_the_first_error_with_its_details_or_else_the_first_line(lines: tuple[str, ...], complaint: str) -> None:
    assert Finished(1, "", lines).complaint() == complaint

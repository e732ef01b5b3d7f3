"""Errors of pg_restore's workers: none is overlooked where two wrote into one line, and none is invented."""

from __future__ import annotations

import pytest

from tabsync.copies.restores.pg_restore import failures_in, has_unread

HARMLESS = 'could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"'
REAL = 'could not execute query: ERROR:  relation "a" does not exist'
KIND = "pg_restore: error: "


@pytest.mark.parametrize(
    ("lines", "unread"),
    [
        ([KIND + HARMLESS, KIND + HARMLESS], False),
        (["pg_restore:pg_restore:  error: error: " + HARMLESS, HARMLESS], False),
        (["pg_restore:pg_restore:  error: " + HARMLESS, "error: " + HARMLESS], False),
        ([KIND + KIND + HARMLESS, HARMLESS], False),
        ([KIND + KIND + HARMLESS, REAL], True),
        ([KIND + KIND + REAL, HARMLESS], False),
        (["pg_restore:pg_restore:  error: error: " + HARMLESS, REAL], True),
        (["pg_restore:pg_restore:  error: " + REAL, "error: " + HARMLESS], True),
        (['pg_restore:  error: processing data for table "public.own"', REAL], True),
        ([KIND + REAL, KIND + "could not execute query: ERROR:  error: of a function"], False),
    ],
)
def test_no_error_is_overlooked_and_none_invented(lines: list[str], unread: bool) -> None:
    assert has_unread(lines, len(failures_in(lines, []))) is unread

"""What one asks of the audit log: times as people write them, and nothing that was given empty."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tabsync.backups.procedures.rows import Rows
from tabsync.backups.restore.rows.asked import asked_of
from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage


def test_times_as_people_write_them() -> None:
    here = now().astimezone()
    assert datetime.fromisoformat(asked_of("0:00").as_of) == here.replace(hour=0, minute=0, second=0, microsecond=0)
    assert datetime.fromisoformat(asked_of("2026-01-02 14:30").as_of).minute == 30
    ago = here - datetime.fromisoformat(asked_of("1 hour ago").as_of)
    assert timedelta(minutes=59) < ago < timedelta(hours=2)
    for text in ("2999-01-01", "soon", "25:00", "1:60"):
        with pytest.raises(BadUsage):
            asked_of(text)


@pytest.mark.parametrize("empty", ["", "  "])
@pytest.mark.parametrize(
    "name", ["table", "where", "source", "as_of", "transaction", "by", "secrets_from", "expect", "undo"]
)
def test_what_is_given_empty_is_refused(name: str, empty: str) -> None:
    fine = Rows(table="users", where="true")
    fine.check()
    given: dict[str, Any] = {name: empty}
    with pytest.raises(BadUsage, match="is empty"):
        replace(fine, **given).check()


def test_a_number_that_no_transaction_has() -> None:
    assert asked_of(transaction="18446744073709551615").transaction
    for text in ("18446744073709551616", "99999999999999999999", "0", "-1", "1.5", "١"):
        with pytest.raises(BadUsage, match="no transaction"):
            asked_of(transaction=text)

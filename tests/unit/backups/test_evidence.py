"""Which evidence shows that a scheduled command was done: of its kind, of its class, in all stores of the class."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tabsync.backups.procedures.evidence import take_fits
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual, RetentionClass


def row(name: str, frequency: str, line: int) -> RetentionClass:
    return RetentionClass(
        name=name, what="All", frequency=frequency, retention=timedelta(days=30), stores=("Local", "Azure"), line=line
    )


MANUAL = Manual(retention=(row("full", "Daily", 1), row("pre-migration", "Before each migration", 2)))


@pytest.mark.parametrize(
    ("words", "facts", "why"),
    [
        ("backup take full", {"kind": "full", "reason": "manual"}, ""),
        ("backup take", {"kind": "full"}, ""),
        ("backup take full", {"kind": "schema"}, "it is of kind schema"),
        ("backup take --reason x schema", {"kind": "schema"}, ""),
        ("backup take --reason full schema", {"kind": "full"}, "it is of kind full"),
        ("backup take tables --exclude-unreadable a", {"kind": "tables"}, ""),
        ("backup take physical", {"reason": "manual"}, ""),
        ("backup take full", {"kind": "full", "reason": "pre-migration"}, "it is of class pre-migration"),
        (
            "backup take full --reason pre-migration",
            {"kind": "full", "reason": "manual"},
            "it was taken for another reason, manual",
        ),
        ("backup take full --reason=pre-migration", {"kind": "full", "reason": "pre-migration"}, ""),
        (
            "backup take full --reason other",
            {"kind": "full", "reason": "manual"},
            "it was taken for another reason, manual",
        ),
        ("backup take full", {"kind": "full", "lacks": ["az://b"]}, "it is not in az://b"),
        ("backup take full", {"kind": "full", "lacks": []}, ""),
    ],
)
def test_a_backup_shows_what_it_is(words: str, facts: Facts, why: str) -> None:
    assert take_fits(words.split(), facts, MANUAL) == why

"""What is read of a tool's files, without a database."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from tabsync.migrations.histories.history import File, Migration, State, with_files
from tabsync.migrations.tools.flyway import checksum


@pytest.mark.parametrize("content", [b"select 1;\nselect 2;", b"\xef\xbb\xbfselect 1;\r\nselect 2;\r\n"])
def test_a_checksum_is_that_of_the_lines_without_their_ends(content: bytes) -> None:
    assert checksum(content) & 0xFFFFFFFF == zlib.crc32(b"select 1;select 2;")
    assert -(1 << 31) <= checksum(content) < 1 << 31


def test_an_entry_that_was_rolled_back_is_not_applied_and_no_reason_to_worry() -> None:
    noted = [Migration("1", State.APPLIED), Migration("2", State.ROLLED_BACK)]
    found = with_files(noted, [File("1", (1,)), File("2", (2,)), File("3", (3,))], lambda name: (int(name),))
    assert [(one.name, one.state, one.wrong) for one in found] == [
        ("1", State.APPLIED, False),
        ("2", State.ROLLED_BACK, False),
        ("3", State.PENDING, False),
    ]


def test_versions_are_compared_as_numbers(tmp_path: Path) -> None:
    from tabsync.migrations.tools.flyway import files

    for name in ("V2__a.sql", "V10__b.sql", "V1_5__c.sql", "readme.sql"):
        (tmp_path / name).write_text("")
    ordered = sorted(files(tmp_path), key=lambda one: one.order)
    assert [one.name for one in ordered] == ["V1_5__c.sql", "V2__a.sql", "V10__b.sql"]

"""What a manual's command would be if it were typed; asking prints nothing and does nothing."""

from __future__ import annotations

import pytest

from tabsync.cli.usage import asked_by, cant_start, feeds, meaning, wrong_usage


@pytest.mark.parametrize(
    "words", ["health --help", "drill -h", "backup take --help", "nothing --help", "completion --help"]
)
def test_nothing_is_printed_and_nothing_ends(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    for ask in (wrong_usage, meaning, cant_start, lambda given: feeds(given, ())):
        ask(words.split())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("words", ["backup take", "backup take nonsense", "backup take full --x", "drill --backup"])
def test_what_is_wrong_is_told_once_and_not_raised(words: str) -> None:
    assert wrong_usage(words.split())
    assert asked_by(words.split())
    assert feeds(words.split(), ()) == ""


def test_a_placeholder_stands_for_a_number_too() -> None:
    assert wrong_usage(["connections", "terminate", "<pid>"]) == ""
    assert "pid" in wrong_usage(["connections", "terminate", "pid"])
    assert wrong_usage(["connections", "terminate", "<pid>", "--limit", "<many>", "--nothing"])


@pytest.mark.parametrize(
    "words", ["connections terminate 7 99999999999", "queries cancel 99999999999", "queries explain 99999999999"]
)
def test_a_number_that_no_process_has_is_told_before_the_server_is_asked(words: str) -> None:
    assert "not in the range x<=2147483647" in wrong_usage(words.split())


def test_a_limit_that_no_role_can_have() -> None:
    assert "not in the range" in wrong_usage(["connections", "limit", "app", "99999999999"])
    assert not wrong_usage(["connections", "limit", "app", "2147483647"])


def test_bytes_that_are_no_text_are_told_in_one_line() -> None:
    latin = b"caf\xe9".decode("utf-8", "surrogateescape")
    for words in (["connections", "limit", latin, "5"], ["health", "--database", latin]):
        assert "not text in UTF-8" in wrong_usage(words)

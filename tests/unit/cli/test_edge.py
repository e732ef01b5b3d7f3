"""The edge: every error that a user can cause becomes words and its exit code, once."""

from __future__ import annotations

import io
import json

import click
import psycopg
import pytest
import sqlalchemy.exc

from tabsync.cli.edge import exit_code_of
from tabsync.cli.paper import Paper
from tabsync.kernel.errors import (
    BadUsage,
    CannotConnect,
    Exit,
    FailedPartway,
    NotAllowed,
    ProblemFound,
    Refused,
    TabsyncError,
)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tabsync", "health"])
    monkeypatch.setenv("NO_COLOR", "1")


def test_an_argument_that_is_no_text_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed")
    monkeypatch.setattr("sys.argv", ["tabsync", "run", "show", "\udce9"])
    assert exit_code_of(broken) == Exit.USAGE
    assert "an argument is not text in UTF-8" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["tabsync", "health"])
    with pytest.raises(UnicodeEncodeError):
        exit_code_of(broken)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ProblemFound, 1),
        (BadUsage, 2),
        (CannotConnect, 3),
        (NotAllowed, 3),
        (Refused, 4),
        (FailedPartway, 5),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    kind: type[TabsyncError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(kind("the [bold]door[/] is locked", "find the key")) == code
    told = capsys.readouterr()
    assert told.err == "error: the [bold]door[/] is locked\nhint: find the key\n"
    assert told.out == ""


def test_every_subclass_is_covered() -> None:
    assert {kind.exit_code for kind in TabsyncError.__subclasses__()} == set(Exit) - {Exit.DONE, Exit.UNKNOWN}


def test_without_a_hint_there_is_no_second_line(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code_of(Refused("no"))
    assert capsys.readouterr().err == "error: no\n"


def test_a_long_fact_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code_of(Refused("word " * 100))
    assert capsys.readouterr().err.count("\n") == 1


def test_a_machine_gets_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["tabsync", "health", "--json"])
    assert exit_code_of(CannotConnect("nobody there", "knock")) == 3
    told = json.loads(capsys.readouterr().out)
    assert told == {"version": 1, "error": {"fact": "nobody there", "hint": "knock", "exit_code": 3}}


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (psycopg.errors.InsufficientPrivilege("permission denied for table x\nmore"), 3, "permission denied"),
        (psycopg.errors.QueryCanceled("canceling statement due to statement timeout"), 3, "timeout: "),
        (psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"), 3, "timeout: "),
        (psycopg.OperationalError("server closed the connection unexpectedly\n\tThis"), 3, "connection was lost"),
        (psycopg.errors.AdminShutdown("terminating connection"), 3, "connection was lost"),
        (psycopg.errors.AmbiguousFunction("function array_agg(name) is not unique"), 5, "rejected a statement"),
        (psycopg.NotSupportedError("can't parse timestamp with DateStyle 'German'"), 5, "rejected a statement"),
        (PermissionError(13, "Permission denied", "home/ledger.sqlite"), 5, "home/ledger.sqlite: Permission denied"),
        (sqlalchemy.exc.OperationalError("select", {}, Exception("disk is full")), 5, "disk is full"),
        (sqlalchemy.exc.DatabaseError("select", {}, Exception("malformed image")), 5, "malformed image"),
    ],
)
def test_errors_of_the_drivers(error: Exception, code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(error) == code
    told = capsys.readouterr().err
    assert words in told
    assert "hint: " in told
    assert told.count("\n") == 2


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("ours")])
def test_a_mistake_of_ours_is_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        exit_code_of(error)


def test_a_question_that_is_left_is_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(click.Abort()) == 4
    assert capsys.readouterr().err == "error: the question was not answered; nothing was changed\n"


def test_a_command_in_a_sentence_is_not_broken() -> None:
    shown = io.StringIO()
    paper = Paper(file=shown, width=30)
    paper.print("Not proven yet; to prove it: tabsync drill --backup 20261123T021530Z-c10a", markup=False)
    paper.print("A sentence that holds none is broken where a word ends")
    first, *rest = shown.getvalue().splitlines()
    assert first.endswith("tabsync drill --backup 20261123T021530Z-c10a")
    assert [len(line) <= 30 for line in rest] == [True, True]

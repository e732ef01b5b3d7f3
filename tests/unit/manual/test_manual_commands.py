"""What of a manual is built: its commands against a command tree, and the two commands of the chapter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tabsync.cli.tree import program
from tabsync.cli.usage import wrong_usage
from tabsync.procedures import is_built

GOOD = Path(__file__).with_name("good.md").read_text(encoding="utf-8")


def manual(*words: str) -> Result:
    return CliRunner().invoke(program(), ["manual", *words])


@pytest.mark.parametrize(
    ("line", "built"),
    [
        ("health", True),
        ("health --json", True),
        ("health monthly", False),
        ("backup", False),
        ("backup show latest", True),
        ("backup forget", False),
        ("drill", True),
        ("drill --backup latest", True),
        ("drill monthly", True),
        ("drill nightly", False),
        ("", False),
        ("--help", False),
        ("orders refund", False),
    ],
)
def test_what_is_built(line: str, built: bool) -> None:
    assert is_built(line.split()) is built


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("run list --limit 3", ""),
        ("run list --lines 3", "no such option"),
        ("backup hold", "missing argument 'backup'"),
        ("backup show latest first", "unexpected extra argument (first)"),
        ("run list --limit", "requires an argument"),
        ("drill --backup latest", ""),
        ("orders refund --whatever", ""),
    ],
)
def test_options_and_arguments_of_what_is_built(line: str, wrong: str) -> None:
    told = wrong_usage(line.split())
    assert wrong in told
    assert bool(wrong) == bool(told)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "manual.md"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_check_counts_what_is_not_built(file: Path) -> None:
    result = manual("check", str(file))
    assert result.exit_code == 0
    assert "manual.md: no problems; 3 procedures, 1 not built yet:" in result.output
    assert "tabsync kitchen close" in result.output


def test_check_names_file_and_line_and_ends_with_one(file: Path) -> None:
    file.write_text(GOOD.replace("90 days", "90 dyas").replace("Every: 15 s", "Every: often"), encoding="utf-8")
    result = manual("check", str(file))
    assert result.exit_code == 1
    wrong = [
        number for number, line in enumerate(file.read_text().splitlines(), 1) if "dyas" in line or "often" in line
    ]
    assert [f"{file}:{number}:" in result.output for number in wrong] == [True, True]
    assert "manual.md: 2 problems" in result.output


def test_check_as_json(file: Path) -> None:
    result = manual("check", str(file), "--json")
    found = json.loads(result.output)
    assert (found["version"], found["problems"], found["procedures"]) == (1, [], 3)
    assert [one["command"] for one in found["not_built"]] == ["kitchen close"]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (None, "key-tables"),
        ("targets", "RTO"),
        ("retention", "90 d"),
        ("hierarchy", "INTERN"),
        ("permissions", "Sell"),
        ("metrics", "sessions"),
        ("thresholds", "> 80 %"),
        ("key-tables", "what was sold"),
        ("Key Tables", "what was sold"),
        ("runbooks", "Too many sessions"),
        ("too many sessions", "tabsync kitchen close  (not built yet)"),
        ("too many sessions", "5. Tell the people"),
        ("contacts", "dba@example.com"),
        ("checklists", "[ ] Sleep"),
        ("schedule", "tabsync health"),
        ("schedule", "daily"),
        ("enum-labels", "Label"),
    ],
)
def test_show(file: Path, section: str | None, words: str) -> None:
    arguments = ["show", section or "", str(file)] if section else ["show"]
    if section is None:
        arguments = ["show", "targets", str(file), "--json"]
        assert json.loads(manual(*arguments).output)["version"] == 1
        return
    result = manual(*arguments)
    assert result.exit_code == 0, result.output
    assert words in result.output
    assert max(len(line) for line in result.output.splitlines()) <= 100


def test_show_of_something_else_says_what_there_is(file: Path) -> None:
    result = manual("show", "weather", str(file))
    assert "no section and no runbook 'weather'" in str(result.exception)


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    result = manual("check", str(tmp_path / "nothing.md"))
    assert getattr(result.exception, "exit_code", None) == 2

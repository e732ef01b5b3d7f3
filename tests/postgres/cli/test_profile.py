"""A profile that another package brings: its commands, its settings, its manual; and what is told about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabsync.workspace import PLAIN_MANUAL
from tests.postgres.cli.program import Done, tabsync

_MODULE = """
from pathlib import Path

from tabsync.kernel.page import Page
from tabsync.kernel.procedure import Group, Procedure
from tabsync.kernel.profile import Profile, ProfileSetting


def look(workspace, _request):
    page = Page("trains late", {"line": workspace.profile_settings["line"]})
    page.line(f"The {workspace.profile_settings['line']} line is late.")
    return page


PROFILE = Profile(
    name="trains",
    summary="Trains.",
    manual=Path(__file__).with_name("trains.md"),
    groups=(Group("trains", "Trains of this company.", "tabsync trains late"), Group("backup", "Take the place.")),
    procedures=(
        Procedure(words="trains late", summary="List what is late.", example="tabsync trains late", read="trains:look",
                  takes="json"),
        Procedure(words="status", summary="Take the place of ours.", example="tabsync status", read="trains:look"),
        Procedure(words="backup steal", summary="Take the place of ours.", example="tabsync", read="trains:look"),
    ),
    settings=(ProfileSetting("line", "which line", default="green"),),
    game_days=("trains:nothing_of_the_kind",),
)
"""


@pytest.fixture
def trains(directory: Path) -> Path:
    """A directory with an installed package that brings a profile, and a tabsync.toml that names it."""
    packages = directory / "packages"
    about = packages / "trains-1.dist-info"
    about.mkdir(parents=True)
    (packages / "trains.py").write_text(_MODULE)
    (packages / "trains.md").write_text("# The manual of the trains\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: trains\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[tabsync.profiles]\ntrains = trains:PROFILE\nbroken = trains:look\n"
        "ends = ends:PROFILE\nother = trains:PROFILE\n"
    )
    (packages / "ends.py").write_text("import sys\nprint('hello')\nsys.exit(0)\n")
    return directory


def _run(directory: Path, config: str, *words: str) -> Done:
    (directory / "tabsync.toml").write_text(f'database = "dbname=nowhere"\n{config}')
    return tabsync(directory, *words, PYTHONPATH=str(directory / "packages"))


def test_its_commands_are_there_where_it_is_named_and_nowhere_else(trains: Path) -> None:
    done = _run(trains, 'profile = "trains"\n', "trains", "late")
    assert (done.code, done.out) == (0, "The green line is late.\n")
    assert "Trains of this company." in _run(trains, 'profile = "trains"\n', "--help").out
    assert "Take the place" not in _run(trains, 'profile = "trains"\n', "--help").out
    assert _run(trains, 'profile = "trains"\n', "backup", "steal").code == 2
    nowhere = _run(trains, "", "trains", "late")
    assert nowhere.code == 2
    assert "trains" in nowhere.err


def test_its_table_has_its_settings_and_no_others(trains: Path) -> None:
    done = _run(trains, 'profile = "trains"\n[trains]\nline = "blue"\n', "trains", "late", "--json")
    assert done.json["line"] == "blue"
    shown = _run(trains, 'profile = "trains"\n[trains]\nline = "blue"\n', "config", "show", "--json")
    assert {"name": "trains.line", "value": "blue", "from": "tabsync.toml, line 4", "help": "which line"} in shown.json[
        "settings"
    ]
    secret = _run(trains, 'profile = "trains"\n[trains]\nline = "https://me:canary@x/y"\n', "config", "show")
    assert "canary" not in secret.out
    wrong = _run(trains, 'profile = "trains"\n[trains]\nlines = "blue"\n', "trains", "late")
    assert (wrong.code, "did you mean trains.line?" in wrong.err) == (2, True)
    assert _run(trains, '[trains]\nline = "blue"\n', "config", "show").code == 2


def test_its_manual_is_carried_out_where_none_is_named(trains: Path) -> None:
    done = _run(trains, 'profile = "trains"\n', "manual", "check")
    assert "trains.md:1: there is no section" in done.out + done.err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("buses", "there is no profile 'buses'"),
        ("broken", "trains:look is no profile"),
        ("ends", "the profile 'ends' can't be loaded: SystemExit: 0"),
        ("other", "trains:PROFILE is no profile"),
    ],
)
def test_a_wrong_one_is_told(trains: Path, name: str, told: str) -> None:
    done = _run(trains, f'profile = "{name}"\n', "status")
    assert (done.code, f"error: {told}" in done.err) == (2, True), done.err
    assert "hint: " in done.err
    assert done.out == ""
    asked = _run(trains, f'profile = "{name}"\n', "trains", "late")
    assert (asked.code, f"note: {told}" in asked.err) == (2, True), asked.err


def test_a_schedule_carries_its_commands_out(trains: Path) -> None:
    """A run of the schedule is a process of its own, which knows them too."""
    daily = "### Daily, 09:00 UTC\n\n"
    manual = PLAIN_MANUAL.read_text().replace(daily, f"{daily}- Trains: `tabsync trains late`\n", 1)
    (trains / "manual.md").write_text(manual)
    done = _run(trains, 'profile = "trains"\nmanual = "manual.md"\n', "schedule", "run", "trains-late", "--json")
    assert done.code == 0, done.out + done.err


def test_a_game_day_that_is_not_there_is_told(trains: Path) -> None:
    done = _run(trains, 'profile = "trains"\n', "gameday", "list")
    assert (done.code, "the game day trains:nothing_of_the_kind can't be loaded" in done.err) == (2, True)


def test_tabsyncs_own_is_one_too(directory: Path) -> None:
    shown = _run(directory, 'profile = "tabsync"\n', "config", "show", "--json")
    assert shown.code == 0
    assert [one["value"] for one in shown.json["settings"] if one["name"] == "profile"] == ["tabsync"]

"""The game day failed-migration: where it takes place, and what is kept of it. `make gamedays` plays it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tabsync.gamedays.failed_migration import GAME_DAY, RESTORED, UNDONE
from tabsync.gamedays.ground import ground
from tabsync.gamedays.run import KIND, look_list, play
from tabsync.kernel.errors import Refused
from tabsync.ledger.evidence import NO_DATABASE, add_evidence
from tabsync.migrations.histories.script import statements
from tabsync.workspace import Workspace


def test_it_is_not_played_on_a_copy(workspaces: Callable[..., Workspace], directory: Path) -> None:
    """All of its parts need a server of their own: with none played, nothing is passed."""
    with pytest.raises(Refused, match="failed-migration needs a server of its own"):
        play(workspaces(""), GAME_DAY, print, real_time=False, place=directory, copy="host=/nowhere")


def test_each_game_day_has_what_came_of_itself(workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces("")
    for name, ok in (("failed-migration", False), ("connections", True)):
        add_evidence(workspace.ledger(), KIND, NO_DATABASE, ok=ok, facts={"game_day": name})
    last = {one["name"]: one["last"]["ok"] for one in look_list(workspace).data["game_days"] if one["last"]}
    assert last == {"connections": True, "failed-migration": False}


def test_the_fourth_of_six_statements_fails() -> None:
    assert [len(statements(one.text("select 1 / 0"))) for one in (UNDONE, RESTORED)] == [6, 6]
    assert "1 / 0" in statements(UNDONE.text("select 1 / 0"))[3].text


def test_nobody_watches_its_ground(directory: Path) -> None:
    """No collector is started, and tabsync acts as the owner of the server."""
    with ground(directory / "gamedays", str, lambda _: None, watched=False) as there:
        assert "notify" not in there.config.read_text()
        ran = there.command("health", "--json")
        assert ran.returncode == 0, ran.stderr
    assert list((directory / "gamedays").iterdir()) == []

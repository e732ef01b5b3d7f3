"""tabsync gameday run: a condition is brought about on a server of its own, and the runbook is timed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.request import Nothing
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Run:
    """What one may ask of gameday run."""

    name: Annotated[str, Argument("The game day, from: tabsync gameday list")]
    real_time: Annotated[bool, Option("With the times of the manual: it takes a quarter of an hour.")] = False
    copy: Annotated[
        str,
        Option(
            "Not on a server of its own, but on this copy: the demo's, or one that carries the mark of game days.",
            ("--database",),
            metavar="CONNINFO",
            secret=True,
            of="host",
        ),
    ] = ""


def run_command(terminal: Terminal, request: Run) -> int:
    """Play a game day."""
    from tabsync.gamedays.run import game_day_named, play

    one = game_day_named(request.name)
    workspace = _workspace(terminal)
    place = workspace.home / "gamedays"

    def say(text: str) -> None:
        if not terminal.json:
            terminal.note(text, "game day")

    page = play(workspace, one, say, real_time=request.real_time, place=place, copy=request.copy)
    terminal.page(page)
    return int(page.exit_code)


def list_command(terminal: Terminal, _request: Nothing) -> int:
    """The game days, and what came of them."""
    from tabsync.gamedays.run import look_list

    terminal.page(look_list(_workspace(terminal)))
    return 0


def _workspace(terminal: Terminal) -> Workspace:
    """The workspace whose ledger keeps what came of a game day; without a tabsync.toml, one in this directory."""
    from pathlib import Path

    from tabsync.system.config import config_path
    from tabsync.workspace import PLAIN_MANUAL, Workspace

    if terminal.config or config_path(None):
        return terminal.workspace()
    home = Path(".tabsync").resolve()
    return Workspace(home, "", home / "store", PLAIN_MANUAL, f"sqlite:///{home / 'ledger.sqlite'}")

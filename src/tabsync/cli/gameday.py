"""tabsync gameday run: a condition is brought about on a server of its own, and the runbook is timed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Run:
    """What one may ask of gameday run."""

    name: Annotated[str, Argument("The game day, from: tabsync gameday list")]
    real_time: Annotated[bool, Option("With the times of the manual: it takes a quarter of an hour.")] = False


def run_command(terminal: Terminal, request: Run) -> int:
    """Play a game day."""
    from tabsync.gamedays.run import game_day_named, play

    one = game_day_named(request.name)
    workspace = terminal.workspace()
    place = workspace.home / "gamedays"

    def say(text: str) -> None:
        if not terminal.json:
            terminal.note(text, "game day")

    page = play(workspace, one, say, real_time=request.real_time, place=place)
    terminal.page(page)
    return int(page.exit_code)

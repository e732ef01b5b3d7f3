"""tabsync init."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Init:
    """What one may ask of init."""

    url: Annotated[
        str, Argument("Connection string: URL, 'service=NAME' or keywords; not needed if PG* variables are set.")
    ] = ""
    directory: Annotated[Path, Option("Where to write the two files.")] = Path()


def init_command(terminal: Terminal, request: Init) -> None:
    """Plan the two files, and write them; their ledger is the one of the directory that they are written into."""
    from tabsync.init.plan import plan_init
    from tabsync.kernel.page import Page
    from tabsync.sessions.watch import prospects
    from tabsync.workspace import Workspace

    base = request.directory.resolve()
    plan = plan_init(request.url, base)
    if terminal.dry_run:
        terminal.plan(plan)
        return
    home = base / ".tabsync"
    found = Workspace(home, request.url, base / "backups", base / "manual.md", f"sqlite:///{home / 'ledger.sqlite'}")
    outcome = terminal.run(found, plan)
    outcome.raise_if_failed()
    _put_in_force(found)
    page = Page("init", {"run": outcome.run_id, "files": list(outcome.results.values())})
    page.line(f"{plan.title}: done.")
    page.line(
        "Next: read manual.md, which is now your policy; then run: tabsync manual check, tabsync health, tabsync drill"
    )
    page.line("To keep its Schedule, beginning with a backup at once: tabsync serve", whole=True)
    if told := prospects(found):
        page.line(f"When all connections are in use: {told['told']}.", whole=True)
    terminal.page(page)


def _put_in_force(workspace: Workspace) -> None:
    """What the manual's schedule expects is expected from now on, whether anybody keeps it or not."""
    from tabsync.manual.load import read
    from tabsync.schedule.record import ask_subject, put_in_force

    manual, _ = read(workspace.manual_path)
    put_in_force(workspace.ledger(), manual, ask_subject(workspace))

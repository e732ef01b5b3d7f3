"""The terminal that a command talks through: results to stdout, remarks and progress to stderr, JSON for programs."""

from __future__ import annotations

import json as json_module
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from tabsync.kernel.page import Page, Part, Table
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Procedure
    from tabsync.kernel.runner import Listener, Outcome
    from tabsync.workspace import Workspace

_STYLES = {"good": "green", "warning": "yellow", "bad": "red", "strong": "bold", "quiet": "dim", "": "default"}


@dataclass(slots=True)
class Terminal:
    """What a command line asked for besides the request itself, and where to print."""

    procedure: Procedure
    config: Path | None = None
    database: str | None = None
    store: str | None = None
    dry_run: bool = False
    yes: bool = False
    unrecorded: str | None = None
    json: bool = False

    def workspace(self) -> Workspace:
        """The workspace; what dead processes left is deleted and their runs are marked interrupted."""
        from tabsync.cli.leftovers import delete_leftovers
        from tabsync.workspace import find

        found = find(self.config, database=self.database, store=self.store)
        delete_leftovers(found)
        return replace(found, unrecorded=self.unrecorded or "")

    def run(self, workspace: Workspace, plan: Plan, listener: Listener | None = None) -> Outcome:
        """Have a plan approved where it is destructive, and run it. listener: who shows it."""
        from tabsync.kernel.runner import run

        approval = self.approved(plan)  # before the journal: what isn't approved leaves no trace, not even a directory
        return run(plan, workspace, workspace.journal(), listener or self.listener(), approval=approval)

    def approved(self, plan: Plan) -> str:
        """How a plan was approved: a destructive one by --yes or by its words, typed. Raises Refused when it wasn't."""
        from tabsync.kernel.plan import check_approval

        asked = plan.risk.value == "destructive" and not self.yes
        approval = check_approval(plan, typed=_ask_to_confirm(plan) if asked else None, yes=self.yes)
        return os.environ.get("TABSYNC_APPROVAL", approval) if approval == "--yes" else approval

    def listener(self) -> Listener:
        """Who shows a run's progress: a live display on a terminal, plain lines otherwise, nobody with --json."""
        from tabsync.cli.progress import Lines, Live
        from tabsync.kernel.runner import Quiet

        if self.json:
            return Quiet()
        return Live() if sys.stderr.isatty() else Lines()

    def plan(self, plan: Plan) -> None:
        """Print a plan, as --dry-run does."""
        from tabsync.kernel.page import page_of_plan

        self.page(page_of_plan(plan))

    def page(self, page: Page) -> None:
        """Print a page, or with --json its document."""
        from tabsync.kernel.page import Line, Note

        if self.json:
            print_json(page.to_json())
            return
        out = paper()
        for block in page.blocks:
            if isinstance(block, Line):
                # Only where it is so: a line with a command in it is left whole by the paper itself.
                out.print(_text(block.parts), **({"soft_wrap": True} if block.whole else {}))  # type: ignore[arg-type]
            elif isinstance(block, Note):
                self.note(block.text, block.word)
            else:
                out.print(_table(block))

    def note(self, text: str, word: str = "note") -> None:
        """A remark to the person, on stderr, out of the way of results. word: "hint", of what to do about one."""
        from tabsync.kernel.plain import plain

        click.echo(click.style(f"{word}: ", bold=True) + plain(text), err=True)


def paper() -> Console:
    """The terminal, for results; wide enough for our tables when there is none."""
    from tabsync.cli.paper import Paper

    return Paper(width=None if sys.stdout.isatty() else 100, highlight=False)


def print_json(data: Any) -> None:
    """Print JSON to stdout."""
    sys.stdout.write(json_module.dumps(data, indent=2, default=str) + "\n")


def style_of(style: str) -> str:
    """A page's style as the terminal has it."""
    strong, _, tone = style.rpartition(" ")
    return f"bold {_STYLES[tone]}" if strong else _STYLES[tone]


def _text(parts: tuple[Part, ...]) -> Text:
    from rich.text import Text

    from tabsync.kernel.plain import plain

    return Text.assemble(
        *(plain(part) if isinstance(part, str) else (plain(part[0]), style_of(part[1])) for part in parts)
    )


def _table(table: Table) -> Any:
    from rich.table import Table as RichTable

    title = {"title": table.title, "title_justify": "left", "title_style": "bold"} if table.title else {}
    drawn = RichTable(box=None, padding=(0, 2, 0, 0), show_header=table.heading, **title)  # type: ignore[arg-type]
    for name in table.columns:
        justify: Any = "right" if name in table.right else "left"
        drawn.add_column(name, justify=justify, no_wrap=name in table.whole, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(_text((cell,)) for cell in row))
    return drawn


def _ask_to_confirm(plan: Plan) -> str | None:
    """Ask for the words that approve a destructive plan; None when there is no terminal to ask on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    typed: str = click.prompt(f"Type {plan.confirm!r} to continue", err=True, default="", show_default=False)
    return typed

"""Carries a procedure out for a person at a terminal: planned, previewed, approved, run, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabsync.kernel.procedure import Done, Procedure, named, planned

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.page import Page
    from tabsync.kernel.procedure import Planned
    from tabsync.workspace import Workspace

_COMMON = ("config", "database", "store", "dry_run", "yes", "unrecorded", "json")


def perform(procedure: Procedure, values: dict[str, Any]) -> int:
    """Carry out what a command line asks for; returns the exit code. values: of all its options, by name."""
    from tabsync.cli.terminal import Terminal

    common = {name: values.pop(name) for name in _COMMON if name in values}
    names = [one.name for one in procedure.fields]
    request = procedure.request_type(**{name: values[name] for name in names})
    terminal = Terminal(procedure=procedure, **common)
    if procedure.command:
        return int(named(procedure.command)(terminal, request) or 0)
    workspace = terminal.workspace()
    if procedure.read:
        return show(terminal, named(procedure.read)(workspace, request))
    return carry_out(
        terminal, workspace, request, planned(procedure, request, named(procedure.plan)(workspace, request))
    )


def carry_out(terminal: Terminal, workspace: Workspace, request: Any, made: Planned[Workspace]) -> int:
    """Show a plan (--dry-run), or have it approved, run it and show what came of it; returns the exit code."""
    from tabsync.procedures import after

    try:
        for note in made.notes:
            terminal.note(note)
        if terminal.dry_run and made.plan.steps:
            terminal.plan(made.plan)
            return 0
        if made.before and not terminal.json:
            terminal.page(made.before)
        if made.warning and not (terminal.json or terminal.yes):
            terminal.note(made.warning)
        outcome = None
        if made.plan.steps and not (made.only_look or terminal.dry_run):
            outcome = terminal.run(made.workspace or workspace, made.plan)
        done = after(terminal.procedure, Done(made.workspace or workspace, request, made, outcome))
        if outcome is not None and not terminal.procedure.shows_failure:
            outcome.raise_if_failed()
        page: Page = named(terminal.procedure.show)(done)
        if outcome is not None and outcome.error is not None and page.error is None and not page.exit_code:
            outcome.raise_if_failed()
        return show(terminal, page)
    finally:
        if made.done:
            made.done()


def show(terminal: Terminal, page: Page) -> int:
    """Print a page; returns the exit code. Raises what stopped it, once the page is printed."""
    if page.error is not None and terminal.json and not page.data:
        raise page.error
    terminal.page(page)
    if page.error is not None:
        if terminal.json:  # stdout is one document: the page says it
            return int(page.error.exit_code)
        raise page.error
    return int(page.exit_code)

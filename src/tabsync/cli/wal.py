"""tabsync wal receive, push, fetch: what a server starts, or a service manager."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tabsync.backups.procedures.wal import Fetch, Push, Receive
    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.step import Step


def receive_command(terminal: Terminal, request: Receive) -> None:
    """Receive the cluster's WAL until Ctrl-C or SIGTERM, and say so whenever there is something else to say."""
    from tabsync.backups.procedures.wal import plan_receive, show_receive
    from tabsync.kernel.procedure import Done, Planned

    found = terminal.workspace()
    plan = plan_receive(found, request)
    if terminal.dry_run:
        terminal.plan(plan)
        return
    outcome = terminal.run(found, plan, None if terminal.json else _Watch())
    outcome.raise_if_failed()
    terminal.page(show_receive(Done(found, request, Planned(plan), outcome)))


def push_command(terminal: Terminal, request: Push) -> None:
    """Store a finished WAL file; for archive_command."""
    from tabsync.backups.wal.push import push
    from tabsync.workspace import find

    push(find(terminal.config, store=terminal.store), request.path)


def fetch_command(terminal: Terminal, request: Fetch) -> int:
    """Fetch a WAL file; for restore_command."""
    import traceback

    from tabsync.backups.wal.push import failure_code, fetch_into
    from tabsync.cli.edge import exit_code_of
    from tabsync.workspace import find

    try:
        found = find(terminal.config, store=terminal.store)
        there = fetch_into(found, request.name, request.path, request.system_identifier)
    except Exception as error:  # noqa: BLE001 - recovery must not take any failure for the end of the WAL
        try:
            exit_code_of(error)
        except Exception:  # noqa: BLE001 - what it has no words for it raises again, which would be exit code 1
            traceback.print_exc()
        return failure_code(request.path)
    return 0 if there else 1


class _Watch:
    """What wal receive says: a line with the time whenever it has something else to say."""

    def __init__(self) -> None:
        self._said, self._last = "", 0.0

    def step_started(self, number: int, total: int, step: Step) -> None:
        """The plan was shown by --dry-run."""

    def progress(self, done: float, total: float, unit: str) -> None:
        """Print what it says; the ordinary at most once a minute."""
        ordinary = unit.startswith(("all WAL until", "starting"))
        if unit == self._said or (
            ordinary and self._said.startswith("all WAL until") and time.monotonic() - self._last < 60
        ):
            return
        self._said, self._last = unit, time.monotonic()
        moment = time.strftime("%H:%M:%S")
        click.echo(
            f"{moment}  {done:.0f} segments stored; {unit}" if ordinary else f"{moment}  ALARM: {unit}", err=True
        )

    def step_ended(self, step: Step, seconds: float, error: str) -> None:
        """The end is told by the command."""

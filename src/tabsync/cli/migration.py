"""tabsync migration guard: the command's output comes as it is printed, and its exit code is ours."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.deployments.request import Guard, Rehearse


def guard_command(terminal: Terminal, request: Guard) -> int:
    """Run a deployment under guard; returns its command's exit code, 4 where it was refused, 5 where not verified."""
    from tabsync.cli.patient import FULL, GONE, patient
    from tabsync.cli.perform import show
    from tabsync.cli.progress import Lines
    from tabsync.deployments.guard import plan_guard
    from tabsync.deployments.shown import show_guard
    from tabsync.kernel.procedure import Done, planned

    # Its exit code is what a pipeline goes by: that nobody reads what it prints must not change it.
    sys.stdout, sys.stderr = (patient(number, passed=(*FULL, *GONE)) for number in (1, 2))
    stream = "stderr" if terminal.json else "stdout"
    if request.server:
        return _there(terminal, request, stream)
    found = terminal.workspace()
    made = planned(terminal.procedure, request, plan_guard(found, request, os.environ, stream=stream))
    for note in made.notes:
        terminal.note(note)
    if terminal.dry_run:
        terminal.plan(made.plan)
        return 0
    where = made.workspace or found
    outcome = terminal.run(where, made.plan, Lines())  # no live display: it would draw over what the command prints
    return show(terminal, show_guard(Done(where, request, made, outcome)))


def _there(terminal: Terminal, request: Guard, stream: str) -> int:
    from tabsync.cli.guard_remote import guard_there
    from tabsync.cli.perform import show
    from tabsync.kernel.errors import BadUsage

    if terminal.dry_run or request.check:
        hint = "to see what would be asked for: tabsync schedule gate migration --server URL"
        raise BadUsage("--server can't be used with --dry-run or --check", hint)
    code, page = guard_there(request, stream=stream)
    if page.error is not None:
        page.error.exit_code = code  # type: ignore[assignment]
    return show(terminal, page) or code


def rehearse_command(terminal: Terminal, request: Rehearse) -> int:
    """Run a deployment on a copy of a backup."""
    from tabsync.cli.perform import show
    from tabsync.cli.progress import Lines
    from tabsync.deployments.rehearse import plan_rehearse
    from tabsync.deployments.shown import show_rehearse
    from tabsync.kernel.procedure import Done, planned

    found = terminal.workspace()
    stream = "stderr" if terminal.json else "stdout"
    made = planned(terminal.procedure, request, plan_rehearse(found, request, os.environ, stream=stream))
    if terminal.dry_run:
        terminal.plan(made.plan)
        return 0
    where = made.workspace or found
    outcome = terminal.run(where, made.plan, Lines())
    return show(terminal, show_rehearse(Done(where, request, made, outcome)))

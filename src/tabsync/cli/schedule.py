"""tabsync schedule run, gate: what of the schedule is more than looking or writing a line down."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabsync.cli.terminal import Terminal
    from tabsync.schedule.gate import Answer


@dataclass(frozen=True, slots=True)
class Run:
    """What one may ask of schedule run."""

    item: Annotated[str, Argument("The item: its short name, as schedule list prints it.")]


@dataclass(frozen=True, slots=True)
class Gate:
    """What one may ask of schedule gate."""

    name: Annotated[str, Argument("The gate: what stands after 'Before', or the beginning of it.")]
    run: Annotated[bool, Option("Do what is missing and can be done by a command, then look again.")] = False
    server: Annotated[
        str,
        Option(
            "Ask the service at this URL, with the token in TABSYNC_TOKEN: a pipeline has no ledger.", metavar="URL"
        ),
    ] = ""


def run_command(terminal: Terminal, request: Run) -> int:
    """Run an item now, as the service would."""
    from tabsync.kernel.page import Page
    from tabsync.schedule.look import look
    from tabsync.service.run_item import run_item

    found = terminal.workspace()
    seen = look(found)
    item = seen.item(request.item)
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if not terminal.json:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    ended = run_item(found, item, seen.subject, found.journal_actor(), on_line)
    code = ended.exit if ended.exit is not None else 5
    page = Page("schedule run", {"item": item.name, "exit": ended.exit, "fact": ended.fact or None, "output": lines})
    if ended.exit is None:
        page.line((ended.fact, "strong bad"))
    if terminal.json or ended.exit is None:
        terminal.page(page)
    return code


def gate_command(terminal: Terminal, request: Gate) -> int:
    """Whether all is there that the manual asks for before something is done; --run does what is missing."""
    from tabsync.schedule.gate import look_gate, page_of_gate

    if request.server:
        from tabsync.cli.gate_remote import ask

        page = ask(request.server, request.name, run=request.run)
        terminal.page(page)
        return int(page.exit_code)
    found = terminal.workspace()
    gate, answers = look_gate(found, request.name)
    if request.run:
        _do(terminal, answers)
        gate, answers = look_gate(found, request.name)
    page = page_of_gate(gate, answers)
    terminal.page(page)
    return int(page.exit_code)


def _do(terminal: Terminal, answers: Sequence[Answer]) -> None:
    from tabsync.kernel.errors import Refused
    from tabsync.schedule.look import look
    from tabsync.service.run_item import run_item

    found = terminal.workspace()
    seen = look(found)
    for one in answers:
        if one.why and one.item.words and one.item.built:
            terminal.note(f"running {one.command}")
            try:
                ended = run_item(found, one.item, seen.subject, found.journal_actor(), _shown)
            except Refused as error:  # it waits for an approval, or runs: the others are done all the same
                terminal.note(f"{one.item.name}: {error.fact}; {error.hint}")
                continue
            if ended.exit != 0:
                terminal.note(f"{one.item.name}: {ended.fact or f'exit code {ended.exit}'}")


def _shown(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()

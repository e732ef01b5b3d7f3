"""tabsync run: what ran, what is running, what was interrupted."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.page import Cell, Page, Style
from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace

_STYLES: dict[str, Style] = {
    "done": "good",
    "failed": "bad",
    "interrupted": "warning",
    "stopped": "warning",
    "running": "strong",
    "open": "strong",
    "skipped": "quiet",
}


@dataclass(frozen=True, slots=True)
class List:
    """What one may ask of run list."""

    limit: Annotated[int, Option("Number of runs to show, newest first.", minimum=1, maximum=1000)] = 20


@dataclass(frozen=True, slots=True)
class Show:
    """What one may ask of run show."""

    run: Annotated[str, Argument("A run's id, from: tabsync run list; or latest")]


@dataclass(frozen=True, slots=True)
class Stop:
    """What one may ask of run stop."""

    run: Annotated[str, Argument("A run's id, from: tabsync run list; or latest")]


_PATIENCE = 30.0  # seconds for a run to end


def stop_command(terminal: Terminal, request: Stop) -> int:
    """Ask a run to end, and wait for it."""
    from tabsync.kernel.errors import Exit
    from tabsync.ledger.stop import ask_to_stop, wait_until_ended

    found = terminal.workspace()
    ledger = found.ledger()
    asked = ask_to_stop(ledger, request.run, found.journal_actor())
    ended = wait_until_ended(ledger, asked["id"], _PATIENCE)
    state = ended["state"] if ended else "running"
    page = Page("run stop", {"run": asked["id"], "state": state})
    if ended is None:
        page.exit_code = Exit.PROBLEM_FOUND
        page.line((f"{asked['title']}: was asked to end, and still runs after {_PATIENCE:.0f} s", "strong warning"))
        page.hint(f"to see whether it has ended: tabsync run show {asked['id']}")
    elif state == "done":
        page.line((f"{asked['title']}: had ended before it was stopped: done", "strong good"))
    else:
        page.line((f"{asked['title']}: stopped", "strong"), f", recorded as {state}")
        page.hint(f"to see which steps were done: tabsync run show {asked['id']}")
    terminal.page(page)
    return int(page.exit_code)


def look_list(workspace: Workspace, request: List) -> Page:
    """The newest runs."""
    from tabsync.ledger.runs import recent_runs, unread

    ledger = workspace.record()
    with _why_it_cant_be_opened(workspace):
        runs = recent_runs(ledger, request.limit)
    page = Page("runs", {"runs": runs})
    if not runs:
        page.line("There are no runs yet.")
        return page
    page.table(("Run", "Started (UTC)", "State", "What", "By"), map(_listed, runs))
    if why := unread(ledger):
        page.note(f"only what the emergency journal has is listed: {why}")
    return page


@contextmanager
def _why_it_cant_be_opened(workspace: Workspace) -> Iterator[None]:
    """Where the journal has nothing either, that is the error: with its own exit code, and what to do."""
    from tabsync.kernel.errors import NotRecorded

    try:
        yield
    except NotRecorded:
        workspace.ledger()
        raise


def look_show(workspace: Workspace, request: Show) -> Page:
    """The steps of one run, with those that were not done. Raises BadUsage when there is no such run."""
    from tabsync.kernel.errors import BadUsage
    from tabsync.ledger.runs import one_run, runs_under

    ledger = workspace.record()
    with _why_it_cant_be_opened(workspace):
        found = one_run(ledger, request.run)
    if found is None:
        raise BadUsage(f"there is no run {request.run!r}", "tabsync run list")
    page = Page("run", {"run": found})
    page.line((found["title"], "strong"), ": ", (found["state"], _STYLES[found["state"]]))
    page.table(("", "Step", "State", "Time", "Error"), map(_step, found["steps"]))
    if found["parent"]:
        page.line(f"A step of run {found['parent']}", style="quiet", whole=True)
    if under := runs_under(ledger, found["id"]):
        page.data["runs"] = under
        page.table(("Run", "Started (UTC)", "State", "What", "By"), map(_listed, under), title="What its steps did")
    if found.get("journal"):
        page.note(f"the ledger can't be written: this is in {', '.join(found['journal'])}")
    return page


def _listed(one: Facts) -> tuple[Cell, ...]:
    started = one["started_at"][:19].replace("T", " ")
    return one["id"], started, (one["state"], _STYLES[one["state"]]), one["procedure"], one["actor"]


def _step(one: Facts) -> tuple[Cell, ...]:
    from tabsync.kernel.units import human_seconds

    seconds = "" if one["seconds"] is None else human_seconds(one["seconds"])
    undone = one["state"] == "waiting"
    state: Cell = ("not done", "warning") if undone else (one["state"], _STYLES[one["state"]])
    return str(one["number"]), one["title"], state, seconds, one["fact"] or ""

"""What every command shares: its options, its workspace, its output."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from tabsync.kernel.plan import Plan
    from tabsync.kernel.runner import Listener, Outcome
    from tabsync.manual.model import Manual
    from tabsync.workspace import Workspace

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="The tabsync.toml to use (default: the one in this directory, else the demo's)."),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database", "-d", help="Connection string: URL, 'service=NAME' or keywords; PG* variables complete it."
    ),
]
StoreOption = Annotated[
    str | None, typer.Option("--store", help="Where backups are: a directory, az://, s3:// or gs:// with a prefix.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs, with a version number.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Confirm a destructive plan without asking; this is recorded.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]


def workspace(config: Path | None = None, database: str | None = None, store: str | None = None) -> Workspace:
    """The workspace of a command; what dead processes left is taken away and their runs marked interrupted."""
    from tabsync.workspace import find

    found = find(config, database=database, store=store)
    take_away_leftovers(found)
    return found


def take_away_leftovers(found: Workspace) -> None:
    """Sweep orphaned servers and staged dumps, and mark the runs whose process is gone."""
    if not found.home.exists() and (found.store_url or not found.store_root.exists()):
        return
    from tabsync.backups.restore.leftovers import sweep, sweep_warm
    from tabsync.demo.place import end_orphan
    from tabsync.kernel.errors import Refused
    from tabsync.ledger.runs import mark_interrupted

    swept = sweep(found)
    sweep_warm(found)
    if end_orphan(found.servers() / "demo"):
        note("an earlier demo died: its server was stopped (to start it again: tabsync demo)")
    try:
        marked = mark_interrupted(found.ledger()) if found.home.exists() else []
    except Refused:
        marked = []  # who needs the ledger says that it can't be opened; status works without
    if swept or marked:
        parts = [f"{len(marked)} interrupted run" + ("s" if len(marked) > 1 else "")] if marked else []
        more = f" and {len(swept) - 3} more" if len(swept) > 3 else ""
        parts += [f"left-over files ({', '.join(swept[:3])}{more})"] if swept else []
        note(f"an earlier command died: cleaned up {' and '.join(parts)} (tabsync run list)")


def load_manual(found: Workspace) -> Manual:
    """The workspace's manual. Raises ProblemFound when it has problems."""
    from tabsync.manual.load import load

    return load(found.manual_path)


def console() -> Console:
    """The terminal, for results; wide enough for our tables when there is none."""
    from tabsync.cli.paper import Paper

    return Paper(width=None if sys.stdout.isatty() else 100, highlight=False)


def note(text: str, word: str = "note") -> None:
    """A remark to the person, on stderr, out of the way of results. word: "hint", of what to do about one."""
    typer.echo(typer.style(f"{word}: ", bold=True) + text, err=True)


def note_estimate(found: Workspace, plan: Plan) -> None:
    """Say how much a restore reads, and how long the last one took for as much."""
    from tabsync.backups.restore.estimate import estimate

    manifest = found.store().manifest(str(plan.steps[0].arguments["backup"]))
    note(str(estimate(found.ledger(), plan, manifest)))


def print_json(data: Any) -> None:
    """Print JSON to stdout."""
    sys.stdout.write(json_module.dumps(data, indent=2, default=str) + "\n")


def listener(*, json: bool) -> Listener:
    """Who shows a run's progress: a live display on a terminal, plain lines otherwise, nobody with --json."""
    from tabsync.cli.progress import Lines, Live
    from tabsync.kernel.runner import Quiet

    if json:
        return Quiet()
    return Live() if sys.stderr.isatty() else Lines()


def show_plan(plan: Plan, *, json: bool) -> None:
    """Print a plan: what --dry-run shows is exactly what would run."""
    if json:
        print_json({"version": 1, "kind": "plan", "digest": plan.digest(), **plan.to_json()})
        return
    from rich.text import Text

    out = console()
    out.print(Text(plan.title, style="bold"))
    colours = {"reversible": "yellow", "destructive": "bold red"}
    for number, step in enumerate(plan.steps, start=1):
        risk = (f"  {step.risk.value}", colours.get(step.risk.value, "dim"))
        out.print(Text.assemble(f"{number:>2}  {step.title}", risk), soft_wrap=True)
        for line in step.preview.splitlines():
            out.print(Text(f"    {line}", style="dim"), soft_wrap=True)  # a command is copied: nothing may break it
    out.print(f"Nothing was changed. Plan {plan.digest()[:12]}.")


def carry_out(found: Workspace, plan: Plan, *, json: bool, yes: bool = False, shown: Listener | None = None) -> Outcome:
    """Have a plan approved where it is destructive, and run it; raises what stopped it.

    json: nobody is shown the progress; shown: who is, when it isn't the usual one.
    """
    outcome = run_approved(found, plan, json=json, yes=yes, shown=shown)
    outcome.raise_if_failed()
    return outcome


def run_approved(
    found: Workspace, plan: Plan, *, json: bool, yes: bool = False, shown: Listener | None = None
) -> Outcome:
    """The same, for who has something to say of a failure before it is raised."""
    from tabsync.kernel.runner import run

    approval = approved(plan, yes=yes)  # before the journal: what isn't approved leaves no trace, not even a directory
    return run(plan, found, found.journal(), shown or listener(json=json), approval=approval)


def approved(plan: Plan, *, yes: bool) -> str:
    """How a plan was approved: a destructive one by --yes or by its words, typed. Raises Refused when it wasn't."""
    from tabsync.kernel.plan import check_approval

    asked = plan.risk.value == "destructive" and not yes
    return check_approval(plan, typed=_ask_to_confirm(plan) if asked else None, yes=yes)


def _ask_to_confirm(plan: Plan) -> str | None:
    """Ask for the words that approve a destructive plan; None when there is no terminal to ask on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    typed: str = typer.prompt(f"Type {plan.confirm!r} to continue", err=True, default="", show_default=False)
    return typed

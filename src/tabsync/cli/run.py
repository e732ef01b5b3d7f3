"""tabsync run: what ran, what is running, what was interrupted."""

from __future__ import annotations

from typing import Annotated

import typer

from tabsync.cli.common import ConfigOption, JsonOption

app = typer.Typer(help="Show runs: their steps and their results.", no_args_is_help=True)

_STYLE = {"done": "green", "failed": "red", "interrupted": "yellow", "running": "cyan"}


@app.command("list", epilog="Example: tabsync run list --limit 5")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number of runs to show, newest first.")] = 20,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the newest runs."""
    from rich.table import Table
    from rich.text import Text

    from tabsync.cli.common import console, print_json, workspace
    from tabsync.ledger.runs import recent_runs

    runs = recent_runs(workspace(config).ledger(), limit)
    if json:
        print_json({"version": 1, "kind": "runs", "runs": runs})
        return
    if not runs:
        console().print("There are no runs yet.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("Run", "Started (UTC)", "State", "What", "By"):
        table.add_column(name)
    for one in runs:
        state = f"[{_STYLE[one['state']]}]{one['state']}[/]"
        table.add_row(one["id"], one["started_at"][:19].replace("T", " "), state, one["procedure"], Text(one["actor"]))
    console().print(table)


@app.command(epilog="Example: tabsync run show latest")
def show(
    run: Annotated[str, typer.Argument(help="A run's id, from: tabsync run list; or latest")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show the steps of one run, with those that were not done."""
    from rich.table import Table
    from rich.text import Text

    from tabsync.cli.common import console, print_json, workspace
    from tabsync.kernel.errors import BadUsage
    from tabsync.kernel.units import human_seconds
    from tabsync.ledger.runs import one_run

    found = one_run(workspace(config).ledger(), run)
    if found is None:
        raise BadUsage(f"there is no run {run!r}", "tabsync run list")
    if json:
        print_json({"version": 1, "kind": "run", "run": found})
        return
    out = console()
    out.print(Text.assemble((found["title"], "bold"), ": ", (found["state"], _STYLE[found["state"]])))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "Step", "State", "Time", "Error"):
        table.add_column(name)
    for step in found["steps"]:
        seconds = "" if step["seconds"] is None else human_seconds(step["seconds"])
        table.add_row(
            str(step["number"]), Text(step["title"]), _undone(step["state"]), seconds, Text(step["fact"] or "")
        )
    out.print(table)


def _undone(state: str) -> str:
    return "[yellow]not done[/]" if state == "waiting" else f"[{_STYLE[state]}]{state}[/]"

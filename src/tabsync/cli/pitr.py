"""tabsync backup window; tabsync restore to-time, clusters, drop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption, YesOption

if TYPE_CHECKING:
    from rich.table import Table

    from tabsync.kernel.step import Facts


def window(
    config: ConfigOption = None, database: DatabaseOption = None, store: StoreOption = None, json: JsonOption = False
) -> None:
    """Show to which times recovery is possible.

    Lists each recovery window with its backup, gaps in the WAL, the dumps, and the window of Supabase if it runs the
    server. Times are in the local time zone. Exit code 1 if WAL is missing or something can't be read.
    """
    from tabsync.backups.provider import provider_state
    from tabsync.backups.wal.window import window as look
    from tabsync.cli.common import print_json, workspace

    found = workspace(config, database, store)
    facts, provider = look(found), provider_state(found)
    bad = facts["damaged"] or any(one["gaps"] for one in facts["clusters"]) or (provider and provider["problem"])
    if json:
        print_json({"version": 1, "kind": "window", **facts, "provider": provider})
    else:
        _show_window(facts)
        if provider:
            _show_provider(provider)
    if bad:
        raise typer.Exit(1)


def to_time(
    time: Annotated[
        str | None,
        typer.Argument(help="'2026-11-22 14:30:00' or '14:30', local time unless it has an offset; or latest."),
    ] = None,
    lsn: Annotated[str | None, typer.Option(help="An LSN (WAL position) instead of a time.")] = None,
    xid: Annotated[int | None, typer.Option(help="A transaction id instead of a time.")] = None,
    before: Annotated[
        bool, typer.Option("--before", help="Stop just before the target instead of just after it.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option(help="A new directory for the cluster, on a disk with enough space.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="TCP port on this machine (default: a free one).")] = None,
    name: Annotated[str, typer.Option("--as", help="Name of the restored cluster on this machine.")] = "",
    pause: Annotated[
        bool,
        typer.Option("--pause", help="Pause at the target, read-only, so that you can check it before it is opened."),
    ] = False,
    timeline: Annotated[
        int | None,
        typer.Option(min=1, help="Timeline to recover along (default: the newest that had started by then)."),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Recover the whole cluster to a point in time. The result is a new cluster; the source is not changed."""
    from tabsync.backups.restore.to_time import plan_to_time
    from tabsync.backups.pitr.target import parse_target
    from tabsync.cli.common import carry_out, print_json, show_plan, workspace

    target = parse_target(time, lsn, xid, before=before)
    found = workspace(config, database, store)
    plan = plan_to_time(found, target, into=into, port=port, pause=pause, name=name, timeline=timeline)
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = carry_out(found, plan, json=json)
    reached, kept = outcome.results["recover"], outcome.results["keep"]
    if json:
        told = {"run": outcome.run_id, "target": str(target), **reached, **kept, **outcome.results["check"]}
        print_json({"version": 1, "kind": "recovered", **told})
    else:
        _show_recovered(str(target), reached, kept)
    if not reached["reached"]:
        raise typer.Exit(1)


def clusters(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the restored clusters, and how to connect to them."""
    from rich.table import Table
    from rich.text import Text

    from tabsync.backups.pitr.clusters import restored
    from tabsync.cli.common import console, print_json, workspace

    found = restored(workspace(config))
    if json:
        print_json({"version": 1, "kind": "restored clusters", "clusters": found})
        return
    if not found:
        console().print("There is no restored cluster. To restore one: tabsync restore to-time '14:30'", markup=False)
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("Cluster", "State", "As of", "From backup", "Directory"):
        table.add_column(column, no_wrap=column == "Cluster", overflow="fold")
    for one in found:
        state = Text("running", style="green") if one["running"] else Text("stopped", style="yellow")
        table.add_row(one["name"], state, one["target"], one["backup"], Text(one["directory"]))
    console().print(table)
    for one in found:
        if one["running"]:
            console().print(f'connect  psql "{one["conninfo"]}"', markup=False, soft_wrap=True)


def drop(
    name: Annotated[str, typer.Argument(help="Name of a restored cluster, from: tabsync restore clusters.")],
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Stop a restored cluster and delete it."""
    from tabsync.backups.pitr.clusters import plan_drop
    from tabsync.cli.common import carry_out, console, print_json, show_plan, workspace

    found = workspace(config)
    plan = plan_drop(found, name)
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = carry_out(found, plan, json=json, yes=yes)
    if json:
        print_json({"version": 1, "kind": "cluster dropped", "run": outcome.run_id, **outcome.results["drop"]})
    else:
        console().print(f"The restored cluster {name} was dropped.", markup=False)


def _show_recovered(target: str, reached: Facts, kept: Facts) -> None:
    from rich.text import Text

    from tabsync.cli.common import console
    from tabsync.kernel.units import human_seconds

    out = console()
    verdict, style = ("REACHED", "bold green") if reached["reached"] else ("NOT CONFIRMED", "bold yellow")
    out.print(Text.assemble((f"{verdict}: ", style), f"{target}; {reached['why']}"))
    last = _local(reached["last_commit"]) if reached["last_commit"] else "none after the backup"
    out.print(f"last commit  {last}, LSN {reached['lsn']}, timeline {reached['timeline']}", markup=False)
    out.print(f"replayed     {reached['segments']} WAL files in {human_seconds(reached['seconds'])}", markup=False)
    out.print(f"directory    {kept['directory']}", markup=False, soft_wrap=True)
    out.print(f'connect      psql "{kept["conninfo"]}"', markup=False, soft_wrap=True)
    if reached["paused"]:
        out.print("Recovery is paused, the cluster is read-only. To open it: select pg_wal_replay_resume()")
    out.print(f"To drop it: tabsync restore drop {kept['name']}", markup=False)


def _show_window(facts: Facts) -> None:
    from rich.table import Table
    from rich.text import Text

    from tabsync.cli.common import console, note

    out = console()
    for cluster in facts["clusters"]:
        named = ", ".join(cluster["databases"])
        out.print(Text.assemble((f"Cluster {cluster['system_identifier']}", "bold"), f"  {named}"))
        for one in cluster["windows"]:
            out.print(f"any time from {_local(one['from'])} to {_local(one['to'])}", style="green")
        if len(cluster["timelines"]) > 1:
            out.print(_timelines(cluster["timelines"]))
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("Backup", "Kind", "From", "To", "WAL files"):
            table.add_column(column, justify="right" if column == "WAL files" else "left", no_wrap=column == "Backup")
        for one in cluster["bases"]:
            to = Text(one["broken"], style="red") if one["broken"] else Text(_local(one["to"]))
            about = "" if one["exact"] or not one["segments"] else "about "
            table.add_row(one["backup"], one["kind"], _local(one["from"]), Text(about) + to, str(one["segments"]))
        out.print(table)
        for gap in cluster["gaps"]:
            out.print(f"WAL is missing: {gap['segments']} files from {gap['first']} on", style="bold red", markup=False)
    if not facts["clusters"]:
        out.print(
            "No physical backup: only the dumps can be restored. To recover to any second: tabsync backup take physical"
        )
    if facts["dumps"]:
        out.print(Text("Dumps, each of one point in time", style="bold"))
        for one in facts["dumps"]:
            out.print(f"{_local(one['at'])}  {one['backup']}  {one['kind']}, {one['database']}", markup=False)
    for complaint in facts["damaged"]:
        note(complaint)


def _timelines(timelines: list[Facts]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("Timeline", "Left", "In the store since", "To"):
        table.add_column(column, justify="right" if column == "Timeline" else "left")
    for one in timelines:
        left = f"timeline {one['parent']} at {one['left_at']}" if one["parent"] else ""
        known = _local(one["known_since"]) if one["known_since"] else ""
        table.add_row(str(one["timeline"]), left, known, _local(one["to"]))
    return table


def _show_provider(state: Facts) -> None:
    from rich.text import Text

    from tabsync.cli.common import console

    out = console()
    out.print(Text(f"{state['provider']}, project {state['project']}", style="bold"))
    if state["problem"]:
        out.print(Text(f"unknown: {state['problem']}; {state['hint']}", style="yellow"))
    elif state["window"]:
        spell = [_local(state["window"][end]) for end in ("earliest", "latest")]
        out.print(f"any time from {spell[0]} to {spell[1]}", style="green")
        out.print("to let Supabase restore in place: tabsync restore managed TIME", style="dim")
    else:
        out.print("no point-in-time recovery", style="yellow")


def _local(moment: str) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M:%S %Z}"

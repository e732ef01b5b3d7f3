"""tabsync restore managed, and what others keep as `backup list` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption, YesOption

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts


def show_provider(state: Facts | None) -> None:
    """Print what the provider keeps; what can't be seen is said to be unknown."""
    from rich.table import Table
    from rich.text import Text

    from tabsync.cli.common import console, note

    if state is None:
        return
    if state["problem"]:
        hint = f"; {state['hint']}" if state["hint"] else ""
        note(f"the backups of {state['provider']} are unknown: {state['problem']}{hint}")
        return
    out = console()
    out.print()
    out.print(Text(f"Kept by {state['provider']}, project {state['project']}, {state['region']}", style="bold"))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("Snapshot", "Taken (UTC)", "Age", "State"):
        table.add_column(name, justify="right" if name == "Age" else "left")
    for one in state["snapshots"]:
        good = one["status"] == "COMPLETED"
        word = Text(
            one["status"].lower(), style="green" if good else "bold red" if "FAIL" in one["status"] else "yellow"
        )
        table.add_row(Text(one["id"]), _utc(one["at"]), _age(one["at"]), word)
    if state["snapshots"]:
        out.print(table)
    else:
        out.print("no snapshot", style="yellow")
    window = state["window"]
    if window:
        out.print(f"point in time: {_utc(window['earliest'])} to {_utc(window['latest'])} UTC", highlight=False)
        out.print("to restore it there, in place: tabsync restore managed TIME", style="dim")
    else:
        out.print("point in time: not enabled for this project", style="yellow")


def show_pgbackrest(state: Facts | None) -> None:
    """Print what pgBackRest keeps on this machine."""
    from rich.table import Table
    from rich.text import Text

    from tabsync.cli.common import console, note
    from tabsync.kernel.units import human_bytes

    if state is None:
        return
    if state["problem"]:
        note(f"the backups of pgBackRest are unknown: {state['problem']}")
        return
    out = console()
    for stanza in state["stanzas"]:
        out.print()
        out.print(Text(f"Kept by pgBackRest, stanza {stanza['name']}: {stanza['status']}", style="bold"))
        table = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("Backup", "Kind", "Ended (UTC)", "Age", "Cluster"):
            table.add_column(name, justify="right" if name in ("Age", "Cluster") else "left")
        for one in stanza["backups"]:
            kind = Text(f"{one['kind']}, with errors" if one["failed"] else one["kind"])
            table.add_row(Text(one["label"]), kind, _utc(one["at"]), _age(one["at"]), human_bytes(one["bytes"]))
        if stanza["backups"]:
            out.print(table)
        wal = stanza["wal"]
        out.print(f"WAL: {wal['first']} to {wal['last']}" if wal else "WAL: none archived", markup=False)


def managed(
    moment: Annotated[
        str,
        typer.Argument(
            metavar="TIME", help="For example 2026-11-22T18:15:00-03:00; without an offset it is local time."
        ),
    ],
    without_backup: Annotated[
        bool,
        typer.Option("--without-backup", help="Take no backup before it: for a database that can't be read any more."),
    ] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Let Supabase restore the project to a point in time.

    It restores in place: later changes are lost from the project, which is down during the restore. A full backup is
    taken first. To see old data without changing the project, restore a backup into a new database instead:
    tabsync restore new.
    """
    from tabsync.backups.restore.managed import parse_moment, plan_restore_managed
    from tabsync.cli.common import carry_out, console, print_json, show_plan, workspace
    from tabsync.kernel.units import human_seconds

    found = workspace(config, database, store)
    plan = plan_restore_managed(found, parse_moment(moment), backup_first=not without_backup)
    if dry_run:
        show_plan(plan, json=json)
        return
    if not json and not yes:
        show_plan(plan, json=False)
    outcome = carry_out(found, plan, json=json, yes=yes)
    told = outcome.results["wait"]
    if json:
        print_json({"version": 1, "kind": "restore", "run": outcome.run_id, "seconds": outcome.seconds, **told})
        return
    taken = outcome.results.get("commit", {}).get("backup")
    console().print(f"Project {told['project']} was restored to {told['moment']} in {human_seconds(told['seconds'])}.")
    if taken:
        console().print(
            f"The data from before the restore is in backup {taken}: tabsync restore new --from {taken}", markup=False
        )


def _utc(moment: str) -> str:
    return moment[:19].replace("T", " ")


def _age(moment: str) -> str:
    from tabsync.kernel.clock import now, parse_iso
    from tabsync.kernel.units import human_seconds

    return human_seconds(max(0, round((now() - parse_iso(moment)).total_seconds())))

"""tabsync drill, and tabsync drill monthly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption

if TYPE_CHECKING:
    from tabsync.backups.drill.report import Report
    from tabsync.kernel.plan import Plan
    from tabsync.workspace import Workspace

app = typer.Typer(invoke_without_command=True)


@app.callback(epilog="Example: tabsync drill --backup latest")
def drill(
    context: typer.Context,
    backup: Annotated[
        str | None, typer.Option("--backup", help="A backup's id, or latest; without it a new backup is taken first.")
    ] = None,
    keep_warm: Annotated[
        bool, typer.Option("--keep-warm", help="Keep the proven copy, stopped: for backup query, restore rows.")
    ] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Prove that a backup can be restored: restore it, compare every byte, measure RTO and RPO.

    The database is only read. The copy is in a scratch server that is deleted at the end. The exit code is 0 only if
    the copy is identical and both targets of the manual are met.
    """
    from tabsync.backups.drill.drill import plan_drill
    from tabsync.cli.common import load_manual, workspace
    from tabsync.kernel.errors import BadUsage, CannotConnect

    if context.invoked_subcommand is not None:
        if backup or keep_warm or config or database or store or dry_run or json:
            raise BadUsage(
                "write the options after the name of the drill", f"tabsync drill {context.invoked_subcommand} --help"
            )
        return
    found = workspace(config, database, store)
    try:
        plan = plan_drill(found, load_manual(found), backup, keep_warm=keep_warm)
    except CannotConnect as error:
        without = "" if backup else "; to drill a stored backup without the server: tabsync drill --backup latest"
        raise CannotConnect(error.fact, f"{error.hint}{without}") from None
    _end(_drill(found, plan, dry_run=dry_run, json=json))


@app.command(epilog="Example: tabsync drill monthly --staging service=staging")
def monthly(
    staging: Annotated[
        str | None,
        typer.Option("--staging", help="Restore into a new database of this server instead of a scratch server."),
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="With --staging: drop that database at the end.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Drill the newest full backup of the most distant store.

    Restores and proves it, and checks every index of the copy. The recovery time is compared with the manual's target.
    The data loss is shown without a target, since a dump alone can't promise one: see drill quarterly.
    """
    from tabsync.backups.drill.monthly import plan_monthly
    from tabsync.backups.restore.staging import sweep_staging
    from tabsync.cli.common import load_manual, note, workspace
    from tabsync.kernel.errors import BadUsage
    from tabsync.workspace import find

    if drop and not staging:
        raise BadUsage("--drop needs --staging: a scratch server is always deleted", "tabsync drill monthly")
    # Before the leftovers of all kinds are taken away in one word: this one was on a server that others use.
    for left in sweep_staging(find(config, database=database, store=store), staging):
        note(f"an earlier monthly drill died: its database {left} on staging was dropped")
    found = workspace(config, database, store)
    planned = plan_monthly(found, load_manual(found), staging, drop=drop)
    for told in planned.notes:
        note(told)
    report = _drill(planned.workspace, planned.plan, dry_run=dry_run, json=json)
    if report is not None and report.data["database_left"]:
        note(f"database {report.data['database_left']} was kept on staging for inspection; drop it afterwards")
    _end(report)


def _drill(found: Workspace, plan: Plan, *, dry_run: bool, json: bool) -> Report | None:
    from tabsync.backups.drill.drill import run_drill
    from tabsync.cli.common import listener, print_json, show_plan

    if dry_run:
        show_plan(plan, json=json)
        return None
    report = run_drill(found, plan, listener(json=json))
    if json:
        print_json(report.data)
    else:
        show_report(report)
    return report


def _end(report: Report | None) -> None:
    if report is not None and report.exit_code:
        raise typer.Exit(int(report.exit_code))


def show_report(report: Report) -> None:
    """Print a drill's verdict and what it stands on."""
    from rich.table import Table
    from rich.text import Text

    from tabsync.backups.drill.verdict import against
    from tabsync.cli.common import console
    from tabsync.kernel.units import human_bytes
    from tabsync.postgres.catalog import Relation

    out, verdict, error = console(), report.data["verdict"], report.data["error"]
    style = "bold green" if verdict["ok"] else "bold yellow" if verdict["content"] == "partial" else "bold red"
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("Table", "Rows", "Stored", "SHA-256", "Copy"):
        table.add_column(name, justify="right" if name in ("Rows", "Stored") else "left")
    for one in report.data["tables"]:
        table.add_row(
            Text(str(Relation(one["schema"], one["name"]))),
            "unknown" if one["rows"] is None else f"{one['rows']:,}",
            human_bytes(one["bytes"]),
            one["digest"][:16],
            "[green]identical[/]" if one["identical"] else "[red]not proven[/]",
        )
    out.print()
    if report.data["tables"]:
        out.print(table)
    out.print(f"Backup {report.data['backup']} in {report.data['store']}", markup=False)
    stopped = report.data["interrupted"]
    out.print(f"RTO  {against(verdict['rto_seconds'], verdict['rto_target'], interrupted=stopped)}", markup=False)
    wal = "" if verdict["wal_bytes"] is None else f" ({human_bytes(verdict['wal_bytes'])} of WAL)"
    out.print(f"RPO  {against(verdict['rpo_seconds'], verdict['rpo_target'], interrupted=stopped)}{wal}", markup=False)
    for line in verdict["unproven"]:
        out.print(f"not proven: {line}", style="yellow", markup=False)
    for line in verdict["not_checked"]:
        out.print(f"not checked: {line}", style="yellow", markup=False)
    for line in verdict["notes"]:
        out.print(f"note: {line}", markup=False)
    out.print(Text(verdict["sentence"], style=style))
    if error:
        out.print(Text(f"error: {error['fact']}", style="red"))
        if error["hint"]:
            out.print(f"hint: {error['hint']}", markup=False)
    out.print(f"Report: {report.html_path}", markup=False, style="dim")

"""tabsync restore: new, tables, and what stands in files of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabsync.cli import restore_in_place, restore_rows
from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption

if TYPE_CHECKING:
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.runner import Outcome
    from tabsync.workspace import Workspace

app = typer.Typer(
    help="Restore a backup, or some of its tables or rows.",
    epilog="Example: tabsync restore new --from latest",
    no_args_is_help=True,
)
app.command(
    "rows", epilog="Example: tabsync restore rows --table users --where \"email = 'ana@example.com'\" --dry-run"
)(restore_rows.rows)
app.command("in-place", epilog="Example: tabsync restore in-place --from latest --dry-run")(restore_in_place.in_place)

FromOption = Annotated[str, typer.Option("--from", help="A backup's id, or latest: the newest full backup.")]
FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="A dump that pg_dump wrote: custom, tar, directory or SQL; also as .gz or .zst."),
]
NoOwnerOption = Annotated[bool, typer.Option("--no-owner", help="Restore without owners and privileges.")]


@app.command(epilog="Example: tabsync restore new --from latest --as shop_yesterday")
def new(
    backup: FromOption = "latest",
    file: FileOption = None,
    name: Annotated[str | None, typer.Option("--as", help="Name of the new database.")] = None,
    no_owner: NoOwnerOption = False,
    keep_what_came: Annotated[
        bool,
        typer.Option(
            "--keep-what-came",
            help="If an object fails, keep the others in a database marked as partial, and list what is missing.",
        ),
    ] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Restore a backup into a new database on the same server.

    Existing databases are not changed. With --file it restores a dump from elsewhere. A dump can contain code that
    runs: only restore one that you trust.
    """
    from tabsync.backups.restore.file import plan_restore_file
    from tabsync.backups.restore.new import plan_restore_new
    from tabsync.cli.common import note_estimate, show_plan, workspace

    found = workspace(config, database, store)
    if file is None:
        plan = plan_restore_new(found, backup, name, no_owner=no_owner, keep_what_came=keep_what_came)
        note_estimate(found, plan)
    else:
        plan = plan_restore_file(found, _alone(file, backup), name, no_owner=no_owner, keep_what_came=keep_what_came)
    if dry_run:
        show_plan(plan, json=json)
        return
    _tell_new(_run(found, plan, json=json), json=json, of_backup=file is None)


@app.command(epilog="Example: tabsync restore tables users orders --from latest --into rescue")
def tables(
    names: Annotated[list[str], typer.Argument(help="Tables, as users or public.users.")],
    backup: FromOption = "latest",
    file: FileOption = None,
    into: Annotated[
        str | None, typer.Option("--into", help="A database on the same server (default: a new one).")
    ] = None,
    no_owner: NoOwnerOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Restore some tables. Includes the types, sequences, functions, indexes and triggers that they need."""
    from tabsync.backups.restore.file import plan_restore_file_tables
    from tabsync.backups.restore.tables import plan_restore_tables
    from tabsync.cli.common import console, note, show_plan, workspace

    found = workspace(config, database, store)
    if file is None:
        plan, selection = plan_restore_tables(found, names, backup, into, no_owner=no_owner)
    else:
        plan, selection = plan_restore_file_tables(found, _alone(file, backup), names, into, no_owner=no_owner)
    for one in selection.left_out:
        note(f"left out: {one}")
    for table in selection.brought:
        note(f"included without rows: {table}")
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = _run(found, plan, json=json)
    if not json:
        told = outcome.results["verify"]
        for one in told.get("notes", ()):
            note(one)
        rows = ", ".join(f"{one['schema']}.{one['name']} ({one['rows']:,} rows)" for one in told["tables"])
        end = "." if file else ", as many as in the backup."
        console().print(f"Restored into database {told['database']}: {rows}{end}", markup=False)


def _alone(file: Path, backup: str) -> Path:
    from tabsync.kernel.errors import BadUsage

    if backup != "latest":
        raise BadUsage("--from can't be used with --file", "give one of the two")
    return file


def _run(found: Workspace, plan: Plan, *, json: bool) -> Outcome:
    """Run a plan; say what became of the half-made database when it failed."""
    from tabsync.cli.common import note, print_json, run_approved
    from tabsync.kernel.errors import TabsyncError

    outcome = run_approved(found, plan, json=json)
    if outcome.error is not None and outcome.results.get("tidy_database", {}).get("dropped"):
        note("the incomplete database was dropped")
    if outcome.failed_step != "whole":
        outcome.raise_if_failed()
    if json:
        content: dict[str, Any] = {"version": 1, "kind": "restore", "procedure": plan.procedure, "run": outcome.run_id}
        content |= {"seconds": outcome.seconds, "target": plan.target, **outcome.results["verify"]}
        error = outcome.error if isinstance(outcome.error, TabsyncError) else None
        told = {"error": {"fact": error.fact, "hint": error.hint, "exit_code": int(error.exit_code)}} if error else {}
        print_json(content | _settled(outcome) | told)
        if error:
            raise typer.Exit(int(error.exit_code))
    return outcome


def _settled(outcome: Outcome) -> dict[str, Any]:
    """What came of the database itself, for --json: see backups/settle.py."""
    facts = outcome.results.get("settle")
    if facts is None:
        return {}
    return {
        "partial": bool(facts["missing"]),
        "missing": facts["missing"],
        "not_given": facts["refused"],
        "not_in_this_backup": facts["not_in_this_backup"] if facts["noted"] else None,
    }


def _tell_new(outcome: Outcome, *, json: bool, of_backup: bool) -> None:
    """What came of a restore into a new database, for a person."""
    from tabsync.copies.dumps.left_out import shown
    from tabsync.cli.common import console, note

    if json:
        return
    told, settled = outcome.results["verify"], outcome.results["settle"]
    for one in told.get("left_out", ()):
        note(f"left out: {one} needs a schema of the provider that this database does not have")
    for one in told.get("notes", ()):
        note(one)
    for one in settled["refused"]:
        note(f"not set on the database: {one['statement']} ({one['error']})")
    whole = not settled["missing"]
    words = f"Restored into database {told['database']}" if whole else f"PARTLY restored into {told['database']}"
    end = ", as many as in the backup." if of_backup and whole else "."
    console().print(f"{words}: {len(told['tables'])} tables, {told['rows']:,} rows{end}", markup=False)
    for one in settled["missing"]:
        console().print(f"missing: {one['told']}", style="red", markup=False)
    lacking = settled["not_in_this_backup"]
    if lacking:
        console().print("Not in the backup, and missing on this server:", markup=False)
    for line in shown(lacking):
        console().print(f"  {line}", markup=False)
    if of_backup and not settled["noted"]:
        note("this backup has no list of what a dump leaves out: it was taken by an older tabsync")
    outcome.raise_if_failed()

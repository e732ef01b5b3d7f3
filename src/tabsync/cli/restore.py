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
    help="Bring a backup, or some tables or rows of it, back.",
    epilog="Example: tabsync restore new --from latest",
    no_args_is_help=True,
)
app.command(
    "rows", epilog="Example: tabsync restore rows --table users --where \"email = 'ana@example.com'\" --dry-run"
)(restore_rows.rows)
app.command("in-place", epilog="Example: tabsync restore in-place --from latest --dry-run")(restore_in_place.in_place)

FromOption = Annotated[str, typer.Option("--from", help="A backup's id, or latest: the newest full one.")]
FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="A dump of pg_dump's: custom, tar, directory or SQL; also as .gz or .zst."),
]
NoOwnerOption = Annotated[bool, typer.Option("--no-owner", help="Leave owners and grants out.")]


@app.command(epilog="Example: tabsync restore new --from latest --as shop_yesterday")
def new(
    backup: FromOption = "latest",
    file: FileOption = None,
    name: Annotated[str | None, typer.Option("--as", help="Name of the new database.")] = None,
    no_owner: NoOwnerOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Restore a backup into a new database on the same server; nothing that exists is touched.

    With --file it is a dump that somebody else made. Its functions are programs: only restore what you trust.
    """
    from tabsync.backups.restore_file import plan_restore_file
    from tabsync.backups.restore_new import plan_restore_new
    from tabsync.cli.common import console, note, note_estimate, show_plan, workspace

    found = workspace(config, database, store)
    if file is None:
        plan = plan_restore_new(found, backup, name, no_owner=no_owner)
        note_estimate(found, plan)
    else:
        plan = plan_restore_file(found, _alone(file, backup), name, no_owner=no_owner)
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = _run(found, plan, json=json)
    if not json:
        told = outcome.results["verify"]
        for one in told.get("left_out", ()):
            note(f"left out: {one} needs a schema of the provider's that is not in this database")
        for one in told.get("notes", ()):
            note(one)
        console().print(
            f"Restored into database {told['database']}: {len(told['tables'])} tables, {told['rows']:,} rows"
            + (", as many as in the backup." if file is None else "."),
            markup=False,
        )


@app.command(epilog="Example: tabsync restore tables users orders --from latest --into rescue")
def tables(
    names: Annotated[list[str], typer.Argument(help="Tables, as users or public.users.")],
    backup: FromOption = "latest",
    file: FileOption = None,
    into: Annotated[
        str | None, typer.Option("--into", help="A database of the same server; without it a new one is made.")
    ] = None,
    no_owner: NoOwnerOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Restore some tables with the types, sequences, functions, indexes and triggers that they need."""
    from tabsync.backups.restore_file import plan_restore_file_tables
    from tabsync.backups.restore_tables import plan_restore_tables
    from tabsync.cli.common import console, note, show_plan, workspace

    found = workspace(config, database, store)
    if file is None:
        plan, selection = plan_restore_tables(found, names, backup, into, no_owner=no_owner)
    else:
        plan, selection = plan_restore_file_tables(found, _alone(file, backup), names, into, no_owner=no_owner)
    for one in selection.left_out:
        note(f"left out: {one}")
    for table in selection.brought:
        note(f"brought along without rows: {table}")
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
        raise BadUsage("--from names a backup and --file another dump", "give one of the two")
    return file


def _run(found: Workspace, plan: Plan, *, json: bool) -> Outcome:
    """Run a plan; say what became of the half-made database when it failed."""
    from tabsync.cli.common import note, print_json, run_approved

    outcome = run_approved(found, plan, json=json)
    if outcome.error is not None and outcome.results.get("tidy_database", {}).get("dropped"):
        note("the half-restored database was dropped again")
    outcome.raise_if_failed()
    if json:
        content: dict[str, Any] = {"version": 1, "kind": "restore", "procedure": plan.procedure, "run": outcome.run_id}
        print_json(content | {"seconds": outcome.seconds, "target": plan.target, **outcome.results["verify"]})
    return outcome

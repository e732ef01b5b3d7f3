"""tabsync backup: take, list, show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption

if TYPE_CHECKING:
    from tabsync.backups.contents import Kind
    from tabsync.kernel.plan import Plan
    from tabsync.stores.manifest import Manifest
    from tabsync.workspace import Workspace

app = typer.Typer(help="Take backups, list them, look into one.", no_args_is_help=True)
take = typer.Typer(help="Take a backup.", no_args_is_help=True)
app.add_typer(take, name="take")


_Reason = Annotated[str, typer.Option("--reason", help="Why it is taken; kept with the backup.")]
_Format = Annotated[
    str, typer.Option("--format", help="directory: into the store. custom, plain: one file for pg_restore or psql.")
]
_File = Annotated[Path | None, typer.Option("--file", help="With --format custom or plain: the file to write.")]
_Unreadable = Annotated[
    bool, typer.Option("--exclude-unreadable", help="Leave out, by name, what the user may not read.")
]


@take.command("full", epilog="Example: tabsync backup take full --reason pre-migration")
def take_full(
    reason: _Reason = "manual",
    format: _Format = "directory",
    file: _File = None,
    exclude_unreadable: _Unreadable = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Take a full backup: one consistent snapshot, table files stored by digest, the manifest last."""
    given = _Given("full", reason, (), format, file, exclude_unreadable)
    _take(given, config, database, store, dry_run, json)


@take.command("schema", epilog="Example: tabsync backup take schema --format plain --file schema.sql")
def take_schema(
    reason: _Reason = "manual",
    format: _Format = "directory",
    file: _File = None,
    exclude_unreadable: _Unreadable = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Back up the definitions without any rows."""
    given = _Given("schema", reason, (), format, file, exclude_unreadable)
    _take(given, config, database, store, dry_run, json)


@take.command("data", epilog="Example: tabsync backup take data --reason scheduled")
def take_data(
    reason: _Reason = "manual",
    format: _Format = "directory",
    file: _File = None,
    exclude_unreadable: _Unreadable = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Back up the rows without the definitions: for a database that has the same ones."""
    given = _Given("data", reason, (), format, file, exclude_unreadable)
    _take(given, config, database, store, dry_run, json)


@take.command("tables", epilog="Example: tabsync backup take tables users orders payments --reason critical-tables")
def take_tables(
    tables: Annotated[list[str], typer.Argument(help="Tables, as schema.table or in the schema public.")],
    reason: _Reason = "manual",
    format: _Format = "directory",
    file: _File = None,
    exclude_unreadable: _Unreadable = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Back up the rows of some tables, with all definitions, so that they can be restored anywhere."""
    given = _Given("tables", reason, tuple(tables), format, file, exclude_unreadable)
    _take(given, config, database, store, dry_run, json)


@dataclass(frozen=True)
class _Given:
    """What a take command was given."""

    kind: Kind
    reason: str
    tables: tuple[str, ...]
    format: str
    file: Path | None
    exclude_unreadable: bool


def _plan(found: Workspace, given: _Given) -> Plan:
    from tabsync.backups.take import plan_take
    from tabsync.backups.take_file import plan_take_file
    from tabsync.kernel.errors import BadUsage

    if given.format == "directory" and given.file is None:
        exclude = given.exclude_unreadable
        return plan_take(found, given.kind, given.reason, given.tables, exclude_unreadable=exclude)
    if given.format not in ("custom", "plain") or given.file is None:
        raise BadUsage("a file is written by --format custom or plain together with --file", "tabsync backup take -h")
    return plan_take_file(found, given.kind, given.tables, given.format, given.file)


def _take(
    given: _Given, config: Path | None, database: str | None, store: str | None, dry_run: bool, json: bool
) -> None:
    from tabsync.cli.common import console, listener, print_json, show_plan, workspace
    from tabsync.kernel.runner import run
    from tabsync.kernel.units import human_bytes, human_seconds

    found = workspace(config, database, store)
    plan = _plan(found, given)
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = run(plan, found, found.journal(), listener(json=json))
    outcome.raise_if_failed()
    if given.file is not None:
        written = outcome.results["write"]
        if json:
            print_json({"version": 1, "kind": "backup file", "run": outcome.run_id, **written})
        else:
            console().print(f"Wrote {written['file']}, {human_bytes(written['bytes'])}", markup=False, soft_wrap=True)
        return
    manifest = found.store().manifest(outcome.results["commit"]["backup"])
    if json:
        print_json(
            {"version": 1, "kind": "backup", "run": outcome.run_id, "seconds": outcome.seconds, **_row(manifest)}
        )
        return
    seconds = sum(outcome.seconds.values())
    proof = f" It is not proven yet: tabsync drill --backup {manifest.id}" if manifest.kind == "full" else ""
    console().print(
        f"Backup [bold]{manifest.id}[/] taken in {human_seconds(seconds)}: {manifest.kind},"
        f" {human_bytes(manifest.stored_bytes)}.{proof}"
    )


@app.command("list", epilog="Example: tabsync backup list --json")
def list_(
    config: ConfigOption = None, database: DatabaseOption = None, store: StoreOption = None, json: JsonOption = False
) -> None:
    """List the backups in the store, newest last, and whether each was proven by a drill."""
    from rich.table import Table
    from rich.text import Text

    from tabsync.backups.list import list_backups
    from tabsync.cli.common import console, note, print_json, workspace
    from tabsync.kernel.units import human_bytes, human_seconds

    found = workspace(config, database, store)
    backups, damaged = list_backups(found)
    if json:
        print_json(
            {"version": 1, "kind": "backups", "store": found.store().url, "backups": backups, "damaged": damaged}
        )
    elif not backups and not damaged:
        console().print(f"No backup in {found.store().url}. Take one: tabsync backup take full", markup=False)
    else:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("Backup", "Age", "Database", "Reason", "Tables", "Stored", "Restorable", "Kept until"):
            table.add_column(name, justify="right" if name in ("Age", "Tables", "Stored") else "left")
        for one in backups:
            proof = {True: "[green]proven[/]", False: "[red]drill failed[/]", None: "[yellow]not proven yet[/]"}
            table.add_row(
                one["id"],
                human_seconds(one["age_seconds"]),
                Text(one["database"]),
                Text(one["reason"]),
                str(one["tables"]),
                human_bytes(one["bytes"]),
                proof[one["proven"]],
                "held" if one["held"] is not None else (one["expires_at"] or "for ever")[:10],
            )
        console().print(table)
    for complaint in damaged:
        note(complaint)
    if damaged:
        raise typer.Exit(1)


@app.command(epilog="Example: tabsync backup show latest")
def show(
    backup: Annotated[str, typer.Argument(help="A backup's id, or latest.")] = "latest",
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what is in a backup: whose it is, its snapshot, its tables."""
    from rich.table import Table
    from rich.text import Text

    from tabsync.cli.common import console, print_json, workspace
    from tabsync.kernel.units import human_bytes
    from tabsync.postgres.catalog import Relation

    found = workspace(config, database, store)
    manifest = found.store().find(backup)
    if json:
        print_json(
            {"version": 1, "kind": "backup", **_row(manifest), "files": [file.to_json() for file in manifest.files]}
        )
        return
    out = console()
    source = manifest.source
    out.print(Text.assemble((manifest.id, "bold"), f"  {manifest.kind}, {manifest.reason}"))
    out.print(f"database  {source['database']}, PostgreSQL {source['version']}, {source['role']}", markup=False)
    out.print(f"snapshot  {manifest.snapshot['time'][:19]} UTC at LSN {manifest.snapshot['lsn']}", markup=False)
    out.print(f"stored    {human_bytes(manifest.stored_bytes)} in {len(manifest.files)} files")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("Table", "Stored", "SHA-256"):
        table.add_column(name, justify="right" if name == "Stored" else "left")
    for file in manifest.files:
        if file.table:
            table.add_row(Text(str(Relation(file.schema, file.table))), human_bytes(file.bytes), file.digest[:16])
    out.print(table)


def _row(manifest: Manifest) -> dict[str, Any]:
    return {
        "id": manifest.id,
        "backup_kind": manifest.kind,
        "reason": manifest.reason,
        "started_at": manifest.started_at,
        "finished_at": manifest.finished_at,
        "snapshot": manifest.snapshot,
        "source": manifest.source,
        "program": manifest.program,
        "tables": len(manifest.tables),
        "bytes": manifest.stored_bytes,
    }


from tabsync.cli import prune  # noqa: E402, F401 - registers prune, hold and release on the app above

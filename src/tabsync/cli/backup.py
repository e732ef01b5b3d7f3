"""tabsync backup: take, list, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption

if TYPE_CHECKING:
    from tabsync.kernel.runner import Outcome
    from tabsync.stores.manifest import Manifest
    from tabsync.workspace import Workspace

app = typer.Typer(help="Take, list, verify, copy, sign, hold and prune backups.", no_args_is_help=True)


@app.command(epilog="Example: tabsync backup take full --reason pre-migration")
def take(
    kind: Annotated[
        Literal["full", "schema", "data", "tables", "physical"], typer.Argument(help="What the backup contains.")
    ],
    tables: Annotated[
        list[str] | None, typer.Argument(help="With tables: their names, as schema.table or in the schema public.")
    ] = None,
    reason: Annotated[
        str, typer.Option(help="Why the backup is taken; stored with it, and it chooses the retention class.")
    ] = "manual",
    form: Annotated[
        Literal["directory", "custom", "plain"],
        typer.Option("--format", help="directory: into the store. custom, plain: one file for pg_restore or psql."),
    ] = "directory",
    file: Annotated[Path | None, typer.Option(help="With --format custom or plain: the file to write.")] = None,
    exclude_unreadable: Annotated[
        bool,
        typer.Option("--exclude-unreadable", help="Leave out what the user may not read; the backup lists it by name."),
    ] = False,
    exclude_platform: Annotated[
        bool, typer.Option("--exclude-platform", help="Leave out the provider's own schemas (Supabase: auth, storage).")
    ] = False,
    incremental: Annotated[
        bool, typer.Option("--incremental", help="With physical, since PostgreSQL 17: only the blocks that changed.")
    ] = False,
    parent: Annotated[
        str | None,
        typer.Option(help="With --incremental: the physical backup it is based on, an id or latest (default)."),
    ] = None,
    checkpoint: Annotated[
        Literal["fast", "spread"],
        typer.Option(
            help="With physical: fast starts at once, with many writes; spread waits for the next checkpoint."
        ),
    ] = "fast",
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Take a backup of one consistent snapshot.

    full: the whole database. schema: definitions without rows. data: rows without definitions. tables: the rows of
    some tables with all definitions, so that they can be restored into any database. physical: the files of the whole
    cluster, which together with WAL (tabsync wal receive) can be recovered to any later second; self-hosted servers
    only.
    """
    from tabsync.backups.copy import copies_of
    from tabsync.backups.take import plan_take
    from tabsync.cli.common import carry_out, note, show_plan, workspace

    names, left_out = tables or [], exclude_unreadable or exclude_platform
    _check(kind, names, form, file, left_out=left_out, incremental=incremental, parent=parent)
    found = workspace(config, database, store)
    if kind == "physical":
        from tabsync.backups.take_physical import plan_take_physical

        since = (parent or "latest") if incremental else None
        plan = plan_take_physical(found, reason, parent=since, checkpoint=checkpoint)
    elif file is None:
        excluded = {"exclude_unreadable": exclude_unreadable, "exclude_platform": exclude_platform}
        plan = plan_take(found, kind, reason, names, **excluded)
        for name in copies_of(found, kind, reason)[1]:
            note(f"the manual requires a copy in {name}, but [stores] in tabsync.toml does not define it")
    else:
        from tabsync.backups.take_file import plan_take_file

        plan = plan_take_file(found, kind, names, form, file)
    if dry_run:
        show_plan(plan, json=json)
        return
    _show_taken(found, carry_out(found, plan, json=json), json)


def _check(
    kind: str,
    names: list[str],
    form: str,
    file: Path | None,
    *,
    left_out: bool,
    incremental: bool,
    parent: str | None,
) -> None:
    """Refuse options that don't go together: one that is given and does nothing would promise something."""
    from tabsync.kernel.errors import BadUsage

    if (kind == "tables") != bool(names):
        raise BadUsage("give table names with the kind 'tables', and only with it", "tabsync backup take tables users")
    if (form == "directory") != (file is None):
        raise BadUsage("--file needs --format custom or plain, and these need --file", "tabsync backup take -h")
    if kind == "physical" and (file or left_out):
        raise BadUsage(
            "a physical backup is of the whole cluster and can only be written into the store", "tabsync backup take -h"
        )
    if ((incremental or parent) and kind != "physical") or (parent and not incremental):
        raise BadUsage(
            "--parent needs --incremental, and --incremental needs the kind physical", "tabsync backup take -h"
        )
    if file and left_out:
        raise BadUsage(
            "only a backup in the store can record what was left out; a single file can't", "leave --file out"
        )


def _show_taken(found: Workspace, outcome: Outcome, json: bool) -> None:
    from tabsync.cli.common import console, print_json
    from tabsync.kernel.units import human_bytes, human_seconds

    if "write" in outcome.results:
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
    proof = f" Not proven yet; to prove it: tabsync drill --backup {manifest.id}" if manifest.kind == "full" else ""
    console().print(
        f"Backup [bold]{manifest.id}[/] taken in {human_seconds(seconds)}: {manifest.kind},"
        f" {human_bytes(manifest.stored_bytes)}.{proof}",
        markup=True,
    )


@app.command("list", epilog="Example: tabsync backup list --json")
def list_(
    config: ConfigOption = None, database: DatabaseOption = None, store: StoreOption = None, json: JsonOption = False
) -> None:
    """List the backups in the store, and whether each is proven.

    The newest is last. Also lists the backups that Supabase has of the project, and those of pgBackRest if it is
    installed. Only reads.
    """
    from rich.table import Table
    from rich.text import Text

    from tabsync.backups.list import list_backups
    from tabsync.backups.provider import pgbackrest_state, provider_state
    from tabsync.cli.common import console, note, print_json, workspace
    from tabsync.cli.managed import show_pgbackrest, show_provider
    from tabsync.kernel.units import human_bytes, human_seconds

    found = workspace(config, database, store)
    backups, damaged = list_backups(found)
    provider, others = provider_state(found), pgbackrest_state()
    if json:
        ours = {"store": found.store().url, "backups": backups, "damaged": [one.fact for one in damaged]}
        print_json({"version": 1, "kind": "backups", **ours, "provider": provider, "pgbackrest": others})
    elif not backups and not damaged:
        console().print(f"No backup in {found.store().url}. To take one: tabsync backup take full", markup=False)
    else:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("Backup", "Kind", "Age", "Database", "Reason", "Stored", "Proof", "Kept until"):
            right = name in ("Age", "Stored")
            table.add_column(name, justify="right" if right else "left", no_wrap=right or name == "Backup")
        proof = {"identical": "[green]proven[/]", "partial": "[yellow]partly[/]", None: "[yellow]not proven[/]"}
        for one in backups:
            table.add_row(
                one["id"],
                one["kind"],
                human_seconds(one["age_seconds"]),
                Text(one["database"]),
                Text(one["reason"]),
                human_bytes(one["bytes"]),
                proof.get(one["proof"], "[red]failed[/]") if one["kind"] == "full" else "-",
                "held" if one["held"] is not None else (one["expires_at"] or "forever")[:10],
            )
        console().print(table)
    if not json:
        show_provider(provider)
        show_pgbackrest(others)
    for problem in damaged:
        note(problem.fact)
    for hint in dict.fromkeys(problem.hint for problem in damaged):
        note(hint, word="hint")
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
    """Show a backup: its source, its snapshot, its tables."""
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
    if manifest.physical:
        out.print("contains  the files of the whole cluster; to see what can be recovered: tabsync backup window")
        return
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

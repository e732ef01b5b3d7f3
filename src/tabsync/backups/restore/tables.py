"""tabsync restore tables: some tables of a backup with everything they need, into a new or an existing database.

Into an existing database everything goes in one transaction: it is there as a whole, or nothing has changed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabsync.backups.restore.fit import check_target
from tabsync.backups.restore.new import fill_steps
from tabsync.backups.restore.server import SQL, create_step, last_steps, new_name, on_server, tidy_step
from tabsync.copies.choose import backup_for, entries_of
from tabsync.copies.dumps.selection import RELATIONS, Selection, select, without
from tabsync.copies.partial import fetch
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Step, call
from tabsync.kernel.units import human_bytes
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation, exists, relation_named
from tabsync.postgres.connect import connect
from tabsync.postgres.settings import NO_LIMIT
from tabsync.postgres.toc import Entry
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def plan_restore_tables(
    workspace: Workspace,
    names: Sequence[str],
    backup: str = "latest",
    into: str | None = None,
    *,
    no_owner: bool = False,
) -> tuple[Plan, Selection]:
    """Plan the restore of some tables; gives the plan and what it brings along or leaves out.

    names: as a manual names tables; into: a database of the server, made when it isn't there; None: a new one.
    Raises BadUsage (no such table, with near names) or Refused (a table of that name is there already, the backup has
    no rows of it, the server lacks extensions or roles). Nothing is changed.
    """
    with on_server(workspace) as connection:
        target = catalog.identity(connection)
        manifest = backup_for(workspace, backup, target)
        entries = entries_of(workspace, manifest)
        selection = select(entries, [relation_named(name) for name in names])
        _check_rows(manifest, entries, selection)
        chosen = [entry for entry in entries if entry.dump_id in set(selection.dump_ids)]
        present = into is not None and exists(connection, into)
        options = check_target(connection, manifest, chosen, no_owner=no_owner, makes=not present)
        database = into if into and present else new_name(connection, into, f"{manifest.source['database']}_tables")
    scratch = f"restore-{compact(now())}-{secrets.token_hex(2)}"
    fetching = _fetch_step(manifest, chosen, scratch)
    if present:
        there, only = into_existing(workspace, database, chosen, selection)
        given = ["--single-transaction", "--exit-on-error", *options]
        steps = [fetching, *fill_steps(manifest, scratch, database, there, given, only), tidy_step(scratch)]
    else:
        given = [f"--jobs={workspace.jobs}", *options]
        made = create_step(manifest.id, database, target, manifest.database)
        filled = fill_steps(manifest, scratch, database, target, given, selection.dump_ids)
        steps = [fetching, made, *filled, *last_steps(database, scratch)]
    title = f"Restore {', '.join(map(str, selection.tables))} of backup {manifest.id} into {database}"
    return Plan(procedure="restore tables", title=title, target=target, steps=tuple(steps)), selection


def _fetch_step(manifest: Manifest, chosen: Sequence[Entry], scratch: str) -> Step:
    """Fetch what the tables need, and nothing else."""
    names = {entry.file for entry in chosen if entry.has_rows}
    files = [one for one in manifest.files if one.name.removesuffix(".zst") in names or one.name == "toc.dat"]
    size = sum(one.object_bytes for one in files)
    return Step(
        "fetch",
        f"Check the stored objects of {len(names)} tables",
        call(fetch, backup=manifest.id, scratch=scratch, files=[one.name for one in files]),
        f"SHA-256 of each; {human_bytes(size)} of the backup's {human_bytes(manifest.stored_bytes)}",
        reads=(manifest.id,),
    )


def _check_rows(manifest: Manifest, entries: Sequence[Entry], selection: Selection) -> None:
    """Refuse a backup that has only the definition of a table: an empty table is not what was asked for."""
    holding = {Relation(one["schema"], one["name"]) for one in manifest.tables if one["kind"] == "r"}
    kept = {Relation(entry.schema, entry.name) for entry in entries if entry.has_rows}
    if lacking := [one for one in selection.tables if one in holding - kept]:
        raise Refused(
            f"backup {manifest.id} ({manifest.kind}) does not contain the rows of {', '.join(map(str, lacking))}",
            "name a full backup: tabsync backup list",
        )


def into_existing(
    workspace: Workspace, database: str, chosen: Sequence[Entry], selection: Selection
) -> tuple[Facts, tuple[int, ...]]:
    """The identity of an existing database, and the entries that it lacks. Refused when a table is there already."""
    with connect(workspace.conninfo_to(database), "restore", limits=NO_LIMIT) as connection:
        there = catalog.identity(connection)
        connection.execute("set search_path = ''")  # types are then named as pg_dump names them
        found = {tuple(row) for row in connection.execute(SQL["present"])}
    names = {(schema, name) for kind, schema, name in found if kind in RELATIONS}
    taken = [one for one in (*selection.tables, *selection.brought) if (one.schema, one.name) in names]
    if taken:
        raise Refused(
            f"{', '.join(map(str, taken))} already exists in {catalog.quoted(database)}",
            "a restore never replaces a table; restore into a new database: leave --into out",
        )
    present = {entry.dump_id for entry in chosen if (entry.kind, entry.schema, entry.name) in found}
    return there, without(chosen, selection, present)

"""tabsync restore new: a backup into a new database beside the others; nothing that exists is touched.

When a step fails, the new database is dropped again. When the process is killed, it stays, with a comment that says
it is an unfinished restore and can be dropped (see target.py); the fetched files go with the next command.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from tabsync.backups.restore.fit import check_target
from tabsync.backups.restore.server import (
    create_step,
    fetch_step,
    finish,
    last_steps,
    new_name,
    on_server,
    programs_for,
)
from tabsync.backups.restore.settle import settle_steps
from tabsync.backups.restore.space import check_space
from tabsync.copies.choose import backup_for, entries_of
from tabsync.copies.dumps import money
from tabsync.copies.dumps.pg_dump import decompress_for
from tabsync.copies.dumps.provider_schemas import needing
from tabsync.copies.restores.outside import not_filled, turn_off, without_reaching
from tabsync.copies.restores.passes import PASSES, Restoring, as_one, in_passes
from tabsync.copies.restores.pg_restore import as_dbname, describe, name_of, restore_command
from tabsync.copies.restores.rights import doubts
from tabsync.copies.restores.scratch import manifest_of
from tabsync.copies.restores.verify_restored import check_arrived, count_all
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres import catalog
from tabsync.postgres.catalog import prove_target
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.settings import NO_LIMIT
from tabsync.postgres.toc import Entry, read_toc
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_NEVER = ("SUBSCRIPTION",)
"""A copy that subscribed under the slot of the original would take the changes away from it."""


def plan_restore_new(
    workspace: Workspace,
    backup: str = "latest",
    name: str | None = None,
    *,
    no_owner: bool = False,
    keep_what_came: bool = False,
) -> Plan:
    """Plan the restore of a backup into a new database on the workspace's server.

    backup: an id or "latest"; name: of the new database; no_owner: leave out owners and grants; keep_what_came: keep
    the database also when something of it fails, marked as partial.
    Raises BadUsage (no such backup), NotAllowed (no right to make databases) or Refused (the name is taken, the
    server is older than the backup or lacks extensions or roles). Nothing is changed.
    """
    with on_server(workspace) as connection:
        target = catalog.identity(connection)
        manifest = backup_for(workspace, backup, target)
        if manifest.kind == "data":
            raise Refused(
                f"backup {manifest.id} contains rows only, no table definitions",
                "choose a full backup: tabsync backup list",
            )
        database = new_name(connection, name, f"{manifest.source['database']}_restored")
        entries = entries_of(workspace, manifest)
        options = check_target(connection, manifest, entries, no_owner=no_owner, keep=keep_what_came)
        unsure = doubts(connection, entries, no_owner=no_owner)
        check_space(connection, manifest.database["bytes"], "the new database")
    scratch = f"restore-{compact(now())}-{secrets.token_hex(2)}"
    given = [f"--jobs={workspace.jobs}", *options]
    how: Facts = {"finished": False, "settled": True, "keep": keep_what_came, "unsure": unsure}
    filled = fill_steps(manifest, scratch, database, target, given, **how)
    return Plan(
        procedure="restore new",
        title=f"Restore backup {manifest.id} into the new database {database}",
        target=target,
        steps=(
            fetch_step(manifest.id, scratch, keep=keep_what_came),
            create_step(manifest.id, database, target, manifest.database),
            *filled,
            *settle_steps(entries, scratch, database, backup=manifest.id, no_owner=no_owner, keep=keep_what_came),
            *last_steps(database, scratch),
        ),
    )


def copy_steps(
    workspace: Workspace, manifest: Manifest, scratch: str, database: str, target: Facts, options: Sequence[str]
) -> list[Step]:
    """The steps that make a database, fill it from a fetched backup and verify it."""
    given = [f"--jobs={workspace.jobs}", *options]
    return [
        create_step(manifest.id, database, target, manifest.database),
        *fill_steps(manifest, scratch, database, target, given),
    ]


def fill_steps(
    manifest: Manifest,
    scratch: str,
    database: str,
    target: Facts,
    options: Sequence[str],
    only: Sequence[int] | None = None,
    *,
    finished: bool = True,
    settled: bool = False,
    keep: bool = False,
    unsure: str = "",
) -> list[Step]:
    """The steps that restore into a database and verify it.

    only: the entries to restore, by dump id; None: all; finished: nothing more is done to a new database after it;
    settled: only settle_steps follow;
    keep: go on when something fails, and list it; unsure: what the preview says of rights (rights.doubts).
    """
    wanted = None if only is None else list(only)
    both: Facts = {"backup": manifest.id, "scratch": scratch, "database": database, "only": wanted}
    # A whole copy beside the original acts on nobody; what takes its place, or was asked for by name, is not held back.
    whole = only is None and "--single-transaction" not in options
    both |= {"quiet": whole and (finished or settled)}
    command = shlex.join(restore_command(programs_for(target, manifest), [*options, f"--dbname={as_dbname(database)}"]))
    return [
        Step(
            "restore",
            f"Restore into {database}",
            call(restore, **both, target=target, options=list(options), keep=keep),
            (command if "--single-transaction" in options else f"{command}; {PASSES}") + unsure,
            Risk.REVERSIBLE,
            f"drop database {catalog.quoted(database)}",
        ),
        Step(
            "verify",
            "Verify against the dump",
            call(verify, **both, finished=finished, keep=keep),
            "check that every named object exists, that each table has its rows, and that keys are validated",
        ),
    ]


def restore(
    context: Context,
    *,
    backup: str,
    scratch: str,
    database: str,
    target: Facts,
    options: list[str],
    only: list[int] | None,
    keep: bool = False,
    quiet: bool = False,
) -> Facts:
    """Run pg_restore in passes. Raises FailedPartway naming the first entry that failed, unless what came is kept."""
    workspace = context.workspace
    manifest = manifest_of(context, backup)
    dump = workspace.scratch(scratch) / "dump"
    clients = programs_for(target, manifest)
    decompress_for(clients, dump)
    conninfo = workspace.conninfo_to(database)
    with connect(conninfo, "restore") as connection:
        if "create" not in context.results:
            prove_target(connection, target)
        entries = left_in(connection, manifest, restored(read_toc(dump / "toc.dat"), only))
    entries = without_reaching(entries) if quiet else entries
    entries, damaged = without_damaged(entries, context.results["fetch"].get("damaged", ()))
    how = (clients, dump, "directory", dump.parent, conninfo, database, tuple(options), context.report)
    restoring = Restoring(*how, money.reading(manifest.database, read_toc(dump / "toc.dat")))
    failures = damaged + fill(restoring, entries, keep=keep)
    raise_failures(failures, backup, keep=keep, can_keep=only is None and "create" in context.results)
    return {"entries": len(entries), "failures": [one | {"told": describe(one)} for one in failures]}


def without_damaged(entries: Sequence[Entry], damaged: Sequence[Facts]) -> tuple[list[Entry], list[Facts]]:
    """The entries whose files can be read, and the others as failures. damaged: files of the dump, name and why."""
    names = {str(one["name"]).removesuffix(".zst"): str(one["why"]) for one in damaged}
    blobs = next((why for name, why in names.items() if name.startswith("blob")), "")
    kept, failures = [], []
    for entry in entries:
        why = blobs if entry.kind == "BLOBS" else names.get(entry.file, "") if entry.file else ""
        if why:
            what = f"{entry.kind.lower()} {name_of(entry)}"
            failures.append({"dump_id": entry.dump_id, "what": what, "error": f"its stored object {why}"})
        else:
            kept.append(entry)
    return kept, failures


def fill(restoring: Restoring, entries: Sequence[Entry], *, keep: bool) -> list[Facts]:
    """Restore entries as the options say: in one transaction, or in passes into a database that was just made."""
    if "--single-transaction" in restoring.options:
        return as_one(restoring, entries)
    return in_passes(restoring, entries, lambda: connect(restoring.conninfo, "restore", limits=NO_LIMIT), go_on=keep)


def verify(
    context: Context,
    *,
    backup: str,
    scratch: str,
    database: str,
    only: list[int] | None,
    finished: bool = True,
    quiet: bool = False,
    keep: bool = False,
) -> Facts:
    """Compare the database with the dump, and, when that was all, take the mark of the unfinished off it.

    quiet: what would act by itself in it is turned off, and named in the notes; keep: list what differs instead of
    raising FailedPartway.
    """
    workspace = context.workspace
    dump = workspace.scratch(scratch) / "dump"
    with connect(workspace.conninfo_to(database), "restore", limits=NO_LIMIT) as connection:
        connection.execute("set row_security = off")  # a policy must fail the count, not make it smaller
        manifest = manifest_of(context, backup)
        every = restored(read_toc(dump / "toc.dat"), only)
        entries = left_in(connection, manifest, every)
        read, _ = without_damaged(entries, context.results["fetch"].get("damaged", ()))
        try:
            facts = check_arrived(connection, manifest, read, dump, context.report)
        except FailedPartway as error:
            if not keep:
                raise
            facts = _as_it_is(connection, error)
        if quiet:
            facts["notes"] += [*not_filled(entries), *turn_off(connection, database)]
    if finished and "create" in context.results:
        finish(context, database)
    kept = {one.dump_id for one in entries}
    left_out = [f"{one.kind.lower()} {name_of(one)}" for one in every if one.dump_id not in kept]
    return facts | {"database": database, "left_out": left_out}


def _as_it_is(connection: Connection, error: FailedPartway) -> Facts:
    """The rows of each table that is there, and what differs from the dump."""
    tables = [one.relation for one in catalog.tables(connection) if one.kind == "r"]
    found = count_all(connection, tables)
    rows = [asdict(one) | {"rows": found[one]} for one in tables]
    missing = [{"what": str(one), "told": str(one)} for one in getattr(error, "differences", (error.fact,))]
    return {"tables": rows, "rows": sum(one["rows"] for one in rows), "missing": missing, "notes": []}


def left_in(connection: Connection, manifest: Manifest, entries: Sequence[Entry]) -> list[Entry]:
    """The entries without those that need a provider's schema which the backup leaves out and this database lacks."""
    missing = set(manifest.excluded_schemas) - set(catalog.schemas(connection))
    going = needing(entries, missing)
    return [one for one in entries if one.dump_id not in going]


def restored(entries: Sequence[Entry], only: Sequence[int] | None = None) -> list[Entry]:
    """The entries that a copy gets: all but subscriptions, or some."""
    wanted = {entry.dump_id for entry in entries} if only is None else set(only)
    return [entry for entry in entries if entry.kind not in _NEVER and entry.dump_id in wanted]


def raise_failures(failures: Sequence[Facts], backup: str, *, keep: bool = False, can_keep: bool = False) -> None:
    """Raise FailedPartway when pg_restore could not restore something, unless what came is to be kept.

    backup: its id, "" when it is none of ours; can_keep: whether there is the option to keep what came.
    """
    if not failures or keep:
        return
    first, more = describe(failures[0]), len(failures) - 1
    hint = f"nothing of it was kept; to see what is wrong with the backup: tabsync drill --backup {backup}"
    if not backup:
        hint = "nothing of it was kept; check the dump"
    if can_keep:
        hint += "; or to keep what can be restored: --keep-what-came"
    raise FailedPartway(f"the backup can't be restored: {first}" + (f" (and {more} more)" if more else ""), hint)

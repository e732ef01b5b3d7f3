"""tabsync restore new: a backup into a new database beside the others; nothing that exists is touched.

When a step fails, the new database is dropped again. When the process is killed, it stays, with a comment that says
it is an unfinished restore and can be dropped (see target.py); the fetched files go with the next command.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabsync.backups.arrived import check_arrived
from tabsync.backups.dump import decompress_for
from tabsync.backups.outside import not_filled, turn_off, without_reaching
from tabsync.backups.passes import PASSES, Restoring, as_one, in_passes
from tabsync.backups.pg_restore import as_dbname, name_of, restore_command, told
from tabsync.backups.platform import needing
from tabsync.backups.scratch import manifest_of
from tabsync.backups.space import check_space
from tabsync.backups.take import prove_target
from tabsync.backups.target import (
    backup_for,
    check_target,
    conninfo_of,
    create_step,
    entries_of,
    fetch_step,
    finish,
    last_steps,
    new_name,
    on_server,
    programs_for,
)
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Context, Facts, Risk, Step
from tabsync.postgres import catalog
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.settings import NO_LIMIT
from tabsync.postgres.toc import Entry, read_toc
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_NEVER = ("SUBSCRIPTION",)
"""A copy that subscribed under the slot of the original would take the changes away from it."""


def plan_restore_new(
    workspace: Workspace, backup: str = "latest", name: str | None = None, *, no_owner: bool = False
) -> Plan:
    """Plan the restore of a backup into a new database on the workspace's server.

    backup: an id or "latest"; name: of the new database; no_owner: leave out owners and grants.
    Raises BadUsage (no such backup), NotAllowed (no right to make databases) or Refused (the name is taken, the
    server is older than the backup or lacks extensions or roles). Nothing is changed.
    """
    with on_server(workspace) as connection:
        target = catalog.identity(connection)
        manifest = backup_for(workspace, backup, target)
        if manifest.kind == "data":
            raise Refused(f"backup {manifest.id} has rows only, no tables", "restore a full one: tabsync backup list")
        database = new_name(connection, name, f"{manifest.source['database']}_restored")
        options = check_target(connection, manifest, entries_of(workspace, manifest), no_owner=no_owner)
        check_space(connection, manifest.database["bytes"], "the new database")
    scratch = f"restore-{compact(now())}-{secrets.token_hex(2)}"
    return Plan(
        procedure="restore new",
        title=f"Restore backup {manifest.id} into the new database {database}",
        target=target,
        steps=(
            fetch_step(manifest.id, scratch),
            *copy_steps(workspace, manifest, scratch, database, target, options),
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
) -> list[Step]:
    """The steps that restore into a database and verify it.

    only: the entries to restore, by dump id; None: all; finished: nothing more is done to a new database after it.
    """
    wanted = None if only is None else list(only)
    both: Facts = {"backup": manifest.id, "scratch": scratch, "database": database, "only": wanted}
    # A whole copy beside the original acts on nobody; what takes its place, or was asked for by name, is not held back.
    both |= {"quiet": finished and only is None and "--single-transaction" not in options}
    command = shlex.join(restore_command(programs_for(target, manifest), [*options, f"--dbname={as_dbname(database)}"]))
    return [
        Step(
            "restore",
            f"Restore into {database}",
            "tabsync.backups.restore_new:restore",
            both | {"target": target, "options": list(options)},
            command if "--single-transaction" in options else f"{command}; {PASSES}",
            Risk.REVERSIBLE,
            f"drop database {catalog.quoted(database)}",
        ),
        Step(
            "verify",
            "Hold it against the dump",
            "tabsync.backups.restore_new:verify",
            both | {"finished": finished},
            "every table, view and sequence is there; its rows are as many as lines in its file; keys are validated",
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
    workspace: Workspace = context.services
    manifest = manifest_of(context, backup)
    dump = workspace.scratch(scratch) / "dump"
    clients = programs_for(target, manifest)
    decompress_for(clients, dump)
    conninfo = conninfo_of(workspace, database)
    with connect(conninfo, "restore") as connection:
        if "create" not in context.results:
            prove_target(connection, target)
        entries = left_in(connection, manifest, restored(read_toc(dump / "toc.dat"), only))
    entries = without_reaching(entries) if quiet else entries
    restoring = Restoring(clients, dump, "directory", dump.parent, conninfo, database, tuple(options), context.report)
    failures = fill(restoring, entries, keep=keep)
    raise_failures(failures, backup, keep=keep, can_keep=only is None and "create" in context.results)
    return {"entries": len(entries), "failures": failures}


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
) -> Facts:
    """Compare the database with the dump, and, when that was all, take the mark of the unfinished off it.

    quiet: what would act by itself in it is turned off, and named in the notes.
    """
    workspace: Workspace = context.services
    dump = workspace.scratch(scratch) / "dump"
    with connect(conninfo_of(workspace, database), "restore", limits=NO_LIMIT) as connection:
        connection.execute("set row_security = off")  # a policy must fail the count, not make it smaller
        manifest = manifest_of(context, backup)
        every = restored(read_toc(dump / "toc.dat"), only)
        entries = left_in(connection, manifest, every)
        facts = check_arrived(connection, manifest, entries, dump, context.report)
        if quiet:
            facts["notes"] += [*not_filled(entries), *turn_off(connection, database)]
    if finished and "create" in context.results:
        finish(context, database)
    kept = {one.dump_id for one in entries}
    left_out = [f"{one.kind.lower()} {name_of(one)}" for one in every if one.dump_id not in kept]
    return facts | {"database": database, "left_out": left_out}


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
    first, more = told(failures[0]), len(failures) - 1
    hint = f"nothing of it stays; see what is wrong with it: tabsync drill --backup {backup}"
    if not backup:
        hint = "nothing of it stays; look at the dump"
    if can_keep:
        hint += "; or keep what can be restored: --keep-what-came"
    raise FailedPartway(f"the backup does not restore: {first}" + (f" (and {more} more)" if more else ""), hint)

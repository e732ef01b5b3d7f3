"""tabsync restore in-place: a backup in the place of the database, which is set aside, or, with --clean, replaced.

What is about to be replaced is backed up first, and nothing goes on without that. The copy is made and verified beside
the database, which is used meanwhile; then the two exchange names in one moment (see restore_swap.py, decision 0009).
"""

from __future__ import annotations

import hashlib
import secrets
import shlex
from typing import TYPE_CHECKING

from tabsync.backups.restore.fit import check_target
from tabsync.backups.restore.new import fill_steps
from tabsync.backups.restore.server import create_step, drop, fetch_step, last_steps, programs_for, tidy_step
from tabsync.backups.restore.space import check_space
from tabsync.backups.restore.swap import SQL, beside, check_bound, check_prepared, check_sessions, settle, swap
from tabsync.backups.take import plan_take_full
from tabsync.copies.choose import BEFORE_RESTORE, backup_for, entries_of
from tabsync.copies.restores.pg_restore import as_dbname, restore_command
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes
from tabsync.postgres import catalog
from tabsync.postgres.connect import Connection
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_LONGEST_NAME = 63
_STAMP = 21  # bytes: the time, and what may follow it
_HERE = "tabsync.backups"


def plan_restore_in_place(
    workspace: Workspace,
    backup: str = "latest",
    *,
    no_owner: bool = False,
    terminate: bool = False,
    clean: bool = False,
    drop_old: bool = False,
) -> Plan:
    """Plan to put a backup in the place of the workspace's database.

    terminate: end the sessions that are in the way; clean: drop and create the objects in the database itself, in one
    transaction, for who has no room or no right to rename; drop_old: drop the old database at the end.
    Raises Refused (sessions in the way, a subscription, no room, roles or extensions missing), NotAllowed or BadUsage.
    Nothing is changed.
    """
    if clean and drop_old:
        raise BadUsage("--drop-old can't be used with --clean, which keeps no old database", "give one of the two")
    with workspace.connect("restore") as connection:
        target = catalog.identity(connection)
        manifest = backup_for(workspace, backup, target)
        if manifest.kind != "full":
            raise Refused(
                f"backup {manifest.id} is of kind {manifest.kind}", "choose a full backup: tabsync backup list"
            )
        if manifest.excluded_schemas and not clean:
            raise Refused(
                f"backup {manifest.id} has no schemas of the provider ({', '.join(manifest.excluded_schemas)}):"
                " a copy without them can't replace the database",
                "to replace everything else in the database and keep these schemas: --clean",
            )
        options = check_target(
            connection, manifest, entries_of(workspace, manifest), no_owner=no_owner, makes=not clean
        )
        check_prepared(connection, str(target["database"]))
        destroyed = _destroyed(connection)
        if not clean:
            check_space(connection, manifest.database["bytes"], "the copy next to the database")
    safety = plan_take_full(workspace, BEFORE_RESTORE)
    scratch = f"restore-{compact(now())}-{secrets.token_hex(2)}"
    first = (fetch_step(manifest.id, scratch), *safety.steps)
    if clean:
        steps = [*first, *_clean_steps(manifest, scratch, target, options, destroyed), tidy_step(scratch)]
    else:
        steps = [*first, *_swap_steps(workspace, manifest, scratch, target, options, terminate, drop_old, destroyed)]
    database = str(target["database"])
    title = f"Replace database {database} with backup {manifest.id}"
    return Plan("restore in-place", title, tuple(steps), target, confirm=database)


def plan_undo_in_place(workspace: Workspace, *, terminate: bool = False) -> Plan:
    """Plan to exchange the database and the one that was set aside last, back again.

    Raises BadUsage when none was set aside, Refused when sessions are in the way, or on a standby. Nothing is changed.
    """
    with workspace.connect("restore") as connection:
        catalog.check_primary(connection)
        target = catalog.identity(connection)
        database = str(target["database"])
        found = connection.execute(SQL["set_aside"], {"prefix": _prefix(database, "before")}).fetchone()
        if found is None:
            hint = "psql -l lists the databases; tabsync backup list shows the backup from before the restore"
            raise BadUsage(f"there is no renamed old database of {catalog.quoted(database)}", hint)
    aside = _named(database, "after")
    with beside(workspace, database) as connection:
        for one in (database, str(found[0])):
            check_prepared(connection, one)
        _check_connected(connection, database, terminate=terminate)
    step = Step(
        "swap",
        f"Swap the names of {database} and {found[0]}",
        call(swap, old=database, aside=aside, new=found[0], target=target, terminate=terminate),
        f"alter database {catalog.quoted(database)} rename to {catalog.quoted(aside)};"
        f" alter database {catalog.quoted(found[0])} rename to {catalog.quoted(database)}; in one transaction",
        Risk.DESTRUCTIVE,
        f"run the same command again: what was written after the restore is in {catalog.quoted(aside)}",
        claims=(f"database:{database}",),
    )
    title = f"Swap {found[0]} back to {database}"
    return Plan("restore in-place", title, (step,), target, confirm=database)


def drop_aside(context: Context, *, database: str) -> Facts:
    """Drop the database that this run set aside."""
    if context.results["swap"]["aside"] != database:
        raise Refused(f"this run did not rename {database}", "list the databases: psql -l")
    with beside(context.workspace, database) as connection:
        drop(connection, database)
    return {"dropped": database}


def unfinished(workspace: Workspace) -> list[str]:
    """Databases that interrupted restores left on the server; they can be dropped."""
    with workspace.connect("restore") as connection:
        return [str(name) for name, _ in connection.execute(SQL["unfinished"])]


def _swap_steps(
    workspace: Workspace,
    manifest: Manifest,
    scratch: str,
    target: Facts,
    options: list[str],
    terminate: bool,
    drop_old: bool,
    destroyed: str,
) -> list[Step]:
    old = str(target["database"])
    # A killed run may have left one of this very second.
    new, aside = _named(old, f"restoring_{secrets.token_hex(2)}"), _named(old, "before")
    slots, tablespace = _check_swap(workspace, old, terminate=terminate)
    given = [f"--jobs={workspace.jobs}", *options]
    stay = f"; logical replication slots stay with the old database: {', '.join(slots)}" if slots else ""
    back = "tabsync restore in-place --undo"
    steps = [
        create_step(manifest.id, new, target, manifest.database, "" if tablespace == "pg_default" else tablespace),
        *fill_steps(manifest, scratch, new, target, given, finished=False),
        Step(
            "settle",
            f"Copy the settings, privileges and owner of {old}",
            call(settle, database=new, like=old),
            "alter database ... set, connection limit, grant, owner: as they are now",
            Risk.REVERSIBLE,
            f"drop database {catalog.quoted(new)}",
        ),
        Step(
            "swap",
            f"Swap the names{', ending all sessions' if terminate else ''}",
            call(swap, old=old, aside=aside, new=new, target=target, terminate=terminate),
            f"alter database {catalog.quoted(old)} rename to {catalog.quoted(aside)};"
            f" alter database {catalog.quoted(new)} rename to {catalog.quoted(old)}; in one transaction."
            f" What was written since the backup stays in {catalog.quoted(aside)}: {destroyed}{stay}",
            Risk.DESTRUCTIVE,
            back,
            claims=(f"database:{old}",),
        ),
    ]
    if drop_old:
        steps.append(
            Step(
                "drop_old",
                "Drop the old database",
                call(drop_aside, database=aside),
                f"drop database {catalog.quoted(aside)} with (force): {destroyed}",
                Risk.DESTRUCTIVE,
                "only with the backup that was taken before it: tabsync restore in-place --from ID",
            )
        )
    return [*steps, *last_steps(new, scratch)]


def _check_swap(workspace: Workspace, database: str, *, terminate: bool) -> tuple[list[str], str]:
    """Refuse what keeps a database from being exchanged; gives the logical slots and the tablespace of it."""
    with beside(workspace, database) as connection:
        rights = connection.execute(SQL["rights"], {"database": database}).fetchone()
        if rights is None or not rights[0]:
            hint = "use its owner, with createdb; or replace its contents: --clean"
            raise NotAllowed(f"this user may not rename database {catalog.quoted(database)}", hint)
        slots = check_bound(connection, database)
        _check_connected(connection, database, terminate=terminate)
        facts = connection.execute(SQL["facts"], {"database": database}).fetchone()
    return slots, str(facts[2]) if facts else ""


def _clean_steps(manifest: Manifest, scratch: str, target: Facts, options: list[str], destroyed: str) -> list[Step]:
    """The seed's way: drop and create within the database; in one transaction, so that it is all or nothing."""
    database = str(target["database"])
    given = ["--clean", "--if-exists", "--single-transaction", "--exit-on-error", *options]
    restore, verify = fill_steps(manifest, scratch, database, target, given)
    command = shlex.join(restore_command(programs_for(target, manifest), [*given, f"--dbname={as_dbname(database)}"]))
    replace = Step(
        restore.key,
        f"Drop and create the objects in {database}",
        restore.call,
        f"{command}; locks the tables until it ends, and destroys {destroyed}",
        Risk.DESTRUCTIVE,
        "only with the backup that was taken before it: tabsync restore in-place --clean --from ID",
        claims=(f"database:{database}",),
    )
    return [replace, verify]


def _check_connected(connection: Connection, database: str, *, terminate: bool) -> None:
    if not terminate:
        check_sessions(connection, database)


def _destroyed(connection: Connection) -> str:
    tables = catalog.tables(connection)
    rows = sum(max(one.estimated_rows, 0) for one in tables)
    size = human_bytes(catalog.database_facts(connection)["bytes"])
    return f"{len(tables)} tables, about {rows:,} rows, {size}"


def _named(database: str, word: str) -> str:
    return _prefix(database, word) + compact(now()).lower()


def _prefix(database: str, word: str) -> str:
    ending, name = f"_{word}_", database.encode()
    room = _LONGEST_NAME - len(ending) - _STAMP
    if len(name) > room:  # names that only differ at their ends must not take each other's
        ending = f"_{hashlib.sha256(name).hexdigest()[:6]}{ending}"
        name = name[: room - 7]
    return name.decode(errors="ignore") + ending

"""tabsync restore new --file, restore tables --file: a dump that is no backup of ours.

Nothing tells what should be in such a file: its rows are counted after the restore, and what they are held against is
pg_restore's or psql's own exit code. Whatever doesn't restore as a whole is dropped again.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.restore.external_dump import (
    ExternalDump,
    check_script,
    foreign_dump,
    header_settings,
    programs_for_dump,
)
from tabsync.backups.restore.file_steps import create, creation_of, restore, unpack, verify
from tabsync.backups.restore.fit import check_server
from tabsync.backups.restore.psql_script import script_command
from tabsync.backups.restore.server import (
    SQL,
    last_steps,
    new_name,
    on_server,
    tidy_step,
)
from tabsync.backups.restore.settle import settle_steps
from tabsync.backups.restore.tables import into_existing
from tabsync.copies.dumps.selection import Selection, select
from tabsync.copies.restores.passes import PASSES
from tabsync.copies.restores.pg_restore import as_dbname
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres import catalog
from tabsync.postgres.catalog import exists, relation_named
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def plan_restore_file(
    workspace: Workspace,
    path: Path,
    name: str | None = None,
    *,
    no_owner: bool = False,
    keep_what_came: bool = False,
) -> Plan:
    """Plan the restore of a whole dump into a new database.

    path: a file of pg_dump in any format, or its directory; name: of the new database; no_owner: leave out owners and
    grants; keep_what_came: keep the database also when something of it fails. Raises BadUsage, Refused (a format that
    isn't known, psql commands in a script) or ProblemFound (damaged). Nothing is changed.
    """
    found = foreign_dump(path)
    if not found.is_archive:
        check_script(found.path, found.packed)
        if no_owner:
            raise BadUsage("owners can't be left out of a plain SQL dump", "make the dump with pg_dump --no-owner")
        if keep_what_came:
            raise BadUsage("a plain SQL dump can only be restored as a whole", "run it yourself with psql -f")
    with on_server(workspace) as connection:
        target = catalog.identity(connection)
        options = check_server(connection, found.entries, (), no_owner=no_owner, keep=keep_what_came)
        database = new_name(connection, name, f"{_stem(found.path)}_restored")
        unknown = _unknown_settings(connection, found)
    scratch = _scratch()
    steps = (
        *_unpack_steps(found, scratch, unknown),
        _create_step(found, database, target),
        *_fill_steps(workspace, found, scratch, database, target, options, None, keep=keep_what_came),
        *settle_steps(found.entries, scratch, database, path=str(found.path), no_owner=no_owner, keep=keep_what_came),
        *last_steps(database, scratch),
    )
    return Plan("restore new", f"Restore {found.path.name} into the new database {database}", steps, target)


def plan_restore_file_tables(
    workspace: Workspace, path: Path, names: Sequence[str], into: str | None = None, *, no_owner: bool = False
) -> tuple[Plan, Selection]:
    """Plan the restore of some tables of a dump, with what they need; like restore_tables.plan_restore_tables."""
    found = foreign_dump(path)
    if not found.is_archive:
        raise Refused(
            f"{found.path.name} is a plain SQL dump: it can only be restored as a whole",
            "tabsync restore new --file, then copy rows from that database: tabsync restore rows --from DATABASE",
        )
    with on_server(workspace) as connection:
        target = catalog.identity(connection)
        selection = select(found.entries, [relation_named(name) for name in names])
        chosen = [entry for entry in found.entries if entry.dump_id in set(selection.dump_ids)]
        present = into is not None and exists(connection, into)
        options = check_server(connection, chosen, (), no_owner=no_owner, makes=not present)
        database = into if into and present else new_name(connection, into, f"{_stem(found.path)}_tables")
    scratch = _scratch()
    if present:
        there, only = into_existing(workspace, database, chosen, selection)
        given = ["--single-transaction", "--exit-on-error", *options]
        steps = [*_fill_steps(workspace, found, scratch, database, there, given, only), tidy_step(scratch)]
    else:
        filled = _fill_steps(workspace, found, scratch, database, target, options, selection.dump_ids)
        steps = [_create_step(found, database, target), *filled, *last_steps(database, scratch)]
    title = f"Restore {', '.join(map(str, selection.tables))} of {found.path.name} into {database}"
    return Plan("restore tables", title, (*_unpack_steps(found, scratch), *steps), target), selection


def _unknown_settings(connection: Connection, found: ExternalDump) -> list[str]:
    """What a script sets at its beginning and this server doesn't know: it is of a newer pg_dump."""
    names = [] if found.is_archive else header_settings(found.path, found.packed)
    known = {row[0] for row in connection.execute(SQL["known_settings"], {"names": names})} if names else set()
    return [one for one in names if one not in known]


def _unpack_steps(found: ExternalDump, scratch: str, unknown: Sequence[str] = ()) -> list[Step]:
    if not (found.packed or found.restricts or unknown):
        return []
    which: Facts = {"path": str(found.path), "packed": found.packed, "scratch": scratch}
    which |= {"plain": not found.is_archive, "unknown": list(unknown)}
    taken = [*(["\\restrict"] if found.restricts else []), *(f"SET {one}" for one in unknown)]
    return [
        Step(
            "unpack",
            f"Unpack {found.path.name}" if found.packed else f"Extract {', '.join(taken)} from {found.path.name}",
            call(unpack, **which, size=found.size, changed=found.changed),
            "into a scratch directory, which is deleted at the end"
            + (f"; without {', '.join(unknown)}, unknown to this server" if unknown else ""),
        )
    ]


def _create_step(found: ExternalDump, database: str, target: Facts) -> Step:
    return Step(
        "create",
        f"Create database {database}",
        call(create, database=database, encoding=found.encoding, target=target),
        creation_of(database, found.encoding).as_string(),
        Risk.REVERSIBLE,
        f"drop database {catalog.quoted(database)}",
    )


def _fill_steps(
    workspace: Workspace,
    found: ExternalDump,
    scratch: str,
    database: str,
    target: Facts,
    options: Sequence[str],
    only: Sequence[int] | None,
    *,
    keep: bool = False,
) -> list[Step]:
    parallel = found.format in ("custom", "directory") and "--single-transaction" not in options
    given = [*([f"--jobs={workspace.jobs}"] if parallel else []), *options]
    path, chosen = str(found.path), None if only is None else list(only)
    if found.is_archive:
        clients = programs_for_dump(target, None if found.packed else found.path)
        command = [str(clients.program("pg_restore")), *given, f"--dbname={as_dbname(database)}", str(found.path)]
    else:
        command = script_command(programs_for_dump(target, None), found.path)
    restore_it = Step(
        "restore",
        f"Restore into {database}",
        call(
            restore,
            path=path,
            scratch=scratch,
            form=found.format,
            database=database,
            only=chosen,
            size=found.size,
            changed=found.changed,
            target=target,
            options=given,
            keep=keep,
        ),
        shlex.join(command) + (f"; {PASSES}" if found.is_archive and "--single-transaction" not in options else ""),
        Risk.REVERSIBLE,
        f"drop database {catalog.quoted(database)}",
    )
    looks = "check that every object of the dump exists, and count the rows (the file has no row counts)"
    return [
        restore_it,
        Step(
            "verify",
            "Verify the restored database",
            call(
                verify,
                path=path,
                scratch=scratch,
                form=found.format,
                database=database,
                only=chosen,
                finished=only is not None,
                keep=keep,
            ),
            looks,
        ),
    ]


def _stem(path: Path) -> str:
    return path.name.partition(".")[0] or "dump"


def _scratch() -> str:
    return f"restore-{compact(now())}-{secrets.token_hex(2)}"

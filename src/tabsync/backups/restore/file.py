"""tabsync restore new --file, restore tables --file: a dump that is no backup of ours.

Nothing tells what should be in such a file: its rows are counted after the restore, and what they are held against is
pg_restore's or psql's own exit code. Whatever doesn't restore as a whole is dropped again.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tabsync.copies.dumps import money
from tabsync.copies.restores.verify_restored import count_all, not_there
from tabsync.copies.restores.different import NotWhole
from tabsync.backups.restore.fit import check_server
from tabsync.backups.restore.external_dump import Foreign, check_script, foreign_dump, header_settings, made_to_fit, opened
from tabsync.copies.restores.outside import not_filled, turn_off, without_reaching
from tabsync.copies.restores.passes import PASSES, Restoring
from tabsync.copies.restores.pg_restore import as_dbname, told
from tabsync.backups.restore.psql_script import run_script, script_command
from tabsync.backups.restore.new import fill, raise_failures, restored
from tabsync.backups.restore.tables import into_existing
from tabsync.copies.dumps.selection import Selection, select
from tabsync.backups.restore.settle import settle_steps
from tabsync.backups.take import prove_target
from tabsync.backups.restore.server import (
    SQL,
    conninfo_of,
    exists,
    finish,
    last_steps,
    mark_unfinished,
    new_name,
    on_server,
    tidy_step,
)
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, FailedPartway, NotAllowed, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Context, Facts, Risk, Step
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation, relation_named, server_major
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.installation import Installation, installations
from tabsync.postgres.settings import NO_LIMIT
from tabsync.system.programs import run_program

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_HERE = "tabsync.backups.restore.file"


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


def unpack(
    context: Context,
    *,
    path: str,
    packed: str,
    plain: bool,
    scratch: str,
    size: int,
    changed: int,
    unknown: Sequence[str] = (),
) -> Facts:
    """Unpack a dump into a scratch directory; a script without its own \\restrict, since psql gets ours.

    unknown: settings of the script's header that the server doesn't know. Raises ProblemFound when it ends too early.
    """
    workspace: Workspace = context.services
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    _check_same(Path(path), size, changed)
    try:
        with opened(Path(path), packed) as source, (directory / "dump").open("wb") as target:
            (directory / "dump").chmod(0o600)
            if plain:
                target.writelines(made_to_fit(source, unknown))
            else:
                shutil.copyfileobj(source, target, 1 << 20)
    except OSError as error:
        fact = f"could not unpack {path}: {error.strerror or error}"
        raise FailedPartway(fact, "check that the file is complete and that TABSYNC_HOME has free space") from None
    return {"bytes": (directory / "dump").stat().st_size}


def create(context: Context, *, database: str, encoding: str, target: Facts) -> Facts:
    """Make a new, empty database, marked as unfinished. Raises Refused when the name is taken by now."""
    with on_server(context.services) as connection:
        prove_target(connection, target)
        try:
            connection.execute(_creation(database, encoding))
        except psycopg.errors.InsufficientPrivilege:
            raise NotAllowed("this user may not create databases", "alter role ... createdb") from None
        except psycopg.errors.DuplicateDatabase:
            raise Refused(f"database {catalog.quoted(database)} already exists", "--as NEW_NAME") from None
        mark_unfinished(context, connection, database)
    return {"database": database}


def restore(
    context: Context,
    *,
    path: str,
    scratch: str,
    form: str,
    size: int,
    changed: int,
    database: str,
    target: Facts,
    options: list[str],
    only: list[int] | None,
    keep: bool = False,
) -> Facts:
    """Run pg_restore or psql. Raises FailedPartway naming that error."""
    workspace: Workspace = context.services
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    _check_same(Path(path), size, changed)
    unpacked = directory / "dump"
    dump = unpacked if unpacked.exists() else Path(path)
    conninfo = conninfo_of(workspace, database)
    if "create" not in context.results:
        with connect(conninfo, "restore") as connection:
            prove_target(connection, target)
    if form == "plain":
        run_script(_programs(target, None), dump, conninfo, directory)
        return {"entries": 0}
    every = foreign_dump(dump).entries
    entries = restored(every, only)
    entries = without_reaching(entries) if _is_whole(context, only) else entries
    how = (_programs(target, dump), dump, form, directory, conninfo, database, tuple(options), context.report)
    restoring = Restoring(*how, money.reading({}, every))
    failures = fill(restoring, entries, keep=keep)
    raise_failures(failures, "", keep=keep, can_keep=only is None and "create" in context.results)
    return {"entries": len(entries), "failures": [one | {"told": told(one)} for one in failures]}


def verify(
    context: Context,
    *,
    path: str,
    scratch: str,
    form: str,
    database: str,
    only: list[int] | None,
    finished: bool = True,
    keep: bool = False,
) -> Facts:
    """See that everything the dump names is there, and count the rows. Raises FailedPartway naming what isn't.

    finished: nothing more is done to a new database after it; keep: list what isn't there.
    """
    workspace: Workspace = context.services
    unpacked = workspace.scratch(scratch) / "dump"
    dump = unpacked if unpacked.exists() else Path(path)
    entries = restored(foreign_dump(dump).entries, only) if form != "plain" else []
    with connect(conninfo_of(workspace, database), "restore", limits=NO_LIMIT) as connection:
        connection.execute("set row_security = off")
        different = not_there(connection, entries)
        if different and not keep:
            raise NotWhole(different, "check that the dump is complete; to keep what can be restored: --keep-what-came")
        tables = [Relation(entry.schema, entry.name) for entry in entries if entry.kind == "TABLE DATA"]
        if form == "plain" or keep:
            tables = [one.relation for one in catalog.tables(connection) if one.kind == "r"]
        found = count_all(connection, tables)
        counted = [asdict(one) | {"rows": found[one]} for one in tables]
        quiet = _is_whole(context, only)
        notes = [*not_filled(entries), *turn_off(connection, database)] if quiet else []
    if finished and "create" in context.results:
        finish(context, database)
    missing = [{"what": str(one), "told": str(one)} for one in different]
    rows = sum(one["rows"] for one in counted)
    return {"tables": counted, "rows": rows, "database": database, "missing": missing, "notes": notes}


def _is_whole(context: Context, only: list[int] | None) -> bool:
    """Whether it is a whole copy in a new database: one that acts on nobody."""
    return only is None and "create" in context.results


def _programs(target: Facts, archive: Path | None) -> Installation:
    """The programs of the server's own version or later that can read the archive.

    Raises Refused when there is none, with pg_restore's own reason.
    """
    fit = sorted((one for one in installations() if one.major >= server_major(target)), key=lambda one: one.major)
    complaint = ""
    for one in fit:
        if archive is None:
            return one
        listed = run_program([one.program("pg_restore"), "--list", archive])
        if listed.code == 0:
            return one
        complaint = listed.complaint().removeprefix("pg_restore: error: ")
    if not fit:
        raise Refused(
            f"no programs of PostgreSQL {server_major(target)} or later were found",
            "install the package postgresql-client",
        )
    raise Refused(
        f"no pg_restore on this machine can read it: {complaint}",
        "install a newer postgresql-client, or check that the file is complete",
    )


def _unknown_settings(connection: Connection, found: Foreign) -> list[str]:
    """What a script sets at its beginning and this server doesn't know: it is of a newer pg_dump."""
    names = [] if found.is_archive else header_settings(found.path, found.packed)
    known = {row[0] for row in connection.execute(SQL["known_settings"], {"names": names})} if names else set()
    return [one for one in names if one not in known]


def _unpack_steps(found: Foreign, scratch: str, unknown: Sequence[str] = ()) -> list[Step]:
    if not (found.packed or found.restricts or unknown):
        return []
    which: Facts = {"path": str(found.path), "packed": found.packed, "scratch": scratch}
    which |= {"plain": not found.is_archive, "unknown": list(unknown)}
    taken = [*(["\\restrict"] if found.restricts else []), *(f"SET {one}" for one in unknown)]
    return [
        Step(
            "unpack",
            f"Unpack {found.path.name}" if found.packed else f"Extract {', '.join(taken)} from {found.path.name}",
            f"{_HERE}:unpack",
            which | {"size": found.size, "changed": found.changed},
            "into a scratch directory, which is deleted at the end"
            + (f"; without {', '.join(unknown)}, unknown to this server" if unknown else ""),
        )
    ]


def _create_step(found: Foreign, database: str, target: Facts) -> Step:
    return Step(
        "create",
        f"Create database {database}",
        f"{_HERE}:create",
        {"database": database, "encoding": found.encoding, "target": target},
        _creation(database, found.encoding).as_string(),
        Risk.REVERSIBLE,
        f"drop database {catalog.quoted(database)}",
    )


def _fill_steps(
    workspace: Workspace,
    found: Foreign,
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
    both = {"path": str(found.path), "scratch": scratch, "form": found.format, "database": database}
    chosen = {"only": None if only is None else list(only)}
    if found.is_archive:
        clients = _programs(target, None if found.packed else found.path)
        command = [str(clients.program("pg_restore")), *given, f"--dbname={as_dbname(database)}", str(found.path)]
    else:
        command = script_command(_programs(target, None), found.path)
    restore_it = Step(
        "restore",
        f"Restore into {database}",
        f"{_HERE}:restore",
        both
        | chosen
        | {"size": found.size, "changed": found.changed, "target": target, "options": given, "keep": keep},
        shlex.join(command) + (f"; {PASSES}" if found.is_archive and "--single-transaction" not in options else ""),
        Risk.REVERSIBLE,
        f"drop database {catalog.quoted(database)}",
    )
    looks = "check that every object of the dump exists, and count the rows (the file has no row counts)"
    settled = {"finished": only is not None, "keep": keep}
    return [
        restore_it,
        Step("verify", "Verify the restored database", f"{_HERE}:verify", both | chosen | settled, looks),
    ]


def _creation(database: str, encoding: str) -> sql.Composed:
    words = sql.SQL("create database {} template template0 encoding {}")
    return words.format(sql.Identifier(database), sql.Literal(encoding))


def _check_same(path: Path, size: int, changed: int) -> None:
    facts = (path / "toc.dat" if path.is_dir() else path).stat()
    if (facts.st_size, facts.st_mtime_ns) != (size, changed):
        raise Refused(f"{path} has changed since the plan was made", "check the file, and run the command again")


def _stem(path: Path) -> str:
    return path.name.partition(".")[0] or "dump"


def _scratch() -> str:
    return f"restore-{compact(now())}-{secrets.token_hex(2)}"

"""The steps of a restore from a dump that is no backup of ours: unpacked, restored, verified."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tabsync.backups.restore.external_dump import foreign_dump, made_to_fit, opened, programs_for_dump
from tabsync.backups.restore.new import fill, raise_failures, restored
from tabsync.backups.restore.psql_script import run_script
from tabsync.backups.restore.server import finish, mark_unfinished, on_server
from tabsync.copies.dumps import money
from tabsync.copies.restores.different import NotWhole
from tabsync.copies.restores.outside import not_filled, turn_off, without_reaching
from tabsync.copies.restores.passes import Restoring
from tabsync.copies.restores.pg_restore import describe
from tabsync.copies.restores.verify_restored import count_all, not_there
from tabsync.kernel.errors import FailedPartway, NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation, prove_target
from tabsync.postgres.connect import connect
from tabsync.postgres.settings import NO_LIMIT

if TYPE_CHECKING:
    from tabsync.workspace import Context


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
    workspace = context.workspace
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
    with on_server(context.workspace) as connection:
        prove_target(connection, target)
        try:
            connection.execute(creation_of(database, encoding))
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
    workspace = context.workspace
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    _check_same(Path(path), size, changed)
    unpacked = directory / "dump"
    dump = unpacked if unpacked.exists() else Path(path)
    conninfo = workspace.conninfo_to(database)
    if "create" not in context.results:
        with connect(conninfo, "restore") as connection:
            prove_target(connection, target)
    if form == "plain":
        run_script(programs_for_dump(target, None), dump, conninfo, directory)
        return {"entries": 0}
    every = foreign_dump(dump).entries
    entries = restored(every, only)
    entries = without_reaching(entries) if _is_whole(context, only) else entries
    how = (programs_for_dump(target, dump), dump, form, directory, conninfo, database, tuple(options), context.report)
    restoring = Restoring(*how, money.reading({}, every))
    failures = fill(restoring, entries, keep=keep)
    raise_failures(failures, "", keep=keep, can_keep=only is None and "create" in context.results)
    return {"entries": len(entries), "failures": [one | {"told": describe(one)} for one in failures]}


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
    workspace = context.workspace
    unpacked = workspace.scratch(scratch) / "dump"
    dump = unpacked if unpacked.exists() else Path(path)
    entries = restored(foreign_dump(dump).entries, only) if form != "plain" else []
    with connect(workspace.conninfo_to(database), "restore", limits=NO_LIMIT) as connection:
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


def creation_of(database: str, encoding: str) -> sql.Composed:
    words = sql.SQL("create database {} template template0 encoding {}")
    return words.format(sql.Identifier(database), sql.Literal(encoding))


def _check_same(path: Path, size: int, changed: int) -> None:
    facts = (path / "toc.dat" if path.is_dir() else path).stat()
    if (facts.st_size, facts.st_mtime_ns) != (size, changed):
        raise Refused(f"{path} has changed since the plan was made", "check the file, and run the command again")

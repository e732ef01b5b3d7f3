"""The copy that rows are looked up in: only the tables needed, in a scratch server, read by a role that can't write.

A person's condition runs here and never on the live server. Whatever it does, it does as a role without rights, in a
read-only transaction, within a time, on a server that is thrown away.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.copies.choose import entries_of
from tabsync.copies.dumps import money
from tabsync.copies.dumps.contents import Contents
from tabsync.copies.dumps.pg_dump import decompress_for, dump_directory
from tabsync.copies.dumps.selection import select
from tabsync.copies.restores.pg_restore import as_dbname, run_pg_restore, write_list
from tabsync.copies.restores.scratch import manifest_of, settings_for
from tabsync.copies.row_text import spelled
from tabsync.copies.source import Part, Source, part_of, readable
from tabsync.copies.warm import start_step
from tabsync.kernel.errors import ProblemFound, Refused
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes
from tabsync.postgres import catalog, embedded
from tabsync.postgres.catalog import Relation, creation
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.installation import Installation, clients_for, server_for
from tabsync.postgres.queries import named
from tabsync.postgres.settings import NO_LIMIT, Limits
from tabsync.postgres.toc import Entry, read_toc
from tabsync.stores.manifest import StoredFile

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

SQL = named(__package__, "partial.sql")

DATABASE = "copy"
READER = "tabsync_reader"
CONDITION_TIMEOUT = 300_000
"""Milliseconds that a condition may take; without an index it reads the table through."""

_READER_LIMITS = Limits(statement_timeout=CONDITION_TIMEOUT, idle_in_transaction_timeout=0)


def fetch(context: Context, *, backup: str, scratch: str, files: Sequence[str]) -> Facts:
    """Bring some files of a backup, verified, out of the store. Raises ProblemFound naming what is damaged."""
    workspace = context.workspace
    store, manifest = workspace.store(), manifest_of(context, backup)
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    dump = directory / "dump"
    dump.mkdir(mode=0o700)
    wanted = [file for file in manifest.files if file.name in set(files)]
    read = 0

    def place(file: StoredFile) -> str:
        nonlocal read
        wrong = store.place(file, dump / file.name)
        read += file.object_bytes
        context.report(read, sum(one.object_bytes for one in wanted), "bytes")
        return wrong

    with ThreadPoolExecutor(max_workers=2) as pool:
        damage = [(file, why) for file, why in zip(wanted, pool.map(place, wanted), strict=True) if why]
    if damage:
        what = "; ".join(
            f"{Relation(file.schema, file.table) if file.table else file.name} {why}" for file, why in damage
        )
        raise ProblemFound(f"backup {backup} can't be read: {what}", "tabsync backup list shows the others")
    return {"files": len(wanted), "bytes": read, "of_bytes": manifest.stored_bytes}


def dump(context: Context, *, database: str, scratch: str, tables: list[Facts], major: int) -> Facts:
    """Dump some tables of another database of the server. Raises FailedPartway with pg_dump's complaint."""
    workspace = context.workspace
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    conninfo = workspace.conninfo_to(database)
    with connect(conninfo, "restore", limits=NO_LIMIT) as connection:
        holding = [one.relation for one in catalog.tables(connection)]
        wanted = set(catalog.with_partitions(connection, [Relation(**one) for one in tables]))
    contents = Contents("tables", rows_left_out=tuple(one for one in holding if one not in wanted))
    files = dump_directory(
        conninfo,
        directory / "dump",
        clients_for(major),
        jobs=workspace.jobs,
        claim=directory,
        tables=len(wanted),
        options=contents.options(),
        report=context.report,
    )
    return {"files": len(files), "bytes": sum(file.path.stat().st_size for file in files)}


def start(context: Context, *, scratch: str, major: int, needs: int, facts: Facts) -> Facts:
    """Start a scratch server and make an empty database in it. needs: bytes that the tables took where they were."""
    workspace = context.workspace
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    free = shutil.disk_usage(directory).free
    if free < needs:
        raise Refused(
            f"the tables need about {human_bytes(needs)} and {directory} has {human_bytes(free)} free",
            "free some space, or set TABSYNC_HOME to a larger disk",
        )
    installation = server_for(major)
    server = embedded.create(directory, settings=settings_for(workspace.jobs), installation=installation)
    embedded.start(server)
    with connect(server.conninfo("template1"), "restore", limits=NO_LIMIT) as connection:
        try:
            connection.execute(creation(DATABASE, facts))
        except psycopg.Error:  # a locale that this machine lacks decides about the order of text only
            plain = sql.SQL("create database {} template template0 encoding 'UTF8'")
            connection.execute(plain.format(sql.Identifier(DATABASE)))
    return {"version": installation.dotted, "monetary": facts.get("monetary")}


def restore(context: Context, *, scratch: str, tables: list[Facts], major: int) -> Facts:
    """Restore the tables, with their types and without indexes, keys and triggers.

    Raises ProblemFound when something doesn't restore, Refused when the scratch server lacks an extension.
    """
    workspace = context.workspace
    directory = workspace.scratch(scratch)
    server = embedded.opened(directory)
    clients = clients_for(max(server.installation.major, major))
    decompress_for(clients, directory / "dump")
    entries = read_toc(directory / "dump" / "toc.dat")
    chosen = readable(entries, select(entries, [Relation(**one) for one in tables]))
    with connect(server.conninfo(DATABASE), "restore", limits=NO_LIMIT) as connection:
        available = catalog.available_extensions(connection)
        noted = {"monetary": context.results["scratch"].get("monetary")}
        money.check_known(connection, noted, entries)
    if missing := sorted({one.name for one in chosen if one.kind == "EXTENSION"} - available):
        raise Refused(
            f"PostgreSQL {server.installation.dotted} on this machine lacks extensions: {', '.join(missing)}",
            "install their packages on this machine",
        )
    settings = money.reading(noted, entries)
    first = [entry for entry in chosen if entry.section == "pre-data"]
    failures = _restored(workspace, directory, clients, first, context.report, settings)
    if not failures:
        _drop_checks(server.conninfo(DATABASE))
        last = [entry for entry in chosen if entry.section != "pre-data"]
        failures = _restored(workspace, directory, clients, last, context.report, settings) if last else []
    if failures:
        fact = f"the tables can't be read from the backup: {failures[0]['what']}: {failures[0]['error']}"
        raise ProblemFound(fact, "check the backup: tabsync drill --backup ID")
    return {"entries": len(chosen)}


def _restored(
    workspace: Workspace,
    directory: Path,
    clients: Installation,
    entries: Sequence[Entry],
    report: Callable[[float, float, str], None],
    settings: dict[str, str],
) -> list[Facts]:
    listed = write_list(directory / "restore.list", [entry.dump_id for entry in entries])
    options = ["--no-owner", "--no-privileges", "--exit-on-error", f"--jobs={workspace.jobs}", listed]
    options.append(f"--dbname={as_dbname(DATABASE)}")
    conninfo = embedded.opened(directory).conninfo(DATABASE)
    dump = directory / "dump"
    return run_pg_restore(clients, dump, entries, options, conninfo=conninfo, report=report, settings=settings)


def _drop_checks(conninfo: str) -> None:
    """Drop every CHECK before rows come: the source has checked them, and what one calls may read tables not here."""
    with connect(conninfo, "restore", limits=NO_LIMIT) as connection:
        for (statement,) in connection.execute(SQL["drop_checks"], {}).fetchall():
            connection.execute(spelled(statement))


def reader(directory: Path, database: str) -> Connection:
    """A session of the role that only reads, on a copy whose server runs in a directory of ours."""
    server = embedded.opened(directory)
    password = secrets.token_urlsafe(24)
    with connect(server.conninfo(database), "restore", limits=NO_LIMIT) as connection:
        role = sql.Identifier(READER)
        if READER not in catalog.roles(connection):
            connection.execute(sql.SQL("create role {}").format(role))
        for statement in (
            # Where the source has a role of that name, it was made in the copy like all others: without a login.
            sql.SQL("alter role {} login bypassrls nosuperuser password {}").format(role, password),
            sql.SQL("alter role {} set temp_file_limit = '4GB'").format(role),
            sql.SQL("grant pg_read_all_data to {}").format(role),
            sql.SQL("grant connect, temporary on database {} to {}").format(sql.Identifier(database), role),
        ):
            connection.execute(statement)
    conninfo = make_conninfo(server.conninfo(database), user=READER, password=password)
    return connect(conninfo, "restore", limits=_READER_LIMITS, as_application=True)


def copy_steps(workspace: Workspace, source: Source, tables: Sequence[Relation], scratch: str) -> list[Step]:
    """The steps that make the tables readable in a server of ours."""
    if source.warm is not None:
        return [start_step(source.warm)]
    needs, there = 0, [asdict(one) for one in tables]
    if source.backup:
        manifest = workspace.store().manifest(source.backup)
        part: Part = part_of(manifest, entries_of(workspace, manifest), tables)
        there, needs = [asdict(one) for one in tables if one not in part.absent], part.bytes
        files = [file.name for file in part.files]
        size = human_bytes(sum(file.object_bytes for file in part.files))
        get = Step(
            "fetch",
            f"Fetch {len(there)} of {len(manifest.tables)} tables",
            call(fetch, backup=source.backup, scratch=scratch, files=files),
            f"{len(files)} files, {size} of the backup's {human_bytes(manifest.stored_bytes)}; SHA-256 of each",
            reads=(source.backup,),
        )
    else:
        get = Step(
            "fetch",
            f"Dump {len(tables)} tables of {source.database}",
            call(dump, database=source.database, tables=there, scratch=scratch, major=source.major),
            f"pg_dump of {', '.join(map(str, tables))} in {catalog.quoted(source.database)}",
        )
    undo = "the scratch server is deleted at the end"
    server = server_for(source.major)
    starting = Step(
        "scratch",
        f"Start a scratch PostgreSQL {server.dotted}",
        call(start, scratch=scratch, major=source.major, needs=needs, facts=source.facts),
        f"initdb and pg_ctl start in {workspace.scratch(scratch)}",
        Risk.REVERSIBLE,
        undo,
    )
    restoring = Step(
        "restore",
        "Restore the tables into it, without indexes and keys",
        call(restore, scratch=scratch, major=source.major, tables=there),
        "pg_restore of these tables and the types that they need",
        Risk.REVERSIBLE,
        undo,
    )
    return [get, starting, restoring]


def close_step(scratch: str) -> Step:
    """The step that takes the scratch server away, and not what was found in it."""
    return Step(
        "close",
        "Delete the scratch server",
        call(close, scratch=scratch),
        "stop it and delete its copy; the differences are kept until this command ends",
        Risk.REVERSIBLE,
        "no undo needed: the backup is unchanged",
        always=True,
    )


def close(context: Context, *, scratch: str) -> Facts:
    """Stop the scratch server and delete its copy; the differences stay until they were shown or written."""
    workspace = context.workspace
    directory = workspace.scratch(scratch)
    embedded.end_server(directory)
    for name in ("data", "dump"):
        shutil.rmtree(directory / name, ignore_errors=True)
    return {}

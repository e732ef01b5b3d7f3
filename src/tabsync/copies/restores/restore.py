"""The step that restores a dump into a scratch server, and says precisely what did not come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tabsync.copies.dumps import money
from tabsync.copies.dumps.properties import at_once, give, of_database, statements, worded_there
from tabsync.copies.dumps.provider_schemas import needing
from tabsync.copies.dumps.selection import configuration
from tabsync.copies.restores.different import Difference, NotRestored
from tabsync.copies.restores.outside import in_scratch, reaching_out
from tabsync.copies.restores.passes import Restoring, in_passes
from tabsync.copies.restores.pg_restore import describe, name_of
from tabsync.copies.restores.scratch import manifest_of
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog, embedded
from tabsync.postgres.catalog import creation
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.installation import clients_for
from tabsync.postgres.settings import NO_LIMIT
from tabsync.postgres.toc import Entry, dependents, read_toc
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_NEEDS = ("EXTENSION",)


def restore(context: Context, *, backup: str, scratch: str) -> Facts:
    """Restore the fetched dump with pg_restore, in parallel, into a new database of the same name.

    What can't come back because the scratch server lacks an extension or a locale is listed as unproven.
    Raises NotRestored, naming each, when anything else doesn't restore.
    """
    workspace = context.workspace
    manifest = manifest_of(context, backup)
    directory = workspace.scratch(scratch)
    server = embedded.opened(directory)
    database = manifest.source["database"]
    entries = read_toc(directory / "dump" / "toc.dat")
    with connect(server.conninfo("template1"), "restore", limits=NO_LIMIT) as connection:
        _create_globals(connection, manifest)
        missing, unproven = _missing_extensions(connection, manifest)
        unproven = [f"not in the backup: {one}" for one in manifest.excluded] + unproven
        own_locale = _locale_works(connection, manifest)
    if not own_locale:
        unproven.append(
            f"sort order of text: the locale {_locale_name(manifest)} is missing on this server, the copy uses C.UTF-8"
        )
    left_out = {entry.dump_id for entry in entries if entry.kind in _NEEDS and entry.name in missing}
    theirs = needing(entries, manifest.excluded_schemas)
    left_out |= theirs | reaching_out(entries)
    unread, settings = _amounts(server.conninfo("template1"), manifest, entries)
    tables = [entry for entry in entries if entry.dump_id in unread and entry.has_rows]
    left_out |= unread
    unproven += [f"rows of table {name_of(one)}: this server can't read its amounts of money" for one in tables]
    unproven += [
        f"{one.kind.lower()} {name_of(one)}: needs a schema of the provider" for one in entries if one.dump_id in theirs
    ]
    failures, refused_properties = _pg_restore(
        workspace, server, directory, database, entries, left_out, own_locale, context.report, settings
    )
    unproven += [f"not given to the copy: {one['statement']} ({one['error']})" for one in refused_properties]
    refused = _refused_extensions(entries, failures)
    left_out |= refused.keys()
    unproven += [
        f"extension {name}: it can't be created in a scratch server: {error}" for name, error in refused.values()
    ]
    explained = dependents(entries, left_out) | _rows_of(entries, left_out)
    unexplained = [failure for failure in failures if failure["dump_id"] not in explained]
    if unexplained:
        raise NotRestored(
            f"the backup can't be restored: {describe(unexplained[0])}"
            + (f" (and {len(unexplained) - 1} more)" if len(unexplained) > 1 else ""),
            _differences(entries, unexplained),
            "repair the source, then run: tabsync drill; if the source is lost, restore what can be restored:"
            f" tabsync restore new --from {backup} --keep-what-came",
        )
    missing |= {name for name, _ in refused.values()}
    failed = {failure["dump_id"] for failure in failures} - refused.keys()
    lost = [entry for entry in entries if entry.dump_id in failed]
    unproven += [f"{entry.kind.lower()} {name_of(entry)}: needs {', '.join(sorted(missing))}" for entry in lost]
    return {
        "database": database,
        "own_locale": own_locale,
        "unproven": unproven,
        "notes": in_scratch(entries),
        "left_out": sorted(left_out | {one.dump_id for one in lost}),
        "lost_tables": [[one.schema, one.name] for one in (*lost, *tables) if one.kind in ("TABLE", "TABLE DATA")],
        "refused": refused_properties,
    }


def _amounts(conninfo: str, manifest: Manifest, entries: Sequence[Entry]) -> tuple[set[int], dict[str, str]]:
    """What can't be read where the locale of amounts of money is missing: rows, and the keys that look at them; and
    the settings under which they are read."""
    settings = money.reading(manifest.database, entries)
    with connect(conninfo, "restore") as connection:
        if money.is_known(connection, settings):
            return set(), settings
    tables = {one.dump_id for one in money.holding(entries)}
    kinds = ("TABLE DATA", "FK CONSTRAINT", "MATERIALIZED VIEW DATA")
    return {one.dump_id for one in entries if one.kind in kinds and not tables.isdisjoint(one.dependencies)}, {}


def _refused_extensions(entries: Sequence[Entry], failures: Sequence[Facts]) -> dict[int, tuple[str, str]]:
    """Extensions that are installed here and can't be made: they want to be preloaded, or another database."""
    errors = {one["dump_id"]: one["error"] for one in failures}
    return {
        entry.dump_id: (entry.name, errors[entry.dump_id])
        for entry in entries
        if entry.kind in _NEEDS and entry.dump_id in errors
    }


def _rows_of(entries: Sequence[Entry], gone: set[int]) -> set[int]:
    """The rows of the own tables of extensions that are not there."""
    return {one for one, owners in configuration(entries).items() if owners & gone}


def _differences(entries: Sequence[Entry], failures: Sequence[Facts]) -> list[Difference]:
    known = {entry.dump_id: entry for entry in entries}
    found = [(known.get(one["dump_id"]), one["error"]) for one in failures]
    return [
        Difference(entry.kind.lower(), entry.schema, entry.name, error) if entry else Difference("", "", "", error)
        for entry, error in found
    ]


def _created(entries: Sequence[Entry], database: str) -> sql.SQL | sql.Composed:
    """The dump's own statement: it tells more than the manifest, as the rules of an ICU locale.

    pg_restore --create would run it, but before that, where only some entries are wanted, the database's properties.
    """
    for entry in entries:
        if entry.kind == "DATABASE":
            return sql.SQL(entry.definition)
    return sql.SQL("create database {} template template0 encoding 'UTF8'").format(sql.Identifier(database))


def _create_globals(connection: Connection, manifest: Manifest) -> None:
    # Owners and grantees need only exist; nobody can log in as one of them.
    existing = set(catalog.roles(connection))
    for role in manifest.roles:
        if role not in existing:
            connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
    for tablespace in manifest.tablespaces:
        connection.execute(sql.SQL("create tablespace {} location ''").format(sql.Identifier(tablespace)))


def _missing_extensions(connection: Connection, manifest: Manifest) -> tuple[set[str], list[str]]:
    available = catalog.available_extensions(connection)
    missing = {one["name"] for one in manifest.extensions} - available
    return missing, [f"extension {name}: not installed on this server" for name in sorted(missing)]


def _locale_name(manifest: Manifest) -> str:
    return str(manifest.database["locale"] or manifest.database["collate"])


def _locale_works(connection: Connection, manifest: Manifest) -> bool:
    # Asking PostgreSQL itself is the only sure way: providers, locales and builds differ from server to server.
    try:
        connection.execute(creation("tabsync_probe", manifest.database))
    except psycopg.Error:
        return False
    connection.execute("drop database tabsync_probe")
    return True


def _pg_restore(
    workspace: Workspace,
    server: embedded.Server,
    directory: Path,
    database: str,
    entries: list[Entry],
    left_out: set[int],
    own_locale: bool,
    report: Callable[[float, float, str], None],
    settings: Mapping[str, str],
) -> tuple[list[Facts], list[Facts]]:
    """What failed of the entries, and which properties of the database the server refused."""
    kept = [entry for entry in entries if entry.dump_id not in left_out and not of_database(entry)]
    restoring = Restoring(
        clients_for(server.installation.major),
        directory / "dump",
        "directory",
        directory,
        server.conninfo(database),
        database,
        (f"--jobs={workspace.jobs}",),
        report,
        settings,
    )
    via = "postgres" if database == "template1" else "template1"
    with connect(server.conninfo(via), "restore", limits=NO_LIMIT) as connection:
        if database == "template1":
            connection.execute("alter database template1 is_template false")
        # One called postgres is there already, and the copy of it must not be mixed with it.
        connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(database)))
        connection.execute(_created(entries, database) if own_locale else _created((), database))
    failures = in_passes(
        restoring,
        kept,
        lambda: connect(server.conninfo(database), "restore", limits=NO_LIMIT),
        go_on=True,
    )
    with connect(server.conninfo(via), "restore", limits=NO_LIMIT) as connection, at_once(connection):
        given = statements(entries, database)
        refused = give(connection, given)
    if there := worded_there(given):
        with connect(server.conninfo(database), "restore", limits=NO_LIMIT) as connection:
            give(connection, there)
    return failures, refused

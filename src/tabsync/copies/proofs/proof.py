"""The steps that prove a restored copy: it answers, it is the same to the byte, no row of it points at nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tabsync.copies.dumps import money
from tabsync.copies.dumps.pg_dump import dump_directory
from tabsync.copies.proofs.compare_dumps import Dump, compare
from tabsync.copies.proofs.orphans import Comparison, comparisons, count_orphans
from tabsync.copies.proofs.read_again import as_postgresql_writes, reworded_note, unlike
from tabsync.copies.restores.different import Difference, NotTheSame
from tabsync.copies.restores.outside import reaching_out
from tabsync.copies.restores.scratch import manifest_of
from tabsync.copies.restores.verify_restored import count_all, invalid_notes, moved_note, row_values
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import CannotConnect, ProblemFound
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog, embedded
from tabsync.postgres.catalog import Relation, foreign_key_from_json, server_major
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.installation import clients_for
from tabsync.postgres.settings import NO_LIMIT
from tabsync.postgres.toc import Entry, dependents, read_toc
from tabsync.stores.manifest import Manifest
from tabsync.stores.store import digests_of

if TYPE_CHECKING:
    from tabsync.workspace import Context


_PLACEMENT = ("DATABASE", "DATABASE PROPERTIES")


def disaster(context: Context, *, backup: str) -> Facts:
    """The moment at which the source counts as lost: what was committed since the snapshot would be gone.

    That is the measured RPO. The source's own clock and WAL position are used where it still answers.
    """
    manifest = manifest_of(context, backup)
    facts: Facts = {"monotonic": time.monotonic(), "wal_bytes": None}
    try:
        with context.workspace.connect("drill") as connection:
            facts |= catalog.position(connection)
            if facts["lsn"] and manifest.snapshot["lsn"]:
                facts["wal_bytes"] = catalog.wal_between(connection, manifest.snapshot["lsn"], facts["lsn"])
    except CannotConnect:
        facts |= {"time": iso(now()), "lsn": None}
    facts["rpo_seconds"] = max(0.0, (_moment(facts["time"]) - _moment(manifest.snapshot["time"])))
    return facts


def answer(context: Context, *, scratch: str, key_tables: list[Facts]) -> Facts:
    """Ask the copy what the application would ask first; when it answers, the recovery is over: that is the RTO.

    Raises ProblemFound when a key table is not there.
    """
    with connect_copy(context, scratch) as connection:
        for one in key_tables:
            relation = Relation(**one)
            try:
                connection.execute(sql.SQL("select exists (select from {})").format(relation.identifier()))
            except psycopg.Error as error:
                if _is_unproven(context, relation):
                    continue
                raise ProblemFound(
                    f"a query on the copy failed: {error.diag.message_primary}", "tabsync drill"
                ) from None
    ended = time.monotonic()
    return {"rto_seconds": ended - context.results["disaster"]["monotonic"], "key_tables": key_tables}


def round_trip(context: Context, *, backup: str, scratch: str) -> Facts:
    """Dump the copy again with the same settings and compare every table file and every definition.

    Raises NotTheSame naming what differs. Gives notes: what is otherwise and is no loss, in words.
    """
    workspace = context.workspace
    manifest = manifest_of(context, backup)
    directory = workspace.scratch(scratch)
    entries = read_toc(directory / "dump" / "toc.dat")
    again = dump_directory(
        _conninfo(context),
        directory / "again",
        clients_for(server_major(manifest.source)),
        jobs=workspace.jobs,
        claim=directory,
        tables=len(manifest.tables),
        report=context.report,
        settings=_money(context, manifest, entries),
    )
    digests = dict(zip(again, digests_of([file.path for file in again]), strict=True))
    entries_again = read_toc(directory / "again" / "toc.dat")
    skipped = dependents(entries, _left_out(context, entries))
    found = compare(
        Dump(directory / "dump", entries, {Relation(one.schema, one.table): one.digest for one in manifest.files}),
        Dump(directory / "again", entries_again, {Relation(one.schema, one.table): digests[one] for one in again}),
        skipped,
        _not_comparable(context),
    )
    left = [one for one in entries if one.dump_id not in skipped]
    differences = [*found.differences, *_reworded(context, manifest, directory, left, found.reworded)]
    with connect_copy(context, scratch) as connection:
        differences += row_values(connection, found.moved)
    if _large_objects(manifest) != Counter(
        digest for file, digest in digests.items() if file.path.name.startswith("blob_")
    ):
        differences.append(Difference("large objects", "", ""))
    if differences:
        raise NotTheSame(
            "the copy differs from the backup",
            differences,
            "keep the backup; for the list of differences: tabsync drill --json",
        )
    excused = {(one.schema, one.name) for one in entries if one.dump_id in skipped and one.has_rows}
    compared = [file for file in manifest.files if file.table and (file.schema, file.table) not in excused]
    return {
        "tables": len(compared),
        "bytes": sum(file.bytes for file in compared),
        "definitions": len(left),
        "large_objects": sum(_large_objects(manifest).values()),
        "notes": [moved_note(one) for one in found.moved]
        + [reworded_note(one) for one in found.reworded]
        + invalid_notes(left)
        + _never_dumped(manifest),
    }


def rows(context: Context, *, scratch: str) -> Facts:
    """Count the rows of every table of the copy."""
    with connect_copy(context, scratch) as connection:
        # Materialized views were refreshed by the restore: they are derived, and may not be populated at all.
        tables = [table.relation for table in catalog.tables(connection) if table.kind == "r"]
        found = count_all(connection, tables, context.report)
    counted = [{"schema": one.schema, "name": one.name, "rows": found[one]} for one in tables]
    return {"tables": counted, "total": sum(found.values())}


def orphans(context: Context, *, backup: str, scratch: str) -> Facts:
    """For every foreign key the source declares, count the copy's rows that point at nothing.

    A key that the source itself never validated (NOT VALID) says nothing about the rows that were there: theirs are
    told. Raises NotTheSame naming the keys that are violated.
    """
    manifest = manifest_of(context, backup)
    keys = [foreign_key_from_json(one) for one in manifest.foreign_keys]
    theirs = set(manifest.excluded_schemas)
    keys = [key for key in keys if not theirs & {key.table.schema, key.referenced.schema}]
    lost = {Relation(*one) for one in context.results["restore"].get("lost_tables", ())}
    violated, notes, checked = [], [], 0
    with connect_copy(context, scratch) as connection:
        compared = comparisons(connection)
        for number, key in enumerate(keys, start=1):
            context.report(number, len(keys), "foreign keys")
            if lost & {key.table, key.referenced}:
                continue
            count = count_orphans(connection, key, compared.get((key.table, key.name), Comparison()))
            checked += 1
            if count and key.validated:
                what = f"of {key.table}: {count} rows"
                violated.append(Difference("foreign key", key.table.schema, key.name, what))
            elif count:
                why = f"is not validated: {count} rows have no referenced row, as in the source"
                notes.append(f"foreign key {key.name} of {key.table} {why}")
    if violated:
        raise NotTheSame(
            "rows whose referenced row does not exist",
            violated,
            "follow the runbook 'Data corruption detected' in the manual",
        )
    return {"foreign_keys": checked, "notes": notes}


def _reworded(
    context: Context, manifest: Manifest, directory: Path, entries: Sequence[Entry], reworded: Sequence[Entry]
) -> list[Difference]:
    """Of definitions that read otherwise, those that don't read so in every copy."""
    if not reworded:
        return []
    clients = clients_for(server_major(manifest.source))
    settings = _money(context, manifest, entries)
    read = as_postgresql_writes(clients, directory, _conninfo(context), entries, context.workspace.jobs, settings)
    return unlike(reworded, read)


def _never_dumped(manifest: Manifest) -> list[str]:
    """What pg_dump leaves out of the definitions, in words: indexes that aren't valid, owners of PostgreSQL's own
    objects; older manifests don't tell."""
    noted = manifest.not_in_this_backup or ()
    found = [one for one in noted if one["kind"] == "index that is not valid"]
    notes = [f"index {one['name']} is not in the backup: it was not valid in the source" for one in found]
    owners = [one for one in noted if one["kind"] == "owner"]
    return notes + [f"the owner of {one['name']} is in no backup: {one['statement']}" for one in owners]


def _money(context: Context, manifest: Manifest, entries: Sequence[Entry]) -> dict[str, str]:
    """The settings under which amounts of money are read and written, in the copy as in the source."""
    settings = money.reading(manifest.database, entries)
    with connect_copy(context, "") as connection:
        return settings if money.is_known(connection, settings) else {}


def _not_comparable(context: Context) -> tuple[str, ...]:
    restored = context.results["restore"]
    if not restored.get("own_locale"):
        return _PLACEMENT
    return ("DATABASE PROPERTIES",) if restored.get("refused") else ()


def _large_objects(manifest: Manifest) -> Counter[str]:
    return Counter(file.digest for file in manifest.files if file.name.startswith("blob_"))


def _is_unproven(context: Context, relation: Relation) -> bool:
    return [relation.schema, relation.name] in context.results["restore"].get("lost_tables", ())


def connect_copy(context: Context, scratch: str) -> Connection:
    """A session to the copy that the steps before restored, in a scratch server or on the workspace's own."""
    return connect(_conninfo(context), "drill", limits=NO_LIMIT)


def _conninfo(context: Context) -> str:
    place = context.results["scratch"]
    if "directory" not in place:  # a new database of the workspace's server: a drill on staging
        return context.workspace.conninfo_to(place["database"])
    return embedded.opened(Path(place["directory"])).conninfo(context.results["restore"]["database"])


def _left_out(context: Context, entries: list[Entry]) -> set[int]:
    left_out = context.results["restore"].get("left_out")
    if left_out is None:
        feeds = {entry.dump_id for entry in entries if entry.kind == "SUBSCRIPTION"}
        return feeds | reaching_out(entries)  # see restore_new
    return set(left_out)


def _moment(text: str) -> float:
    return parse_iso(text).timestamp()

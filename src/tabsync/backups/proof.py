"""The steps that prove a restored copy: it answers, it is the same to the byte, no row of it points at nothing."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tabsync.backups.dump import dump_directory
from tabsync.backups.scratch import manifest_of
from tabsync.backups.target import conninfo_of
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import CannotConnect, ProblemFound
from tabsync.kernel.step import Context, Facts
from tabsync.postgres import catalog, embedded
from tabsync.postgres.catalog import ForeignKey, Relation, foreign_key_from_json, server_major
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.installation import clients_for
from tabsync.postgres.settings import NO_LIMIT
from tabsync.postgres.toc import Entry, dependents, read_toc
from tabsync.stores.manifest import Manifest
from tabsync.stores.store import digests_of

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_PLACEMENT = ("DATABASE", "DATABASE PROPERTIES")


def disaster(context: Context, *, backup: str) -> Facts:
    """The moment at which the source counts as lost: what was committed since the snapshot would be gone.

    That is the measured RPO. The source's own clock and WAL position are used where it still answers.
    """
    manifest = manifest_of(context, backup)
    facts: Facts = {"monotonic": time.monotonic(), "wal_bytes": None}
    try:
        with context.services.connect("drill") as connection:
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
                raise ProblemFound(f"the copy does not answer: {error.diag.message_primary}", "tabsync drill") from None
    ended = time.monotonic()
    return {"rto_seconds": ended - context.results["disaster"]["monotonic"], "key_tables": key_tables}


def round_trip(context: Context, *, backup: str, scratch: str) -> Facts:
    """Dump the copy again with the same settings and compare every table file and every definition.

    Raises ProblemFound naming what differs.
    """
    workspace: Workspace = context.services
    manifest = manifest_of(context, backup)
    directory = workspace.scratch(scratch)
    again = dump_directory(
        _conninfo(context),
        directory / "again",
        clients_for(server_major(manifest.source)),
        jobs=workspace.jobs,
        claim=directory,
        tables=len(manifest.tables),
        report=context.report,
    )
    digests = digests_of([file.path for file in again])
    second = Counter(
        (file.schema, file.table, digest) for file, digest in zip(again, digests, strict=True) if file.table
    )
    first = Counter((file.schema, file.table, file.digest) for file in manifest.files if file.table)
    entries, entries_again = (read_toc(directory / name / "toc.dat") for name in ("dump", "again"))
    skipped = dependents(entries, _left_out(context, entries))
    excused = {(one.schema, one.name) for one in entries if one.dump_id in skipped and one.has_rows}
    different = sorted({key[:2] for key in (first - second) + (second - first)} - excused)
    definitions = _different_definitions(entries, entries_again, skipped, _not_comparable(context))
    blobs = _large_objects(manifest) == Counter(
        digest for file, digest in zip(again, digests, strict=True) if file.path.name.startswith("blob_")
    )
    differences = [f"rows of table {Relation(*pair)}" for pair in different] + definitions
    differences += [] if blobs else ["large objects"]
    if differences:
        raise ProblemFound(
            "the copy is not the same: " + "; ".join(differences[:5]) + (" ..." if len(differences) > 5 else ""),
            "keep the backup, and report this with: tabsync drill --json",
        )
    compared = [file for file in manifest.files if file.table and (file.schema, file.table) not in excused]
    return {
        "tables": len(compared),
        "bytes": sum(file.bytes for file in compared),
        "definitions": len(entries) - len(skipped),
        "large_objects": sum(_large_objects(manifest).values()),
    }


def rows(context: Context, *, scratch: str) -> Facts:
    """Count the rows of every table of the copy."""
    counted = []
    with connect_copy(context, scratch) as connection:
        # Materialized views were refreshed by the restore: they are derived, and may not be populated at all.
        tables = [table for table in catalog.tables(connection) if table.kind == "r"]
        for number, table in enumerate(tables, start=1):
            query = sql.SQL("select count(*) from only {}").format(table.relation.identifier())
            row = connection.execute(query).fetchone()
            counted.append({"schema": table.relation.schema, "name": table.relation.name, "rows": row[0] if row else 0})
            context.report(number, len(tables), "tables")
    return {"tables": counted, "total": sum(one["rows"] for one in counted if one["rows"])}


def orphans(context: Context, *, backup: str, scratch: str) -> Facts:
    """For every foreign key the source declares, count the copy's rows that point at nothing.

    Raises ProblemFound naming the keys that are violated.
    """
    manifest = manifest_of(context, backup)
    keys = [foreign_key_from_json(one) for one in manifest.foreign_keys]
    theirs = set(manifest.excluded_schemas)
    keys = [key for key in keys if not theirs & {key.table.schema, key.referenced.schema}]
    violated, checked = [], 0
    with connect_copy(context, scratch) as connection:
        for number, key in enumerate(keys, start=1):
            context.report(number, len(keys), "foreign keys")
            if _is_unproven(context, key.table) or _is_unproven(context, key.referenced):
                continue
            count = count_orphans(connection, key)
            checked += 1
            if count:
                violated.append(f"{key.table} ({key.name}): {count} rows")
    if violated:
        raise ProblemFound("rows point at nothing: " + "; ".join(violated), "the manual's runbook: data corruption")
    return {"foreign_keys": checked}


def count_orphans(connection: Connection, key: ForeignKey) -> int:
    """Rows of a table whose foreign key finds no row; NULLs count as MATCH SIMPLE and MATCH FULL say.

    https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK
    """
    child = [sql.Identifier("child", name) for name in key.columns]
    parent = [sql.Identifier("parent", name) for name in key.referenced_columns]
    pairs = [sql.SQL("{} = {}").format(a, b) for a, b in zip(parent, child, strict=True)]
    given = [sql.SQL("{} is not null").format(name) for name in child]
    # MATCH SIMPLE lets a row through when any column is NULL, MATCH FULL only when all are.
    applies = sql.SQL(" or " if key.match == "f" else " and ").join(given)
    query = sql.SQL(
        "select count(*) from {child} as child"
        " where ({applies}) and not exists (select from {parent} as parent where {pairs})"
    ).format(
        child=key.table.identifier(),
        parent=key.referenced.identifier(),
        applies=applies,
        pairs=sql.SQL(" and ").join(pairs),
    )
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _different_definitions(
    first: list[Entry], second: list[Entry], skipped: set[int], not_comparable: tuple[str, ...]
) -> list[str]:
    def described(entries: list[Entry], left_out: set[int]) -> Counter[tuple[str, ...]]:
        return Counter(
            (one.kind, one.schema, one.name, one.owner, _normal(one), one.copy, one.tablespace, one.access_method)
            for one in entries
            if one.dump_id not in left_out and one.kind not in not_comparable
        )

    before, after = described(first, skipped), described(second, set())
    names = {
        f"{key[0].lower()} {Relation(key[1], key[2]) if key[1] else key[2]}"
        for key in (before - after) + (after - before)
    }
    return sorted(names)


def _normal(entry: Entry) -> str:
    # Grants come back in another order when they were given in another one; their set is what counts.
    if entry.kind in ("ACL", "DEFAULT ACL"):
        return "\n".join(sorted(entry.definition.splitlines()))
    # The list of large objects is named after the dump's own numbering.
    return "" if entry.kind == "BLOBS" else entry.definition


def _not_comparable(context: Context) -> tuple[str, ...]:
    return () if context.results["restore"].get("own_locale") else _PLACEMENT


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
        return conninfo_of(context.services, place["database"])
    return embedded.opened(Path(place["directory"])).conninfo(context.results["restore"]["database"])


def _left_out(context: Context, entries: list[Entry]) -> set[int]:
    left_out = context.results["restore"].get("left_out")
    if left_out is None:
        left_out = [entry.dump_id for entry in entries if entry.kind == "SUBSCRIPTION"]  # see restore_new
    return set(left_out)


def _moment(text: str) -> float:
    return parse_iso(text).timestamp()

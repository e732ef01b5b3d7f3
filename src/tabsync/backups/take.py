"""tabsync backup take full | schema | data | tables: a consistent dump, files by digest, its manifest last."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg

from tabsync import __version__
from tabsync.audit.seals.seal import anchor
from tabsync.backups.copy import copies_of, copy_steps
from tabsync.backups.readable import readable
from tabsync.copies.dumps.contents import Contents, Kind, all_but, contents_from_json
from tabsync.copies.dumps.left_out import not_dumped
from tabsync.copies.dumps.pg_dump import dump_command, dump_directory, finisher, tables_of
from tabsync.copies.dumps.upload import Sender
from tabsync.kernel.clock import compact, iso, now
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.evidence import add_evidence
from tabsync.postgres import catalog
from tabsync.postgres.catalog import prove_target
from tabsync.postgres.connect import Connection, check_harmless
from tabsync.postgres.installation import Installation, clients_for
from tabsync.postgres.settings import Limits
from tabsync.providers.platform import platform_schemas
from tabsync.stores.manifest import StoredFile, manifest_from_json, read_manifest

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_SNAPSHOT_LIMITS = Limits(idle_in_transaction_timeout=0)  # it is held, idle, for as long as the dump takes


_TITLES: dict[Kind, str] = {
    "full": "Full backup of {}",
    "schema": "Backup of the definitions of {}",
    "data": "Backup of the rows of {}",
    "tables": "Backup of some tables of {}",
}


def plan_take_full(workspace: Workspace, reason: str = "manual") -> Plan:
    """Plan a full backup; see plan_take."""
    return plan_take(workspace, "full", reason)


def plan_take(
    workspace: Workspace,
    kind: Kind,
    reason: str,
    tables: Sequence[str] = (),
    *,
    exclude_unreadable: bool = False,
    exclude_platform: bool = False,
) -> Plan:
    """Look at the database and plan a backup of it.

    kind: what it holds; reason: why it is taken, kept in the manifest; tables: for the kind "tables", as a manual
    names them; exclude_unreadable: leave out what the user may not read, by name, instead of refusing;
    exclude_platform: leave out the schemas that the provider keeps in every database.
    Raises CannotConnect, NotAllowed (with the tables it may not read), BadUsage (no such table) or Refused (server
    newer than every pg_dump, store not writable). Nothing is changed.
    """
    workspace.keys.check()
    workspace.store().look()
    with workspace.connect("backup") as connection:
        check_harmless(connection)
        target = catalog.identity(connection)
        theirs = platform_schemas(catalog.provider(connection)) & set(catalog.schemas(connection))
        own = Contents(kind, schemas_left_out=tuple(sorted(theirs)) if exclude_platform else ())
        contents = _contents(connection, own, tables, exclude_unreadable, target["user"], theirs)
    clients = clients_for(catalog.server_major(target))
    backup = f"{compact(now())}-{secrets.token_hex(2)}"
    stores = copies_of(workspace, kind, reason)[0]
    copied = [step for number, store in enumerate(stores, start=1) for step in copy_steps(backup, store, number)]
    return Plan(
        procedure=f"backup take {kind}",
        title=_TITLES[kind].format(target["database"]),
        target=target,
        steps=(*take_steps(workspace, backup, reason, target, clients, contents), *copied),
    )


def _contents(
    connection: Connection,
    contents: Contents,
    tables: Sequence[str],
    exclude_unreadable: bool,
    user: str,
    theirs: Collection[str],
) -> Contents:
    contents = readable(connection, contents, user, theirs, exclude=exclude_unreadable)
    if contents.kind != "tables":
        return contents
    wanted = catalog.with_partitions(connection, [catalog.relation_named(name) for name in tables])
    holding = [one.relation for one in catalog.tables(connection)]
    return replace(contents, rows_left_out=all_but(holding, wanted))


def take_steps(
    workspace: Workspace,
    backup: str,
    reason: str,
    target: Facts,
    clients: Installation,
    contents: Contents | None = None,
) -> tuple[Step, ...]:
    """The steps that take a backup (full, unless contents say otherwise) under the given id; the drill has them too."""
    contents = contents or Contents()
    common = {"backup": backup}
    gone = "no undo needed: staged files are deleted at the end, or by the next command if this one dies"
    return (
        Step(
            "dump",
            f"Dump {target['database']}",
            call(dump, **common, target=target, contents=contents.to_json()),
            preview=shlex.join(dump_command(clients, workspace.jobs, options=contents.options())),
            risk=Risk.REVERSIBLE,
            undo=gone,
        ),
        Step(
            "keep",
            "Store the files by digest",
            call(keep, **common),
            preview=f"move each file to {workspace.store().url}/objects/<sha256>",
            risk=Risk.REVERSIBLE,
            undo="tabsync backup prune deletes objects that no manifest names",
        ),
        Step(
            "commit",
            "Write the manifest",
            call(commit, **common, reason=reason, kind=contents.kind),
            preview=f"create {workspace.store().url}/manifests/{backup}.json",
            risk=Risk.REVERSIBLE,
            undo=f"delete {workspace.store().url}/manifests/{backup}.json",
        ),
        Step(
            "tidy_store",
            "Delete the staging directory",
            call(tidy, **common),
            preview=f"rm -r {workspace.store().staging(backup)}",
            risk=Risk.REVERSIBLE,
            undo=gone,
            always=True,
        ),
    )


def dump(context: Context, *, backup: str, target: Facts, contents: Facts) -> Facts:
    """Dump into the store's staging directory, at one exported snapshot whose time and LSN are recorded."""
    workspace = context.workspace
    what = contents_from_json(contents)
    workspace.store().prepare()
    staged = workspace.store().staging(backup)
    workspace.hold(staged)
    clients = clients_for(catalog.server_major(target))
    started_at = iso(now())
    with workspace.connect("backup", _SNAPSHOT_LIMITS) as connection:
        prove_target(connection, target)
        position = catalog.reached(connection)  # before the snapshot, which so has all that was committed by then
        connection.execute("begin isolation level repeatable read read only")
        snapshot = catalog.export_snapshot(connection)
        facts = {"snapshot": position} | _describe(connection) | {"audit": anchor(connection)}
        sender = None
        if not workspace.store().is_local or workspace.keys.encrypting:
            sender = Sender(workspace.store(), staged / "dump", finisher(clients))
        dump_directory(
            workspace.conninfo,
            staged / "dump",
            clients,
            jobs=workspace.jobs,
            claim=staged,
            snapshot=snapshot,
            tables=len(facts["tables"]) - len(what.rows_left_out),
            options=what.options(),
            report=context.report,
            sender=sender,
        )
        with suppress(psycopg.OperationalError):  # a standby may have ended it, once pg_dump had the snapshot
            connection.execute("rollback")
    program = {"pg_dump": clients.dotted, "tabsync": __version__, "jobs": workspace.jobs, "zstd": clients.has_zstd()}
    hidden = [f"table {one}: user {target['user']} may not read it" for one in what.without]
    schemas = [f"schema {name}: it belongs to the provider" for name in what.schemas_left_out]
    hidden += [] if what.large_objects else [f"large objects: user {target['user']} may not read all of them"]
    excluded = {"excluded": hidden + schemas, "excluded_schemas": list(what.schemas_left_out)}
    sent = [one.to_json() for one in sender.sent] if sender else []
    return facts | excluded | {"started_at": started_at, "source": target, "program": program, "sent": sent}


def keep(context: Context, *, backup: str) -> Facts:
    """Store what is still staged, and say which table each file holds."""
    store = context.workspace.store()
    directory = store.staging(backup) / "dump"
    tables = tables_of(directory)
    files = [StoredFile(**one) for one in context.results["dump"]["sent"]]
    staged = sorted(directory.iterdir())
    with ThreadPoolExecutor(max_workers=4) as pool:
        for number, file in enumerate(pool.map(store.keep, staged), start=1):
            files.append(file)
            context.report(number, len(staged), "files")
    kept = []
    for file in sorted(files, key=lambda one: one.name):
        schema, table = tables.get(file.name.removesuffix(".zst"), ("", ""))
        kept.append(replace(file, schema=schema, table=table))
    return {"files": [file.to_json() for file in kept], "bytes": sum(file.object_bytes for file in kept)}


def commit(context: Context, *, backup: str, reason: str, kind: str) -> Facts:
    """Write the manifest, last: from here on the backup exists. The ledger gets the evidence."""
    described = {"id": backup, "kind": kind, "reason": reason, "finished_at": iso(now())}
    keys = context.workspace.keys
    sealed = {"recipients": list(keys.recipients), "fingerprint": keys.fingerprint} if keys.encrypting else {}
    files = {"files": context.results["keep"]["files"], "encryption": sealed}
    dumped = {key: value for key, value in context.results["dump"].items() if key != "sent"}
    manifest = manifest_from_json(dumped | described | files)
    context.workspace.store().commit(manifest)
    facts = {
        "backup": backup,
        "kind": kind,
        "bytes": manifest.stored_bytes,
        "tables": len(manifest.tables),
        "snapshot": manifest.snapshot,
        "manifest": read_manifest(backup, manifest.to_bytes()).content_digest,
        "reason": reason,
        "lacks": [store.url for store in copies_of(context.workspace, kind, reason)[0]],
    }
    add_evidence(context.workspace.ledger(), "backup", manifest.subject, ok=True, facts=facts, run_id=context.run_id)
    return facts


def tidy(context: Context, *, backup: str) -> Facts:
    """Remove the staging directory."""
    context.workspace.delete(context.workspace.store().staging(backup))
    return {}


def _describe(connection: Connection) -> Facts:
    """What the manifest says of the database, read in the snapshot that is dumped."""
    return {
        "database": catalog.database_facts(connection),
        "tables": [
            {"schema": one.relation.schema, "name": one.relation.name, "kind": one.kind}
            | {"estimated_rows": one.estimated_rows, "bytes": one.bytes}
            for one in catalog.tables(connection)
        ],
        "foreign_keys": [key.to_json() for key in catalog.foreign_keys(connection)],
        "extensions": catalog.extensions(connection),
        "roles": catalog.roles(connection),
        "tablespaces": catalog.tablespaces(connection),
        "not_in_this_backup": not_dumped(connection),
    }

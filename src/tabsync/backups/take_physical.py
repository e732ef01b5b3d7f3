"""tabsync backup take physical: pg_basebackup's stream, cut into pieces that go into the store while it runs.

The backup holds the WAL from its start to its stop, so it can be restored by itself; together with archived WAL it is
what a cluster is recovered from to any later moment.
"""

from __future__ import annotations

import secrets
import shlex
from typing import TYPE_CHECKING

from tabsync import __version__
from tabsync.backups.physical.base import BACKUP_MANIFEST, physical, wal_range
from tabsync.backups.physical.checks import (
    Tablespace,
    check_replication,
    check_summaries,
    cluster_facts,
    pin_wal,
    read_next_xid,
    tablespaces,
)
from tabsync.backups.physical.lists import fetch_list, keep_list
from tabsync.backups.physical.pack import CONTENTS, Packer, known_pieces
from tabsync.backups.physical.stream import Checkpoint, basebackup_command, from_files, from_stream
from tabsync.backups.take import tidy
from tabsync.backups.verify import KIND as VERIFIED
from tabsync.kernel.clock import compact, iso, now
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.evidence import add_evidence, evidence_since
from tabsync.postgres import catalog
from tabsync.postgres.catalog import prove_target
from tabsync.postgres.connect import program_environment
from tabsync.postgres.installation import clients_for
from tabsync.postgres.settings import Limits
from tabsync.stores.manifest import Manifest, manifest_from_json, read_manifest

if TYPE_CHECKING:
    from tabsync.stores.store import Store
    from tabsync.workspace import Context, Workspace

_IDLE = Limits(statement_timeout=0, idle_in_transaction_timeout=0)  # it only holds the WAL
_GONE = "no undo needed: staged files are deleted at the end, or by the next command if this one dies"


def plan_take_physical(
    workspace: Workspace,
    reason: str = "manual",
    *,
    parent: str | None = None,
    checkpoint: Checkpoint = "fast",
) -> Plan:
    """Look at the cluster and plan a physical backup of it.

    parent: take only the blocks that changed since this backup (an id, or "latest"); None: take all.
    checkpoint: "fast" begins at once and writes hard for a moment, "spread" waits for the next one.
    Raises CannotConnect, NotAllowed (no REPLICATION right), Refused (a managed server, wal_level, summarize_wal) or
    BadUsage (no such parent). Nothing is changed.
    """
    workspace.keys.check()
    store = workspace.store()
    store.look()
    with workspace.connect("backup") as connection:
        target = catalog.identity(connection)
        target["system_identifier"] = check_replication(connection, workspace.conninfo)
        if parent is not None:
            check_summaries(connection, catalog.server_major(target))
        spaces = tablespaces(connection)
    since = _parent(store, parent, str(target["system_identifier"])) if parent is not None else None
    backup = f"{compact(now())}-{secrets.token_hex(2)}"
    return Plan(
        procedure="backup take physical",
        title=f"Physical backup of the cluster at {workspace_place(workspace)}"
        + (f", changes since {since.id}" if since else ""),
        target=target,
        steps=take_steps(workspace, backup, reason, target, since, checkpoint, spaces),
    )


def take_steps(
    workspace: Workspace,
    backup: str,
    reason: str,
    target: Facts,
    since: Manifest | None,
    checkpoint: Checkpoint,
    spaces: list[Tablespace],
) -> tuple[Step, ...]:
    """The steps that take a physical backup under the given id."""
    store = workspace.store()
    clients = clients_for(catalog.server_major(target))
    command = basebackup_command(clients, backup, checkpoint, to_files=bool(spaces), since="FILE" if since else "")
    return (
        *((_parent_step(since, backup),) if since else ()),
        Step(
            "base",
            "Copy the cluster's files into the store",
            call(base, backup=backup, target=target, checkpoint=checkpoint, parent=since.id if since else ""),
            preview=shlex.join(command),
            risk=Risk.REVERSIBLE,
            undo="tabsync backup prune deletes objects that no manifest names",
        ),
        Step(
            "commit",
            "Write the manifest",
            call(commit, backup=backup, reason=reason),
            preview=f"create {store.url}/manifests/{backup}.json",
            risk=Risk.REVERSIBLE,
            undo=f"delete {store.url}/manifests/{backup}.json",
        ),
        Step(
            "tidy_store",
            "Delete the staging directory",
            call(tidy, backup=backup),
            preview=f"rm -r {store.staging(backup)}",
            risk=Risk.REVERSIBLE,
            undo=_GONE,
            always=True,
        ),
    )


def _parent_step(since: Manifest, backup: str) -> Step:
    return Step(
        "parent",
        f"Fetch the list of files of {since.id}",
        call(parent, backup=since.id, into=backup),
        preview=f"{BACKUP_MANIFEST} of {since.id}, verified",
        risk=Risk.REVERSIBLE,
        undo=_GONE,
        reads=(since.id,),
    )


def parent(context: Context, *, backup: str, into: str) -> Facts:
    """Bring the parent's backup_manifest into the staging directory: pg_basebackup sends it to the server."""
    workspace = context.workspace
    workspace.store().prepare()
    staged = workspace.store().staging(into)
    workspace.hold(staged)
    fetch_list(workspace, backup, staged / "parent")
    return {"bytes": (staged / "parent").stat().st_size}


def base(context: Context, *, backup: str, target: Facts, checkpoint: Checkpoint, parent: str) -> Facts:
    """Run pg_basebackup and store its stream piece by piece. Raises FailedPartway with its own complaint."""
    workspace = context.workspace
    workspace.store().prepare()
    staged = workspace.store().staging(backup)
    workspace.hold(staged)
    started_at = iso(now())
    clients = clients_for(catalog.server_major(target))
    since = str(staged / "parent") if parent else ""
    with workspace.connect("backup", _IDLE) as connection:
        seen = catalog.identity(connection)
        known = seen["system_identifier"]  # who may replicate need not be let see it
        prove_target(connection, target if known else target | {"system_identifier": None})
        cluster, spaces = cluster_facts(connection), tablespaces(connection)
        facts = {"database": catalog.database_facts(connection), "roles": catalog.roles(connection)}
        pin_wal(connection, f"tabsync_{backup.lower().replace('-', '_')}")

        def report(done: int) -> None:
            context.report(done, max(done, cluster["bytes"]), "bytes")

        command = basebackup_command(clients, backup, checkpoint, to_files=bool(spaces), since=since)
        env = program_environment(workspace.conninfo, "backup")
        found_bad = evidence_since(workspace.ledger(), VERIFIED, ok=False)
        damaged = {str(one["facts"].get("backup")) for one in found_bad}
        earlier = known_pieces(workspace.store(), str(target["system_identifier"]), damaged)
        with Packer(workspace.store(), staged, earlier, report) as packer:
            cut = (from_files if spaces else from_stream)(command, env, staged, packer)
        next_xid = read_next_xid(connection)
        stopped = catalog.reached(connection)  # later than the backup's stop: what is asked for after it, it can give
    needed = wal_range(cut.caught[BACKUP_MANIFEST])
    files = [*packer.files, keep_list(workspace, backup, cut.caught[BACKUP_MANIFEST])]
    return facts | {
        "started_at": started_at,
        "source": target | {"role": seen["role"]},  # of whoever answers now
        "snapshot": {"time": stopped["time"], "lsn": needed.stop_lsn},
        "program": {"pg_basebackup": clients.dotted, "tabsync": __version__},
        "files": [file.to_json() for file in files],
        "tablespaces": [space.name for space in spaces],
        "physical": {
            "start_lsn": needed.start_lsn,
            "stop_lsn": needed.stop_lsn,
            "timeline": needed.timeline,
            "wal_segment_size": cluster["wal_segment_size"],
            "next_xid": next_xid,
            "superuser": cluster["superuser"],
            "databases": cluster["databases"],
            "bytes": cut.bytes,
            CONTENTS: packer.contents,
            "parent": parent,
            "tablespaces": [{"oid": one.oid, "name": one.name, "location": one.location} for one in spaces],
        },
    }


def commit(context: Context, *, backup: str, reason: str) -> Facts:
    """Write the manifest, last: from here on the backup exists. The ledger gets the evidence."""
    found = context.results["base"]
    kind = "incremental" if found["physical"]["parent"] else "physical"
    keys = context.workspace.keys
    sealed = {"recipients": list(keys.recipients), "fingerprint": keys.fingerprint} if keys.encrypting else {}
    described = {"id": backup, "kind": kind, "reason": reason, "finished_at": iso(now()), "encryption": sealed}
    manifest = manifest_from_json(found | described)
    context.workspace.store().commit(manifest)
    facts = {"backup": backup, "bytes": manifest.stored_bytes, "snapshot": manifest.snapshot}
    facts |= {"reason": reason}
    facts["manifest"] = read_manifest(backup, manifest.to_bytes()).content_digest
    add_evidence(context.workspace.ledger(), "physical", manifest.subject, ok=True, facts=facts, run_id=context.run_id)
    return facts


def workspace_place(workspace: Workspace) -> str:
    """Where the cluster is, in a few words."""
    from tabsync.postgres.conninfo import place

    return place(workspace.conninfo).partition(" on ")[2] or place(workspace.conninfo)


def _parent(store: Store, name: str, system_identifier: str) -> Manifest:
    if name != "latest":
        found = store.find(name)
        if found not in physical([found], system_identifier):
            raise BadUsage(f"{name} is not a physical backup of this cluster", "tabsync backup window")
        return found
    good, bad = store.manifests()
    mine = physical(good, system_identifier)
    if not mine:
        raise store.nothing("physical backup of this cluster", bad, "tabsync backup take physical")
    return mine[-1]

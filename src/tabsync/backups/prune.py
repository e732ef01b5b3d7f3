"""tabsync backup prune: delete backups that have expired by the manual's Retention table, and what only they needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tabsync.backups.hold import holds
from tabsync.backups.list import proofs
from tabsync.backups.retention.garbage import collect, collectable, freed_by, named, readable_manifests
from tabsync.backups.retention.lease import keep_lease, refuse_while_pruned, release_lease, take_lease
from tabsync.backups.retention.policy import Candidate, Decision, class_of, decide, is_ours
from tabsync.backups.shared_proofs import delete_proofs
from tabsync.backups.wal.prune import expired, forget_wal
from tabsync.kernel import clock
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.ledger.open import Ledger
from tabsync.ledger.runs import one_run, plan_of, recent_runs
from tabsync.manual.load import load
from tabsync.manual.model import RetentionClass
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

GRACE = timedelta(hours=24)
"""How long an object that nobody names stays: longer than a backup takes from its first object to its manifest."""

_RUNNING = 500  # runs looked through, newest first, for those that still run


@dataclass(frozen=True, slots=True)
class Survey:
    """What a prune would do. backups: each with why it stays or goes; provider: classes that aren't ours to prune.

    freed: bytes that deleting gives back now; later: bytes that are too young for it, by the grace period;
    garbage, garbage_bytes: what no manifest names already (they are part of `freed`); wal_files, wal_bytes: WAL that no
    physical backup needs any more (not part of it).
    """

    backups: tuple[Facts, ...]
    provider: tuple[Facts, ...]
    freed: int
    later: int
    garbage: int
    garbage_bytes: int
    grace: timedelta
    wal_files: int = 0
    wal_bytes: int = 0

    @property
    def going(self) -> tuple[Facts, ...]:
        """The backups that would be deleted."""
        return tuple(one for one in self.backups if not one["keep"])

    def to_json(self) -> Facts:
        """The survey as JSON."""
        sizes = {"freed_bytes": self.freed, "later_bytes": self.later}
        garbage = {"unnamed_objects": self.garbage, "unnamed_bytes": self.garbage_bytes}
        garbage |= {"wal_files": self.wal_files, "wal_bytes": self.wal_bytes}
        listed = {"backups": list(self.backups), "provider": list(self.provider)}
        return listed | sizes | garbage | {"grace_seconds": self.grace.total_seconds()}


def survey(workspace: Workspace, grace: timedelta = GRACE) -> Survey:
    """Look at every backup and object of the store and say what would go; nothing is changed.

    Raises Refused when a manifest can't be read, a clock is wrong, or another prune is at work.
    """
    store = workspace.store()
    refuse_while_pruned(store)
    classes = load(workspace.manual_path).retention
    manifests, decisions = _decide(workspace, classes)
    going = {one.id for one in decisions if not one.keep}
    objects = list(store.objects())
    old = collectable(objects, clock.now() - grace)
    sizes = {one.digest: one.bytes for one in old}
    freed = freed_by(manifests, going, sizes)
    all_sizes = {one.digest: one.bytes for one in objects}
    garbage = sizes.keys() - named(manifests)
    garbage_bytes = sum(sizes[digest] for digest in garbage)
    wal = [one for files in expired(store, manifests, going).values() for one in files]
    return Survey(
        backups=tuple(
            _row(manifest, decision, classes, freed.get(manifest.id, 0))
            for manifest, decision in zip(manifests, decisions, strict=True)
        ),
        provider=tuple(
            {"class": row.name, "stores": list(row.stores), "retention_seconds": row.retention.total_seconds()}
            for row in classes
            if not is_ours(row)
        ),
        freed=sum(freed.values()) + garbage_bytes,
        later=sum(freed_by(manifests, going, all_sizes).values()) - sum(freed.values()),
        garbage=len(garbage),
        garbage_bytes=garbage_bytes,
        grace=grace,
        wal_files=len(wal),
        wal_bytes=sum(one.bytes for one in wal),
    )


def plan_prune(workspace: Workspace, found: Survey) -> Plan:
    """Plan to delete what has expired by a survey; it has no steps when there is nothing to delete."""
    store, ids = workspace.store(), [one["id"] for one in found.going]
    databases = sorted({one["database"] for one in found.going or found.backups})
    backups = "1 backup" if len(ids) == 1 else f"{len(ids)} backups"
    steps = []
    if ids:
        steps.append(
            Step(
                "forget",
                f"Delete {backups}",
                call(forget, ids=ids),
                preview="delete " + ", ".join(f"manifests/{backup}.json" for backup in ids),
                risk=Risk.DESTRUCTIVE,
                undo="no undo: a deleted backup can only be restored from a copy of the store",
            )
        )
    if ids or found.garbage:
        steps.append(
            Step(
                "collect",
                "Delete the objects that no backup needs",
                call(collect, grace_seconds=found.grace.total_seconds()),
                preview=f"delete {human_bytes(found.freed)} in {store.url}/objects, stored more than"
                f" {human_seconds(found.grace.total_seconds())} ago and in no manifest",
                risk=Risk.DESTRUCTIVE,
                undo="no undo: no backup needs them",
            )
        )
    if found.wal_files:
        steps.append(_wal_step(found))
    return Plan(
        procedure="backup prune",
        title=f"Prune {store.url}: delete {backups}, free {human_bytes(found.freed + found.wal_bytes)}",
        steps=(_lease_step(store.url), *steps, _release_step()) if steps else (),
        target={"database": ", ".join(databases), "store": store.url},
        confirm=", ".join(databases) or "prune",
    )


def lease(context: Context) -> Facts:
    """Take the store's lease. Raises Refused while another prune is at work."""
    return take_lease(context.workspace.store()).to_json()


def forget(context: Context, *, ids: list[str]) -> Facts:
    """Delete the manifests of the given backups, if each of them may still go; then they don't exist any more.

    Raises Refused, before anything is deleted, when one was held, is used or became the newest proven meanwhile.
    """
    workspace = context.workspace
    store = workspace.store()
    _manifests, decisions = _decide(workspace, load(workspace.manual_path).retention)
    stay = [one for one in decisions if one.keep and one.id in ids]
    if stay:
        raise Refused(
            f"backup {stay[0].id} must be kept now ({stay[0].why}); nothing was deleted", "tabsync backup prune"
        )
    deleted: list[str] = []
    for backup in ids:
        keep_lease(store, context.results["lease"]["token"])
        try:
            if store.delete_manifest(backup):
                deleted.append(backup)
            store.delete_signatures(backup)
            delete_proofs(store, backup)
        except FailedPartway as error:
            fact = f"{error.fact}; {len(deleted)} of {len(ids)} expired backups were deleted"
            raise FailedPartway(fact, error.hint) from error
        context.report(len(deleted), len(ids), "backups")
    return {"deleted": deleted}


def release(context: Context) -> Facts:
    """Give the lease back, if it was taken."""
    taken = context.results.get("lease")
    if taken:
        release_lease(context.workspace.store(), taken["token"])
    return {}


def in_use(ledger: Ledger) -> set[str]:
    """The backups that a running procedure (a drill, a restore) works with, by the plans in the ledger."""
    used: set[str] = set()
    for one in recent_runs(ledger, limit=_RUNNING):
        whole = one_run(ledger, one["id"]) if one["state"] == "running" else None
        used |= plan_of(whole).reads if whole else set()
    return used


def _decide(workspace: Workspace, classes: tuple[RetentionClass, ...]) -> tuple[list[Manifest], list[Decision]]:
    store, ledger = workspace.store(), workspace.ledger()
    manifests = readable_manifests(store)
    candidates = [
        Candidate(one.id, one.subject, one.kind, one.reason, one.taken_at, one.physical.get("parent", ""))
        for one in manifests
    ]
    proven = {backup for backup, good in proofs(ledger).items() if good}
    return manifests, decide(candidates, classes, holds(store), proven, clock.now(), in_use(ledger))


def _row(manifest: Manifest, decision: Decision, classes: tuple[RetentionClass, ...], freed: int) -> Facts:
    row = class_of(manifest.kind, manifest.reason, classes)
    return {
        "id": manifest.id,
        "database": manifest.source["database"],
        "taken_at": manifest.snapshot["time"],
        "backup_kind": manifest.kind,
        "reason": manifest.reason,
        "class": row.name if row else None,
        "expires_at": iso(decision.expires_at) if decision.expires_at else None,
        "keep": decision.keep,
        "why": decision.why,
        "freed_bytes": freed,
    }


def _wal_step(found: Survey) -> Step:
    return Step(
        "forget_wal",
        "Delete the WAL that no physical backup needs",
        call(forget_wal),
        preview=f"delete {found.wal_files} files, {human_bytes(found.wal_bytes)}, older than every physical backup",
        risk=Risk.DESTRUCTIVE,
        undo="no undo: without a backup before it, WAL can't be replayed",
    )


def _lease_step(store: str) -> Step:
    return Step(
        "lease",
        "Take the store's lease",
        call(lease),
        preview="create leases/prune-N.json; only one prune may run on a store",
        risk=Risk.REVERSIBLE,
        undo="it is released at the end, and expires by itself after 10 minutes",
        claims=(f"store:{store}:prune",),
    )


def _release_step() -> Step:
    return Step(
        "give_back",
        "Release the lease",
        call(release),
        preview="delete leases/prune-N.json",
        risk=Risk.REVERSIBLE,
        undo="no undo needed: the next prune takes its own lease",
        always=True,
    )

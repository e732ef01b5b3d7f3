"""tabsync backup list: the backups of a store, and what the ledger knows of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.backups.hold import holds
from tabsync.backups.retention.policy import class_of, expiry
from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import BadUsage, ProblemFound
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import evidence_since
from tabsync.ledger.open import Ledger
from tabsync.ledger.runs import recent_runs
from tabsync.manual.load import read
from tabsync.manual.model import RetentionClass
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_TAKING = ("backup take full", "backup take physical", "drill")
_ALL = 1_000_000  # drills in the ledger: a proof is never too old to count


def list_backups(workspace: Workspace) -> tuple[list[Facts], list[ProblemFound]]:
    """Every readable backup, oldest first, and what is wrong with the others.

    Each has id, taken_at, age_seconds, kind, reason, database, tables, bytes; proven: True or False by its newest
    proof, None when there is none; proof: what that showed, see contents_proven; class, expires_at: what the manual's
    Retention table says of it, None when it says nothing; held: why it is held, "" for no reason given, None when it
    isn't. Raises ProblemFound when the store's directory is gone.
    """
    store = workspace.store()
    manifests, damaged = store.manifests()
    if not manifests and not damaged:
        _check_there(workspace)
    shown, held, classes = contents_proven(workspace.ledger()), holds(store), _classes(workspace)
    moment = now()
    rows = [
        {
            "id": one.id,
            "taken_at": one.snapshot["time"],
            "age_seconds": (moment - one.taken_at).total_seconds(),
            "kind": one.kind,
            "reason": one.reason,
            "database": one.source["database"],
            "tables": len(one.tables),
            "bytes": one.stored_bytes,
            "proven": shown[one.id] == "identical" if one.id in shown else None,
            "proof": shown.get(one.id),
            "held": held.get(one.id),
        }
        | _kept(one, classes)
        for one in manifests
    ]
    return rows, damaged


def _check_there(workspace: Workspace) -> None:
    """Tell a store that has no backup yet from a disk that isn't mounted. Raises ProblemFound."""
    if workspace.store_url or workspace.store_root.exists():
        return
    runs = [one for name in _TAKING for one in recent_runs(workspace.ledger(), procedure=name)]
    if any(one["state"] == "done" for one in runs):
        raise ProblemFound(
            f"the directory of the store, {workspace.store_root}, does not exist, but backups were taken here",
            "mount its disk, or name another directory: --store, or store in tabsync.toml",
        )


def proofs(ledger: Ledger) -> dict[str, bool]:
    """What is known of each backup by its newest proof: whether a copy was identical."""
    return {backup: content == "identical" for backup, content in contents_proven(ledger).items()}


def contents_proven(ledger: Ledger) -> dict[str, str]:
    """What the newest proof of each backup showed: "identical", "partial" (all of it came back that can), "not proven".

    A drill and a deep verification prove; a shallow one proves nothing, but it can find damage.
    """
    found = evidence_since(ledger, "drill", limit=_ALL) + evidence_since(ledger, "verify", limit=_ALL)
    proven: dict[str, str] = {}
    for one in sorted(found, key=lambda one: str(one["at"]), reverse=True):  # the newest of each backup counts
        facts = one["facts"]
        if facts.get("depth") != "shallow":
            proven.setdefault(facts["backup"], facts["content"])
        elif not one["ok"]:
            proven.setdefault(facts["backup"], "not proven")
    return proven


def _classes(workspace: Workspace) -> tuple[RetentionClass, ...]:
    try:
        return read(workspace.manual_path)[0].retention
    except BadUsage:
        return ()  # a list of backups is wanted most when nothing else is in order


def _kept(manifest: Manifest, classes: tuple[RetentionClass, ...]) -> Facts:
    row = class_of(manifest.kind, manifest.reason, classes)
    until = expiry(manifest.taken_at, row)
    return {"class": row.name if row else None, "expires_at": iso(until) if until else None}

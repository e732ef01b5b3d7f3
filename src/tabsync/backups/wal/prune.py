"""Prune's part for WAL: what is older than the oldest physical backup that stays can't be replayed from anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from tabsync.backups.physical.base import lsn, physical
from tabsync.backups.retention.lease import keep_lease
from tabsync.backups.wal.names import folder, left_stored, partial_stored, segment_named, whole_stored
from tabsync.kernel.step import Facts
from tabsync.stores.manifest import Manifest
from tabsync.stores.objects import NamedFile
from tabsync.stores.store import Store

if TYPE_CHECKING:
    from tabsync.workspace import Context

BATCH = 200
"""Files deleted between two looks at the lease."""


def expired(store: Store, manifests: Iterable[Manifest], going: Collection[str]) -> dict[str, list[NamedFile]]:
    """WAL that no physical backup needs that stays, by cluster. Where none stays, all WAL stays: what is in doubt."""
    oldest: dict[str, tuple[int, int]] = {}
    for one in physical(one for one in manifests if one.id not in going):
        facts, cluster = one.physical, str(one.source["system_identifier"])
        begins = (lsn(facts["start_lsn"]), facts["wal_segment_size"])
        oldest[cluster] = min(oldest.get(cluster, begins), begins)
    return {
        cluster: [one for one in store.files(folder(cluster)) if _number(one.name, size) < position // size]
        for cluster, (position, size) in oldest.items()
    }


def forget_wal(context: Context) -> Facts:
    """Delete the WAL that no physical backup of the store needs. Manifests are read again before."""
    store: Store = context.workspace.store()
    manifests, bad = store.manifests()
    found = {} if bad else expired(store, manifests, ())
    names = [(f"{folder(cluster)}/{one.name}", one.bytes) for cluster, files in found.items() for one in files]
    freed = 0
    for number, (name, size) in enumerate(names):
        if number % BATCH == 0:
            keep_lease(store, context.results["lease"]["token"])
            context.report(number, len(names), "files")
        freed += size if store.delete_file(name) else 0
    return {"files": len(names), "bytes": freed}


def _number(name: str, size: int) -> float:
    partial = partial_stored(name)
    segment = whole_stored(name) or left_stored(name) or (partial.segment if partial else "")
    return segment_named(segment, size).number if segment else float("inf")  # histories are tiny, and stay

"""Garbage collection: delete the objects of a store that no manifest names.

An object goes only if all of these hold:

1. Every manifest of the store was read, and none names it. One that can't be read stops everything: what it names is
   not known. Ids that appear while we delete are read before the next batch.
2. It was stored before the grace period, and still is when it is deleted. `adopt` makes an object young, whether it
   was there or not, and shares a lock with `delete_object`, which looks at the age and deletes in one. So a backup that
   is taken meanwhile and needs an old object that nobody named (the same table, unchanged, of a backup just pruned)
   either stores it before the delete, and then it is young and stays; or after it, and then it is there again. Its
   manifest may be written as late as the grace period after that.
3. We hold the store's lease.

A manifest is gone for good before any of its objects is: what dies in between leaves objects that no manifest names,
and never a manifest whose objects are gone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.backups.retention.lease import keep_lease
from tabsync.kernel import clock
from tabsync.kernel.errors import FailedPartway, ProblemFound, Refused
from tabsync.kernel.step import Facts
from tabsync.stores.manifest import Manifest
from tabsync.stores.objects import StoredObject
from tabsync.stores.store import Store

if TYPE_CHECKING:
    from tabsync.workspace import Context

BATCH = 200
"""Objects deleted between two looks at the lease and at new manifests."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


def readable_manifests(store: Store) -> list[Manifest]:
    """All manifests, oldest first. Raises Refused when one can't be read, since what it needs is not known then."""
    manifests, bad = store.manifests()
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise Refused(
            f"{bad[0].fact}{more}: the objects that it needs are unknown, so nothing was deleted", bad[0].hint
        )
    return manifests


def collectable(objects: Iterable[StoredObject], before: datetime) -> list[StoredObject]:
    """The objects that are old enough to go, if nobody names them; what isn't named by a digest is not ours."""
    return [one for one in objects if _DIGEST.fullmatch(one.digest) and one.modified < before]


def named(manifests: Iterable[Manifest]) -> set[str]:
    """The digests that manifests name."""
    return {file.object for manifest in manifests for file in manifest.files}


def freed_by(manifests: Iterable[Manifest], going: Collection[str], sizes: Mapping[str, int]) -> dict[str, int]:
    """Bytes that each backup that goes really frees; an object counts once, at the newest backup that goes with it.

    manifests: all of them, oldest first; sizes: of the objects that would be deleted if nobody named them.
    """
    manifests = list(manifests)
    counted = named(one for one in manifests if one.id not in going)
    freed = {}
    for one in reversed([one for one in manifests if one.id in going]):
        own = {file.object for file in one.files} - counted
        freed[one.id] = sum(sizes.get(digest, 0) for digest in own)
        counted |= own
    return freed


def collect(context: Context, *, grace_seconds: float) -> Facts:
    """Delete the objects that no manifest names and that were stored before the grace period.

    Raises Refused when a manifest can't be read, FailedPartway when the store stops us or the lease was lost.
    """
    store: Store = context.workspace.store()
    before = clock.now() - timedelta(seconds=grace_seconds)
    # The objects first: whatever a later manifest names was stored after this listing, or is young by then.
    old = collectable(store.objects(), before)
    manifests = readable_manifests(store)
    seen, needed = {one.id for one in manifests}, named(manifests)
    garbage = [one for one in old if one.digest not in needed]
    deleted = freed = 0
    try:
        for number, one in enumerate(garbage):
            if number % BATCH == 0:
                keep_lease(store, context.results["lease"]["token"])
                new = [store.manifest(backup) for backup in store.ids() if backup not in seen]
                seen |= {manifest.id for manifest in new}
                needed |= named(new)
                context.report(number, len(garbage), "objects")
            if one.digest not in needed and store.delete_object(one.digest, before):
                deleted, freed = deleted + 1, freed + one.bytes
    except (FailedPartway, ProblemFound) as error:
        fact = f"{error.fact}; {deleted} of {len(garbage)} unused objects were deleted"
        raise FailedPartway(fact, error.hint or "run it again: tabsync backup prune") from error
    return {"objects": deleted, "bytes": freed}

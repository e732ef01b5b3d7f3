"""What two stores have of a cluster's WAL, and what the second one lacks. But for the listing, it is pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from tabsync.backups.physical.base import lsn, physical
from tabsync.backups.wal.names import Partial, Segment, partial_stored, segment_named, whole_stored
from tabsync.backups.wal.prune import expired
from tabsync.kernel.clock import iso
from tabsync.kernel.step import Facts
from tabsync.stores.manifest import Manifest
from tabsync.stores.store import Store

SEALED = ".age"  # ends the names of encrypted files: stores.store

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Copied:
    """A WAL file as it is stored. name: below wal/<cluster>/, as it is there; bytes: as it is there."""

    name: str
    bytes: int
    modified: datetime

    @cached_property
    def plain(self) -> str:
        """Its name, encrypted or not."""
        return self.name.removesuffix(SEALED)

    @cached_property
    def own(self) -> str:
        """What PostgreSQL calls it; an open segment has its length and its time behind that."""
        return self.plain.rpartition("/")[2].removesuffix(".zst")

    @cached_property
    def whole(self) -> str:
        """The segment that it is, "" for others."""
        return whole_stored(self.plain)

    @cached_property
    def partial(self) -> Partial | None:
        """The open segment that it is, None for others."""
        return partial_stored(self.plain)

    @cached_property
    def order(self) -> tuple[bool, str, str, bool]:
        """Oldest first: histories and labels, then segments by position and timeline, the open one behind its own."""
        name = self.whole or (self.partial.segment if self.partial else "")
        return bool(name), name[8:], name[:8], self.partial is not None


@dataclass(slots=True)
class Side:
    """One store's WAL of a cluster. files: by plain name; open: those that are open segments, by segment.

    bases: the cluster's physical backups in the store; size: of a segment, in bytes, 0 when nobody can tell; sure:
    whether every manifest of the store could be read.
    """

    cluster: str
    files: dict[str, Copied] = field(default_factory=dict)
    open: dict[str, list[Copied]] = field(default_factory=dict)
    bases: list[Manifest] = field(default_factory=list)
    size: int = 0
    sure: bool = True

    def add(self, one: Copied) -> None:
        """Note a file that is there."""
        self.files[one.plain] = one
        if one.partial:
            self.open.setdefault(one.partial.segment, []).append(one)

    def remove(self, one: Copied) -> None:
        """Note that one is gone."""
        del self.files[one.plain]
        if one.partial:
            self.open[one.partial.segment].remove(one)

    @property
    def last(self) -> Copied | None:
        """The last whole segment."""
        return max((one for one in self.files.values() if one.whole), key=lambda one: one.order, default=None)

    def following(self, name: str) -> Segment:
        """The segment after one, by its name."""
        segment = segment_named(name, self.size)
        return Segment(segment.timeline, segment.number + 1)

    def suspects(self, other: Side) -> list[Copied]:
        """Of the files that both have: the newest segment of each timeline, and what differs in size."""
        both = sorted(
            (one for name, one in self.files.items() if not one.partial and name in other.files),
            key=lambda one: one.order,
        )
        newest = {one.whole[:8]: one for one in both if one.whole}
        differ = [one for one in both if one.bytes != other.files[one.plain].bytes]
        return list(dict.fromkeys([*newest.values(), *differ]))

    def surely(self, name: str, bases: Iterable[Manifest]) -> datetime:
        """A moment by which all commits are in the segment of that name or before it; not the last one of the kind.

        It is what an open segment up to there told, or when one of the base backups ended.
        """
        after = self.following(name).number
        told = [
            one
            for segment, found in self.open.items()
            if segment_named(segment, self.size).number < after
            for one in found
        ]
        known = [one.partial.until for one in told if one.partial]
        known += [one.taken_at for one in bases if lsn(one.physical["stop_lsn"]) <= after * self.size]
        return max(known, default=_NEVER)

    def superseded_by(self, new: Copied) -> list[Copied]:
        """Open segments that are of no use any more when another file is there."""
        if new.partial is None:
            return list(self.open.get(new.whole, ()))
        mine = self.open.get(new.partial.segment, ())
        return [one for one in mine if one.partial and _standing(one.partial) < _standing(new.partial)]

    def to_json(self) -> Facts:
        """Where it ends, and how many segments are missing before that (None: nobody can tell), as JSON."""
        last = self.last
        ends = max((one.partial.until for found in self.open.values() for one in found if one.partial), default=_NEVER)
        wholes = [one.whole for one in self.files.values() if one.whole]
        numbers = {segment_named(name, self.size).number for name in wholes} if self.size else set()
        return {
            "system_identifier": self.cluster,
            "newest": last.whole if last else None,
            "until": iso(ends) if ends > _NEVER else None,
            "missing": max(numbers) - min(numbers) + 1 - len(numbers) if numbers else None,
            "backups": len(self.bases),
        }


def sides(source: Store, target: Store) -> list[tuple[Side, Side]]:
    """List all WAL of a store, by cluster, and what another one has of the same clusters."""
    here, there = _listed(source), _listed(target)
    pairs = [(side, there.get(cluster, Side(cluster))) for cluster, side in here.items() if side.files]
    for one, other in pairs:
        one.size = other.size = one.size or other.size
    return pairs


def wanting(source: Store, here: Side, there: Side) -> list[Copied]:
    """What the second store lacks of a cluster, oldest first.

    Left out are open segments of which there is more, and what no physical backup of the second store needs.
    """
    unneeded: set[str] = set()
    if there.sure:  # else a backup that can't be read may need it
        unneeded = {one.name for files in expired(source, there.bases, ()).values() for one in files}
    lacking = [one for one in here.files.values() if one.plain not in there.files and one.plain not in unneeded]
    return sorted((one for one in lacking if not _outdone(one, (here, there))), key=lambda one: one.order)


def _listed(store: Store) -> dict[str, Side]:
    manifests, damaged = store.manifests()
    found: dict[str, Side] = {}
    for manifest in physical(manifests):
        cluster = str(manifest.source["system_identifier"])
        side = found.setdefault(cluster, Side(cluster))
        side.bases.append(manifest)
        side.size = int(manifest.physical["wal_segment_size"])
    for file in store.list_files("wal"):
        cluster, _, name = file.name.partition("/")
        found.setdefault(cluster, Side(cluster)).add(Copied(name, file.bytes, file.modified))
    for side in found.values():
        side.sure = not damaged
    return found


def _outdone(one: Copied, stores: Iterable[Side]) -> bool:
    mine = one.partial
    if mine is None:
        return False
    whole = one.plain.rpartition("/")[0] + f"/{mine.segment}.zst"
    return any(
        whole in side.files
        or any(_standing(other.partial) > _standing(mine) for other in side.open.get(mine.segment, ()) if other.partial)
        for side in stores
    )


def _standing(partial: Partial) -> tuple[int, datetime]:
    return partial.bytes, partial.until

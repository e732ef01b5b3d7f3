"""tabsync backup window: what can be recovered to, from which backup, and where WAL is missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tabsync.backups.physical.base import chain, lsn, lsn_text, physical
from tabsync.backups.wal.contents import Archive, Reach, missing, reach, read_archive
from tabsync.backups.wal.names import segment_at
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import ProblemFound
from tabsync.kernel.step import Facts
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.stores.store import Store
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Base:
    """A physical backup and how far one can recover from it. broken: why it can't be restored, "" when it can."""

    manifest: Manifest
    reach: Reach
    broken: str

    @property
    def begins(self) -> datetime:
        """The first moment that it can be recovered to."""
        return self.manifest.taken_at

    @property
    def ends(self) -> datetime:
        """The last moment that it can be recovered to."""
        until = self.reach.until
        return self.begins if until is None or until < self.begins else until

    def to_json(self) -> Facts:
        """The base as JSON."""
        return {
            "backup": self.manifest.id,
            "kind": self.manifest.kind,
            "from": iso(self.begins),
            "to": iso(self.ends),
            "exact": self.reach.exact,
            "from_lsn": self.manifest.physical["stop_lsn"],
            "to_lsn": lsn_text(self.reach.end),
            "timeline": self.reach.timeline,
            "segments": self.reach.segments,
            "broken": self.broken,
        }


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster's physical backups, oldest first, and its WAL."""

    system_identifier: str
    bases: tuple[Base, ...]
    archive: Archive

    @property
    def windows(self) -> list[tuple[datetime, datetime]]:
        """The spans of time that can be recovered to, joined where they touch."""
        joined: list[tuple[datetime, datetime]] = []
        for base in sorted((one for one in self.bases if not one.broken), key=lambda one: one.begins):
            if joined and base.begins <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], base.ends))
            else:
                joined.append((base.begins, base.ends))
        return joined

    @property
    def gaps(self) -> list[Facts]:
        """WAL that is missing after the oldest backup."""
        if not self.bases:
            return []
        first = self.bases[0].manifest
        found = missing(self.archive, first.physical["timeline"], _wal_needed(first, self.archive))
        return [{"first": one.name(self.archive.size), "segments": count} for one, count in found]

    def to_json(self) -> Facts:
        """The cluster as JSON."""
        named = self.bases[-1].manifest if self.bases else None
        return {
            "system_identifier": self.system_identifier,
            "databases": named.physical["databases"] if named else [],
            "windows": [{"from": iso(begins), "to": iso(ends)} for begins, ends in self.windows],
            "bases": [base.to_json() for base in self.bases],
            "gaps": self.gaps,
        }


def clusters(store: Store) -> list[Cluster]:
    """Every cluster that the store has physical backups of."""
    manifests = store.manifests()[0]
    identifiers = sorted({str(one.source["system_identifier"]) for one in physical(manifests)})
    return [_cluster(store, manifests, identifier) for identifier in identifiers]


def cluster_of(store: Store, system_identifier: str) -> Cluster:
    """One cluster; it has no bases when the store has none of it."""
    return _cluster(store, store.manifests()[0], system_identifier)


def window(workspace: Workspace) -> Facts:
    """What the store can recover to: clusters with their windows, and the points that dumps are."""
    store = workspace.store()
    manifests, damaged = store.manifests()
    dumps = [
        {"backup": one.id, "kind": one.kind, "database": one.source["database"], "at": one.snapshot["time"]}
        for one in manifests
        if one.kind in ("full", "tables")
    ]
    return {
        "store": store.url,
        "clusters": [one.to_json() for one in clusters(store)],
        "dumps": dumps,
        "damaged": damaged,
    }


def _cluster(store: Store, manifests: list[Manifest], identifier: str) -> Cluster:
    mine = physical(manifests, identifier)
    if not mine:
        return Cluster(identifier, (), Archive(16 << 20))
    archive = read_archive(store, identifier, int(mine[-1].physical["wal_segment_size"]))
    return Cluster(identifier, tuple(_base(one, manifests, archive) for one in mine), archive)


def _base(manifest: Manifest, manifests: list[Manifest], archive: Archive) -> Base:
    try:
        chain(manifest, manifests)
        broken = ""
    except ProblemFound as problem:
        broken = problem.fact
    return Base(manifest, reach(archive, manifest.physical["timeline"], _wal_needed(manifest, archive)), broken)


def _wal_needed(manifest: Manifest, archive: Archive) -> int:
    """From where on a backup needs WAL of the archive. What is before its stop, it has itself.

    At its end a primary goes on with a new segment, so the one that holds the stop is in the backup as a whole.
    """
    facts = manifest.physical
    stop = segment_at(facts["timeline"], lsn(facts["stop_lsn"]), archive.size)
    there = stop in archive.whole or stop in archive.partial
    if there or manifest.source["role"] != "primary":
        return lsn(facts["stop_lsn"])
    return stop.start(archive.size) + archive.size

"""tabsync backup window: what can be recovered to, from which backup, and where WAL is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from tabsync.backups.physical.base import chain, lsn, lsn_text, physical
from tabsync.backups.wal.contents import Archive, Reach, missing, reach, read_archive, timelines_from
from tabsync.backups.wal.names import USUAL_SIZE
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import ProblemFound
from tabsync.kernel.step import Facts
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.stores.store import Store
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Base:
    """A physical backup and how far one can recover from it. broken: why it can't be restored, "" when it can.

    reach: on one timeline, the newest until another one is asked for; reaches: on each that goes on from the backup.
    """

    manifest: Manifest
    reach: Reach
    broken: str
    reaches: tuple[Reach, ...]

    @property
    def begins(self) -> datetime:
        """The first moment that it can be recovered to."""
        return self.manifest.taken_at

    @property
    def ends(self) -> datetime:
        """The last moment that it can be recovered to."""
        until = self.reach.until
        return self.begins if until is None or until < self.begins else until

    @property
    def each_way(self) -> list[Base]:
        """The same backup once for each timeline that goes on from it, the newest last."""
        return [replace(self, reach=one) for one in self.reaches]

    def on(self, timeline: int) -> Base | None:
        """The same backup with its reach on a timeline; None when that doesn't go on from it."""
        return next((one for one in self.each_way if one.reach.toward == timeline), None)

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
        usable = [way for one in self.bases if not one.broken for way in one.each_way]
        for base in sorted(usable, key=lambda one: one.begins):
            if joined and base.begins <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], base.ends))
            else:
                joined.append((base.begins, base.ends))
        return joined

    @property
    def gaps(self) -> list[Facts]:
        """WAL that is missing after the oldest backup, on the timeline that its reach follows."""
        if not self.bases:
            return []
        first = self.bases[0]
        found = missing(self.archive, *_begin(first.manifest), first.reach.toward, held=_held(first.manifest))
        return [{"first": one.name(self.archive.size), "segments": count} for one, count in found]

    @property
    def timelines(self) -> list[Facts]:
        """Each timeline that can be recovered on: where it left which other one, since when, and to which moment."""
        ends = dict[int, datetime]()
        for way in (way for one in self.bases if not one.broken for way in one.each_way):
            if way.reach.timeline == way.reach.toward:
                ends[way.reach.toward] = max(way.ends, ends.get(way.reach.toward, way.ends))
        found = []
        for timeline, until in sorted(ends.items()):
            parent, left = (self.archive.histories.get(timeline) or ((None, 0),))[-1]
            known = self.archive.learned.get(timeline)
            facts = {"timeline": timeline, "to": iso(until), "known_since": iso(known) if known else None}
            found.append(facts | {"parent": parent, "left_at": lsn_text(left) if parent else None})
        return found

    def on(self, timeline: int) -> Cluster:
        """The same cluster, looked at from one timeline: backups that don't lead to it are left out."""
        return replace(self, bases=tuple(filter(None, (one.on(timeline) for one in self.bases))))

    def to_json(self) -> Facts:
        """The cluster as JSON."""
        named = self.bases[-1].manifest if self.bases else None
        return {
            "system_identifier": self.system_identifier,
            "databases": named.physical["databases"] if named else [],
            "windows": [{"from": iso(begins), "to": iso(ends)} for begins, ends in self.windows],
            "timelines": self.timelines,
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
        "damaged": [one.fact for one in damaged],
    }


def _cluster(store: Store, manifests: list[Manifest], identifier: str) -> Cluster:
    mine = physical(manifests, identifier)
    if not mine:
        return Cluster(identifier, (), Archive(USUAL_SIZE))
    archive = read_archive(store, identifier, int(mine[-1].physical["wal_segment_size"]))
    return Cluster(identifier, tuple(_base(one, manifests, archive) for one in mine), archive)


def _base(manifest: Manifest, manifests: list[Manifest], archive: Archive) -> Base:
    try:
        chain(manifest, manifests)
        broken = ""
    except ProblemFound as problem:
        broken = problem.fact
    timelines = timelines_from(archive, *_begin(manifest))
    reaches = tuple(reach(archive, *_begin(manifest), one, held=_held(manifest)) for one in timelines)
    return Base(manifest, reaches[-1], broken, reaches)


def _begin(manifest: Manifest) -> tuple[int, int]:
    """From where on a backup needs WAL of the archive: a timeline and a position. What is before, it has itself."""
    return manifest.physical["timeline"], lsn(manifest.physical["stop_lsn"])


def _held(manifest: Manifest) -> bool:
    """Whether the segment that holds the backup's stop is in the backup as a whole.

    At the end of a backup a primary goes on with a new segment.
    """
    return bool(manifest.source["role"] == "primary")

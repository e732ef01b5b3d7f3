"""What a physical backup is, read from its manifest; and which others it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tabsync.kernel.errors import FailedPartway, ProblemFound
from tabsync.kernel.step import Facts
from tabsync.stores.manifest import Manifest

KINDS = ("physical", "incremental")

BACKUP_MANIFEST = "backup_manifest"

_RANGE = re.compile(r'"Timeline":\s*(\d+),\s*"Start-LSN":\s*"([0-9A-F/]+)",\s*"End-LSN":\s*"([0-9A-F/]+)"')
_TAIL = 4096  # bytes at the end of a backup_manifest that its WAL ranges are in


@dataclass(frozen=True, slots=True)
class Range:
    """The WAL that a base backup needs to become consistent."""

    timeline: int
    start_lsn: str
    stop_lsn: str


def wal_range(backup_manifest: Path) -> Range:
    """What PostgreSQL's own backup_manifest says of the WAL. Raises FailedPartway when it says nothing.

    https://www.postgresql.org/docs/current/backup-manifest-wal-ranges.html
    """
    with backup_manifest.open("rb") as file:
        file.seek(max(0, backup_manifest.stat().st_size - _TAIL))
        ranges = _RANGE.findall(file.read().decode(errors="replace"))
    if not ranges:
        raise FailedPartway(
            "the backup manifest of the base backup is incomplete", "run it again; no incomplete backup is listed"
        )
    # A standby that followed a promotion gives several: it begins on the oldest timeline and ends on the newest.
    timelines = sorted(ranges, key=lambda one: int(one[0]))
    return Range(int(timelines[-1][0]), timelines[0][1], timelines[-1][2])


def lsn(text: str) -> int:
    """A WAL position as a number: bytes since the beginning. Raises ValueError when it isn't one."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(position: int) -> str:
    """The inverse of lsn()."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def physical(manifests: Iterable[Manifest], system_identifier: str | None = None) -> list[Manifest]:
    """The physical backups among manifests (of one cluster, if it is named), in their order."""
    return [
        one for one in manifests if one.kind in KINDS and system_identifier in (None, one.source["system_identifier"])
    ]


def chain(manifest: Manifest, manifests: Iterable[Manifest]) -> list[Manifest]:
    """What has to be combined for a backup: the full one first, itself last. Raises ProblemFound for a missing link."""
    by_id = {one.id: one for one in manifests}
    found = [manifest]
    while parent := parent_of(found[0]):
        if parent not in by_id or parent in {one.id for one in found}:
            raise ProblemFound(
                f"backup {manifest.id} can't be restored: {parent}, which it needs, is missing",
                "to see what can be recovered: tabsync backup window",
            )
        found.insert(0, by_id[parent])
    return found


def parent_of(manifest: Manifest) -> str:
    """The id of the backup that an incremental one builds on, "" for others."""
    facts: Facts = manifest.physical
    return str(facts.get("parent", ""))

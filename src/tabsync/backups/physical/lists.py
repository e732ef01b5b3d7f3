"""The backup_manifest of each physical backup: PostgreSQL's own list of its files, which the next increment needs.

It lies in the store with the backup, and a copy stays here: a host that can't decrypt backups can still take
incremental ones.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from tabsync.backups.physical.base import BACKUP_MANIFEST
from tabsync.kernel.errors import ProblemFound
from tabsync.stores.manifest import StoredFile

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_NAME = f"{BACKUP_MANIFEST}.zst"


def keep_list(workspace: Workspace, backup: str, listed: Path) -> StoredFile:
    """Store a new backup's list of files, and keep a copy here; the copies of backups that are gone go."""
    packed = listed.with_name(_NAME)
    with listed.open("rb") as source, packed.open("wb") as target:
        zstandard.ZstdCompressor(1).copy_stream(source, target, size=listed.stat().st_size)
    kept = _here(workspace, backup)
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    there = set(workspace.store().ids())
    for old in kept.parent.glob("*.zst"):
        if old.name.removesuffix(".zst") not in there:
            old.unlink()
    shutil.copyfile(packed, kept)
    return workspace.store().keep(packed)


def fetch_list(workspace: Workspace, backup: str, target: Path) -> None:
    """Bring a backup's list of files to a path. Raises ProblemFound when it is damaged."""
    store, packed = workspace.store(), target.with_name(f"{target.name}.zst")
    kept = _here(workspace, backup)
    if kept.exists():
        shutil.copyfile(kept, packed)
    else:
        file = next(file for file in store.manifest(backup).files if file.name == _NAME)
        if wrong := store.place(file, packed):
            raise ProblemFound(f"{BACKUP_MANIFEST} of backup {backup} {wrong}", "tabsync backup take physical")
    with packed.open("rb") as source, target.open("wb") as unpacked:
        zstandard.ZstdDecompressor().copy_stream(source, unpacked)
    packed.unlink()


def _here(workspace: Workspace, backup: str) -> Path:
    return workspace.home / "backup_manifests" / f"{backup}.zst"

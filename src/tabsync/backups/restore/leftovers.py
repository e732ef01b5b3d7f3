"""What processes that died left: taken away by the next command, whichever it is.

So this is part of every command, and nearly always there is nothing. Each place is looked at first; what can take
something away is imported when something is there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.system.claims import end_marked, unclaimed

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def sweep(workspace: Workspace) -> list[str]:
    """Take away the scratch servers, staged dumps and staging databases of processes that died; returns their names."""
    swept = _sweep_staged(workspace) + _sweep_scratch(workspace)
    if _has_anything(workspace.home / "restored"):
        from tabsync.backups.pitr.clusters import sweep_restored

        swept += sweep_restored(workspace)
    if _has_anything(workspace.home / "staging-databases"):
        from tabsync.backups.restore.staging import sweep_staging

        swept += [f"database {one} on staging" for one in sweep_staging(workspace)]
    for held in unclaimed(workspace.home / "wal"):
        end_marked(held.directory)  # a receiver's child; the WAL it wrote stays, for the next one
    return swept


def sweep_warm(workspace: Workspace) -> None:
    """Stop the servers of warm copies whose user died."""
    root = workspace.servers() / "warm"
    if not any((copy / "data" / "postmaster.pid").exists() for copy in _entries(root)):
        return
    from tabsync.postgres.embedded import end_server

    for held in unclaimed(root):
        if (held.directory / "data" / "postmaster.pid").exists():
            end_server(held.directory)


def _sweep_staged(workspace: Workspace) -> list[str]:
    """Dumps that were being made for the store, and copies to another store."""
    ours = workspace.home / "staging"
    swept = []
    if _has_anything(ours if workspace.store_url else workspace.store_root / "staging"):
        swept += workspace.store().sweep()
    for held in unclaimed(ours):
        swept.append(held.directory.name)
        held.remove()
    return swept


def _sweep_scratch(workspace: Workspace) -> list[str]:
    root = workspace.scratch()
    swept: list[str] = []
    if not _has_anything(root):
        return swept
    from tabsync.postgres.embedded import end_server

    for held in unclaimed(root):
        end_server(held.directory)
        swept.append(held.directory.name)
        held.remove()
    return swept


def _has_anything(directory: Path) -> bool:
    return bool(_entries(directory))


def _entries(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            return [Path(entry) for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []

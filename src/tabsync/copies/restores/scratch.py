"""Steps around a scratch server: bring a backup's files out of the store, start a server for them, take it away."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import psutil

from tabsync.copies.dumps.pg_dump import decompress_for
from tabsync.kernel.errors import ProblemFound, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres import embedded
from tabsync.postgres.catalog import server_major
from tabsync.postgres.installation import clients_for, server_for
from tabsync.stores.manifest import Manifest, whose

if TYPE_CHECKING:
    from tabsync.workspace import Context

_MB = 1 << 20


def fetch(context: Context, *, backup: str, scratch: str, keep: bool = False) -> Facts:
    """Read every object of a backup, check its digest, and lay the dump's directory out for pg_restore.

    keep: list the objects that are missing or damaged. Raises ProblemFound naming their tables otherwise.
    """
    workspace = context.workspace
    store = workspace.store()
    manifest = store.manifest(backup)
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    dump = directory / "dump"
    dump.mkdir(mode=0o700)
    damage = store.lay_out(manifest, dump)
    if damage and not keep:
        raise ProblemFound(
            f"backup {backup} can't be restored: " + "; ".join(f"{whose(file)} {why}" for file, why in damage),
            "choose another: tabsync backup list; or take a new one: tabsync backup take full",
        )
    decompress_for(clients_for(server_major(manifest.source)), dump)
    damaged = [{"name": file.name, "why": why} for file, why in damage]
    for one in damaged:
        (dump / one["name"]).unlink(missing_ok=True)
    return {"files": len(manifest.files), "bytes": manifest.stored_bytes, "damaged": damaged}


def start(context: Context, *, backup: str, scratch: str) -> Facts:
    """Create and start a server of the backup's major version, tuned for one restore and reachable by socket only.

    Raises Refused when the disk has less room than the database took, FailedPartway when it doesn't start.
    """
    workspace = context.workspace
    manifest = workspace.store().manifest(backup)
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    free = shutil.disk_usage(directory).free
    if free < manifest.database["bytes"]:
        raise Refused(
            f"the copy needs about {manifest.database['bytes'] // _MB} MB and {directory} has {free // _MB} MB free",
            "free some space, or set TABSYNC_HOME to a larger disk",
        )
    installation = server_for(server_major(manifest.source))
    server = embedded.create(directory, settings=settings_for(workspace.jobs), installation=installation)
    embedded.start(server)
    return {"directory": str(directory), "version": installation.dotted, "major": installation.major}


def settings_for(jobs: int) -> dict[str, str]:
    """postgresql.conf of a scratch server on this machine, for a restore with that many jobs."""
    memory = psutil.virtual_memory().available // _MB
    return dict(embedded.SCRATCH_SETTINGS) | {
        "shared_buffers": f"{max(64, min(1024, memory // 8))}MB",
        "maintenance_work_mem": f"{max(64, min(1024, memory // 8 // max(jobs, 1)))}MB",
        "work_mem": f"{max(16, min(256, memory // 32))}MB",
        "max_parallel_maintenance_workers": str(min(2, os.cpu_count() or 1)),
        "max_locks_per_transaction": "256",
        "allow_in_place_tablespaces": "on",
    }


def tidy(context: Context, *, scratch: str) -> Facts:
    """Stop the scratch server and delete everything it had."""
    workspace = context.workspace
    directory = workspace.scratch(scratch)
    embedded.end_server(directory)
    workspace.delete(directory)
    return {}


def manifest_of(context: Context, backup: str) -> Manifest:
    """The manifest a step works on."""
    found: Manifest = context.workspace.store().manifest(backup)
    return found

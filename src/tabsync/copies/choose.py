"""Which backup is meant: by its id, or the latest one that serves the purpose."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.kernel.errors import BadUsage, CannotConnect, ProblemFound, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.conninfo import check_conninfo
from tabsync.postgres.toc import Entry, read_toc
from tabsync.stores.manifest import Manifest, subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


BEFORE_RESTORE = "before-restore"
"""Why a restore takes a backup first: it holds the very damage, so "latest" never means it."""


def backup_for(workspace: Workspace, backup: str, target: Facts) -> Manifest:
    """The backup to restore: an id, or the newest full one of the database ("latest").

    Where the database itself is gone, its successor can't be told from it: the newest of that name counts then.
    """
    store = workspace.store()
    if backup != "latest":
        found = store.manifest(backup)
        if found.physical:
            raise Refused(
                f"backup {backup} is physical: it contains a cluster's files, not a dump", "use tabsync restore to-time"
            )
        return found
    good, bad = store.manifests()
    mine = [one for one in good if one.kind == "full" and one.reason != BEFORE_RESTORE]
    own = [one for one in mine if one.subject == subject_of(target)]
    wanted = check_conninfo(workspace.conninfo).get("dbname")
    own = own or [one for one in mine if one.source["database"] == wanted]
    if not own:
        raise store.nothing("full backup of this database", bad, "tabsync backup take full")
    return own[-1]


def entries_of(workspace: Workspace, manifest: Manifest) -> list[Entry]:
    """A backup's table of contents, read from the store, for a plan."""
    file = next(file for file in manifest.files if file.name == "toc.dat")
    with tempfile.TemporaryDirectory(prefix="tabsync-") as directory:
        if wrong := workspace.store().place(file, Path(directory) / "toc.dat"):
            fact = f"backup {manifest.id} can't be restored: its table of contents {wrong}"
            raise ProblemFound(fact, "choose another: tabsync backup list")
        return read_toc(Path(directory) / "toc.dat")


def full_backup(workspace: Workspace, backup: str) -> Manifest:
    """A full backup by id, or the newest one of the database ("latest"). Raises BadUsage when there is none."""
    subject = None
    if backup == "latest":
        try:
            with workspace.connect("drill") as connection:
                subject = subject_of(catalog.identity(connection))
        except CannotConnect:
            subject = None  # the source is down: the very case a drill is for; the newest backup of the store then
    store = workspace.store()
    if backup != "latest":
        found = store.find(backup)
        if found.kind != "full":
            raise BadUsage(
                f"backup {backup} is of kind {found.kind}: a drill needs a full backup", "tabsync backup list"
            )
        return found
    good, bad = store.manifests()
    full = [one for one in good if one.kind == "full" and subject in (None, one.subject)]
    if not full:
        raise store.nothing("full backup of this database", bad, "tabsync backup take full")
    return full[-1]


def chosen(workspace: Workspace, backup: str, *, full: bool = False) -> list[str]:
    """The ids of what is to be verified: of one backup, of the newest one of the database ("latest"), or of "all".

    full: the latest full one. Raises BadUsage when there is none.
    """
    store = workspace.store()
    if backup not in ("all", "latest"):
        if backup not in store.ids():
            raise BadUsage(f"there is no backup {backup!r} in {store.url}", "tabsync backup list")
        return [backup]
    ids = store.ids()
    if not ids:
        raise BadUsage(f"there is no backup in {store.url}", "tabsync backup take full")
    if backup == "all":
        return ids
    subject = _subject(workspace)
    mine = [one for one in store.manifests()[0] if subject in (None, one.subject) and (not full or one.kind == "full")]
    if not mine:
        kind = "full backup" if full else "backup"
        raise BadUsage(f"there is no readable {kind} of this database in {store.url}", "tabsync backup take full")
    return [mine[-1].id]


def _subject(workspace: Workspace) -> str | None:
    try:
        with workspace.connect("verify") as connection:
            return subject_of(catalog.identity(connection))
    except CannotConnect:
        return None  # backups are looked at all the more when the database is down

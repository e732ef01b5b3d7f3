"""Where rows come back from: a backup, by id, by time or the newest; another database of the server; the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tabsync.audit.database.log import log_of
from tabsync.copies.choose import BEFORE_RESTORE, entries_of
from tabsync.copies.dumps.selection import RELATIONS, Selection, select
from tabsync.copies.warm import Warm, warm_copies, warm_copy
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation, exists
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.toc import Entry
from tabsync.stores.manifest import Manifest, StoredFile, subject_of
from tabsync.system.claims import is_claimed

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_WITH_DEFINITIONS = ("full", "tables")

_NOT_NEEDED = (
    "ACL",
    "CHECK CONSTRAINT",
    "COMMENT",
    "CONSTRAINT",
    "DEFAULT",
    "FK CONSTRAINT",
    "INDEX",
    "INDEX ATTACH",
    "POLICY",
    "PUBLICATION TABLE",
    "ROW SECURITY",
    "RULE",
    "SECURITY LABEL",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "STATISTICS",
    "STATISTICS DATA",
    "TRIGGER",
)
"""What a copy that is only read, once, doesn't need: to build an index costs more than to read the table through."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from. backup, database, warm or log is set; at: as of when, ISO; facts: its encoding and locale.

    log: the table of the audit log; why: why it was chosen, where nobody named it.
    """

    at: str
    major: int
    facts: Facts
    backup: str = ""
    database: str = ""
    warm: Warm | None = None
    log: str = ""
    why: str = ""

    def __str__(self) -> str:
        if self.log:
            return f"the audit log {self.log}"
        if self.warm is not None:
            return f"the warm copy of {self.warm.backup}"
        return f"backup {self.backup}" if self.backup else f"database {catalog.quoted(self.database)}"


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a backup that some tables need. dump_ids: entries to restore; files: to fetch; absent: tables that
    it doesn't have; bytes: what the tables took in the database."""

    dump_ids: tuple[int, ...]
    files: tuple[StoredFile, ...]
    absent: tuple[Relation, ...]
    bytes: int


def source_named(workspace: Workspace, text: str, relation: Relation, connection: Connection) -> Source:
    """What --from names: latest, warm, audit, a backup's id, a moment (the newest backup before it), or a database.

    Of a backup that has a warm copy, which nobody works with just now, it is the copy: it has the same rows, sooner.
    Raises BadUsage when it is none of these, or no backup has rows of the table.
    """
    found = _named(workspace, text, relation, connection)
    copy = warm_copy(workspace, found.backup) if found.backup else None
    if copy is None or is_claimed(copy.directory):
        return found
    return Source(copy.at, found.major, found.facts, warm=copy)


def _named(workspace: Workspace, text: str, relation: Relation, connection: Connection) -> Source:
    if text == "latest":
        return _newest(workspace, relation, connection, None)
    if text == "warm":
        return _warm(workspace, connection)
    if text == "audit":
        return Source(catalog.position(connection)["time"], 0, {}, log=str(log_of(connection)))
    store = workspace.store()
    if text in store.ids():
        manifest = store.manifest(text)
        if manifest.kind not in _WITH_DEFINITIONS:
            hint = "name a backup of kind full or tables: tabsync backup list"
            raise BadUsage(f"backup {text} is of kind {manifest.kind}", hint)
        if not _has_rows(workspace, manifest, relation):
            raise BadUsage(f"backup {text} does not contain rows of {relation}", "tabsync backup list shows the others")
        return source_of(manifest)
    if moment := _moment(text):
        return _newest(workspace, relation, connection, moment)
    if exists(connection, text):
        return _database(workspace, text, connection)
    raise BadUsage(
        f"{text!r} is neither a backup, nor a timestamp, nor a database of this server",
        "give --from latest, warm, audit, an id from tabsync backup list, '2026-11-22 18:15' or a database's name",
    )


def part_of(manifest: Manifest, entries: Sequence[Entry], tables: Sequence[Relation]) -> Part:
    """What is to be fetched of a backup to have some tables readable. tables: the first must be there, others may."""
    known = {Relation(entry.schema, entry.name) for entry in entries if entry.kind in RELATIONS}
    there = [one for one in tables if one in known or one == tables[0]]
    selection = select(entries, there)
    chosen = readable(entries, selection)
    names = {entry.file for entry in chosen if entry.has_rows}
    files = [file for file in manifest.files if file.name.removesuffix(".zst") in names or file.name == "toc.dat"]
    sizes = {Relation(one["schema"], one["name"]): one["bytes"] for one in manifest.tables}
    return Part(
        tuple(entry.dump_id for entry in chosen),
        tuple(files),
        tuple(one for one in tables if one not in known),
        sum(sizes.get(Relation(file.schema, file.table), 0) for file in files),
    )


def readable(entries: Sequence[Entry], selection: Selection) -> list[Entry]:
    """The entries of a selection without which the rows can't be read."""
    wanted = set(selection.dump_ids)
    return [entry for entry in entries if entry.dump_id in wanted and entry.kind not in _NOT_NEEDED]


def _newest(workspace: Workspace, relation: Relation, connection: Connection, before: datetime | None) -> Source:
    store, subject = workspace.store(), subject_of(catalog.identity(connection))
    mine = [one for one in store.manifests()[0] if one.subject == subject and one.kind in _WITH_DEFINITIONS]
    for one in reversed(mine):
        wanted = one.reason != BEFORE_RESTORE if before is None else one.taken_at <= before
        if wanted and _has_rows(workspace, one, relation):
            return source_of(one)
    since = f" taken before {before.isoformat(' ', 'seconds')}" if before else ""
    raise BadUsage(f"there is no backup with rows of {relation}{since} in {store.url}", "tabsync backup list")


def _has_rows(workspace: Workspace, manifest: Manifest, relation: Relation) -> bool:
    """Whether a backup of some tables has this one; a full one has all, and says itself when it hasn't."""
    if manifest.kind == "full":
        return True
    entries = entries_of(workspace, manifest)
    try:
        selection = select(entries, [relation])
    except BadUsage:
        return False
    holding = {Relation(one["schema"], one["name"]) for one in manifest.tables if one["kind"] == "r"}
    kept = {Relation(entry.schema, entry.name) for entry in entries if entry.has_rows}
    return not (set(selection.tables) & holding) - kept


def source_of(manifest: Manifest) -> Source:
    """A backup as a source of rows."""
    major = catalog.server_major(manifest.source)
    return Source(manifest.snapshot["time"], major, manifest.database, backup=manifest.id)


def _warm(workspace: Workspace, connection: Connection) -> Source:
    subject = subject_of(catalog.identity(connection))
    for one in reversed(warm_copies(workspace)):
        if one.subject == subject:
            return Source(one.at, 0, {}, warm=one)
    raise BadUsage(
        "there is no warm copy of this database", "make one: tabsync drill --keep-warm; or use --from latest"
    )


def _database(workspace: Workspace, name: str, connection: Connection) -> Source:
    own = catalog.identity(connection)
    if own["database"] == name:
        raise Refused(
            f"{catalog.quoted(name)} is the database that the rows are restored into", "name another one, or a backup"
        )
    with connect(workspace.conninfo_to(name), "restore") as other:
        at = catalog.position(other)["time"]
        return Source(at, catalog.server_major(own), catalog.database_facts(other), database=name)


def _moment(text: str) -> datetime | None:
    """A moment as a person writes it; without a zone it is local time."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        return None

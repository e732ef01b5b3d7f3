"""What every store of backups does, wherever it is; what doesn't depend on where is written here, once.

objects/ab/<sha256>     the files of dumps, named by what they hold
manifests/<id>.json     a backup exists if and only if this does; it is written last
holds/<id>.json, ...    markers: small files that are created once and never changed
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tabsync.kernel.errors import BadUsage, ProblemFound
from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.stores.objects import StoredObject


class Store(Protocol):
    """A place that holds backups."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The store as it is named in reports; never with a credential."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the store ready to be written to, or say why it can't be: Refused, CannotConnect or NotAllowed."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Space left in it for us; None when it has no bound that we could know."""

    @abstractmethod
    def staging(self, name: str) -> Path:
        """The local directory to make a dump in; its maker claims it."""

    @abstractmethod
    def sweep(self) -> list[str]:
        """Remove what dead processes left in staging; returns the names. Reaches no other machine."""

    @abstractmethod
    def adopt(self, path: Path, digest: str) -> None:
        """Take a finished file over under its digest; it is gone from where it was. Raises FailedPartway."""

    @abstractmethod
    def commit(self, manifest: Manifest) -> None:
        """Make a backup exist, at once, everything that it names being there. Refused when its id is taken."""

    @abstractmethod
    def ids(self) -> list[str]:
        """The ids of all backups, oldest first."""

    @abstractmethod
    def manifest(self, backup: str) -> Manifest:
        """One backup's manifest. Raises BadUsage when there is no such backup, ProblemFound when it is damaged."""

    @abstractmethod
    def harm(self, file: StoredFile) -> str:
        """Read an object and say what is wrong with it ("is missing"); "" when it is what it was."""

    @abstractmethod
    def place(self, file: StoredFile, target: Path) -> str:
        """Bring a verified object to a local path, which appears only when it is good; returns like harm()."""

    @abstractmethod
    def objects(self) -> Iterator[StoredObject]:
        """Every object there is, whoever names it."""

    @abstractmethod
    def delete_object(self, digest: str, before: datetime) -> bool:
        """Delete an object unless it was stored, or counted on by a new backup, since a moment; False then."""

    @abstractmethod
    def delete_manifest(self, backup: str) -> bool:
        """End a backup's existence, for good before this returns; its objects stay. False when there is none."""

    @abstractmethod
    def put_marker(self, kind: str, name: str, content: bytes) -> bool:
        """Create a marker, with all of its content at once; False when one of that name is there."""

    @abstractmethod
    def markers(self, kind: str) -> dict[str, bytes]:
        """The markers of a kind, by name."""

    @abstractmethod
    def delete_marker(self, kind: str, name: str) -> bool:
        """Delete a marker; False when there is none."""

    def manifests(self) -> tuple[list[Manifest], list[str]]:
        """All readable manifests, oldest first, and the complaints about the others."""
        good, bad = [], []
        with ThreadPoolExecutor(max_workers=8) as pool:  # they are small: it is the round trips that take time
            for found in pool.map(self._readable, self.ids()):
                if isinstance(found, Manifest):
                    good.append(found)
                else:
                    bad.append(found)
        return sorted(good, key=lambda one: one.taken_at), bad

    def find(self, name: str, subject: str | None = None) -> Manifest:
        """A backup by id, or the newest one by "latest" (of one database, when a subject is given).

        Raises BadUsage when there is none.
        """
        if name != "latest":
            return self.manifest(name)
        good, bad = self.manifests()
        mine = [one for one in good if subject is None or one.subject == subject]
        if not mine:
            because = f" ({len(bad)} can't be read)" if bad else ""
            raise BadUsage(f"there is no backup of this database in {self.url}{because}", "tabsync backup take full")
        return mine[-1]

    def damaged(self, manifest: Manifest) -> Iterator[tuple[StoredFile, str]]:
        """Read every object of a backup and give those that are missing or not what they were, and why."""
        with ThreadPoolExecutor(max_workers=2) as pool:  # hashlib lets go of the interpreter's lock
            yield from (
                (file, why)
                for file, why in zip(manifest.files, pool.map(self.harm, manifest.files), strict=True)
                if why
            )

    def lay_out(self, manifest: Manifest, directory: Path) -> list[tuple[StoredFile, str]]:
        """Bring every file of a backup, verified, into a directory under its own name; returns like damaged()."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            placed = pool.map(lambda file: self.place(file, directory / file.name), manifest.files)
            return [(file, why) for file, why in zip(manifest.files, placed, strict=True) if why]

    def _readable(self, backup: str) -> Manifest | str:
        try:
            return self.manifest(backup)
        except ProblemFound as problem:
            return problem.fact


def object_name(digest: str) -> str:
    """Where an object lies, below the store's root."""
    return f"objects/{digest[:2]}/{digest}"


def manifest_name(backup: str) -> str:
    """Where a manifest lies, below the store's root. Raises BadUsage when that can't be a backup's id."""
    if not backup or "/" in backup or backup.startswith(".") or not backup.isprintable():
        raise BadUsage(f"{backup!r} is not a backup's id", "tabsync backup list")
    return f"manifests/{backup}.json"


def no_such_backup(backup: str, url: str) -> BadUsage:
    """The complaint that a store holds no backup of that id."""
    return BadUsage(f"there is no backup {backup!r} in {url}", "tabsync backup list")


def other_size(found: int, file: StoredFile) -> str:
    """What is wrong with an object of another size than the manifest says; "" when it has it."""
    return f"has {found} bytes instead of {file.bytes}" if found != file.bytes else ""


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of several files, two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(digest_of, paths))

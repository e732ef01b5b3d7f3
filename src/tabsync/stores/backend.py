"""What a kind of store (a directory, a bucket) does itself; all else that a store does is made of it: stores.store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.stores.objects import NamedFile, StoredObject


class StoreBackend(ABC):
    """A kind of store."""

    @property
    @abstractmethod
    def is_local(self) -> bool:
        """Whether a staged file becomes an object by a rename, so that its space is needed only once."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The store as it is named in reports; never with a credential."""

    @abstractmethod
    def look(self) -> None:
        """Say why the store can't be written to, as far as that shows without a change: as prepare() does."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the store ready to be written to, or say why it can't be: Refused, CannotConnect or NotAllowed."""

    @abstractmethod
    def make_room(self) -> None:
        """Give up what is kept back for a full disk, if it is full; no-op where nothing is."""

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
        """Take a finished file over under its digest; it is gone from where it was, and may be when this fails.

        Raises FailedPartway.
        """

    @abstractmethod
    def count_on(self, digest: str, size: int) -> bool:
        """Count on an object that is there already, so that it isn't collected; False when it isn't, or isn't whole."""

    @abstractmethod
    def commit(self, manifest: Manifest, content: bytes | None = None) -> None:
        """Make a backup exist, at once, everything that it names being there. Refused when its id is taken.

        content: the stored manifest of another store, to be taken over as it is; None: write and sign it.
        """

    @abstractmethod
    def ids(self) -> list[str]:
        """The ids of all backups, oldest first."""

    @abstractmethod
    def manifest_content(self, backup: str) -> bytes:
        """One backup's manifest as it is stored. Raises BadUsage when there is no such backup."""

    @abstractmethod
    def harm(self, file: StoredFile) -> str:
        """Read an object and say what is wrong with it ("is missing"); "" when it is what it was."""

    @abstractmethod
    def place_object(self, file: StoredFile, target: Path) -> str:
        """Bring a verified object, as stored, to a local path, which appears only when it is good; as harm()."""

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
    def markers(self, kind: str, prefix: str = "") -> dict[str, bytes]:
        """The markers of a kind whose names begin so, by name."""

    @abstractmethod
    def delete_marker(self, kind: str, name: str) -> bool:
        """Delete a marker; False when there is none."""

    @abstractmethod
    def create_file(self, name: str, path: Path) -> bool:
        """Store a file under a name, as it is; False when there is one of that name. It stays at its path."""

    @abstractmethod
    def fetch_file(self, name: str, target: Path) -> bool:
        """Bring a named file to a path as it is stored; False when there is none."""

    @abstractmethod
    def list_files(self, folder: str) -> Iterator[NamedFile]:
        """The files below a folder as they are stored, by their names below it."""

    @abstractmethod
    def remove_file(self, name: str) -> bool:
        """Delete a named file; False when there is none."""

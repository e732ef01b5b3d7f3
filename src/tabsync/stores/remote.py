"""A store in Azure Blob Storage, S3 or Google Cloud Storage, through obstore.

A dump is made in a local directory. Each of its files goes up under its digest, its manifest last, by a put that
creates and never replaces: two takes can't end up under one id, and what is interrupted is never listed.

An object that is there already isn't sent again, so its age doesn't tell that a new backup counts on it:
pins/<sha256> does, written before the object is looked at again. Who deletes objects looks at both (delete_object), and
commit() looks once more that everything is there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, InvalidPathError

from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.stores.address import Address
from tabsync.stores.clients import BLOCK, BRIEF, LONG, Client, client_of
from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.stores.objects import NamedFile, StoredObject
from tabsync.stores.store import Store, file_name, manifest_name, no_such_backup, object_name, other_size
from tabsync.stores.trouble import asking, is_no_container
from tabsync.system.claims import unclaimed
from tabsync.system.consume import consumed

_MARK = "tabsync-store"
_MARK_TEXT = b"Backups of tabsync: a backup is what a manifest in manifests/ names, its files are in objects/.\n"
_MOST_PARTS = 9_000  # S3 takes 10,000 parts of one object


@dataclass(frozen=True)
class RemoteStore(Store):
    """A container or bucket that holds backups. staging_root: the local directory that dumps are made in."""

    address: Address
    staging_root: Path

    @property
    def is_local(self) -> bool:
        """A staged file has to be sent away."""
        return False

    @property
    def url(self) -> str:
        """The store as it is named in reports; it holds no credential."""
        return str(self.address)

    @cached_property
    def _client(self) -> Client:
        with asking(self.address, "log in"):
            return client_of(self.address, BRIEF)

    @cached_property
    def _bulk(self) -> Client:
        with asking(self.address, "log in"):
            return client_of(self.address, LONG)

    def look(self) -> None:
        """See that the store is there and lets us in."""
        with asking(self.address, "read"):
            next(iter(obstore.list(self._client, "manifests", chunk_size=1)), None)

    def prepare(self) -> None:
        """See that the store is there and lets us write: a mark is created, or found to exist."""
        with asking(self.address, "write"):
            self._create(_MARK, _MARK_TEXT)
        self.staging_root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def make_room(self) -> None:
        """An object store is never full."""
        return

    def free_bytes(self) -> None:
        """An object store has no bound that we could know."""
        return

    def staging(self, name: str) -> Path:
        """The local directory to make a dump in; its maker claims it."""
        return self.staging_root / name

    def sweep(self) -> list[str]:
        """Remove what dead processes left in staging; returns the names. Reaches no other machine."""
        swept = []
        for held in unclaimed(self.staging_root):
            swept.append(held.directory.name)
            held.remove()
        return swept

    def adopt(self, path: Path, digest: str) -> None:
        """Send a finished file up under its digest, unless an object of that digest and size is there."""
        size, name = path.stat().st_size, object_name(digest)
        with asking(self.address, f"store {path.name}", taking=True):
            if not self.count_on(digest, size):
                part = max(BLOCK, size // _MOST_PARTS + 1)
                if size <= part:
                    obstore.put(self._bulk, name, path)
                else:
                    try:
                        obstore.put(self._bulk, name, consumed(path, part), chunk_size=part, max_concurrency=4)
                    finally:
                        path.unlink()  # also when it failed: nobody may take what is left of it for the file
        path.unlink(missing_ok=True)

    def count_on(self, digest: str, size: int) -> bool:
        """Pin an object, so that it isn't collected; False when it isn't there, or has another size."""
        with asking(self.address, f"look for object {digest[:12]}", taking=True):
            if self._size(object_name(digest)) != size:
                return False
            obstore.put(self._client, f"pins/{digest}", b"", mode="overwrite")
            return self._size(object_name(digest)) == size

    def commit(self, manifest: Manifest, content: bytes | None = None) -> None:
        """Make a backup exist, at once, if all its objects are there. Raises Refused when its id is taken."""
        files = list({file.object: file for file in manifest.files}.values())
        with asking(self.address, f"write the manifest of {manifest.id}", taking=True):
            with ThreadPoolExecutor(max_workers=8) as pool:
                sizes = list(pool.map(lambda file: self._size(object_name(file.object)), files))
            gone = [file.name for file, size in zip(files, sizes, strict=True) if size != file.object_bytes]
            if gone:
                fact = f"{', '.join(gone)} disappeared from {self.url} during the backup; no backup was recorded"
                raise FailedPartway(fact, "tabsync backup take full")
            name = manifest_name(manifest.id)
            content = content or manifest.to_bytes(self.keys.sign)
            # An answer that got lost makes the library ask again and find its own manifest there.
            if not self._create(name, content) and obstore.get(self._client, name).bytes().to_bytes() != content:
                raise Refused(f"backup {manifest.id} already exists", "tabsync backup list")

    def ids(self) -> list[str]:
        """The ids of all backups, oldest first."""
        return sorted(name.removesuffix(".json") for name in self._names("manifests") if name.endswith(".json"))

    def manifest_content(self, backup: str) -> bytes:
        """One backup's manifest as it is stored. Raises BadUsage when there is no such backup."""
        name = manifest_name(backup)
        with asking(self.address, f"read the manifest of {backup}"):
            try:
                return obstore.get(self._client, name).bytes().to_bytes()
            except InvalidPathError:
                raise no_such_backup(backup, self.url) from None
            except FileNotFoundError as error:
                if is_no_container(error):
                    raise
                raise no_such_backup(backup, self.url) from None

    def harm(self, file: StoredFile) -> str:
        """Read an object and say what is wrong with it; "" when it is what it was."""
        return self._read(file, None)

    def place_object(self, file: StoredFile, target: Path) -> str:
        """Download an object to a path, which appears only when its digest is right."""
        part = target.with_name(f".{target.name}.part")
        try:
            wrong = self._read(file, part)
            if not wrong:
                part.rename(target)
            return wrong
        finally:
            part.unlink(missing_ok=True)

    def objects(self) -> Iterator[StoredObject]:
        """Every object there is, whoever names it."""
        with asking(self.address, "list objects"):
            for chunk in obstore.list(self._client, "objects", chunk_size=1000):
                for one in chunk:
                    yield StoredObject(one["path"].rpartition("/")[2], one["size"], one["last_modified"])

    def delete_object(self, digest: str, before: datetime) -> bool:
        """Delete an object that was stored, and counted on by a new backup, before a moment; False when it wasn't."""
        name = object_name(digest)
        with asking(self.address, f"delete object {digest[:12]}"):
            for one in (f"pins/{digest}", name):
                found = self._modified(one)
                if found is None and one == name:
                    return False
                if found is not None and found >= before:
                    return False
            obstore.delete(self._client, name)
            self._delete(f"pins/{digest}")
        return True

    def delete_manifest(self, backup: str) -> bool:
        """End a backup's existence, for good before this returns; its objects stay. False when there is none."""
        with asking(self.address, f"delete backup {backup}"):
            return self._delete(manifest_name(backup))

    def put_marker(self, kind: str, name: str, content: bytes) -> bool:
        """Create a marker, with all of its content at once; False when one of that name is there."""
        with asking(self.address, "write a hold or lease"):
            return self._create(f"{kind}/{name}.json", content)

    def markers(self, kind: str, prefix: str = "") -> dict[str, bytes]:
        """The markers of a kind whose names begin so, by name."""
        found = {}
        for name in sorted(name for name in self._names(kind) if name.startswith(prefix)):
            with asking(self.address, "read a hold or lease"):
                try:
                    content = obstore.get(self._client, f"{kind}/{name}").bytes().to_bytes()
                except FileNotFoundError:
                    continue  # deleted since it was listed
            found[name.removesuffix(".json")] = content
        return found

    def delete_marker(self, kind: str, name: str) -> bool:
        """Delete a marker; False when there is none."""
        with asking(self.address, "delete a hold or lease"):
            return self._delete(f"{kind}/{name}.json")

    def create_file(self, name: str, path: Path) -> bool:
        """Store a file under a name, as it is; False when there is one of that name."""
        with asking(self.address, f"store {name}"):
            if path.stat().st_size <= BLOCK:
                return self._create(file_name(name), path.read_bytes())
            if self._size(file_name(name)) is not None:  # parts can't be put under a condition
                return False
            obstore.put(self._bulk, name, path, chunk_size=BLOCK // 2, max_concurrency=2)
        return True

    def fetch_file(self, name: str, target: Path) -> bool:
        """Download a named file to a path as it is stored; False when there is none."""
        with asking(self.address, f"read {name}"):
            size = self._size(file_name(name))
            if size is None:
                return False
            with target.open("wb") as out:
                for start in range(0, size, BLOCK):
                    end = min(start + BLOCK, size)
                    out.write(obstore.get_range(self._bulk, name, start=start, end=end))
        return True

    def list_files(self, folder: str) -> Iterator[NamedFile]:
        """The files below a folder as they are stored, by their names below it."""
        with asking(self.address, f"list {folder}"):
            for chunk in obstore.list(self._client, folder, chunk_size=1000):
                for one in chunk:
                    yield NamedFile(one["path"].removeprefix(f"{folder}/"), one["size"], one["last_modified"])

    def remove_file(self, name: str) -> bool:
        """Delete a named file; False when there is none."""
        with asking(self.address, f"delete {name}"):
            return self._delete(file_name(name))

    def _read(self, file: StoredFile, target: Path | None) -> str:
        """Stream an object through SHA-256, and into a file; a request fetches one block, so it can be bounded."""
        name, running = object_name(file.object), hashlib.sha256()
        with asking(self.address, f"read {file.name}"):
            size = self._size(name)
            if size is None:
                return "is missing"
            if wrong := other_size(size, file):
                return wrong
            with (target or Path(os.devnull)).open("wb") as out:
                for start in range(0, size, BLOCK):
                    block = obstore.get_range(self._bulk, name, start=start, end=min(start + BLOCK, size))
                    running.update(block)
                    out.write(block)
        if running.hexdigest() == file.object:
            return ""
        return f"does not match its digest (delete {name}, and the next backup sends it again)"

    def _names(self, folder: str) -> list[str]:
        with asking(self.address, f"list {folder}"):
            chunks = obstore.list(self._client, folder, chunk_size=1000)
            paths = [one["path"] for chunk in chunks for one in chunk]
        return [path.removeprefix(f"{folder}/") for path in paths if path.count("/") == 1]

    def _create(self, name: str, content: bytes) -> bool:
        try:
            obstore.put(self._client, name, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def _delete(self, name: str) -> bool:
        if self._modified(name) is None:
            return False
        obstore.delete(self._client, name)
        return True

    def _modified(self, name: str) -> datetime | None:
        try:
            return obstore.head(self._client, name)["last_modified"]
        except FileNotFoundError:
            return None

    def _size(self, name: str) -> int | None:
        try:
            return obstore.head(self._client, name)["size"]
        except FileNotFoundError:
            return None

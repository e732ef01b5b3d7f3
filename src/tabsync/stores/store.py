"""What every store of backups does, wherever it is; what doesn't depend on where is written here, once.

objects/ab/<sha256>     the files of dumps, named by what they hold
manifests/<id>.json     a backup exists if and only if this does; it is written last
holds/<id>.json, ...    markers: small files that are created once and never changed
wal/...                 files with a name of their own; they are never replaced either

With recipients (stores.keys) objects and named files are encrypted before they come here. An object is then named by
the digest of what is stored, so anyone can verify it; age encrypts the same file differently each time, so what an
earlier backup stored is found by the digests in its manifest.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from tabsync.kernel.errors import BadUsage, FailedPartway, ProblemFound
from tabsync.kernel.step import Facts
from tabsync.stores.backend import StoreBackend
from tabsync.stores.keys import Keys
from tabsync.stores.manifest import Manifest, StoredFile, read_manifest
from tabsync.stores.objects import NamedFile
from tabsync.stores.signatures import SIGNATURES, signed_backup, vouched

_SEALED = ".age"  # ends the names of encrypted named files


@dataclass(frozen=True)
class Store(StoreBackend):
    """A place that holds backups. keys: what encrypts its files and signs its manifests.

    known: encrypted files that its backups have, by the digest of their content; filled when needed.
    """

    keys: Keys = field(default_factory=Keys, kw_only=True)
    known: dict[str, StoredFile] = field(default_factory=dict, kw_only=True, compare=False, repr=False)

    def manifest(self, backup: str) -> Manifest:
        """One backup's manifest.

        Raises BadUsage when there is no such backup, ProblemFound when it is damaged or not to be trusted.
        """

        def distrusts(digest: str, signature: Facts) -> str:
            return self.distrusts(backup, digest, signature, self.keys)

        return read_manifest(backup, self.manifest_content(backup), distrusts)

    def distrusts(self, backup: str, digest: str, signature: Facts, keys: Keys) -> str:
        """Why a manifest is not to be trusted, as Keys.distrusts; a signature that stands beside it counts too."""
        why = keys.distrusts(digest, signature)
        return "" if why and vouched(keys, digest, self.signatures(backup)) else why

    def signatures(self, backup: str) -> dict[str, bytes]:
        """The signatures that stand beside a backup's manifest, by their markers' names."""
        found = self.markers(SIGNATURES, f"{backup}.")
        return {name: content for name, content in found.items() if signed_backup(name) == backup}

    def copy_signatures(self, target: Store, backup: str) -> None:
        """Put the signatures that stand beside a backup's manifest into another store."""
        for name, content in self.signatures(backup).items():
            target.put_marker(SIGNATURES, name, content)

    def delete_signatures(self, backup: str) -> None:
        """Delete the signatures of a backup that is no longer there."""
        for name in self.signatures(backup):
            self.delete_marker(SIGNATURES, name)

    def keep(self, path: Path, name: str = "", schema: str = "", table: str = "", *, digest: str = "") -> StoredFile:
        """Take a finished file over, encrypted when there are recipients; it is gone from where it was.

        name: in the backup, that of the path by default; schema, table: whose rows it holds; digest: of its content,
        where its maker knows it. Raises FailedPartway.
        """
        plain = StoredFile(name or path.name, digest or digest_of(path), path.stat().st_size, schema, table)
        if not self.keys.encrypting:
            self.adopt(path, plain.digest)
            return plain
        there = self._sealed_before().get(plain.digest)
        if there and self.count_on(there.sealed, there.sealed_bytes):
            path.unlink()
            return replace(plain, sealed=there.sealed, sealed_bytes=there.sealed_bytes)
        sealed = path.with_name(f".{path.name}.age")
        self.keys.seal(path, sealed)
        path.unlink()
        stored = replace(plain, sealed=digest_of(sealed), sealed_bytes=sealed.stat().st_size)
        self.adopt(sealed, stored.sealed)
        return stored

    def place(self, file: StoredFile, target: Path) -> str:
        """Bring a verified file to a local path, decrypted; it appears only when it is good; returns like harm().

        Raises NotAllowed when it is encrypted and there is no identity that opens it.
        """
        if not file.sealed:
            return self.place_object(file, target)
        sealed, plain = (target.with_name(f".{target.name}.{kind}") for kind in ("age", "plain"))
        try:
            wrong = self.place_object(file, sealed) or self.keys.unseal(sealed, plain)
            if not wrong and digest_of(plain) != file.digest:
                wrong = "is encrypted, and its content does not match its digest"
            if not wrong:
                plain.rename(target)
            return wrong
        finally:
            sealed.unlink(missing_ok=True)
            plain.unlink(missing_ok=True)

    def put_file(self, name: str, path: Path) -> bool:
        """Store a file under a name of its own, encrypted when there are recipients; it stays at its path.

        False when there is one of that name: it is never replaced. Raises FailedPartway.
        """
        if not self.keys.encrypting:
            return not self._has(f"{name}{_SEALED}") and self.create_file(name, path)
        with tempfile.TemporaryDirectory(prefix="tabsync-") as directory:
            sealed = Path(directory) / "sealed"
            self.keys.seal(path, sealed)
            return not self._has(name) and self.create_file(f"{name}{_SEALED}", sealed)

    def get_file(self, name: str, target: Path) -> bool:
        """Bring a named file to a path, decrypted; False when there is none. Raises NotAllowed or ProblemFound."""
        if self.fetch_file(name, target):
            return True
        sealed = target.with_name(f".{target.name}.age")
        try:
            if not self.fetch_file(f"{name}{_SEALED}", sealed):
                return False
            if wrong := self.keys.unseal(sealed, target):
                target.unlink(missing_ok=True)
                raise ProblemFound(
                    f"{name} in {self.url} {wrong}", "to see what can still be recovered: tabsync backup window"
                )
            return True
        finally:
            sealed.unlink(missing_ok=True)

    def files(self, folder: str) -> Iterator[NamedFile]:
        """The named files below a folder, whether encrypted or not, by their names below it."""
        return (replace(one, name=one.name.removesuffix(_SEALED)) for one in self.list_files(folder))

    def delete_file(self, name: str) -> bool:
        """Delete a named file; False when there is none."""
        return any([self.remove_file(name), self.remove_file(f"{name}{_SEALED}")])

    def manifests(self) -> tuple[list[Manifest], list[ProblemFound]]:
        """All readable manifests, oldest first, and what is wrong with each of the others."""
        good: list[Manifest] = []
        bad: list[ProblemFound] = []
        with ThreadPoolExecutor(max_workers=8) as pool:  # they are small: it is the round trips that take time
            for found in pool.map(self._readable, self.ids()):
                if isinstance(found, Manifest):
                    good.append(found)
                elif found is not None:
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
            raise self.nothing("backup of this database", bad, "tabsync backup take full")
        return mine[-1]

    def nothing(self, what: str, bad: Sequence[ProblemFound], hint: str) -> BadUsage:
        """That there is no such backup; where some manifests can't be read, that it may be one of those."""
        if not bad:
            return BadUsage(f"there is no {what} in {self.url}", hint)
        told = f"{len(bad)} can't be read: {bad[0].fact}"
        return BadUsage(f"there is no readable {what} in {self.url}; {told}", "tabsync backup list")

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

    def _has(self, name: str) -> bool:
        folder, _, own = name.rpartition("/")
        return any(one.name == own for one in self.list_files(folder))

    def _sealed_before(self) -> dict[str, StoredFile]:
        if not self.known:
            for manifest in self.manifests()[0]:
                if manifest.encryption.get("fingerprint") == self.keys.fingerprint:
                    self.known.update({file.digest: file for file in manifest.files if file.sealed})
        return self.known

    def _readable(self, backup: str) -> Manifest | ProblemFound | None:
        try:
            return self.manifest(backup)
        except ProblemFound as problem:
            return problem
        except BadUsage:
            return None  # pruned since it was listed


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
    return f"has {found} bytes instead of {file.object_bytes}" if found != file.object_bytes else ""


def file_name(name: str) -> str:
    """A named file's place below the store's root. Raises FailedPartway when it would lie anywhere else."""
    parts = name.split("/")
    if len(parts) < 2 or any(not part or part.startswith(".") or not part.isprintable() for part in parts):
        raise FailedPartway(f"{name!r} is not a valid name of a file in a store")
    return name


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of several files, two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(digest_of, paths))

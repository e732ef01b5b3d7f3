"""A store in a local directory.

Beside the objects and manifests of every store it has staging/: there a directory is a dump being made, claimed by
whoever makes it, and a file is one being written, which gets its name elsewhere when it is complete.

Everything that a manifest names is on disk (fsync) before the manifest gets its name, in one step, by link(2), which
never replaces: two takes can't end up under one id.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tabsync.kernel import clock
from tabsync.kernel.errors import FailedPartway, ProblemFound, Refused
from tabsync.stores.local_files import LocalFiles, disk_errors, flush
from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.stores.objects import StoredObject
from tabsync.stores.store import digest_of, manifest_name, no_such_backup, object_name, other_size
from tabsync.system.claims import unclaimed

_RESERVE = "reserve"
_RESERVED = 1 << 20  # bytes
_PLENTY = 16 << 20  # bytes that must be free for some to be kept back
_ABANDONED = 3600.0  # seconds after which nobody writes a pending file any more: that of a killed process


@dataclass(frozen=True, slots=True)
class LocalStore(LocalFiles):
    """A directory that holds backups."""

    @property
    def is_local(self) -> bool:
        """A staged file becomes an object by a rename."""
        return True

    @property
    def url(self) -> str:
        """The store as it is named in reports."""
        return f"file://{self.root}"

    def look(self) -> None:
        """See that its directory may be written to, or made. Raises Refused."""
        there = next(place for place in (self.root, *self.root.parents) if place.exists())
        if not there.is_dir():
            raise self._unusable("Not a directory")
        if not os.access(there, os.W_OK | os.X_OK):
            raise self._unusable("Permission denied")

    def prepare(self) -> None:
        """Make the store's directories. Raises Refused when it can't be written to."""
        try:
            for name in ("objects", "manifests", "staging"):
                (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            probe = self._pending("writable")
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        self._keep_reserve()

    def _keep_reserve(self) -> None:
        reserve = self.root / _RESERVE
        if self.free_bytes() > _PLENTY and not reserve.exists():
            with contextlib.suppress(OSError):  # it is for the day when the disk is full, and no condition of anything
                reserve.write_bytes(os.urandom(_RESERVED))  # nothing that the file system could store in less

    def make_room(self) -> None:
        """Give up the reserve when the disk is full: prune, which makes room, has to write a line before it can."""
        reserve = self.root / _RESERVE
        if reserve.exists() and self.free_bytes() < _RESERVED:
            reserve.unlink(missing_ok=True)

    def _unusable(self, why: str) -> Refused:
        return Refused(
            f"can't write to the store {self.root}: {why}",
            "name a writable directory: store in tabsync.toml, or --store",
        )

    def free_bytes(self) -> int:
        """Space left on the store's disk, for us."""
        return shutil.disk_usage(self.root).free

    def staging(self, name: str) -> Path:
        """The directory, on the store's own disk, to make a dump in; its maker claims it."""
        return self.root / "staging" / name

    def sweep(self) -> list[str]:
        """Remove what dead processes left in staging; returns the names."""
        swept = []
        for held in unclaimed(self.root / "staging"):
            swept.append(held.directory.name)
            held.remove()
        old = clock.now().timestamp() - _ABANDONED
        for path in sorted((self.root / "staging").glob(".*")):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and path.stat().st_mtime < old:
                    path.unlink()
                    swept.append(path.name)
        return swept

    def adopt(self, path: Path, digest: str) -> None:
        """Move a finished file into the store under its digest.

        A file that is there already is replaced all the same: it costs a rename, mends an object that rotted, and
        makes an old one that no manifest names as young as this call, so that it isn't collected (delete_object).
        """
        target = self.object_path(digest)
        with disk_errors(f"move {path.name} into the store"):
            target.parent.mkdir(exist_ok=True, mode=0o700)
            path.chmod(0o400)
            flush(path)  # pg_dump has flushed what it wrote, but not what was compressed after it
            with self._objects_locked(fcntl.LOCK_SH):
                os.utime(path)  # pg_dump may have finished this file a day before it finished the last one
                path.replace(target)

    def count_on(self, digest: str, size: int) -> bool:
        """Make an object young, so that it isn't collected; False when it isn't there, or has another size."""
        path = self.object_path(digest)
        try:
            with self._objects_locked(fcntl.LOCK_SH):
                if path.stat().st_size != size:
                    return False
                os.utime(path)
                return True
        except FileNotFoundError:
            return False

    def object_path(self, digest: str) -> Path:
        """Where an object lies."""
        return self.root / object_name(digest)

    def objects(self) -> Iterator[StoredObject]:
        """Every object there is, whoever names it."""
        for path in (self.root / "objects").glob("??/*"):
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                yield StoredObject(path.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def delete_object(self, digest: str, before: datetime) -> bool:
        """Delete an object that was stored before a moment; False when it is younger, or gone.

        Its age is looked at under a lock that adopt() shares: what a dump stores anew in this very moment stays.
        """
        path = self.object_path(digest)
        try:
            with self._objects_locked(fcntl.LOCK_EX):
                if path.stat().st_mtime >= before.timestamp():
                    return False
                path.unlink()
                return True
        except FileNotFoundError:
            return False
        except OSError as error:
            raise FailedPartway(
                f"could not delete object {digest[:12]}: {error.strerror}", "check the store's disk and its permissions"
            ) from error

    def commit(self, manifest: Manifest, content: bytes | None = None) -> None:
        """Make a backup exist: everything it names is flushed, then its manifest appears under its name at once.

        Raises Refused when a backup of that id exists.
        """
        with disk_errors(f"write the manifest of {manifest.id}"):
            for directory in sorted({self.object_path(file.object).parent for file in manifest.files}):
                flush(directory)
            flush(self.root / "objects")
            # A name of its own: of two takes under one id, neither must link what the other one wrote.
            pending = self._pending(manifest.id)
            pending.write_bytes(content or manifest.to_bytes(self.keys.sign))
            flush(pending)
            try:
                os.link(pending, self._manifest_path(manifest.id))
            except FileExistsError:
                raise Refused(f"backup {manifest.id} already exists", "tabsync backup list") from None
            finally:
                pending.unlink()
            flush(self.root / "manifests")

    def delete_manifest(self, backup: str) -> bool:
        """End a backup's existence, for good before this returns; its objects stay. False when there is none."""
        try:
            self._manifest_path(backup).unlink()
            flush(self.root / "manifests")
        except FileNotFoundError:
            return False
        except OSError as error:
            raise FailedPartway(
                f"could not delete backup {backup}: {error.strerror}", "check the store's disk and its permissions"
            ) from error
        return True

    def ids(self) -> list[str]:
        """The ids of all backups, oldest first."""
        return sorted(path.stem for path in self._listed("manifests"))

    def manifest_content(self, backup: str) -> bytes:
        """One backup's manifest as it is stored. Raises BadUsage when there is no such backup."""
        try:
            return self._manifest_path(backup).read_bytes()
        except FileNotFoundError:
            raise no_such_backup(backup, str(self.root)) from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise no_such_backup(backup, str(self.root)) from None
            # It is there: who takes it for pruned deletes what it names.
            raise ProblemFound(
                f"the manifest of backup {backup} can't be read: {error.strerror}",
                "check the store's disk and its permissions",
            ) from None

    def harm(self, file: StoredFile) -> str:
        """Read an object and say what is wrong with it; "" when it is what it was."""
        path = self.object_path(file.object)
        try:
            if wrong := other_size(path.stat().st_size, file):
                return wrong
            return "" if digest_of(path) == file.object else "does not match its digest"
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"can't be read: {error.strerror}"

    def place_object(self, file: StoredFile, target: Path) -> str:
        """Link a verified object to a path, without copying it where the file system has links."""
        wrong = self.harm(file)
        if not wrong:
            source = self.object_path(file.object)
            try:
                target.symlink_to(source)
            except OSError:
                shutil.copyfile(source, target)
        return wrong

    @contextlib.contextmanager
    def _objects_locked(self, how: int) -> Iterator[None]:
        fd = os.open(self.root / "objects" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)

    def _manifest_path(self, backup: str) -> Path:
        return self.root / manifest_name(backup)

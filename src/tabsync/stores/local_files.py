"""What a store in a directory has besides objects and manifests: markers, and files under names of their own."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.stores.objects import NamedFile
from tabsync.stores.store import Store, file_name


@dataclass(frozen=True, slots=True)
class LocalFiles(Store):
    """The markers and named files of a store in a directory."""

    root: Path

    def put_marker(self, kind: str, name: str, content: bytes) -> bool:
        """Create a marker, with all of its content at once; False when one of that name is there."""
        directory = self.root / kind
        pending = self._pending(name)
        try:
            for place in (directory, pending.parent):
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
            pending.write_bytes(content)
            flush(pending)
            try:
                os.link(pending, directory / f"{name}.json")
            finally:
                pending.unlink()
            flush(directory)
        except FileExistsError:
            return False
        except OSError as error:
            raise Refused(
                f"can't write to the store {self.root}: {error.strerror}", "check the store's disk and its permissions"
            ) from error
        return True

    def markers(self, kind: str, prefix: str = "") -> dict[str, bytes]:
        """The markers of a kind whose names begin so, by name."""
        found = {}
        for path in sorted(self._listed(kind)):
            if not path.name.startswith(prefix):
                continue
            with contextlib.suppress(FileNotFoundError):
                found[path.stem] = path.read_bytes()
        return found

    def _listed(self, folder: str) -> list[Path]:
        """The JSON files of a folder; none where there is no folder. Raises Refused when that can't be known."""
        try:
            return [path for path in (self.root / folder).iterdir() if fnmatch(path.name, "[!.]*.json")]
        except FileNotFoundError:
            return []
        except OSError as error:
            if not self.root.is_dir():
                return []  # there is no store yet; who writes is told what is in its way
            # glob would give nothing, and nothing is what prune takes for "no backup, no hold".
            raise Refused(
                f"can't read the store {self.root}: {folder}: {error.strerror}",
                "check the store's disk and its permissions",
            ) from None

    def delete_marker(self, kind: str, name: str) -> bool:
        """Delete a marker; False when there is none."""
        try:
            (self.root / kind / f"{name}.json").unlink()
            flush(self.root / kind)
        except FileNotFoundError:
            return False
        return True

    def create_file(self, name: str, path: Path) -> bool:
        """Store a file under a name, flushed to disk, as it is; False when there is one of that name."""
        target = self.root / file_name(name)
        pending = self._pending(target.name)
        with disk_errors(f"store {name}", ""):
            for place in (target.parent, pending.parent):
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                shutil.copyfile(path, pending)
                flush(pending)
                os.link(pending, target)
            except FileExistsError:
                return False
            finally:
                pending.unlink(missing_ok=True)
            flush(target.parent)
        return True

    def fetch_file(self, name: str, target: Path) -> bool:
        """Copy a named file to a path as it is stored; False when there is none."""
        try:
            shutil.copyfile(self.root / file_name(name), target)
        except FileNotFoundError:
            return False
        return True

    def list_files(self, folder: str) -> Iterator[NamedFile]:
        """The files below a folder as they are stored, by their names below it."""
        root = self.root / folder
        for path in sorted(root.rglob("[!.]*")):
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                if stat.S_ISREG(found.st_mode):
                    moment = datetime.fromtimestamp(found.st_mtime, UTC)
                    yield NamedFile(path.relative_to(root).as_posix(), found.st_size, moment)

    def remove_file(self, name: str) -> bool:
        """Delete a named file; False when there is none."""
        with disk_errors(f"delete {name}", ""):
            try:
                (self.root / file_name(name)).unlink()
            except FileNotFoundError:
                return False
        return True

    def _pending(self, name: str) -> Path:
        """Where a file is written before it gets its name; its own, of two that are written under one name."""
        return self.root / "staging" / f".{name}-{secrets.token_hex(4)}"


@contextlib.contextmanager
def disk_errors(what: str, tail: str = "; no backup was recorded") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "free some space there" if error.errno == errno.ENOSPC else "check the disk and its permissions"
        raise FailedPartway(f"could not {what}: {error.strerror}{tail}", hint) from error


def flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

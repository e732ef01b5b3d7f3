"""Brings a physical backup out of the store: a data directory that a server of its version can start in.

Pieces are fetched a few ahead, verified, unpacked and deleted again, so that only the cluster itself needs room.
"""

from __future__ import annotations

import io
import tarfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from tabsync.backups.physical.base import BACKUP_MANIFEST
from tabsync.kernel.errors import FailedPartway, ProblemFound, Refused
from tabsync.postgres.installation import Installation, installations
from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.system.programs import run_program

if TYPE_CHECKING:
    from tabsync.stores.store import Store

_AHEAD = 3
_CHUNK = 1 << 20
_MAP = "tablespace_map"


def programs_of(major: int) -> Installation:
    """The server and programs of exactly this major version: a data directory fits no other. Raises Refused."""
    for one in installations():
        if one.major == major and one.has_server:
            return one
    raise Refused(
        f"a physical backup of PostgreSQL {major} needs PostgreSQL {major}, which isn't installed",
        f"install the package postgresql-{major} and run it again",
    )


def lay_out(
    store: Store, backups: Sequence[Manifest], directory: Path, report: Callable[[float, float, str], None]
) -> Path:
    """Lay a backup out as directory/data (and directory/tablespaces), verified by pg_verifybackup.

    backups: the full one first, then the increments up to the wanted one (base.chain). directory: claimed.
    Raises ProblemFound when something in the store is damaged, FailedPartway when a program fails.
    """
    total = sum(one.physical["bytes"] for one in backups)
    done = 0

    def progress(more: int) -> None:
        nonlocal done
        done += more
        report(done, total, "bytes")

    programs = programs_of(int(backups[-1].source["version_num"]) // 10000)
    if len(backups) == 1:
        data, spaces = directory / "data", directory / "tablespaces"
        _unpack(store, backups[0], data, spaces, progress)
    else:
        data = _combined(store, backups, directory, programs, progress)
    _verify(programs, data, directory)
    # We made the links ourselves; with the map, the server would make those of the source again.
    (data / _MAP).unlink(missing_ok=True)
    return data


def _combined(
    store: Store, backups: Sequence[Manifest], directory: Path, programs: Installation, progress: Callable[[int], None]
) -> Path:
    parts = directory / "parts"
    sources, mappings = [], []
    for number, manifest in enumerate(backups):
        source, spaces = parts / str(number), parts / f"{number}-tablespaces"
        _unpack(store, manifest, source, spaces, progress)
        (source / _MAP).unlink(missing_ok=True)
        sources.append(source)
    for space in backups[-1].physical["tablespaces"]:
        old = parts / f"{len(backups) - 1}-tablespaces" / str(space["oid"])
        mappings.append(f"--tablespace-mapping={old}={directory / 'tablespaces' / str(space['oid'])}")
    if mappings:
        (directory / "tablespaces").mkdir(mode=0o700)
    data = directory / "data"
    argv: list[str | Path] = [
        programs.program("pg_combinebackup"),
        "--no-sync",
        f"--output={data}",
        *mappings,
        *sources,
    ]
    done = run_program(argv, claim=directory)
    if done.code != 0:
        raise FailedPartway(
            f"pg_combinebackup failed: {done.complaint()}", "try an older one: tabsync backup window shows them"
        )
    run_program(["rm", "-rf", parts])
    return data


def _verify(programs: Installation, data: Path, directory: Path) -> None:
    argv: list[str | Path] = [programs.program("pg_verifybackup"), "--quiet", data]
    done = run_program(argv, claim=directory)
    if done.code != 0:
        raise ProblemFound(
            f"the backup is not what it was: {done.complaint()}", "tabsync backup window shows what else there is"
        )


def _unpack(store: Store, manifest: Manifest, data: Path, spaces: Path, progress: Callable[[int], None]) -> None:
    data.mkdir(parents=True, mode=0o700)
    pieces = [file for file in manifest.files if ".tar." in file.name]
    for tar, files in groupby(sorted(pieces, key=_order), lambda one: one.name.partition(".tar.")[0]):
        into = data if tar == "base" else spaces / tar
        into.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ThreadPoolExecutor(max_workers=_AHEAD) as pool, _Joined(store, list(files), into.parent, pool) as joined:
            reader = io.BufferedReader(joined, _CHUNK)
            with tarfile.open(fileobj=reader, mode="r|", bufsize=_CHUNK) as archive:
                for member in archive:
                    _extract(archive, member, into)
                    progress(member.size)
        if into != data:  # the server would make it by the map, to where the source has it
            (data / "pg_tblspc" / tar).symlink_to(into)
    if not (data / BACKUP_MANIFEST).exists():
        listed = next(file for file in manifest.files if file.name == f"{BACKUP_MANIFEST}.zst")
        packed = data / listed.name
        _placed(store, listed, packed)
        with packed.open("rb") as source, (data / BACKUP_MANIFEST).open("wb") as target:
            zstandard.ZstdDecompressor().copy_stream(source, target)
        packed.unlink()


def _order(piece: StoredFile) -> tuple[bool, str]:
    return not piece.name.startswith("base."), piece.name  # the data directory before the links in it


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    if Path(member.name).is_absolute() or ".." in Path(member.name).parts:
        raise ProblemFound(f"the backup holds {member.name!r}, outside of its own directory", "take a new one")
    target = into / member.name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
    elif content := archive.extractfile(member):
        with target.open("wb") as file:
            while data := content.read(_CHUNK):
                file.write(data)
        target.chmod(0o600)


def _placed(store: Store, file: StoredFile, target: Path) -> Path:
    if wrong := store.place(file, target):
        raise ProblemFound(
            f"{file.name}: object {file.object[:12]} {wrong}", "tabsync backup window shows what else there is"
        )
    return target


class _Joined(io.RawIOBase):
    """The pieces of a tar, unpacked, as one stream."""

    def __init__(self, store: Store, files: list[StoredFile], directory: Path, pool: ThreadPoolExecutor) -> None:
        self._waiting: deque[Future[Path]] = deque()
        self._rest = iter(files)
        self._store, self._directory, self._pool = store, directory, pool
        self._data = self._contents()
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._left:
            data = next(self._data, None)
            if data is None:
                return 0
            self._left = memoryview(data)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def _contents(self) -> Iterator[bytes]:
        for file in self._rest:
            target = self._directory / f".{file.name}"
            self._waiting.append(self._pool.submit(_placed, self._store, file, target))
            if len(self._waiting) >= _AHEAD:
                yield from self._unpacked()
        while self._waiting:
            yield from self._unpacked()

    def _unpacked(self) -> Iterator[bytes]:
        path = self._waiting.popleft().result()
        unpack = zstandard.ZstdDecompressor().decompressobj()
        with path.open("rb") as file:
            while data := file.read(_CHUNK):
                yield unpack.decompress(data)
        path.unlink()

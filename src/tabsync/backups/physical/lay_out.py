"""Brings a physical backup out of the store: a data directory that a server of its version can start in.

Pieces are fetched, verified and decompressed a few ahead by several threads, and written by one, so that only the
cluster itself needs room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import psutil
import zstandard

from tabsync.backups.physical.base import BACKUP_MANIFEST
from tabsync.backups.physical.unpack import Unpacker
from tabsync.kernel.errors import FailedPartway, ProblemFound, Refused
from tabsync.postgres.installation import Installation, installations
from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.system.programs import run_program

if TYPE_CHECKING:
    from tabsync.stores.store import Store

_CHUNK = 4 << 20
_AHEAD = 3  # pieces in memory, unpacked
_LOOK_EVERY = 0.5  # seconds
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
    store: Store,
    backups: Sequence[Manifest],
    directory: Path,
    report: Callable[[float, float, str], None],
    *,
    durable: bool = True,
) -> Path:
    """Lay a backup out as directory/data (and directory/tablespaces), verified by pg_verifybackup.

    backups: the full one first, then the increments up to the wanted one (base.chain); directory: claimed; durable: it
    is to be kept, so the disk is set to work at once; its server syncs it.
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
        _unpack(store, backups[0], data, spaces, progress, to_disk=durable)
    else:
        data = _combined(store, backups, directory, programs, progress)
    _verify(programs, data, directory, lambda read: report(read, backups[-1].physical["bytes"], "bytes verified"))
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
            f"pg_combinebackup failed: {done.complaint()}", "try an older backup: tabsync backup window"
        )
    run_program(["rm", "-rf", parts])
    return data


def _verify(programs: Installation, data: Path, directory: Path, report: Callable[[int], None]) -> None:
    argv: list[str | Path] = [programs.program("pg_verifybackup"), "--quiet", data]
    done = run_program(argv, claim=directory, beside=lambda process: _reading(process.pid, report))
    if done.code != 0:
        raise ProblemFound(
            f"the backup does not match its manifest: {done.complaint()}",
            "to see what else can be recovered: tabsync backup window",
        )


@contextmanager
def _reading(pid: int, report: Callable[[int], None]) -> Iterator[None]:
    """Tell how much a program has read; it says so itself only from PostgreSQL 16 on."""
    ended = Event()

    def look() -> None:
        with suppress(psutil.Error, AttributeError, OSError):  # AttributeError: not every system counts
            while not ended.wait(_LOOK_EVERY):
                report(psutil.Process(pid).io_counters().read_chars)

    looking = Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()


def _unpack(
    store: Store,
    manifest: Manifest,
    data: Path,
    spaces: Path,
    progress: Callable[[int], None],
    *,
    to_disk: bool = False,
) -> None:
    data.mkdir(parents=True, mode=0o700)
    pieces = [file for file in manifest.files if ".tar." in file.name]
    for tar, files in groupby(sorted(pieces, key=_order), lambda one: one.name.partition(".tar.")[0]):
        into = data if tar == "base" else spaces / tar
        into.mkdir(parents=True, exist_ok=True, mode=0o700)
        with closing(Unpacker(into, to_disk=to_disk)) as unpacker:
            for content in _contents(store, files, into.parent):
                for bit in content:
                    unpacker.feed(bit)
                    progress(len(bit))
            unpacker.end()
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


def _contents(store: Store, files: Iterable[StoredFile], directory: Path) -> Iterator[list[bytes]]:
    """What is in each piece, in order; the next ones are fetched and decompressed meanwhile."""
    waiting: deque[Future[list[bytes]]] = deque()
    pool = ThreadPoolExecutor(max_workers=_AHEAD, thread_name_prefix="unpacker")
    try:
        for file in files:
            waiting.append(pool.submit(_content, store, file, directory / f".{file.name}"))
            if len(waiting) >= _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _content(store: Store, file: StoredFile, target: Path) -> list[bytes]:
    packed = _placed(store, file, target).read_bytes()
    target.unlink()
    try:
        with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
            return list(iter(lambda: reader.read(_CHUNK), b""))
    except zstandard.ZstdError:
        raise ProblemFound(
            f"{file.name}: the content of object {file.object[:12]} does not match its digest",
            "to see what else can be recovered: tabsync backup window",
        ) from None


def _placed(store: Store, file: StoredFile, target: Path) -> Path:
    if wrong := store.place(file, target):
        raise ProblemFound(
            f"{file.name}: object {file.object[:12]} {wrong}",
            "to see what else can be recovered: tabsync backup window",
        )
    return target

"""One WAL file into the store and out of it again; nothing there is ever replaced by something else."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

import zstandard

from tabsync.backups.wal.names import (
    SEGMENT,
    Partial,
    folder,
    partial_name,
    partial_stored,
    stored_name,
)
from tabsync.kernel.errors import BadUsage, NotAllowed, ProblemFound, Refused
from tabsync.stores.store import Store

_LEVEL = 1
_PAGE = 8192
_LONG_HEADER = struct.Struct("=HHIQI4xQII")
_HAS_LONG_HEADER = 0x0002


@dataclass(frozen=True, slots=True)
class Header:
    """What the first page of a segment says. size: of a segment, in bytes."""

    system_identifier: str
    timeline: int
    position: int
    size: int


def header_of(path: Path) -> Header:
    """Read a segment's first page. Raises ProblemFound when it isn't one.

    XLogLongPageHeaderData: the same since PostgreSQL 9.3; numbers are in the byte order of the server's machine.
    """
    with path.open("rb") as file:
        data = file.read(_LONG_HEADER.size)
    if len(data) == _LONG_HEADER.size:
        _magic, info, timeline, position, _rest, identifier, size, page = _LONG_HEADER.unpack(data)
        if info & _HAS_LONG_HEADER and page == _PAGE and size and size & (size - 1) == 0 and position % size == 0:
            return Header(str(identifier), timeline, position, size)
    raise ProblemFound(f"{path.name} has no header of a WAL segment", "examine it with pg_waldump")


def check_segment(path: Path) -> Header:
    """See that a whole segment is what its name says. Raises ProblemFound."""
    header = header_of(path)
    log, part = divmod(header.position, 1 << 32)
    named = f"{header.timeline:08X}{log:08X}{part // header.size:08X}"
    # The first segment of a new timeline may begin with pages of the one before.
    if named[8:] != path.name[8:24] or path.stat().st_size != header.size:
        raise ProblemFound(
            f"the content of {path.name} is segment {named}, {path.stat().st_size} bytes", "examine it with pg_waldump"
        )
    return header


def store_file(store: Store, system_identifier: str, path: Path, memo: Path) -> bool:
    """Store a whole WAL file, compressed; False when the same is there already.

    memo: a small local file where is noted what is being stored: a process that dies in between can tell afterwards
    that what is there is its own, even where it can't decrypt it.
    Raises Refused when another content is there under its name: then two servers write to one archive.
    """
    name, digest = stored_name(system_identifier, path.name), _digest(path)
    mine = f"{path.name} {digest}"
    known = memo.read_text() if memo.exists() else ""
    _write_memo(memo, mine)
    with tempfile.TemporaryDirectory(prefix="tabsync-wal-") as directory:
        packed = Path(directory) / "packed"
        _pack(path, packed)
        if store.put_file(name, packed):
            return True
    if known == mine:
        return False
    memo.unlink(missing_ok=True)  # it wasn't stored by us: the next attempt must not take it for that
    if _same(store, system_identifier, path.name, digest):
        return False
    raise Refused(
        f"{store.url} already has a different {path.name}",
        "two servers archive to the same place: give each its own --store",
    )


def store_partial(store: Store, system_identifier: str, path: Path | None, partial: Partial) -> None:
    """Store the open segment as far as it is valid; path: None when there is nothing in it yet."""
    with tempfile.TemporaryDirectory(prefix="tabsync-wal-") as directory:
        packed = Path(directory) / "packed"
        _pack(path or Path(os.devnull), packed, partial.bytes)
        store.put_file(partial_name(system_identifier, partial), packed)


def fetch(store: Store, system_identifier: str, name: str, target: Path, *, partial: bool = False) -> bool:
    """Bring a WAL file to a path; False when the store doesn't have it.

    partial: the open segment will do, filled up with zeros: recovery ends where they begin.
    Raises BadUsage for a name that PostgreSQL doesn't archive, ProblemFound when it is damaged, Refused when the store
    has nothing at all: a disk that isn't mounted must not be taken for the end of the WAL.
    """
    try:
        stored = stored_name(system_identifier, name)
    except ValueError as error:
        raise BadUsage(str(error), "give the file name that PostgreSQL passes as %f") from None
    packed = target.with_name(f".{target.name}.packed")
    try:
        if store.get_file(stored, packed):
            _unpack(packed, target, name)
            return True
        best = _furthest(store, stored, name) if partial and SEGMENT.fullmatch(name) else None
        if best is None or not store.get_file(best, packed):
            _see_that_it_is_there(store, system_identifier)
            return False
        _unpack(packed, target, name)
        os.truncate(target, header_of(target).size)
        return True
    finally:
        packed.unlink(missing_ok=True)


def _see_that_it_is_there(store: Store, system_identifier: str) -> None:
    if next(store.files(folder(system_identifier)), None) is None and not store.ids():
        raise Refused(
            f"{store.url} contains neither WAL nor backups", "check that its disk is mounted and that --store is right"
        )


def _furthest(store: Store, whole: str, name: str) -> str | None:
    place = whole.rpartition("/")[0]
    mine = [(partial_stored(one.name), one.name) for one in store.files(place) if one.name.startswith(f"{name}.")]
    partials = [(one.bytes, one.until, stored) for one, stored in mine if one and one.bytes]
    return f"{place}/{max(partials)[2]}" if partials else None


def _same(store: Store, system_identifier: str, name: str, digest: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="tabsync-wal-") as directory:
        there = Path(directory) / name
        try:
            return fetch(store, system_identifier, name, there) and _digest(there) == digest
        except NotAllowed:
            return False


def _pack(path: Path, packed: Path, size: int | None = None) -> None:
    compressor = zstandard.ZstdCompressor(_LEVEL, write_checksum=True)
    with path.open("rb") as source:
        data = source.read() if size is None else source.read(size)
    packed.write_bytes(compressor.compress(data))


def _unpack(packed: Path, target: Path, name: str) -> None:
    try:
        with packed.open("rb") as source, target.open("wb") as file:
            zstandard.ZstdDecompressor().copy_stream(source, file)
    except zstandard.ZstdError:
        target.unlink(missing_ok=True)
        raise ProblemFound(
            f"{name} in the store is corrupt", "to see what can still be recovered: tabsync backup window"
        ) from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_memo(memo: Path, text: str) -> None:
    memo.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pending = memo.with_name(f".{memo.name}")
    try:
        with pending.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        pending.replace(memo)
    except OSError as error:
        pending.unlink(missing_ok=True)
        # On a full disk it goes without: only what leaves for the store makes room for a note again.
        if error.errno != errno.ENOSPC:
            raise

"""Cuts a tar stream into pieces of bounded size, where its members begin.

A large file of the cluster begins a piece of its own. So a table that didn't change since the last base backup gives
the same pieces again, and is not stored twice. Each piece is compressed by itself: `zstd -dc` of all of them, one
after the other, is the tar again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import zstandard

from tabsync.kernel.errors import FailedPartway

PIECE = 64 << 20
"""Bytes of tar in a piece, before compression."""

_BLOCK = 512  # bytes; a tar is made of these
_CHUNK = 1 << 20
_LARGE = 4 << 20  # a file from this size on begins its own piece
_LEVEL = 1
_CAUGHT = ("backup_manifest", "backup_label")


@dataclass(slots=True)
class Cut:
    """What was cut. bytes: of tar; caught: where backup_manifest and backup_label were copied to, by name."""

    bytes: int = 0
    caught: dict[str, Path] = field(default_factory=dict)


@dataclass(slots=True)
class _Piece:
    """The piece that is being written."""

    directory: Path
    stem: str
    done: Callable[[Path], None]
    number: int = 0
    size: int = 0
    _writer: zstandard.ZstdCompressionWriter | None = None
    _file: IO[bytes] | None = None

    def write(self, data: bytes) -> None:
        if self.size >= PIECE:
            self.cut()
        if self._writer is None:
            self.number += 1
            self._file = self._path().open("wb")
            self._writer = zstandard.ZstdCompressor(_LEVEL, write_checksum=True).stream_writer(
                self._file, closefd=False
            )
        self._writer.write(data)
        self.size += len(data)

    def cut(self) -> None:
        if self._writer is not None and self._file is not None:
            self._writer.flush(zstandard.FLUSH_FRAME)
            self._file.close()
            self._writer, self.size = None, 0
            self.done(self._path())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _path(self) -> Path:
        return self.directory / f"{self.stem}.{self.number:06}.zst"


def cut_tar(
    source: IO[bytes], directory: Path, stem: str, done: Callable[[Path], None], report: Callable[[int], None]
) -> Cut:
    """Write a tar stream as pieces <stem>.000001.zst, ... into a directory.

    done: called with each finished piece, in order; report: called with the bytes of tar so far.
    Raises FailedPartway when the stream ends in the middle of a file.
    """
    piece = _Piece(directory, stem, done)
    try:
        return _cut(source, directory, piece, report)
    finally:
        piece.close()


def _cut(source: IO[bytes], directory: Path, piece: _Piece, report: Callable[[int], None]) -> Cut:
    cut = Cut()
    while header := source.read(_BLOCK):
        name, size = _member(header)
        if size >= _LARGE:
            piece.cut()
        piece.write(header)
        catch = directory / name if name in _CAUGHT else None
        if catch is not None:
            cut.caught[name] = catch
            catch.write_bytes(b"")
        for data in _content(source, size):
            piece.write(data)
            if catch is not None:
                with catch.open("ab") as file:
                    file.write(data)
        if catch is not None:
            with catch.open("r+b") as file:
                file.truncate(size)
        cut.bytes += _BLOCK + _padded(size)
        if size >= _LARGE:
            piece.cut()
        report(cut.bytes)
    piece.cut()
    return cut


def _content(source: IO[bytes], size: int) -> Iterator[bytes]:
    left = _padded(size)
    while left:
        data = source.read(min(left, _CHUNK))
        if not data:
            raise FailedPartway("the stream of the base backup broke off", "run it again; nothing half-made is listed")
        left -= len(data)
        yield data


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _member(header: bytes) -> tuple[str, int]:
    """Name and size of a member; the blocks of zeros at the end count as empty members."""
    if len(header) < _BLOCK:
        raise FailedPartway("the stream of the base backup broke off", "run it again; nothing half-made is listed")
    field = header[124:136]
    size = int.from_bytes(field[1:], "big") if field[0] & 0x80 else int(field.rstrip(b" \0") or b"0", 8)
    return header[:100].rstrip(b"\0").decode(errors="replace"), size

"""Cuts a tar stream into pieces of bounded size, at places that depend on its members and not on what came before.

A large file of the cluster begins a piece of its own, and is cut every 32 MB from its beginning. Small files are
gathered, those of one database apart from those of another, and apart from what changes with every backup. A gathered
piece ends where it is full, or behind a file whose name says so. So what didn't change since the last base backup gives
the same pieces again, and is not stored twice, whatever has changed, come or gone beside it.

Of all pieces one after the other the tar is made again: `zstd -dc`, for each is compressed by itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from tabsync.kernel.errors import FailedPartway

PIECE = 32 << 20
"""Bytes of tar in a piece, before compression."""

_BLOCK = 512  # bytes; a tar is made of these
_LARGE = 4 << 20  # a file from this size on begins its own piece
_ENOUGH = 4 << 20  # a gathered piece of this size may end behind the next file whose name says so,
_ONE_IN = 8  # which one in so many does
_CAUGHT = ("backup_manifest", "backup_label")
_APART = ("pg_xact", "pg_multixact", "pg_commit_ts")  # directories whose files mostly stay as they are


class BrokeOff(FailedPartway):
    """The stream ended in the middle of a file; whoever wrote it knows why."""


@dataclass(slots=True)
class Cut:
    """What was cut. bytes: of tar; caught: where backup_manifest and backup_label were copied to, by name."""

    bytes: int = 0
    caught: dict[str, Path] = field(default_factory=dict)


@dataclass(slots=True)
class Piece:
    """A piece of tar in memory, in a buffer that is lent: whoever is done with it gives it back."""

    name: str
    buffer: bytearray
    lender: SimpleQueue[bytearray]
    size: int = 0

    @property
    def content(self) -> memoryview:
        """The bytes of tar."""
        return memoryview(self.buffer)[: self.size]

    def give_back(self) -> None:
        """Let the next piece have the buffer."""
        self.lender.put(self.buffer)


@dataclass(slots=True)
class _Pieces:
    """The pieces of one tar. buffers: what they are written into, however many there are; done: takes each over."""

    stem: str
    buffers: SimpleQueue[bytearray]
    done: Callable[[Piece], None]
    number: int = 0
    group: str = ""
    _piece: Piece | None = None

    @property
    def size(self) -> int:
        """Bytes in the piece that is being written."""
        return self._piece.size if self._piece else 0

    def room(self) -> memoryview:
        """Where to write next; wrote() says how much was."""
        if self._piece is None or self._piece.size >= PIECE:
            self.cut()
            self.number += 1
            self._piece = Piece(f"{self.stem}.{self.number:06}.zst", self.buffers.get(), self.buffers)
        return memoryview(self._piece.buffer)[self._piece.size :]

    def wrote(self, size: int) -> None:
        if self._piece is not None:
            self._piece.size += size

    def cut(self) -> None:
        piece, self._piece = self._piece, None
        if piece is not None:
            self.done(piece)

    def close(self) -> None:
        if self._piece is not None:
            self._piece.give_back()


def buffers(number: int) -> SimpleQueue[bytearray]:
    """So many buffers for pieces: all the memory that pieces take."""
    lent: SimpleQueue[bytearray] = SimpleQueue()
    for _ in range(number):
        lent.put(bytearray(PIECE))
    return lent


def cut_tar(
    source: IO[bytes], directory: Path, stem: str, lent: SimpleQueue[bytearray], done: Callable[[Piece], None]
) -> Cut:
    """Cut a tar stream into pieces <stem>.000001.zst, ...; what is caught of it goes into a directory.

    lent: buffers for the pieces; done: called with each finished piece, in order; it gives the buffer back.
    Raises BrokeOff when the stream ends in the middle of a file.
    """
    pieces = _Pieces(stem, lent, done)
    try:
        return _cut(source, directory, pieces)
    finally:
        pieces.close()


def _cut(source: IO[bytes], directory: Path, pieces: _Pieces) -> Cut:
    cut = Cut()
    while header := source.read(_BLOCK):
        name, size = _member(header)
        whole = _BLOCK + _padded(size)
        group = _group(name) if size < _LARGE else name
        if pieces.group != group or pieces.size + whole > PIECE:
            pieces.cut()
        pieces.group = group
        pieces.room()[:_BLOCK] = header
        pieces.wrote(_BLOCK)
        catch = _catch(cut, directory, name) if name in _CAUGHT else None
        for data in _content(source, size, pieces):
            if catch is not None:
                with catch.open("ab") as file:
                    file.write(data)
        if catch is not None:
            with catch.open("r+b") as file:
                file.truncate(size)
        if pieces.size >= _ENOUGH and _ends_piece(name):
            pieces.cut()
        cut.bytes += whole
    pieces.cut()
    return cut


def _catch(cut: Cut, directory: Path, name: str) -> Path:
    cut.caught[name] = directory / name
    cut.caught[name].write_bytes(b"")
    return cut.caught[name]


def _content(source: IO[bytes], size: int, pieces: _Pieces) -> Iterator[memoryview]:
    """Read a member's content into pieces; gives what was read, bit by bit."""
    left = _padded(size)
    while left:
        room = pieces.room()[:left]
        read = source.readinto(room)  # type: ignore[attr-defined]
        if not read:
            raise _broke_off()
        pieces.wrote(read)
        yield room[:read]
        left -= read


def _group(name: str) -> str:
    """Small files of one group share pieces. Those of the same database do, and all that changes with each backup."""
    parts = name.split("/")
    if parts[0] == "base" or parts[0].startswith("PG_"):  # PG_17_202406281: what a tablespace holds
        return "/".join(parts[:2])
    if parts[0] == "global" and parts[-1] != "pg_control":
        return "global"
    return parts[0] if parts[0] in _APART else ""


def _ends_piece(name: str) -> bool:
    return zlib.crc32(name.encode(errors="surrogateescape")) % _ONE_IN == 0


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _member(header: bytes) -> tuple[str, int]:
    """Name and size of a member; the blocks of zeros at the end count as empty members."""
    if len(header) < _BLOCK:
        raise _broke_off()
    field = header[124:136]
    size = int.from_bytes(field[1:], "big") if field[0] & 0x80 else int(field.rstrip(b" \0") or b"0", 8)
    return header[:100].rstrip(b"\0").decode(errors="replace"), size


def _broke_off() -> BrokeOff:
    return BrokeOff("the stream of the base backup ended too early", "run it again; no incomplete backup is listed")

"""Reading a file for the last time: what was read is given back to the disk at once, not when all of it has been."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

# https://man7.org/linux/man-pages/man2/fallocate.2.html: FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_PUNCH = 0x01 | 0x02


def consumed(path: Path, block: int) -> Iterator[bytes]:
    """The content of a file in blocks; each one's room on the disk is free as soon as it has been read.

    block: bytes. The file keeps its size and loses its content, so only its owner may read it so, and only once. Where
    the system or the file system can't do that, the room comes back when the file is deleted.
    """
    with path.open("r+b", buffering=0) as file:
        while data := file.read(block):
            _punch(file.fileno(), file.tell())
            yield data


def _punch(fd: int, upto: int) -> None:
    fallocate = getattr(ctypes.CDLL(None), "fallocate", None)
    if fallocate is not None:  # it isn't there on macOS; what it says of file systems without holes changes nothing
        fallocate(ctypes.c_int(fd), ctypes.c_int(_PUNCH), ctypes.c_int64(0), ctypes.c_int64(upto))


def room_of(path: Path) -> int:
    """Bytes of disk that a file takes: its holes take none. Raises FileNotFoundError."""
    facts = path.lstat()
    return min(facts.st_size, facts.st_blocks * 512)  # st_blocks counts in 512 bytes, whatever the file system's are

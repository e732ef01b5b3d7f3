"""Writes the files of a tar that comes in bits: what `tar -x` does, for the few kinds of members that a cluster has."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import IO

from tabsync.kernel.errors import ProblemFound
from tabsync.system.write_out import write_out

_BLOCK = 512  # bytes; a tar is made of these, and every bit that comes is a multiple of it
_WRITE_OUT = 8 << 20  # bytes of a file after which the disk is told to begin with them


class Unpacker:
    """Unpacks one tar into a directory. Nothing of it is ever written outside of that.

    to_disk: what is unpacked will be synced, so the disk may begin at once.
    """

    def __init__(self, into: Path, *, to_disk: bool = False) -> None:
        self._into = into
        self._to_disk = to_disk
        self._file: IO[bytes] | None = None
        self._written = self._sent = 0  # bytes of the open file: written, and of these on their way to the disk
        self._left = self._padding = 0  # bytes of the member that are still to come, and what fills its last block

    def feed(self, data: bytes) -> None:
        """Unpack the next bit. Raises ProblemFound when it is no tar of a cluster."""
        rest = memoryview(data)
        while rest:
            if self._left:
                content, rest = rest[: self._left], rest[self._left :]
                self._left -= len(content)
                self._write(content)
            elif self._padding:
                more = min(self._padding, len(rest))
                self._padding -= more
                rest = rest[more:]
            else:
                self._begin(bytes(rest[:_BLOCK]))
                rest = rest[_BLOCK:]

    def end(self) -> None:
        """See that the tar is whole. Raises ProblemFound."""
        if self._left or self._padding:
            raise ProblemFound(
                "the backup ends in the middle of a file", "to see what else can be recovered: tabsync backup window"
            )

    def close(self) -> None:
        """Close what is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, content: memoryview) -> None:
        while content and self._file is not None:
            size = self._file.write(content)
            content = content[size:]
            self._written += size
            if self._to_disk and self._written - self._sent >= _WRITE_OUT:
                write_out(self._file.fileno(), self._sent, self._written - self._sent)
                self._sent = self._written

    def _begin(self, header: bytes) -> None:
        self.close()
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            return
        except tarfile.HeaderError as error:
            raise ProblemFound(
                f"the backup is not a tar archive of a cluster: {error}",
                "take a new backup: tabsync backup take physical",
            ) from None
        if Path(member.name).is_absolute() or ".." in Path(member.name).parts:
            raise ProblemFound(
                f"the backup contains {member.name!r}, which is outside of the data directory",
                "take a new backup: tabsync backup take physical",
            )
        target = self._into / member.name
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True, mode=0o700)
            return
        if not member.isreg():
            raise ProblemFound(
                f"the backup contains {member.name!r}, which is neither a file nor a directory",
                "take a new backup: tabsync backup take physical",
            )
        self._file = target.open("wb", buffering=0)
        target.chmod(0o600)
        self._written = self._sent = 0
        self._left, self._padding = member.size, -member.size % _BLOCK

"""A file that only grows: each line is on the disk before anything depends on it, and names the line before it.

A line that was changed, removed or put in later shows, since each carries the SHA-256 of itself and of the one before.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tabsync.kernel.clock import iso, now
from tabsync.kernel.step import Facts

START = "0" * 64
"""What the first line names as the one before it."""


class Taken(Exception):
    """The file is not there any more."""


@dataclass(slots=True)
class Chain:
    """A file that is being written. last: the hash of its last line; count: lines so far, also in files before it."""

    path: Path
    last: str = START
    count: int = 0
    _fd: int = field(default=-1, repr=False)

    def append(self, entry: Facts) -> None:
        """Add a line, and have it on the disk. Raises OSError; then a part of it may stand at the end of the file.

        Raises Taken when the file was taken into the ledger and deleted meanwhile: what is written there is lost.
        """
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            if os.fstat(self._fd).st_nlink == 0:
                raise Taken
            self._append(entry)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _append(self, entry: Facts) -> None:
        body = {"n": self.count, "at": iso(now()), "before": self.last, "entry": entry}
        line = json.dumps(body | {"hash": _hash(body)}, separators=(",", ":")).encode() + b"\n"
        view = memoryview(line)
        while view:
            view = view[os.write(self._fd, view) :]
        os.fsync(self._fd)
        self.last, self.count = _hash(body), self.count + 1

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True, slots=True)
class Read:
    """What a file holds. entries: with the hashes of their lines; last: the hash of the last.

    broken: what is wrong with it after these, "" when nothing is.
    """

    path: Path
    entries: tuple[tuple[str, Facts], ...]
    last: str
    broken: str = ""


def create(path: Path, last: str = START, count: int = 0) -> Chain:
    """Create a file of ours, which must not be there yet; no link is followed. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)  # or the file's name could be gone after a crash
        finally:
            os.close(directory)
    except BaseException:
        os.close(fd)
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return Chain(path, last, count, fd)


def read(path: Path) -> Read | None:
    """What a file holds; None when it isn't ours, is reached by a link, or anybody else may write it.

    A last line that was cut off, as by a crash or a full disk, was never depended on: it is left out.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:  # noqa: PTH123 - of a descriptor
        about = os.fstat(file.fileno())
        ours = about.st_uid == os.geteuid() and about.st_nlink == 1 and not about.st_mode & 0o077
        if not (stat.S_ISREG(about.st_mode) and ours):
            return None
        content = file.read()
    *lines, _torn = content.split(b"\n")
    entries: list[tuple[str, Facts]] = []
    last, count = "", 0
    for number, line in enumerate(lines, start=1):
        try:
            body = json.loads(line)
            found = body.pop("hash")
            good = found == _hash(body) and (not entries or (body["before"] == last and body["n"] == count + 1))
            entry = (found, dict(body["entry"]))
            count = int(body["n"])
        except (ValueError, KeyError, TypeError, AttributeError):
            good = False
        if not good:
            return Read(path, tuple(entries), last, f"line {number} was changed, or is not of this file")
        entries.append(entry)
        last = found
    return Read(path, tuple(entries), last)


@contextlib.contextmanager
def held(paths: Sequence[Path]) -> Iterator[None]:
    """Keep others from adding lines to some files meanwhile; who wanted to then sees whether they were deleted."""
    with contextlib.ExitStack() as stack:
        for path in paths:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield


def _hash(body: Facts) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

"""Streams for work that goes on though nobody reads, or can keep, what it prints."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Collection
from typing import Any

FULL = (errno.ENOSPC, errno.EDQUOT)
"""The disk is full."""

GONE = (errno.EPIPE, errno.EIO)
"""Whoever read it has gone: the end of a pipe, a terminal."""


class _Patient(io.FileIO):
    """What can't be printed for some reasons is lost."""

    passed: Collection[int] = ()

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in self.passed:
                raise
            return len(data)


def patient(descriptor: int, *, passed: Collection[int]) -> io.TextIOWrapper:
    """A stream on a file descriptor. passed: the error numbers for which what is printed is lost, and no error."""
    raw = _Patient(descriptor, "w", closefd=False)
    raw.passed = passed
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True)


def open_closed() -> list[int]:
    """Open what was closed when we were started, on nothing: else the next file or socket would get its number.

    Gives their descriptors: 0, 1, 2.
    """
    closed = []
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            closed.append(number)
    return closed

"""What can go wrong with the history. It is no evidence: it never stops anything else."""

from __future__ import annotations

import sqlite3

from tabsync.kernel.errors import FailedPartway, words_of


class NotKept(FailedPartway):
    """The history can't be written (exit 5): what was measured is judged, but not kept."""


class Unreadable(FailedPartway):
    """The history can't be read (exit 5)."""


_CORRUPT, NOT_A_DATABASE = 11, 26  # https://www.sqlite.org/rescode.html


def not_kept(error: sqlite3.Error | OSError) -> NotKept:
    """What whoever writes is told."""
    return NotKept(f"samples are lost: the history can't be written: {_told(error)}", "make room on the disk of home")


def unreadable(error: sqlite3.Error | OSError) -> Unreadable:
    """What whoever reads is told."""
    hint = "tabsync serve moves it away and begins a new one" if is_corrupt(error) else "check the permissions of home"
    return Unreadable(f"the history can't be read: {_told(error)}", hint)


def is_corrupt(error: BaseException) -> bool:
    """Whether the file itself is wrong, and no other try helps."""
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (_CORRUPT, NOT_A_DATABASE)


def _told(error: sqlite3.Error | OSError) -> str:
    return words_of(error) if isinstance(error, sqlite3.Error) else error.strerror or type(error).__name__

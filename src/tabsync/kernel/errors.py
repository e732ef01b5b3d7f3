"""One root class for everything that a user can cause; it is translated to words and an exit code once, at the edge.

The grammar is PostgreSQL's own: the fact in one line, then a hint that names the next command.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of every command says."""

    DONE = 0
    PROBLEM_FOUND = 1
    USAGE = 2
    NOT_ALLOWED = 3
    REFUSED = 4
    FAILED_PARTWAY = 5
    UNKNOWN = 6


class TabsyncError(Exception):
    """A fact the user needs, and the next thing to do.

    fact: one line, no trailing full stop needed. hint: one line that names the next command, or "".
    """

    exit_code: Exit = Exit.FAILED_PARTWAY

    def __init__(self, fact: str, hint: str = "") -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint


class ProblemFound(TabsyncError):
    """The check ran to its end and what it looked at is not in order (exit 1)."""

    exit_code = Exit.PROBLEM_FOUND


class BadUsage(TabsyncError):
    """The command can't be understood, or names something that isn't there (exit 2)."""

    exit_code = Exit.USAGE


class CannotConnect(TabsyncError):
    """The server can't be reached, or doesn't let us in (exit 3)."""

    exit_code = Exit.NOT_ALLOWED


class NotAllowed(TabsyncError):
    """The server let us in, but not do this (exit 3)."""

    exit_code = Exit.NOT_ALLOWED


class Refused(TabsyncError):
    """Stopped before any change was made (exit 4)."""

    exit_code = Exit.REFUSED


class FailedPartway(TabsyncError):
    """Something was done and something wasn't; the fact says which (exit 5)."""

    exit_code = Exit.FAILED_PARTWAY


class NotRecorded(FailedPartway):
    """The ledger can't be read or written (exit 5): what could not be recorded before it began was not begun."""


class Interrupted(FailedPartway):
    """Somebody pressed Ctrl-C or sent SIGTERM (exit 5): nothing failed, and what is missing was not missed."""


def words_of(error: BaseException) -> str:
    """What an exception of a library says, in one line.

    One that carries a server's diagnosis, as psycopg's do, says it with its DETAIL and the first line of its CONTEXT:
    often only these name the row or the function that is to blame.
    """
    diagnosis = getattr(error, "diag", None)
    if primary := getattr(diagnosis, "message_primary", None):
        parts = [primary, getattr(diagnosis, "message_detail", None), getattr(diagnosis, "context", None)]
        return "; ".join(part.strip().splitlines()[0] for part in parts if part and part.strip())
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__

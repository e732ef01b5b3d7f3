"""Where errors become words and exit codes: once, here."""

from __future__ import annotations

import json
import os
import signal
import sys
from types import FrameType

from tabsync.kernel.errors import (
    BadUsage,
    CannotConnect,
    Exit,
    FailedPartway,
    NotAllowed,
    Refused,
    TabsyncError,
    words_of,
)
from tabsync.kernel.plain import is_text

_OF_CLICK = {
    "is not a valid integer range": "is no whole number",
    "is not a valid integer": "is no whole number",
    "is not a valid float range": "is no number",
    "is not a valid float": "is no number",
}
"""What its types are called there, for a person who has typed a word."""


def exit_code_of(error: Exception) -> int:
    """Tell the user what went wrong and return the exit code; what no user can cause is raised again."""
    if isinstance(error, BrokenPipeError):  # the reader of our output went away: `tabsync ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if type(error).__name__ == "NoArgsIsHelpError":  # a group without its command: its message is its help
        print(error, file=sys.stderr)  # noqa: T201 - the person's channel
        return int(Exit.USAGE)
    told = told_of(error)
    if told is None:
        raise error
    if "--json" in sys.argv:
        content: dict[str, object] = {"fact": told.fact, "hint": told.hint, "exit_code": int(told.exit_code)}
        if getattr(told, "differences", ()):  # the sentence names the first few only
            from tabsync.copies.restores.different import differences_of

            content["different"] = differences_of(told)
        print(json.dumps({"version": 1, "error": content}))  # noqa: T201 - the machine's channel
    from rich.console import Console
    from rich.text import Text

    from tabsync.kernel.plain import plain

    console = Console(stderr=True, soft_wrap=True)
    console.print(Text("error: ", style="bold red") + Text(plain(told.fact), style="default"))
    if told.hint:
        console.print(Text("hint: ", style="bold") + Text(plain(told.hint), style="default"))
    return int(told.exit_code)


def told_of(error: Exception) -> TabsyncError | None:
    """An error in our words; None for one that nobody could have caused."""
    return error if isinstance(error, TabsyncError) else _translated(error)


def stop_on_sigterm() -> None:
    """Let SIGTERM unwind like Ctrl-C, so that what was started is taken away."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _translated(error: Exception) -> TabsyncError | None:
    return _from_click(error) or _from_psycopg(error) or _from_ledger(error) or _from_the_system(error)


def _from_click(error: Exception) -> TabsyncError | None:
    from click import Abort, ClickException

    if isinstance(error, Abort):
        return Refused("the question was not answered; nothing was changed")
    if not isinstance(error, ClickException):
        return None
    context = getattr(error, "ctx", None)
    fact = " ".join(error.format_message().split()).removesuffix(".").replace("Value error, ", "")
    for words, ours in _OF_CLICK.items():
        fact = fact.replace(words, ours)
    return BadUsage(fact[:1].lower() + fact[1:], f"{context.command_path if context else 'tabsync'} --help")


def _from_psycopg(error: Exception) -> TabsyncError | None:
    if "psycopg" not in sys.modules:
        return None
    import psycopg

    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return NotAllowed(f"not allowed: {words_of(error)}", "use a user with pg_monitor and pg_read_all_data")
    if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
        return NotAllowed(f"timeout: {words_of(error)}", "to see which session holds the lock: tabsync status")
    if isinstance(error, psycopg.errors.CharacterNotInRepertoire):
        return FailedPartway(
            f"the database holds text that is not valid UTF-8: {words_of(error)}",
            "a SQL_ASCII database accepts any bytes: rename or comment anew what has them; or take a backup that reads"
            " no names: tabsync backup take physical",
        )
    if isinstance(error, psycopg.OperationalError):
        return CannotConnect(f"the connection was lost: {words_of(error)}", "check the database: tabsync health")
    if isinstance(error, psycopg.Error):
        return FailedPartway(
            f"the server rejected a statement of tabsync: {words_of(error)}", "check the server: tabsync status"
        )
    return None


def _from_the_system(error: Exception) -> TabsyncError | None:
    if isinstance(error, UnicodeError) and not all(map(is_text, sys.argv)):
        return BadUsage("an argument is not text in UTF-8", "type it in a terminal that uses UTF-8")
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return FailedPartway(
            f"{where}{error.strerror}", "check that the disk has free space and that the file may be written"
        )
    return None


def _from_ledger(error: Exception) -> TabsyncError | None:
    if "sqlalchemy" not in sys.modules:
        return None
    from sqlalchemy.exc import DatabaseError

    from tabsync.ledger.open import ledger_failed

    if isinstance(error, DatabaseError):
        return ledger_failed(error.orig or error)
    return None


__all__ = ["Exit", "exit_code_of", "stop_on_sigterm"]

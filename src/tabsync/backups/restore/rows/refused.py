"""Why the database refused rows, in words."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from tabsync.kernel.errors import NotAllowed, Refused, TabsyncError, words_of
from tabsync.postgres.catalog import quoted


def message_of(error: psycopg.Error, event_triggers: Sequence[str] = ()) -> TabsyncError:
    """An error of PostgreSQL while rows were written, rolled back, in words.

    event_triggers: those that run for the temporary tables that a write needs.
    """
    message = words_of(error)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return NotAllowed(f"not allowed: {message}; {NOTHING}", "use the tables' owner")
    if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.QueryCanceled):
        return Refused(f"timeout: {message}; {NOTHING}", "to see which session holds the lock: tabsync status")
    if isinstance(error, psycopg.errors.ForeignKeyViolation):
        return Refused(f"{message}; {NOTHING}", "restore the referenced rows first")
    if isinstance(error, psycopg.errors.IntegrityError | psycopg.DataError):
        return Refused(
            f"the rows can't be written: {message}; {NOTHING}", "change the condition, or remove the rows that conflict"
        )
    if isinstance(error, psycopg.OperationalError) and error.diag.message_primary is None:
        return Refused(f"the connection was lost: {message}; {NOTHING}", "check the database: tabsync health")
    if event_triggers:
        named = ", ".join(map(quoted, event_triggers))
        hint = (
            f"if event trigger {named} raised this (it fires for temporary tables too): use a superuser; if one of the"
        )
        return Refused(
            f"the database rejected the rows: {message}; {NOTHING}",
            f"{hint} table's own triggers did: --without-triggers",
        )
    return Refused(
        f"the database rejected the rows: {message}; {NOTHING}", "if a trigger raised this: --without-triggers"
    )


LEAVE_OUT = "check the table's triggers, or disable them: --without-triggers"


NOTHING = "nothing was changed"

"""Prepared transactions have no session to end: they are ended by a name, which any user of the database may choose."""

from __future__ import annotations

from tabsync.kernel.plain import in_one_line

BY_HAND = "select format('rollback prepared %L', gid) from pg_prepared_xacts"
"""What gives the statements for those whose names can't be shown in a line as they are."""


def rollback(gid: str) -> str:
    """What a person can copy to end one, in its database: a statement that holds the name and nothing else.

    https://www.postgresql.org/docs/current/sql-rollback-prepared.html
    """
    return f"rollback prepared {literal}" if (literal := literal_of(gid)) else f"its name, by hand: {BY_HAND}"


def literal_of(gid: str) -> str:
    """A name as a SQL literal; "" where it can't be copied: of several lines, or with bytes that were replaced."""
    if not gid or not gid.isprintable() or in_one_line(gid) != gid or "\\" in gid:
        return ""
    return "'" + gid.replace("'", "''") + "'"

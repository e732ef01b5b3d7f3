"""Which months are old enough to leave the log."""

from __future__ import annotations

from datetime import timedelta

from tabsync.audit.database.partitions import bounds, now
from tabsync.kernel.step import Facts
from tabsync.manual.wiring import Audit
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection


def due_for_archive(connection: Connection, log: Relation, audit: Audit) -> list[Facts]:
    """The partitions whose entries are all older than the manual keeps them; a legal hold is not asked about."""
    longest, moment = longest_kept(audit), now(connection)
    if longest is None:
        return []
    return [one for one in bounds(connection, log) if one["until"] and one["until"] + longest <= moment]


def longest_kept(audit: Audit) -> timedelta | None:
    """The longest time of the manual's tables: a month has entries of all of them. None: for ever."""
    times = [one.kept for one in audit.tables]
    return None if any(one is None for one in times) else max(one for one in times if one is not None)

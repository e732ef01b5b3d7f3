"""Where rows come from when nobody says: the audit log, where it has them whole; else the newest backup."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tabsync.audit.database.log import log_of
from tabsync.backups.restore.rows.asked import AUDIT, Asked
from tabsync.backups.restore.rows.compare_log import audited_of
from tabsync.backups.restore.rows.logged import reading_log
from tabsync.backups.restore.rows.logged_rows import taken
from tabsync.backups.restore.rows.shape import shape_of
from tabsync.copies.source import Source, source_named
from tabsync.kernel.errors import BadUsage, NotAllowed, Refused, TabsyncError
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_LIMITS = Limits(lock_timeout=500, statement_timeout=5_000, idle_in_transaction_timeout=0)
LATEST = "latest"


def nearest(workspace: Workspace, root: Relation, where: str, asked: Asked, connection: Connection) -> Source:
    """The source that has the rows as they were last, with the reason. Raises what source_named() raises."""
    why = _why_not_the_log(workspace, root, where, asked, connection)
    if not why:
        found = source_named(workspace, AUDIT, root, connection)
        return replace(found, why="it has these rows as they were just before they were deleted")
    if why == _NO_LOG:
        return source_named(workspace, LATEST, root, connection)
    try:
        return replace(source_named(workspace, LATEST, root, connection), why=why)
    except TabsyncError as error:
        raise BadUsage(f"{error.fact}; and {why}", error.hint) from None


_NO_LOG = "the audit log is not installed"


def _why_not_the_log(workspace: Workspace, root: Relation, where: str, asked: Asked, connection: Connection) -> str:
    """Why the log can't give these rows back whole; "" when it can."""
    try:
        log_of(connection)
    except (Refused, NotAllowed):
        return _NO_LOG
    try:
        with reading_log(workspace, asked, _LIMITS) as log:
            here = shape_of(log.connection, root)
            found = taken(log, here, audited_of(log, here), where) if here else None
            if found is None or not found.chosen:
                return f"the audit log has no such row of {root} that was deleted"
            if found.masked:
                why = "which it can't give back" if found.unreadable & {*found.masked} else "which are secret"
                return f"the audit log has these rows without {', '.join(found.masked)}, {why}"
    except TabsyncError as error:
        return f"the audit log was not asked: {error.fact}"
    return ""

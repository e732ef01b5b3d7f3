"""What the audit log in the database has of the application's users: whose role was changed, who was disabled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg

from tabsync.audit.reading.entries import Log, reading, table_text
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.manual.load import load
from tabsync.profiles.tabsync.payments.change import Change, changed, nothing, unknown
from tabsync.profiles.tabsync.payments.changed_database import told

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_ACTIONS = ("ROLE_CHANGE", "DISABLE", "ENABLE")
_MOST = 500
_SOME = 50


def of_users(workspace: Workspace, since: datetime) -> Change:
    """By the audit log, where it is installed. An UPDATE of a role counts, too: it went past the guarded function."""
    try:
        with reading(workspace) as log:
            found = list(_changes(log, workspace, since))
    except (TabsyncError, psycopg.Error) as error:
        return unknown("users", told(error))
    if not found:
        return nothing("users", "by the audit log no role was changed, and nobody was disabled")
    newest = max(found, key=lambda one: int(one["id"]))
    more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
    what = {"ROLE_CHANGE": "a role was changed", "UPDATE": "a role was changed by UPDATE"}.get(
        newest["action"], f"a user: {newest['action']}"
    )
    return changed("users", datetime.fromisoformat(str(newest["at"])), f"{what}{more}: tabsync audit list")


def _changes(log: Log, workspace: Workspace, since: datetime) -> Iterator[Facts]:
    for action in _ACTIONS:
        yield from log.page({"since": iso(since), "action": action}, _SOME)
    wiring = load(workspace.manual_path).users
    if wiring is not None:
        updates = {"since": iso(since), "action": "UPDATE", "table": table_text(wiring.table)}
        yield from (one for one in log.page(updates, _MOST) if wiring.role in one["columns"])

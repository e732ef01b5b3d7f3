"""What is likely meant by <name> in a step, where no step before it has shown one: manual, ledger and server say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import TabsyncError
from tabsync.ledger.evidence import latest_evidence
from tabsync.manual.model import Manual
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits
from tabsync.sessions.seen import Session, sessions
from tabsync.sessions.way_in import here, way_in

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named(__package__, "candidates.sql")
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)
Finder = Callable[["Workspace", Manual], list[str]]


def known(workspace: Workspace, manual: Manual, name: str) -> list[str]:
    """Candidates for a name, the likeliest first; none where nothing knows such a thing, or it can't be asked now."""
    finder = _FINDERS.get(name)
    if finder is None:
        return []
    with suppress(TabsyncError, psycopg.Error):
        return [one for one in finder(workspace, manual) if one]
    return []


def is_known(name: str) -> bool:
    """Whether anything knows what a name could mean."""
    return name in _FINDERS


def _asked(statement: str) -> Finder:
    def ask(workspace: Workspace, _manual: Manual) -> list[str]:
        with workspace.connect("runbook", _LIMITS) as connection:
            return [str(row[0]) for row in connection.execute(_SQL[statement].encode()).fetchall()]

    return ask


def _clients(workspace: Workspace) -> list[Session]:
    """The clients of the database, also when it takes no more connections: who holds locks first, then who idles."""
    with way_in(workspace, "runbook") as way:
        database = here(way)["database"]
        found = [one for one in sessions(way) if one.kind == "client" and one.database == database]
    return sorted(found, key=lambda one: (not str(one.state).startswith("idle in"), -(one.state_seconds or 0.0)))


def _pids(workspace: Workspace, _manual: Manual) -> list[str]:
    return [str(one.pid) for one in _clients(workspace)][:5]


def _roles(workspace: Workspace, _manual: Manual) -> list[str]:
    return [str(name) for name, _ in Counter(one.user for one in _clients(workspace)).most_common(5)]


def _backup(workspace: Workspace, _manual: Manual) -> list[str]:
    proven = latest_evidence(workspace.ledger(), "drill", ok=True)
    found = str((proven or {}).get("facts", {}).get("backup", ""))
    return [found, "latest"] if found else ["latest"]


def _database(workspace: Workspace, _manual: Manual) -> list[str]:
    return [f"{conninfo_to_dict(workspace.conninfo).get('dbname') or workspace.name}_restored"]


_FINDERS: Mapping[str, Finder] = {
    "pid": _pids,
    "role": _roles,
    "index": _asked("invalid_indexes"),
    "slot": _asked("slots"),
    "table": lambda _, manual: [one.name for one in manual.key_tables],
    "backup": _backup,
    "database": _database,
    "moment": lambda *_: [iso(now() - timedelta(hours=1))[:19] + "Z"],
    "condition": lambda *_: ["id = 1"],
}

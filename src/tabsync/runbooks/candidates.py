"""What is likely meant by <name> in a step, where no step before it has shown one: manual, ledger and server say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import latest_evidence
from tabsync.manual.model import Manual, Step
from tabsync.postgres.catalog import exists
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits
from tabsync.runbooks.placeholders import candidates
from tabsync.sessions.locks import waiting
from tabsync.sessions.seen import Session, sessions
from tabsync.sessions.way_in import here, way_in

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named(__package__, "candidates.sql")
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)


class Likely(NamedTuple):
    """A value that is likely meant. told: what it is, in words, "" where it speaks for itself."""

    value: str
    told: str = ""


Finder = Callable[["Workspace", Manual, Step], list[Likely]]


def likely(
    workspace: Workspace, manual: Manual, step: Step, name: str, shown: Sequence[Facts], alert: Facts | None = None
) -> list[Likely]:
    """What is likely meant by a name that a step leaves open, the likeliest first.

    shown: the data of what the steps before have shown; alert: what the alert is about. Which session is meant the
    server says now: what a step has listed are all of them, also ours.
    """
    about = [Likely(one) for one in candidates(name, [alert or {}])]
    before = [Likely(one) for one in candidates(name, shown)]
    if name != "pid":
        return list(dict.fromkeys([*about, *before])) or known(workspace, manual, step, name)
    now = known(workspace, manual, step, name)
    told = {one.value: one for one in now}
    return list(dict.fromkeys([*(told.get(one.value, one) for one in about), *now])) or before


def known(workspace: Workspace, manual: Manual, step: Step, name: str) -> list[Likely]:
    """Candidates for a name, the likeliest first; none where nothing knows such a thing, or it can't be asked now."""
    finder = _FINDERS.get(name)
    if finder is None:
        return []
    with suppress(TabsyncError, psycopg.Error):
        return [one for one in finder(workspace, manual, step) if one.value]
    return []


def is_known(name: str) -> bool:
    """Whether anything knows what a name could mean."""
    return name in _FINDERS


def _asked(statement: str) -> Finder:
    def ask(workspace: Workspace, _manual: Manual, _step: Step) -> list[Likely]:
        with workspace.connect("runbook", _LIMITS) as connection:
            return [Likely(str(row[0])) for row in connection.execute(_SQL[statement].encode()).fetchall()]

    return ask


def _clients(workspace: Workspace, step: Step) -> list[Session]:
    """The clients of the database, also when it takes no more connections, the one that a step is likely about first.

    For a statement that is who works, those that others wait for first; for a session who blocks others, then who idles
    in a transaction, then who idles for longest.
    """
    with way_in(workspace, "runbook") as way:
        database = here(way)["database"]
        found = [one for one in sessions(way) if one.kind == "client" and one.database == database]
        blockers = {pid for one in waiting(way).values() for pid in one.blocked_by}
    works = bool(step.commands) and step.commands[0].words[0] == "queries"

    def order(one: Session) -> tuple[bool, bool, bool, float]:
        first = one.state == "active" if works else one.pid in blockers
        second = one.pid in blockers if works else one.is_in_transaction
        return not first, not second, one.state == "active", -(one.state_seconds or 0.0)

    return sorted(found, key=order)


def _pids(workspace: Workspace, _manual: Manual, step: Step) -> list[Likely]:
    return [Likely(str(one.pid), one.described()) for one in _clients(workspace, step)][:5]


def _roles(workspace: Workspace, _manual: Manual, step: Step) -> list[Likely]:
    return [Likely(str(name)) for name, _ in Counter(one.user for one in _clients(workspace, step)).most_common(5)]


def _tables(_workspace: Workspace, manual: Manual, _step: Step) -> list[Likely]:
    return [Likely(one.name) for one in manual.key_tables]


def _backup(workspace: Workspace, _manual: Manual, _step: Step) -> list[Likely]:
    proven = latest_evidence(workspace.ledger(), "drill", ok=True)
    found = str((proven or {}).get("facts", {}).get("backup", ""))
    return [Likely(found, "the newest that was proven"), Likely("latest")] if found else [Likely("latest")]


def _database(workspace: Workspace, _manual: Manual, _step: Step) -> list[Likely]:
    return [Likely(f"{conninfo_to_dict(workspace.conninfo).get('dbname') or workspace.name}_restored")]


def _restored(workspace: Workspace, manual: Manual, step: Step) -> list[Likely]:
    """The database that was restored beside ours, once there is one."""
    with workspace.connect("runbook", _LIMITS) as connection:
        return [one for one in _database(workspace, manual, step) if exists(connection, one.value)]


_FINDERS: Mapping[str, Finder] = {
    "pid": _pids,
    "role": _roles,
    "index": _asked("invalid_indexes"),
    "slot": _asked("slots"),
    "table": _tables,
    "backup": _backup,
    "database": _database,
    "migration": lambda *_: [],  # one that has failed is shown by migration status
    "restored": _restored,
    "live": lambda workspace, *_: [Likely(str(conninfo_to_dict(workspace.conninfo).get("dbname") or workspace.name))],
    "moment": lambda *_: [Likely(iso(now() - timedelta(hours=1))[:19] + "Z", "an hour ago")],
    "condition": lambda *_: [Likely("id = 1")],
}

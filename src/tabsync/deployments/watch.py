"""The sessions of a deployment while it runs: what they wait for, and who waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
import psycopg
from psycopg.rows import dict_row

from tabsync.deployments.environment import RUN
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits
from tabsync.system.processes import with_variable

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named(__package__, "deployments.sql")
_SPOKEN = 5.0  # seconds after which it is said again for whom is waited
_SHOWN = 80  # characters of a statement


@dataclass(slots=True)
class Watch:
    """What was seen of a deployment's sessions.

    name: the application's name that it was given, "" where others have it too; since: when it began, by the server;
    budget: seconds that others may wait for it, None for as long as it takes; say: tells a line. sessions: those that
    were found; held: the longest that others waited, in seconds; behind: how many at most; cancelled: what was
    cancelled because of it; lost: why nothing is seen any more.
    """

    connection: Connection
    run_id: str
    name: str
    say: Callable[[str], None]
    budget: float | None = None
    since: str = ""
    sessions: set[tuple[int, str]] = field(default_factory=set)
    held: float = 0.0
    behind: int = 0
    waited: float = 0.0
    cancelled: list[str] = field(default_factory=list)
    lost: str = ""
    _spoken: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What was there before the command is not of it."""
        if not self.since:
            row = self.connection.execute(_SQL["now"]).fetchone()
            self.since = str(row[0]) if row else "-infinity"

    def look(self) -> None:
        """Look once. What can't be looked at any more is noted, and stops nothing."""
        if self.lost:
            return
        try:
            self._look()
        except psycopg.Error as error:
            self.lost = " ".join(str(error).split()) or type(error).__name__
            self.say(f"the deployment can't be watched any more: {self.lost}")

    def go_on(self, workspace: Workspace, number: int) -> None:
        """Open a session again, and take the guard's lock again, so that no other deployment begins. number: of it."""
        try:
            self.connection = workspace.connect("deployments", Limits(lock_timeout=1_000, statement_timeout=10_000))
            self.connection.execute(_SQL["guard"], {"number": number})
        except (psycopg.Error, TabsyncError):
            return
        self.lost = ""
        self.say("the deployment is watched again")

    def to_json(self) -> Facts:
        """What was seen, for the record; without any session nothing is known of what they did."""
        return {
            "sessions": len(self.sessions),
            "others_waited_seconds": round(self.held, 1) if self.sessions else None,
            "others_waiting": self.behind if self.sessions else None,
            "waited_seconds": round(self.waited, 1) if self.sessions else None,
            "cancelled": self.cancelled,
            "lost": self.lost or None,
        }

    def _look(self) -> None:
        found = self._rows("sessions", ports=list(ports_of(self.run_id)), name=self.name, since=self.since)
        self.sessions |= {(one["pid"], one["backend_start"]) for one in found}
        if not found:
            return
        for one in found:
            if one["waits"]:
                self._tell_wait(one)
            if one["for_standby"]:
                self._tell_standby(one)
        behind = self._rows("behind", pids=[one["pid"] for one in found])[0]
        if behind["count"]:
            self._tell_behind(found, behind)

    def _tell_wait(self, one: Facts) -> None:
        seconds = one["seconds"] or 0.0
        self.waited = max(self.waited, seconds)
        if seconds < 1 or not self._due(f"waits {one['pid']}"):
            return
        whom = self._rows("blockers", pids=one["blocked_by"])
        told = ", ".join(_who(each) for each in whom) or "a prepared transaction, or one that has just ended"
        self.say(
            f"the migration has waited {human_seconds(seconds)} for a lock: {_short(one['query'])}; held by {told}"
        )

    def _tell_standby(self, one: Facts) -> None:
        seconds = one["seconds"] or 0.0
        if seconds >= 1 and self._due(f"standby {one['pid']}"):
            told = "its commit waits for a standby that does not confirm it: tabsync replication diagnose"
            self.say(f"the migration has waited {human_seconds(seconds)}: {told}; {_short(one['query'])}")

    def _tell_behind(self, found: list[Facts], behind: Facts) -> None:
        seconds = behind["seconds"] or 0.0
        self.held, self.behind = max(self.held, seconds), max(self.behind, behind["count"])
        if self.budget is not None and seconds > self.budget:
            self._cancel(found, behind["blockers"], behind["count"], seconds)
        elif seconds >= 1 and self._due("behind"):
            self.say(f"{_sessions(behind['count'])} for the migration, the first one for {human_seconds(seconds)}")

    def _cancel(self, found: list[Facts], blockers: list[int], count: int, seconds: float) -> None:
        for one in found:
            if one["pid"] not in blockers:
                continue
            values = {"pid": one["pid"], "backend_start": one["backend_start"]}
            done = self.connection.execute(_SQL["cancel"], values).fetchone()
            if done and done[0]:
                self.cancelled.append(in_one_line(one["query"]))
                self.say(
                    f"cancelled, since {_sessions(count)} for it for {human_seconds(seconds)}: {_short(one['query'])}"
                )

    def _due(self, what: str) -> bool:
        now = time.monotonic()
        if now - self._spoken.get(what, -_SPOKEN) < _SPOKEN:
            return False
        self._spoken[what] = now
        return True

    def _rows(self, block: str, **values: object) -> list[Facts]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_SQL[block], values).fetchall()


def processes_of(run_id: str) -> Iterator[psutil.Process]:
    """The processes of a deployment that live: they have its run in their environment."""
    yield from with_variable(RUN, run_id)


def ports_of(run_id: str, but: int = 0) -> Iterable[int]:
    """The local ports of its processes' connections: the server sees them as these, unless something is between.

    but: a port of this machine to which connections don't count.
    """
    for one in processes_of(run_id):
        with suppress(psutil.Error, OSError):
            yield from {each.laddr.port for each in one.net_connections("tcp") if each.raddr and each.raddr.port != but}


def _who(one: Facts) -> str:
    since = f", its transaction open for {human_seconds(one['seconds'])}" if one["seconds"] else ""
    return f"session {one['pid']} ({in_one_line(one['application'] or '') or '-'}, {one['state']}{since})"


def _sessions(count: int) -> str:
    return "1 session waits" if count == 1 else f"{count} sessions wait"


def _short(query: str) -> str:
    text = in_one_line(query or "")
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."

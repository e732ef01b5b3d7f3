"""A session as it was seen: who it is, what it does and since when, and what must never be ended by a rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.sessions.way_in import Way

DUMPS = ("pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup", "pg_receivewal", "pg_recvlogical")
"""Programs of PostgreSQL that are named by what they tell of themselves, and whose work would be lost."""

AUXILIARY = (
    "archiver",
    "background writer",
    "checkpointer",
    "io worker",
    "startup",
    "walreceiver",
    "walsummarizer",
    "walwriter",
)
"""https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW"""

IN_TRANSACTION = ("idle in transaction", "idle in transaction (aborted)")
TRACK = "to have it tracked: track_activities = on, for the server and for whom it is off (psql lists these: \\drds)"
"""https://www.postgresql.org/docs/current/runtime-config-statistics.html#GUC-TRACK-ACTIVITIES"""

UNTRACKED = "disabled"
"""The state of a session for which track_activities is off."""

_NAME, _QUERY = 24, 60


@dataclass(frozen=True, slots=True)
class Session:
    """One row of sessions.sql. Times since then in seconds; None: not visible for this role, or there is none.

    kind: "client", or what it is instead: "this one", "not visible", "tabsync", "dump", "index build", or the type of a
    process that is no client's; may_signal: whether our role may end it.
    """

    pid: int
    database: str | None
    user: str | None
    application: str
    address: str | None
    type: str | None
    state: str | None
    wait_event_type: str | None
    wait_event: str | None
    backend_start: str | None
    state_change: str | None
    seconds: float | None
    state_seconds: float | None
    transaction_seconds: float | None
    query: str
    kind: str
    may_signal: bool

    @property
    def is_client(self) -> bool:
        """Whether it takes one of the connections."""
        return self.type == "client backend" or self.kind == "not visible"

    @property
    def is_auxiliary(self) -> bool:
        """Whether it is a process to which PostgreSQL passes no signal: it finds these among its backends only."""
        return self.type in AUXILIARY

    @property
    def is_in_transaction(self) -> bool:
        """Whether it idles inside a transaction: it holds its locks."""
        return self.state in IN_TRANSACTION

    @property
    def is_untracked(self) -> bool:
        """Whether nobody can see what it does, since track_activities is off for it."""
        return self.state == UNTRACKED

    @property
    def state_told(self) -> str:
        """Its state in words; what is not visible is not guessed."""
        if self.is_untracked:
            return "not tracked"
        return self.state or ("not visible" if self.kind == "not visible" else "unknown")

    @property
    def name(self) -> str:
        """Its application as it calls itself, fit for a column."""
        return short(self.application, _NAME) or "-"

    @property
    def query_told(self) -> str:
        """The beginning of its last statement, in one line."""
        return short(self.query, _QUERY)

    def described(self) -> str:
        """Who it is and what it does, in one line: "app as shop from 10.0.0.7, idle for 7 min"."""
        who = f"{self.name} as {short(self.user or '?', _NAME)}" + (f" from {self.address}" if self.address else "")
        since = f" for {human_seconds(self.state_seconds)}" if self.state_seconds is not None else ""
        return f"{who}, {self.state_told}{since}"

    def to_json(self) -> Facts:
        """The session for programs."""
        return asdict(self)

    def to_record(self) -> Facts:
        """The session for the record: without its statement, which may hold what is nobody's business in a year."""
        return asdict(self) | {"query": ""}


_FIELDS = [one.name for one in fields(Session)]


def session_from_json(data: Facts) -> Session:
    """The inverse of Session.to_json()."""
    return Session(**{name: data[name] for name in _FIELDS})


def sessions(way: Way, pids: Iterable[int] = ()) -> list[Session]:
    """The sessions of clients, and other processes of these ids. Raises as Way.rows()."""
    rows = way.rows("sessions", pids=list(pids), dumps=list(DUMPS))
    return [
        session_from_json(row | {"application": row["application"] or "", "query": row["query"] or ""}) for row in rows
    ]


def by_pid(way: Way, pids: Iterable[int] = ()) -> dict[int, Session]:
    """The same by their process ids."""
    return {one.pid: one for one in sessions(way, pids)}


def short(text: str, most: int) -> str:
    """Somebody's text in one line and not too long."""
    line = in_one_line(text)
    return line if len(line) <= most else f"{line[: most - 3]}..."

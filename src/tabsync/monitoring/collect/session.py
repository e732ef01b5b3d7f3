"""The one kept session of the collector, through which all metrics that are due are measured at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from tabsync.kernel.clock import Clock, now
from tabsync.manual.model import Manual, Metric
from tabsync.monitoring.collect.granting import Unseen, remedies
from tabsync.monitoring.history.logins import Counted
from tabsync.monitoring.measure import Reading, read
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.postgres.readonly import Reader
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named(__package__, "session.sql")
LIMITS = Limits(lock_timeout=50, statement_timeout=5_000, idle_in_transaction_timeout=10_000)
_STATEMENT = 5.0  # seconds; no metric may take longer
_SLOW = 1.0  # seconds from which a metric has to wait for the others


@dataclass(frozen=True, slots=True)
class Around:
    """Since when the server runs, (role, application, address) of who is logged in but us, and how many have been."""

    started_at: datetime
    sessions: list[tuple[str, str, str]]
    counted: Counted | None


class Watching:
    """A session to the watched database, which also keeps what was proven of the metrics' statements."""

    def __init__(
        self, connection: Connection, slow: dict[str, float] | None = None, first: tuple[str, ...] = ()
    ) -> None:
        self._reader = Reader(connection, first)
        self._slow = {} if slow is None else slow

    @classmethod
    def open(cls, workspace: Workspace, slow: dict[str, float] | None = None) -> Watching:
        """Open it. slow: how long metrics took, by their titles; whoever keeps it knows it in the next session too.

        Raises CannotConnect with what to check.
        """
        connection, first = workspace.connect_to_measure(LIMITS)
        return cls(connection, slow, first)

    def scrape(
        self, metrics: Sequence[Metric], manual: Manual, deadline_seconds: float, clock: Clock = now
    ) -> list[Reading]:
        """Measure metrics that have a query, all at once; each that could not be measured is UNKNOWN and says why.

        deadline_seconds: for all together. It is over by then: what still runs is cancelled, and where that does not
        help the session is closed, which ends what it runs. Never raises for the server; see `lost`.
        """
        # What took long the last time comes last: where it uses up the time, the others have been measured.
        order = sorted(range(len(metrics)), key=lambda number: self._slow.get(metrics[number].title, 0.0))
        found = read(
            self._reader,
            [metrics[number] for number in order],
            manual,
            deadline_seconds,
            statement=_STATEMENT,
            clock=clock,
        )
        readings = dict(zip(order, found, strict=True))
        self._slow |= {one.metric: one.seconds if one.seconds >= _SLOW else 0.0 for one in found}
        if self.lost:  # by the first one that has no answer, most likely: it would take the next session from all again
            self._slow |= {one.metric: deadline_seconds for one in [one for one in found if one.error][:1]}
        return [readings[number] for number in range(len(metrics))]

    def around(self, since: datetime | None = None) -> Around:
        """Who is logged in, and since when the server runs. since: the last look, by the server's clock.

        Raises psycopg.Error, as when the session is lost.
        """
        logins = psycopg.ClientCursor(self._reader.conn).mogrify(_SQL["logins"].encode(), {"since": since})
        rows, counted = self._reader.look(_STATEMENT, _SQL["around"], logins)
        who = [tuple(str(row[name] or "") for name in ("role", "application", "address")) for row in rows]
        sessions = [(role, name, where) for role, name, where in who if role or name]
        logged_in = Counted(**counted[0] | {"at": _moment(counted[0]["at"])}) if counted else None
        return Around(_moment(rows[0]["started_at"]), sessions, logged_in)

    def remedies(self, unseen: Sequence[Unseen]) -> tuple[str, dict[str, list[str]]]:
        """Which role looks, and the statements that would let it see what some metrics need; see granting.py.

        Raises psycopg.Error.
        """
        return remedies(self._reader, _STATEMENT, unseen)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query of ours, within a time. Raises psycopg.Error."""
        return self._reader.look(_STATEMENT, query)[0]

    @property
    def major(self) -> int:
        """The major version of the server."""
        return self._reader.conn.info.server_version // 10_000

    @property
    def server_seconds(self) -> float:
        """For how long the server has worked for this session so far, or has waited for a lock.

        It is measured here, between the first and the last answer of each round trip: that needs no extension, no
        privilege and no statement. pg_stat_statements would leave out parsing and cost more to read than a scrape.
        """
        return self._reader.server_seconds

    @property
    def lost(self) -> bool:
        """Whether the session has ended, so that another one must be opened."""
        return self._reader.conn.closed

    @property
    def trips(self) -> int:
        """How many times the last scrape waited for the server: two, and at most two more to prove statements."""
        return self._reader.trips

    def close(self) -> None:
        """End the session."""
        self._reader.conn.close()


def _moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)

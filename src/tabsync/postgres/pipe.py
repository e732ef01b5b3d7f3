"""Many statements in one round trip, each failing alone, and all of them over by a time that we set.

psycopg's own pipeline waits for the server at each sync. libpq doesn't: statements are sent one after another with a
sync behind each group, so that an error ends its own group only, and the answers are read as they come:
https://www.postgresql.org/docs/current/libpq-pipeline-mode.html

statement_timeout bounds one statement, and the server's clock is of no use when the network is gone. So the end is
watched here: what runs then is cancelled, and a session that doesn't come to its end soon is closed.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer
from psycopg.pq.abc import PGresult

from tabsync.postgres.connect import Connection

_PATIENCE = 1.0  # seconds to cancel in, taken from the end of the time that there is; at most a quarter of it
_AGAIN = 0.1  # seconds between two cancels: one ends one statement, and the next one of the queue begins
LOST = "the connection is lost"
ROLLBACK = "rollback"
SAVEPOINT, BACK = "savepoint tabsync_reading", "rollback to savepoint tabsync_reading"


class TimeOver(psycopg.OperationalError):
    """The time for all statements was over before this one had an answer."""

    def __init__(self) -> None:
        super().__init__("there was no answer before the deadline")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a group: the result of its last statement, or why it has none. seconds: how long it took."""

    result: PGresult | None
    failure: psycopg.Error | None
    seconds: float


class Pipe:
    """A session, until a time. until: of time.monotonic().

    trips: how many times it has waited for the server; server_seconds: for how long the server has worked for it, or
    has waited for a lock.
    """

    def __init__(self, conn: Connection, until: float) -> None:
        self.conn = conn
        self.trips = 0
        self.server_seconds = 0.0
        self._mogrify = psycopg.ClientCursor(conn).mogrify
        self._until = until
        self._cancel_from = until - min(_PATIENCE, max(until - time.monotonic(), 0) / 4)
        self._next_cancel = 0.0
        self._cancelled = False

    def filled(self, statement: str, values: Mapping[str, Any]) -> str:
        """A statement with its values in it, as literals."""
        return self._mogrify(statement.encode(), values)

    def rows(self, *queries: str) -> list[list[dict[str, Any]]]:
        """The rows of some queries, by the names of their columns. Raises psycopg.Error when one of them fails."""
        found = []
        for answer in self.run([[query] for query in queries]):
            if answer.failure or answer.result is None:
                raise answer.failure or psycopg.OperationalError(LOST)
            columns, rows = self.loaded(answer.result)
            found.append([dict(zip(columns, row, strict=True)) for row in rows])
        return found

    def look(self, *queries: str) -> list[list[dict[str, Any]]]:
        """The same inside a transaction; afterwards it holds no lock of theirs, and no setting that they set.

        A lock would last until the transaction ends: on a standby, the replay of what needs that table waits for it.
        """
        return self.rows(SAVEPOINT, *queries, BACK)[1:-1]

    def loaded(self, result: PGresult) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """The names of the columns of a result, and its rows as Python values."""
        reader = Transformer(self.conn)
        reader.set_pgresult(result)
        names = (result.fname(number) or b"" for number in range(result.nfields))
        columns = tuple(name.decode("utf-8", "backslashreplace") for name in names)
        return columns, reader.load_rows(0, result.ntuples, tuple)

    def run(self, groups: Sequence[Sequence[str]]) -> list[Answer]:
        """Send groups of statements at once and read what comes of each; within a group the first failure ends it.

        Never raises for the server: a group without an answer has a failure. Closes the session where the end of its
        statements can't be waited for.
        """
        answers: list[Answer] = []
        self.trips += 1
        link = self.conn.pgconn
        try:
            link.enter_pipeline_mode()
            for group in groups:
                for statement in group:
                    link.send_query_params(statement.encode(), None)
                link.pipeline_sync()
            for _ in groups:
                answers.append(self._answer())
            link.exit_pipeline_mode()
        except psycopg.Error as error:
            self.conn.close()
            rest = error if isinstance(error, TimeOver) else psycopg.OperationalError(LOST)
            answers.append(Answer(None, error if error.sqlstate else rest, 0.0))
            answers += [Answer(None, rest, 0.0)] * (len(groups) - len(answers))
        # All is sent at once, so the network is in the time of the first answer and in no other one. That first group
        # opens the transaction, or sets a role: what it takes the server is as good as nothing.
        self.server_seconds += sum(one.seconds for one in answers[1 : len(groups)])
        return answers[: len(groups)]

    def _answer(self) -> Answer:
        """The answer of the next group, up to its sync."""
        started = time.monotonic()
        found: PGresult | None = None
        failure: psycopg.Error | None = None
        while True:
            try:
                result = self._result()
            except psycopg.OperationalError as lost:
                raise failure or lost from None  # what the server said before it hung up
            if result is None:
                continue
            status = result.status
            if status == pq.ExecStatus.PIPELINE_SYNC:
                return Answer(None if failure else found, failure, time.monotonic() - started)
            if status == pq.ExecStatus.FATAL_ERROR:
                failure = failure or self._failure(result)
            elif status != pq.ExecStatus.PIPELINE_ABORTED:
                found = result

    def _failure(self, result: PGresult) -> psycopg.Error:
        error = errors.error_from_result(result, "utf-8")
        ended = isinstance(error, errors.QueryCanceled | errors.InFailedSqlTransaction)
        return TimeOver() if self._cancelled and ended else error

    def _result(self) -> PGresult | None:
        """The next result, None between two statements. Raises OperationalError when there won't be one."""
        link = self.conn.pgconn
        with selectors.DefaultSelector() as selector:
            selector.register(link.socket, selectors.EVENT_READ)
            while True:
                unsent = link.flush()
                if not link.is_busy():
                    break
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0)
                selector.modify(link.socket, wanted)
                ready = selector.select(self._patience())
                if any(events & selectors.EVENT_READ for _, events in ready):
                    link.consume_input()
        result = link.get_result()
        if result is None and link.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError(LOST)
        return result

    def _patience(self) -> float:
        """How long to wait for the socket; cancels what runs when it is time. Raises TimeOver at the end."""
        now = time.monotonic()
        if now >= self._until:
            raise TimeOver
        if now < self._cancel_from:
            return self._cancel_from - now
        if now >= self._next_cancel:
            self._cancelled = True
            with suppress(psycopg.Error):
                self.conn.cancel_safe(timeout=max(min(_PATIENCE, self._until - now), 0.05))
            self._next_cancel = time.monotonic() + _AGAIN
        return max(min(self._next_cancel, self._until) - time.monotonic(), 0.0)

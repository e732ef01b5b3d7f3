"""Read-only enforcement: statements that only read.

A READ ONLY transaction is not enough: PostgreSQL lets pg_terminate_backend, pg_reload_conf, session locks and every
other function with effects outside the tables run in it. So a statement is parsed (one statement, and of a kind that
reads: readonly_text.py), every function that it or a view behind it can call is looked up, and what we don't know is
refused (readonly_proof.py). Then it runs in a READ ONLY transaction with time limits:
https://www.postgresql.org/docs/current/sql-set-transaction.html

This holds off mistakes, tricks with quoting, and functions planted in the database. It is no substitute for
connecting as a role that may only read: another session could still replace a function between look-up and run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import pq
from psycopg import sql as composed

from tabsync.kernel.errors import Refused
from tabsync.kernel.units import parse_duration
from tabsync.postgres.connect import Connection
from tabsync.postgres.pipe import BACK, LOST, ROLLBACK, SAVEPOINT, Answer, Pipe
from tabsync.postgres.readonly_kept import Here, Kept, search_path
from tabsync.postgres.readonly_proof import Proof
from tabsync.postgres.readonly_text import bounded, check_readonly, too_long

_NOTHING = ""  # a rollback without a transaction would be a warning in the server's log
_SPARE = 5.0  # seconds beyond the limit of a single statement


@dataclass(frozen=True, slots=True)
class Rows:
    """What a reading statement gave. cut: there were more rows than max_rows; seconds: how long it took."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """What bounds a reading transaction. Times in seconds; statement, lock: of each statement; rows: kept of each."""

    statement: float = 5.0
    lock: float = 0.05
    rows: int = 1000

    def settings(self, seconds: float) -> dict[str, str]:
        """As PostgreSQL's settings, where so much time is left for all statements."""
        statement = max(min(self.statement, seconds), 0.001)
        return {"statement_timeout": f"{statement * 1000:.0f}", "lock_timeout": f"{self.lock * 1000:.0f}"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one statement: its rows, or why there are none. seconds: how long it took."""

    rows: Rows | None
    failure: Exception | None
    seconds: float


@dataclass(slots=True)
class Reader:
    """Runs reading statements in one session, and keeps what was proven of them.

    first: what each transaction begins with, see connect_to_look(); trips: round trips of the last run;
    server_seconds: for how long the server has worked for all runs, see Pipe.
    """

    conn: Connection
    first: tuple[str, ...] = ()
    trips: int = 0
    server_seconds: float = 0.0
    _kept: Kept = field(init=False)

    def __post_init__(self) -> None:
        self._kept = Kept(self.first)

    def look(self, seconds: float, *queries: str) -> list[list[dict[str, Any]]]:
        """The rows of queries of ours, in a transaction of their own. Raises psycopg.Error.

        seconds: for all of them.
        """
        pipe = Pipe(self.conn, time.monotonic() + seconds)
        try:
            return pipe.rows("begin read only", *self.first, *queries, ROLLBACK)[1 + len(self.first) : -1]
        finally:
            self.server_seconds += pipe.server_seconds

    def run(self, texts: Sequence[str], seconds: float, bounds: Bounds) -> list[Outcome]:
        """Check statements and run them in a READ ONLY transaction, which is always rolled back; each fails alone.

        On a standby each has a transaction of its own. Replay that is in the way of a snapshot waits until the whole
        transaction ends: https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-CONFLICT

        seconds: for all of them together; then what runs is cancelled. Each has its outcome, in their order: Refused
        when it does not only read, psycopg.Error when the server refuses it. Closes the session when it is lost, or
        when it could not be brought to an end in time.
        """
        told = {text: check_readonly(text) for text in texts}
        good = [text for text in told if not told[text]]
        pipe = Pipe(self.conn, time.monotonic() + seconds)
        found: dict[str, Outcome] = {}
        if good:
            found = self._run(pipe, good, seconds, bounds)
        self.trips = pipe.trips
        self.server_seconds += pipe.server_seconds
        return [found[text] if not told[text] else _not_read_only(told[text]) for text in texts]

    def _run(self, pipe: Pipe, texts: Sequence[str], seconds: float, bounds: Bounds) -> dict[str, Outcome]:
        if self.conn.closed:
            return dict.fromkeys(texts, Outcome(None, psycopg.OperationalError(LOST), 0.0))
        if self.conn.info.transaction_status != pq.TransactionStatus.IDLE:
            raise ValueError("a read-only transaction can't be opened inside another")
        alone = self.conn.info.parameter_status("in_hot_standby") == "on"
        limits = bounds.settings(seconds)
        outcomes: dict[str, Outcome] = {}
        groups: list[list[str]] = []
        good: list[str] = []
        try:
            here = self._kept.begin(pipe, texts, limits, alone=alone)
            proofs = self._kept.proofs(pipe, texts, here, limits, alone=alone)
            outcomes = {text: _refused(proofs[text].told) for text in texts if proofs[text].told}
            good = [text for text in texts if text not in outcomes]
            role = _giving_up(pipe, here)
            if good and alone:
                before = (*self._kept.opening(pipe, limits), *role)
                groups = [[_NOTHING], *_groups(pipe, good, proofs, bounds.rows, before, ROLLBACK)]
            elif good:
                groups = [[*role, SAVEPOINT], *_groups(pipe, good, proofs, bounds.rows, (), BACK)]
        except psycopg.Error as error:
            outcomes = dict.fromkeys(texts, Outcome(None, error, 0.0))
        if not self.conn.closed:
            is_open = self.conn.info.transaction_status != pq.TransactionStatus.IDLE
            answers = pipe.run([*groups, [ROLLBACK if is_open else _NOTHING]])
            outcomes |= _outcomes(pipe, good, answers, bounds.rows) if groups else {}
        return outcomes


def run_readonly(
    conn: Connection,
    sql: str,
    *,
    statement_timeout: str = "5s",
    lock_timeout: str = "50ms",
    max_rows: int = 1000,
) -> Rows:
    """Check a statement and run it in a READ ONLY transaction of its own, which is always rolled back.

    statement_timeout, lock_timeout: with their units; max_rows: rows kept at most.
    Raises Refused when the statement does not only read, ValueError when the session is inside a transaction,
    psycopg.Error when the server refuses it.
    """
    statement, lock = (parse_duration(text).total_seconds() for text in (statement_timeout, lock_timeout))
    (outcome,) = Reader(conn).run([sql], statement + _SPARE, Bounds(statement, lock, max_rows))
    if outcome.rows is None:
        raise outcome.failure or psycopg.OperationalError(LOST)
    return outcome.rows


def _giving_up(pipe: Pipe, here: Here) -> list[str]:
    """What goes before all statements: a superuser gives its rights up, where there is a role that may read all.

    A statement that comes here calls nothing that the database's owner wrote. This is for what that look missed.
    """
    role = composed.SQL("set local role {}").format(composed.Identifier(here.reader)).as_string(pipe.conn)
    return [role] if here.reader else []


def _groups(
    pipe: Pipe, texts: Sequence[str], proofs: Mapping[str, Proof], rows: int, first: Sequence[str], after: str
) -> list[list[str]]:
    """Each statement with what goes before it, then the way back to where the next one begins."""
    groups = []
    for text in texts:
        path = proofs[text].path
        names = composed.SQL(", ").join(map(composed.Identifier, path or ())).as_string(pipe.conn)
        before = [] if path is None else [search_path(pipe, names)]
        groups += [[*first, *before, bounded(text, rows + 1)], [after]]
    return groups


def _outcomes(pipe: Pipe, texts: Sequence[str], answers: Sequence[Answer], rows: int) -> dict[str, Outcome]:
    first, *rest = answers
    if first.failure:
        return dict.fromkeys(texts, Outcome(None, first.failure, 0.0))
    return {text: _outcome(pipe, answer, rows) for text, answer in zip(texts, rest[::2], strict=False)}


def _outcome(pipe: Pipe, answer: Answer, rows: int) -> Outcome:
    if answer.failure or answer.result is None:
        failure = answer.failure or psycopg.OperationalError(LOST)
        long = too_long(failure.diag.message_primary or "")
        return Outcome(None, ValueError(long) if long else failure, answer.seconds)
    try:
        columns, found = pipe.loaded(answer.result)
    except (psycopg.Error, ValueError, OverflowError) as error:
        return Outcome(None, error, answer.seconds)
    kept = Rows(columns, tuple(found[:rows]), len(found) > rows, answer.seconds)
    return Outcome(kept, None, answer.seconds)


def _not_read_only(told: Sequence[str]) -> Outcome:
    error = Refused(f"this statement is not read-only: {'; '.join(told)}", "mark its block as sql write")
    return Outcome(None, error, 0.0)


def _refused(told: Sequence[str]) -> Outcome:
    error = Refused(f"this statement may not be read-only: {'; '.join(told)}", "use PostgreSQL's own functions")
    return Outcome(None, error, 0.0)

"""The statements of this chapter: asked by name, with bound values, each in a transaction of its own.

Whoever has a session can answer them: this process, or the service with the one that it keeps (way_in.py). So what is
asked and what is answered is JSON.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from tabsync.kernel.errors import words_of
from tabsync.kernel.step import Facts
from tabsync.postgres.pipe import LOST, Answer, Pipe
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.postgres.connect import Connection

SQL = {**named(__package__, "sessions.sql"), **named(__package__, "queries.sql"), **named(__package__, "diagnose.sql")}
"""What may be asked; through the service's session, nothing else. Statements that are composed are not among them."""

LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000, idle_in_transaction_timeout=10_000)
NOT_ALLOWED = "42501"
"""The SQLSTATE of what a role may not do: https://www.postgresql.org/docs/current/errcodes-appendix.html"""

_AT_ONCE = 100  # statements that are sent before the first answer is read
_SECONDS = 10.0  # for what is sent at once


@dataclass(frozen=True, slots=True)
class Said:
    """What a statement gave: rows, or why there are none. sqlstate: "" where the server said nothing."""

    rows: list[Facts] = field(default_factory=list)
    error: str = ""
    sqlstate: str = ""


def ask(connection: Connection, first: Sequence[str], name: str, several: Sequence[Mapping[str, object]]) -> list[Said]:
    """Run a statement once with each of several sets of values, as few round trips as possible; each fails alone.

    first: what its transactions begin with, see connect_to_look(). Raises LookupError for a name that there isn't.
    """
    statement = SQL[name]
    found: list[Said] = []
    for start in range(0, len(several), _AT_ONCE):
        pipe = Pipe(connection, time.monotonic() + _SECONDS)
        filled = [pipe.filled(statement, values) for values in several[start : start + _AT_ONCE]]
        if connection.closed:
            found += [Said(error=LOST)] * len(filled)
            continue
        answers = pipe.run([[*first, one] for one in filled])
        found += [_said(pipe, answer) for answer in answers]
    return found


def _said(pipe: Pipe, answer: Answer) -> Said:
    if answer.failure or answer.result is None:
        failure = answer.failure or psycopg.OperationalError(LOST)
        return Said(error=words_of(failure), sqlstate=failure.sqlstate or "")
    columns, rows = pipe.loaded(answer.result)
    return Said([dict(zip(columns, row, strict=True)) for row in rows])

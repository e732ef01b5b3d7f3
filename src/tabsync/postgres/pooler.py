"""Whether something between us and the server gives our session to others.

A pooler hands out a cancel key of its own, so it is known by its process id, which isn't that of the backend that
answers. In transaction mode the backend is another client's as soon as our transaction ends, with whatever we set in
it: https://www.pgbouncer.org/features.html
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, LiteralString

import psycopg

_WHO: LiteralString = "select pg_catalog.pg_backend_pid()"
_PATIENCE = 3.0  # seconds to wait for a second session before its absence is taken for an answer
_TURNS = (0, 0, 1, 0, 1, 1, 0, 1, 0, 0, 1)
"""Which of two sessions asks. Not by turns: a pooler that goes round over two backends would give each its own."""

_Session = psycopg.Connection[tuple[Any, ...]]


def shares_backends(first: _Session, another: Callable[[], _Session]) -> bool:
    """Whether two sessions through a pooler get each other's backend between transactions.

    first: an open session in autocommit; another: opens a second one the same way. Nothing is set in either.
    True where it can't be told: a session that may be shared is taken for one that is.
    """
    try:
        with another() as second:
            return _shared((first, second))
    except psycopg.Error:
        return True


def _shared(sessions: tuple[_Session, _Session]) -> bool:
    mine: tuple[set[int], set[int]] = (set(), set())
    for number in _TURNS:
        backend = _backend(sessions[number])
        if backend is None:
            # It waits for a backend. In session mode the first one keeps its own; in the other mode it would have to
            # stand in the same queue, behind it.
            return number == 0 or _backend(sessions[0]) not in mine[0]
        mine[number].add(backend)
        if len(mine[number]) > 1 or mine[0] & mine[1]:
            return True
    return False


def _backend(session: _Session) -> int | None:
    """The process that answers, or None when none did in time."""
    found: list[int] = []

    def ask() -> None:
        with suppress(psycopg.Error):
            row = session.execute(_WHO).fetchone()
            found.extend([int(row[0])] if row else [])

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    if asking.is_alive():
        session.pgconn.finish()  # it gives up its place in the pooler's queue
        asking.join(_PATIENCE)
    return found[0] if found else None

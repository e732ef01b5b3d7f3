"""Who logs in: each (role, application, address) once, with when it was first and last seen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tabsync.monitoring.history.file import SQL
from tabsync.monitoring.history.moments import moment_of

Triple = tuple[str, str, str]
"""Role, application, address; "" where there is none."""

MOST = 10_000
"""How many are kept. An application may put a number into its name each time it starts: the newest stay."""

_LONGEST = 200  # characters; PostgreSQL's own names have 63 bytes at most


@dataclass(frozen=True, slots=True)
class SeenSession:
    """Who was seen."""

    role: str
    application: str
    address: str
    first_seen: datetime
    last_seen: datetime


def write_sessions(connection: sqlite3.Connection, sessions: Iterable[Triple], at: int) -> None:
    """Note who is logged in, inside a transaction."""
    found = {tuple(_kept(word) for word in one) for one in sessions}
    connection.executemany(SQL["saw"], [(*one, at, at) for one in found])
    excess = connection.execute(SQL["count_sessions"]).fetchone()[0] - MOST
    if excess > 0:
        connection.execute(SQL["drop_sessions"], {"count": excess})


def read_sessions(connection: sqlite3.Connection, since: int) -> list[SeenSession]:
    """Who was seen since a moment, the newest first."""
    rows = connection.execute(SQL["sessions"], {"since": since}).fetchall()
    return [
        SeenSession(role, application, address, moment_of(first), moment_of(last))
        for role, application, address, first, last in rows
    ]


def _kept(word: str) -> str:
    return word[:_LONGEST].encode(errors="replace").decode()

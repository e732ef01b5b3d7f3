"""What PgBouncer's console says of its clients: https://www.pgbouncer.org/usage.html#show-pools

The console is no PostgreSQL: it has no settings and no extended protocol, so the session is opened and asked by libpq
alone, and nothing is set in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.kernel.errors import CannotConnect
from tabsync.postgres.conninfo import place

_DATABASE = "pgbouncer"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Clients that wait for a connection to the server. seconds: the longest wait; pool: where that is, or ""."""

    clients: int
    seconds: float
    pool: str


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool. active, servers: connections to the server that are lent, and all there are; seconds: see Waiting."""

    pool: str
    waiting: int
    active: int
    servers: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Console:
    """What the console says of all pools. clients, most: connected clients, and max_client_conn (0: not told)."""

    pools: tuple[Pool, ...]
    clients: int
    most: int


def waiting(conninfo: str) -> Waiting:
    """Ask a PgBouncer. Raises CannotConnect when it doesn't answer, or doesn't let us see its pools.

    conninfo: of its console; the database "pgbouncer" where it names none.
    """
    with _console(conninfo) as console:
        return read_pools(*_shown(console, b"SHOW POOLS"))


def look(conninfo: str, seconds: int = 3) -> Console:
    """Ask a PgBouncer for its pools and its clients. Raises CannotConnect as waiting(). seconds: for the connection."""
    with _console(conninfo, seconds) as console:
        columns, rows = _shown(console, b"SHOW POOLS")
        lists = dict(row[:2] for row in _shown(console, b"SHOW LISTS")[1])
        config = dict(row[:2] for row in _shown(console, b"SHOW CONFIG")[1])
    try:
        pools = [_pool(dict(zip(columns, row, strict=True))) for row in rows if row[0] != _DATABASE]
        return Console(tuple(pools), int(lists["used_clients"]), int(config.get("max_client_conn", 0)))
    except (KeyError, ValueError) as error:
        raise CannotConnect(f"PgBouncer answered something else than its pools: {error}") from None


def _pool(one: dict[str, str]) -> Pool:
    servers = sum(int(one[name]) for name in one if name.startswith("sv_") and not name.endswith("login"))
    seconds = int(one["maxwait"]) + int(one.get("maxwait_us") or 0) / 1e6
    named = f"{one['database']} of {one['user']}"
    return Pool(named, int(one["cl_waiting"]), int(one["sv_active"]), servers, seconds)


@contextmanager
def _console(conninfo: str, seconds: int = 5) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    try:
        named = conninfo_to_dict(conninfo)
        whole = make_conninfo(conninfo, dbname=named.get("dbname") or _DATABASE, application_name="tabsync/pooler")
        with psycopg.connect(whole, autocommit=True, connect_timeout=seconds) as console:
            yield console
    except psycopg.Error as error:
        told = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CannotConnect(f"can't ask PgBouncer at {place(conninfo)}: {told}", "check [pgbouncer] url") from None


def _shown(console: psycopg.Connection[tuple[object, ...]], command: bytes) -> tuple[list[str], list[list[str]]]:
    """The columns and rows of a SHOW. Raises CannotConnect when it is refused."""
    result = console.pgconn.exec_(command)
    if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
        told = result.error_message.decode(errors="replace")
        raise CannotConnect(f"PgBouncer refuses {command.decode()}: {told}")
    return (
        [(result.fname(column) or b"").decode() for column in range(result.nfields)],
        [
            [(result.get_value(row, column) or b"").decode() for column in range(result.nfields)]
            for row in range(result.ntuples)
        ],
    )


def read_pools(columns: list[str], rows: list[list[str]]) -> Waiting:
    """What SHOW POOLS gave. Raises CannotConnect for what isn't that."""
    try:
        pools = [dict(zip(columns, row, strict=True)) for row in rows]
        found = [
            Waiting(
                int(one["cl_waiting"]),
                int(one["maxwait"]) + int(one.get("maxwait_us") or 0) / 1e6,
                f"{one['database']} of {one['user']}",
            )
            for one in pools
        ]
    except (KeyError, ValueError) as error:
        raise CannotConnect(f"PgBouncer answered something else than its pools: {error}") from None
    worst = max(found, key=lambda one: (one.seconds, one.clients), default=Waiting(0, 0.0, ""))
    return Waiting(sum(one.clients for one in found), worst.seconds, worst.pool if worst.clients else "")

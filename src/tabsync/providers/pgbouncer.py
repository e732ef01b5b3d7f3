"""What PgBouncer's console says of its clients: https://www.pgbouncer.org/usage.html#show-pools

The console is no PostgreSQL: it has no settings and no extended protocol, so the session is opened and asked by libpq
alone, and nothing is set in it.
"""

from __future__ import annotations

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


def waiting(conninfo: str) -> Waiting:
    """Ask a PgBouncer. Raises CannotConnect when it doesn't answer, or doesn't let us see its pools.

    conninfo: of its console; the database "pgbouncer" where it names none.
    """
    try:
        named = conninfo_to_dict(conninfo)
        whole = make_conninfo(conninfo, dbname=named.get("dbname") or _DATABASE, application_name="tabsync/pooler")
        with psycopg.connect(whole, autocommit=True, connect_timeout=5) as console:
            result = console.pgconn.exec_(b"SHOW POOLS")
            if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
                raise CannotConnect(f"PgBouncer refuses SHOW POOLS: {result.error_message.decode(errors='replace')}")
            return read_pools(
                [(result.fname(column) or b"").decode() for column in range(result.nfields)],
                [
                    [(result.get_value(row, column) or b"").decode() for column in range(result.nfields)]
                    for row in range(result.ntuples)
                ],
            )
    except psycopg.Error as error:
        told = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CannotConnect(f"can't ask PgBouncer at {place(conninfo)}: {told}", "check [pgbouncer] url") from None


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

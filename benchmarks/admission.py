"""What it costs an order that pauses are looked for: the function of before against that of now, in turns.

Counted is the processor time of the server's process, so that what else the machine does matters less.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import psycopg
from tests.postgres.orders.shop import ORDER, prepare_shop
from tests.servers import running_server

from benchmarks.measure import Measured
from benchmarks.recovery import Say
from tabsync.postgres.embedded import Server
from tabsync.profiles.tabsync.migrate import migrations

MOST = {"read committed": 1.25, "repeatable read": 1.5}  # times before
_TURNS, _ORDERS = 40, 400
_PAUSES = """
insert into order_pauses (reason, paused_by, paused_at, ends_at, ended_at, ended_by)
select 'past', 'bench', m, m + interval '1 hour', case n % 2 when 0 then m end, case n % 2 when 0 then 'bench' end
  from generate_series(1, 10000) n, lateral (select now() - n * interval '2 hours' as m) p
"""


def measure_admission(say: Say) -> list[Measured]:
    """One client's orders at two isolation levels, without a pause and with 10,000 of the past."""
    say("orders admitted without pauses and with them")
    measured = []
    with running_server("bench-admission", synchronous_commit="off", max_wal_size="4GB", autovacuum="off") as server:
        for name in ("before", "now", "past"):
            _prepare(server, name)
        for level, most in MOST.items():
            times = _turns(server, level)
            for name, told in (("now", "no pause"), ("past", "10,000 pauses of the past")):
                what = f"Processor time of an order in {level.upper()}, {told}, times before"
                note = f" ({times['before']:.0f} µs before, {times[name]:.0f} µs now)"
                measured.append(Measured(what, times[name] / times["before"], most, note=note))
    return measured


def _turns(server: Server, level: str) -> dict[str, float]:
    """Microseconds of an order in each database: the least of all turns, which is when nobody else was in the way."""
    found: dict[str, list[float]] = {"before": [], "now": [], "past": []}
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(psycopg.connect(server.conninfo(name), autocommit=True, prepare_threshold=1))
            for name in found
        }
        for one in opened.values():
            one.execute(f"set default_transaction_isolation = '{level}'".encode())
            _order(one, 50)  # its plans are made
        for _ in range(_TURNS):
            for name, one in opened.items():
                began = _spent(one)
                _order(one, _ORDERS)
                found[name].append((_spent(one) - began) / _ORDERS / 1000)
    return {name: min(all_) for name, all_ in found.items()}


def _order(connection: psycopg.Connection, count: int) -> None:
    with connection.pipeline():
        for _ in range(count):
            connection.execute(ORDER, ["alpha"])


def _spent(connection: psycopg.Connection) -> int:
    """Nanoseconds that the server's process was on a processor."""
    return int(Path(f"/proc/{connection.info.backend_pid}/schedstat").read_text().split()[0])


def _prepare(server: Server, name: str) -> None:
    """A database with the shop: as it is now, with pauses of the past, or with the function of before."""
    with psycopg.connect(server.conninfo(), autocommit=True) as session:
        session.execute(f"create database {name}".encode())
    prepare_shop(server.conninfo(name))
    with psycopg.connect(server.conninfo(name), autocommit=True) as session:
        if name == "past":
            session.execute(_PAUSES)
            session.execute("vacuum analyze order_pauses")
        if name == "before":
            rules = next(one.sql.decode() for one in migrations() if one.version.startswith("0007"))
            start = rules.index("CREATE FUNCTION orders_admission()")
            made = rules[start : rules.index("$$;", start) + 3]
            session.execute(made.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").encode())

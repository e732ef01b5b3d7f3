"""What recording changes costs the application: many rows at once, and single rows of several clients."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.servers import running_server
from tests.sessions import connect as connect_as_tests

from benchmarks.measure import Measured
from benchmarks.recovery import Say
from tabsync.audit.install import install_for_tests
from tabsync.manual.load import load
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.embedded import Server
from tabsync.postgres.settings import NO_LIMIT
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema

MANY = 4.0  # times bare
SINGLE = 0.6  # of bare
_TURNS, _SECONDS, _CLIENTS, _ROWS = 5, 5, 4, 50_000
_WHO = 'set request.jwt.claims = \'{"sub": "5d1bdb0e-8e4f-4c8b-9fd3-0d8a3a0a3f10"}\''

_ROW = "insert into orders (restaurant_id, table_session_id, status, notes, total_cents)"
_ORDERS = f"""
{_ROW} select s.restaurant_id, s.id, 'DELIVERED', 'sem cebola', n % 20000
  from generate_series(1, {_ROWS}) n join (select *, row_number() over () as number from table_sessions limit 500) s
    on s.number = n % 500 + 1
"""
_ORDER = f"{_ROW} values ('RESTAURANT', 'SESSION', 'PENDING', 'sem cebola', 4200);\n"
_CLIENT = """
import sys, time
import psycopg
from tabsync.audit.acting import acting_as

statement = "insert into orders (restaurant_id, table_session_id, notes, total_cents) values (%s, %s, %s, %s)"
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    count, end = 0, time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        with acting_as(connection, "5d1bdb0e-8e4f-4c8b-9fd3-0d8a3a0a3f10"):
            connection.execute(statement, (sys.argv[3], sys.argv[4], "sem cebola", 4200))
        count += 1
print(count)
"""
_OPEN = """
select s.restaurant_id::text, s.id::text from table_sessions s join restaurants r on r.id = s.restaurant_id
 where s.status = 'OPEN' and r.accepts_orders limit 8
"""


def measure_recording(say: Say) -> list[Measured]:
    """Both, in turns on one server: a database without the audit log, and one with it."""
    say("inserts without the audit log and with it")
    many: dict[str, list[float]] = {"bare": [], "audited": []}
    single: dict[str, list[float]] = {"bare": [], "audited": []}
    of_clients: dict[str, list[float]] = {"bare": [], "audited": []}
    settings = {"shared_buffers": "512MB", "synchronous_commit": "off", "max_wal_size": "4GB", "autovacuum": "off"}
    with running_server("bench-recording", **settings) as server:
        for name in many:
            _prepare(server, name, audited=name == "audited")
        for turn in range(_TURNS + 1):
            for name in many:
                found = _many(server, name), _single(server, name), _of_clients(server, name)
                if turn:  # the first turn fills the caches
                    for kept, figure in zip((many, single, of_clients), found, strict=True):
                        kept[name].append(figure)
    times = median(many["audited"]) / median(many["bare"])
    told = f"{median(many['bare']) * 1000:,.0f} ms bare, {times:.2f} times that recorded"
    return [
        Measured(
            f"INSERT of {_ROWS:,} orders, times bare, as a part of {MANY:g}", times / MANY, 1.0, note=f" ({told})"
        ),
        _left(f"{SINGLE} of the single inserts of {_CLIENTS} clients of pgbench", single),
        _left(f"{SINGLE} of those of {_CLIENTS} clients in Python, their own work included", of_clients),
    ]


def _left(what: str, found: dict[str, list[float]]) -> Measured:
    """What is left of a rate, against the bound."""
    part = median(found["audited"]) / median(found["bare"])
    told = f"{median(found['bare']):,.0f} a second bare, {part:.2f} of that recorded"
    return Measured(f"{what}, as a part of what is left", SINGLE / part, 1.0, note=f" ({told})")


def _many(server: Server, name: str) -> float:
    """Seconds of one statement."""
    with connect_as_tests(server.conninfo(name), "bench", limits=NO_LIMIT) as session:
        session.execute("checkpoint")
        session.execute(_WHO)
        began = time.perf_counter()
        session.execute(_ORDERS)
        return time.perf_counter() - began


def _single(server: Server, name: str) -> float:
    """Transactions a second, each with one row: of clients that do nothing else, so it is the server's work alone."""
    with connect_as_tests(server.conninfo(name), "bench", limits=NO_LIMIT) as session:
        session.execute("checkpoint")
        keys = session.execute(_OPEN).fetchall()
    argv = [str(server.installation.program("pgbench")), f"--client={_CLIENTS}", "--jobs=1", f"--time={_SECONDS}"]
    argv += ["--no-vacuum", "--protocol=prepared"]
    with TemporaryDirectory() as directory:
        for number, (restaurant, key) in enumerate(keys):
            script = Path(directory, f"{number}.sql")
            script.write_text(_ORDER.replace("RESTAURANT", restaurant).replace("SESSION", key), encoding="utf-8")
            argv += ["--file", str(script)]
        options = {"PGOPTIONS": '-c request.jwt.claims={"sub":"5d1bdb0e-8e4f-4c8b-9fd3-0d8a3a0a3f10"}'}
        environment = os.environ | libpq_environment(server.conninfo(name)) | options
        done = subprocess.run(argv, env=environment, check=True, capture_output=True, text=True)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if not found:
        raise SystemExit(done.stdout + done.stderr)
    return float(found[1])


def _of_clients(server: Server, name: str) -> float:
    """Transactions a second, each with one order of a guest who says who it is, by an application in Python."""
    with connect_as_tests(server.conninfo(name), "bench", limits=NO_LIMIT) as session:
        session.execute("checkpoint")
        tables = session.execute(_OPEN).fetchall()
    command = [sys.executable, "-c", _CLIENT, server.conninfo(name), str(_SECONDS)]
    clients = [
        subprocess.Popen([*command, *tables[number % len(tables)]], stdout=subprocess.PIPE, text=True)
        for number in range(_CLIENTS)
    ]
    return sum(int(one.communicate()[0]) for one in clients) / _SECONDS


def _prepare(server: Server, name: str, *, audited: bool) -> None:
    manual = load(PROFILE_MANUAL)
    assert manual.audit
    with connect_as_tests(server.conninfo(), "bench", limits=NO_LIMIT) as session:
        session.execute(f"create database {name}")
    with connect_as_tests(server.conninfo(name), "bench", limits=NO_LIMIT) as session:
        apply_schema(session)
        generate(session, orders=2_000)
        if audited:
            install_for_tests(session, manual.audit, manual.users, manual.hierarchy)
        session.execute("vacuum analyze")

"""What one round of measuring costs the server, against a scrape of Debian's prometheus-postgres-exporter."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from statistics import median

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.servers import running_server_of

from benchmarks.measure import Measured, Series
from benchmarks.objects import fill
from benchmarks.recovery import Say
from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.monitoring.collect.session import LIMITS, Watching
from tabsync.postgres.connect import connect
from tabsync.postgres.installation import installations
from tabsync.workspace import PLAIN_MANUAL

EXPORTER = "prometheus-postgres-exporter"
_MAJOR = 15  # the exporter of Debian 12 fails on 17
_TABLES = 1_000
_TIERS = timedelta(minutes=1)
_ROLE = "watcher"
_SETTINGS = {
    "shared_buffers": "256MB",
    "listen_addresses": "127.0.0.1",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_planning": "on",
    "max_locks_per_transaction": "1024",
}
_SERVER_TIME = (
    "select sum(total_plan_time + total_exec_time) from pg_stat_statements"
    " where userid = (select oid from pg_roles where rolname = %s)"
)


def measure_collector(rounds: int, say: Say) -> tuple[str, list[Measured], list[Series], list[str]]:
    """On what it was measured, the figures against their bounds, the runs, and lines of Markdown."""
    installed = [one for one in installations() if one.major == _MAJOR and one.has_server]
    if not installed:
        say(f"PostgreSQL {_MAJOR} is not installed: the collector is not measured")
        return f"nothing: PostgreSQL {_MAJOR} is missing", [], [], []
    say(f"{_TABLES:,} tables on PostgreSQL {_MAJOR}, for the collector")
    with running_server_of(installed[0], "collector", _SETTINGS) as server:
        conninfo = server.conninfo()
        fill(conninfo, _TABLES)
        through = _watcher(conninfo, server.tcp_conninfo("postgres"))
        with psycopg.connect(conninfo, autocommit=True) as conn:
            return _measured(conn, through, rounds * 5, say)


def _watcher(conninfo: str, tcp: str) -> str:
    """A role as the documentation has it: pg_monitor, and what it may read. Gives how it connects."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("create extension pg_stat_statements")
        conn.execute("vacuum analyze")
        conn.execute(
            sql.SQL(
                "create role {role} login password 'watcher'; grant pg_monitor to {role};"
                " grant select on all sequences in schema public to {role}"
            ).format(role=sql.Identifier(_ROLE))
        )
    parts = conninfo_to_dict(tcp)
    return make_conninfo("", host=parts["host"], port=parts["port"], dbname="postgres", user=_ROLE, password=_ROLE)


def _measured(
    conn: psycopg.Connection[tuple[object, ...]], through: str, times: int, say: Say
) -> tuple[str, list[Measured], list[Series], list[str]]:
    manual = load(Path(PLAIN_MANUAL))
    due = [one for one in manual.metrics if one.sql and one.every <= _TIERS]
    watching = Watching(connect(through, "collector", limits=LIMITS))
    ours, theirs = Series("tabsync: metrics of 15 s and 60 s"), Series(f"{EXPORTER}: one scrape")
    ours_ms, theirs_ms = [], []

    def scrape() -> None:
        found = watching.scrape(due, manual, 10)
        if unknown := [(one.metric, one.error) for one in found if one.error]:
            raise SystemExit(str(unknown))

    scrape()
    with _exporter(through) as peer:
        if peer is None:
            say(f"{EXPORTER} is not installed: compared with nothing")
        for _ in range(times):
            ours_ms.append(_server_ms(conn, scrape, ours))
            if peer is not None:
                theirs_ms.append(_server_ms(conn, peer, theirs))
        trips = watching.trips
        same = [_differing(conn, watching, manual, peer)] if peer is not None else []
    every = _every(conn, watching, manual)
    watching.close()
    mine = median(ours_ms)
    found = [Measured("Server time of the metrics of 15 s and 60 s together", mine, 25, "ms")]
    if theirs_ms:
        note = f" ({mine:.1f} ms of {median(theirs_ms):.1f} ms)"
        found.append(Measured(f"The same, against one scrape of {EXPORTER}", mine / median(theirs_ms), 0.5, "", note))
    found += [Measured("Round trips of it", trips, 3), *same]
    lines = [
        f"{len(due)} metrics are measured every 15 or 60 s. All {every[0]} metrics of the manual, the hourly ones too,"
        f" take {every[1]:.1f} ms of server time. Server time is planning and execution by pg_stat_statements."
    ]
    runs = [ours, *([theirs] if theirs_ms else [])]
    return f"{_TABLES:,} tables on PostgreSQL {_MAJOR}, a role with pg_monitor, over TCP", found, runs, lines


def _every(conn: psycopg.Connection[tuple[object, ...]], watching: Watching, manual: Manual) -> tuple[int, float]:
    metrics = [one for one in manual.metrics if one.sql]
    watching.scrape(metrics, manual, 30)
    taken = Series("")
    return len(metrics), median(_server_ms(conn, lambda: watching.scrape(metrics, manual, 30), taken) for _ in range(5))


def _server_ms(conn: psycopg.Connection[tuple[object, ...]], scrape: Callable[[], object], series: Series) -> float:
    """Milliseconds that the server planned and executed for the watching role meanwhile."""
    conn.execute("select pg_stat_statements_reset()")
    started = time.perf_counter()
    scrape()
    series.seconds.append(time.perf_counter() - started)
    row = conn.execute(_SERVER_TIME, [_ROLE]).fetchone()
    return float(str(row[0])) if row else 0.0


def _differing(
    conn: psycopg.Connection[tuple[object, ...]], watching: Watching, manual: Manual, peer: Callable[[], str]
) -> Measured:
    """The figures that both give while nothing changes them: those that are not the same."""
    with ExitStack() as sessions:
        for number in range(5):
            other = sessions.enter_context(psycopg.connect(conn.info.dsn, autocommit=number > 1))
            other.execute("select 1")  # two of them stay in a transaction
        ours = _ours(conn, watching, manual)
        theirs = peer()
    wrong = [f"{name} {ours[name]:.0f}/{_of(theirs, name):.0f}" for name in ours if _of(theirs, name) != ours[name]]
    told = f" (of {len(ours)}{': ' + ', '.join(wrong) if wrong else ''})"
    return Measured(f"Figures that {EXPORTER} and we both give, and that differ", len(wrong), 0, "", told)


def _ours(conn: psycopg.Connection[tuple[object, ...]], watching: Watching, manual: Manual) -> dict[str, float]:
    """By the names of the exporter, with the label that matters."""
    asked = ("Active connections", "Connections by state", "Database size")
    metrics = [one for one in manual.metrics if one.title in asked]
    found = {one.metric: {row.label: row for row in one.samples} for one in watching.scrape(metrics, manual, 10)}
    states = found["Connections by state"]
    used, reserved = found["Active connections"][""], conn.execute("show superuser_reserved_connections").fetchone()
    return {
        'pg_stat_activity_count state="idle"': states["idle"].value or 0,
        'pg_stat_activity_count state="idle in transaction"': states["idle in transaction"].value or 0,
        'pg_database_size_bytes datname="postgres"': found["Database size"][""].value or 0,
        "pg_settings_max_connections server=": (used.of or 0) + int(str(reserved[0] if reserved else 0)),
    }


def _of(text: str, name: str) -> float:
    """The sum of the lines of a metric that have a label."""
    metric, label = name.split(" ", 1)
    lines = (line for line in text.splitlines() if line.startswith(f"{metric}{{") and label in line)
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@contextmanager
def _exporter(conninfo: str) -> Iterator[Callable[[], str] | None]:
    """Scrapes the exporter, or None where it is not installed."""
    program = shutil.which(EXPORTER)
    if program is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [program, f"--web.listen-address=127.0.0.1:{port}"],
        env={**os.environ, "DATA_SOURCE_NAME": f"{conninfo} sslmode=disable"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def scrape() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            text = str(answer.read().decode())
        if "pg_up 1" not in text:
            raise SystemExit(f"{EXPORTER} does not reach the database")
        return text

    try:
        for _ in range(100):
            with suppress(OSError):
                scrape()
                break
            time.sleep(0.1)
        yield scrape
    finally:
        process.kill()
        process.wait()

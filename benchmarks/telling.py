"""From a condition to the mail about it, by `tabsync serve`; what its collector takes; what a standby waits for it."""

from __future__ import annotations

import random
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
from aiosmtpd.controller import Controller
from tests.servers import running_server, standby_of
from tests.service.told import Mailbox, free_port

from benchmarks.measure import Measured
from benchmarks.recovery import Say
from benchmarks.service import Serving, serving
from tabsync.manual.load import load
from tabsync.monitoring.collect.session import LIMITS, Watching
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.workspace import PLAIN_MANUAL

_CONDITIONS = 50
_EVERY, _HOLD, _SPARE = 5, 5, 5  # seconds
_APART = 6.0  # seconds between two of them, at most
_QUIET = 60.0  # seconds
_STANDBY = 20.0  # seconds
_METRIC = f"""#### Orders that wait

Unit: count of orders
Every: {_EVERY} s

```sql
select name as label, orders as value from waiting
```

### Thresholds
"""
_ROW = f"| Orders that wait | > 10 | > 100 | {_HOLD} s | Take them | Long-running query |\n| Active connections |"
_CONTACTS = """### Contacts

| Role | Contact | Availability | Told of | By |
|---|---|---|---|---|
| Admin | admin@example.org | 24/7 | critical, warning | mail |
"""


def measure_telling(home: Path, say: Say) -> list[Measured]:
    """All of it, on servers and a home that are made for it."""
    place = home / "telling"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with running_server("telling") as server, _mails() as (box, port):
        config = _home(place, server.conninfo(), port)
        with serving(config) as served:
            say("serve measures, and nobody is told of anything")
            found = [_share(served)]
            say(f"{_CONDITIONS} conditions, each until its mail is there")
            found.insert(0, _told(server.conninfo(), box))
    shutil.rmtree(place)
    say("a standby, without and with us")
    return [*found, *_replay()]


@contextmanager
def _mails() -> Iterator[tuple[Mailbox, int]]:
    box, port = Mailbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def _home(place: Path, conninfo: str, port: int) -> Path:
    """The plain manual, with a metric of our own and somebody who is told."""
    text = PLAIN_MANUAL.read_text()
    text = text.replace("### Thresholds\n", _METRIC, 1).replace("| Active connections |", _ROW, 1)
    text = re.sub(r"### Contacts\n.*?(?=\n## )", _CONTACTS, text, flags=re.DOTALL)
    (place / "manual.md").write_text(text)
    load(place / "manual.md")
    config = place / "tabsync.toml"
    config.write_text(
        f'database = "{conninfo}"\nmanual = "manual.md"\nstore = "store"\nhome = "home"\n'
        f'[notify]\nmail = "mailto://127.0.0.1:{port}?from=tabsync@example.org&smtp=127.0.0.1"\n'
    )
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("create table waiting as select 'table ' || n as name, 1 as orders from generate_series(1, 50) n")
    return config


def _share(served: Serving) -> Measured:
    """Of a core, of the process that measures and tells."""
    (process,) = (one for one in served.all() if "--tell" in one.cmdline())
    time.sleep(_QUIET / 4)  # what is done at its start is over
    before, began = _cpu(process), time.monotonic()
    time.sleep(_QUIET)
    percent = 100 * (_cpu(process) - before) / (time.monotonic() - began)
    return Measured("The collector, of a core, for one database and all metrics of the plain manual", percent, 3.0, "%")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _told(conninfo: str, box: Mailbox) -> Measured:
    """The conditions come at random moments; each until the mail that it begins has been received."""
    draw = random.Random(1)
    began: dict[str, float] = {}
    with psycopg.connect(conninfo, autocommit=True) as conn:
        for number in range(1, _CONDITIONS + 1):
            time.sleep(draw.uniform(0, _APART))
            name = f"table {number}"
            conn.execute("update waiting set orders = 20 where name = %s", [name])
            began[name] = time.time()
        until = time.monotonic() + 120
        while len(waits := _waits(began, box)) < _CONDITIONS and time.monotonic() < until:
            time.sleep(0.2)
    if len(waits) < _CONDITIONS:
        raise SystemExit(f"of {_CONDITIONS} conditions {len(waits)} came by mail")
    bound = 2 * _EVERY + _HOLD + _SPARE
    note = f" (median {sorted(waits)[_CONDITIONS // 2]:.1f} s; measured every {_EVERY} s, For {_HOLD} s)"
    return Measured(f"From a condition to its mail, worst of {_CONDITIONS}", max(waits), bound, "s", note)


def _waits(began: dict[str, float], box: Mailbox) -> list[float]:
    came: dict[str, float] = {}
    for mail in list(box.got):
        text = mail.get_payload(decode=True)
        assert isinstance(text, bytes)
        for name in re.findall(r"^WARNING: Orders that wait, (table \d+)", text.decode(), re.MULTILINE):
            came.setdefault(name, float(mail["X-Came"]))
    return [came[name] - began[name] for name in began if name in came]


def _replay() -> list[Measured]:
    """How long a standby that gives its readers all the time they want takes to replay: without us, and with us."""
    settings = {"wal_level": "replica", "max_wal_senders": "5", "max_replication_slots": "5", "autovacuum": "off"}
    with running_server("replay", **settings) as primary:
        patient = {"max_standby_streaming_delay": "-1", "hot_standby_feedback": "off"}
        with standby_of(primary, "standby", **patient) as standby, _churning(primary):
            without = _worst(primary, standby)
            with _looking(standby) as looks:
                worst = _worst(primary, standby)
    note = f" ({looks[0]} looks in {_STANDBY:.0f} s; without us {1000 * without:.0f} ms)"
    return [Measured("A standby's replay, its longest delay while we measure there", 1000 * worst, 100.0, "ms", note)]


@contextmanager
def _churning(primary: embedded.Server) -> Iterator[None]:
    """Writes what a reader on a standby is in the way of: rows removed, tables dropped, catalogs vacuumed."""
    stop = threading.Event()

    def churn() -> None:
        with psycopg.connect(primary.conninfo(), autocommit=True) as conn:
            while not stop.is_set():
                conn.execute("create table passing (a serial, b int)")
                conn.execute("drop table passing")
                conn.execute("update orders set status = status where id %% 50 = 0", [])
                for table in ("orders", "pg_class", "pg_attribute", "pg_depend"):
                    conn.execute(f"vacuum {table}".encode())

    with psycopg.connect(primary.conninfo(), autocommit=True) as conn:
        conn.execute("create table orders as select n as id, 1 as status from generate_series(1, 20000) n")
    thread = threading.Thread(target=churn)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _looking(standby: embedded.Server) -> Iterator[list[int]]:
    """Measures again and again what is measured every 15 or 60 s."""
    manual, stop, looks = load(PLAIN_MANUAL), threading.Event(), [0]
    due = [one for one in manual.metrics if one.sql and one.every.total_seconds() <= 60]
    watching = Watching(connect(standby.conninfo(), "collector", limits=LIMITS))

    def look() -> None:
        while not stop.wait(0.1):
            watching.scrape(due, manual, 10)
            looks[0] += 1

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        stop.set()
        thread.join()
        watching.close()


def _worst(primary: embedded.Server, standby: embedded.Server) -> float:
    """Seconds from what the primary has flushed until the standby has replayed it, the longest."""
    worst, until = 0.0, time.monotonic() + _STANDBY
    with (
        psycopg.connect(primary.conninfo(), autocommit=True) as writer,
        psycopg.connect(standby.conninfo(), autocommit=True) as reader,
    ):
        while time.monotonic() < until:
            flushed = writer.execute("select pg_current_wal_flush_lsn()").fetchone()
            began, there = time.monotonic(), None
            while not (there and there[0]):
                there = reader.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", flushed).fetchone()
            worst = max(worst, time.monotonic() - began)
    return worst

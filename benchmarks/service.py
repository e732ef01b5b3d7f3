"""`tabsync serve`: what it takes while nothing is due, and how soon it starts what is."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import psutil

from benchmarks.measure import TABSYNC, Measured
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.ledger.open import open_ledger
from tabsync.manual.load import read
from tabsync.schedule.record import put_in_force
from tabsync.service.scheduler import AT_ONCE

_IMPORTS = "import tabsync.cli.serve, tabsync.console.serve, tabsync.console.app, tabsync.service.scheduler"
_IDLE = 60.0  # seconds
_SETTLED = 5.0  # seconds after which what is done at its start is over
_DUE = 50


@dataclass(slots=True)
class Serving:
    """A running service. ready: seconds from its start until the console answers and the scheduler has its lease."""

    process: psutil.Process
    ready: float

    def all(self) -> list[psutil.Process]:
        """Its processes."""
        return [self.process, *self.process.children(recursive=True)]

    @property
    def memory(self) -> float:
        """PSS of all of them, in MB."""
        return sum(one.memory_full_info().pss for one in self.all()) / 1024 / 1024

    @property
    def cpu(self) -> float:
        """Seconds of a processor that all of them took, with those of their own that have ended."""
        times = [one.cpu_times() for one in self.all()]
        return float(sum(one.user + one.system for one in times))


def idle(config: Path, tries: int = 3) -> list[Measured]:
    """A service with nothing to do: until it is ready, and what it takes of processor and memory."""
    ready = []
    for number in range(tries):
        with serving(config) as served:
            ready.append(served.ready)
            if number == tries - 1:
                time.sleep(_SETTLED)
                before, began = served.cpu, time.monotonic()
                time.sleep(_IDLE)
                percent = 100 * (served.cpu - before) / (time.monotonic() - began)
                memory, count = served.memory, len(served.all())
    imports = sorted(_seconds_of_imports() for _ in range(tries))[tries // 2]
    settled = sorted(ready)[tries // 2]
    return [
        Measured("Idle `serve`, of a core over a minute", percent, 1.0, "%"),
        Measured("The same, PSS of all its processes", memory, 200.0, "MB", f" ({count} processes)"),
        Measured(
            "`serve` until it is ready, against importing what it needs",
            settled / imports,
            3.0,
            "",
            f" ({settled:.2f} s; imports {imports:.2f} s)",
        ),
    ]


def many_due(place: Path, conninfo: str) -> list[Measured]:
    """Fifty commands that are due in one minute: when the first are claimed, and each next one."""
    due = (now() + timedelta(seconds=25)).replace(second=0, microsecond=0) + timedelta(minutes=1)
    config = _home_of_many(place, conninfo, due)
    with serving(config):
        ledger = place / "home" / "ledger.sqlite"
        until = time.monotonic() + 600
        rows = _rows(ledger)
        while time.monotonic() < until and sum(bool(row[1]) for row in rows) < _DUE:
            time.sleep(1.0)
            rows = _rows(ledger)
    started = sorted(parse_iso(row[0]) for row in rows)
    ended = sorted(parse_iso(row[1]) for row in rows if row[1])
    if len(ended) < _DUE or any(row[2] != 0 for row in rows):
        raise SystemExit(f"of {_DUE} items {len(ended)} have ended, with { ({row[2] for row in rows}) }")
    free = [(begun - end).total_seconds() for begun, end in zip(started[AT_ONCE:], ended, strict=False)]
    took = f" ({_DUE} runs in {(ended[-1] - due).total_seconds():.0f} s, {AT_ONCE} at a time)"
    return [
        Measured("Of 50 items due at once, until the first is claimed", (started[0] - due).total_seconds(), 5.0, "s"),
        Measured(
            f"From the first to the last of the {AT_ONCE} that may run at once",
            (started[AT_ONCE - 1] - started[0]).total_seconds(),
            1.0,
            "s",
        ),
        Measured("From a free place to the next, the longest of 48", max(free), 3.0, "s", took),
    ]


def _home_of_many(place: Path, conninfo: str, due: datetime) -> Path:
    """The same small command fifty times, in force already: what is new and was never done would be due at once."""
    place.mkdir(parents=True)
    items = [f"- Item {number}: `tabsync run list --limit {number + 1}`" for number in range(_DUE)]
    manual, config = place / "manual.md", place / "tabsync.toml"
    manual.write_text("\n".join(["# Many\n", f"## Schedule\n\n### Daily, {due:%H:%M} UTC\n", *items, ""]))
    config.write_text(f'database = "{conninfo}"\nmanual = "manual.md"\nstore = "store"\nhome = "home"\n')
    found, _ = read(manual)
    ledger = open_ledger(f"sqlite:///{place / 'home' / 'ledger.sqlite'}", place / "home" / "running")
    put_in_force(ledger, found, "")
    ledger.close()
    with closing(sqlite3.connect(place / "home" / "ledger.sqlite")) as connection, connection:
        connection.execute("update manual_version set items = replace(items, '\"first\": true', '\"first\": false')")
    return config


def _rows(ledger: Path) -> list[tuple[str, str | None, int | None]]:
    with closing(sqlite3.connect(ledger, timeout=10)) as connection:
        return connection.execute("select started_at, ended_at, exit from occurrence").fetchall()


@contextmanager
def serving(config: Path) -> Iterator[Serving]:
    """`tabsync serve` on a free port, from when it is ready; ended in order."""
    env = {**os.environ, "TABSYNC_CONFIG": str(config)}
    began, wall = time.monotonic(), now()
    process = subprocess.Popen(
        [str(TABSYNC), "serve", "--port", "0"], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        told = next((line for line in process.stdout if "http://" in line), "")
        address = re.search(r"http://([\d.]+):(\d+)", told)
        if address is None:
            raise SystemExit(f"serve didn't say where its console is: {told}")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        while not (_answers(address[1], int(address[2])) and _keeps(config.parent / "home" / "ledger.sqlite", wall)):
            if process.poll() is not None or time.monotonic() - began > 60:
                raise SystemExit("serve was not ready within a minute")
            time.sleep(0.02)
        yield Serving(psutil.Process(process.pid), time.monotonic() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(150)
        process.kill()
        process.wait()


def _answers(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/login")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _keeps(ledger: Path, since: datetime) -> bool:
    """Whether a scheduler that began since then has left a sign of life, which it does once it has the lease."""
    with closing(sqlite3.connect(ledger, timeout=10)) as connection:
        row = connection.execute("select started_at, facts from service where beat_at >= ?", (iso(since),)).fetchone()
    return bool(row) and row[0] >= iso(since.astimezone(UTC)) and "standby" not in row[1]


def _seconds_of_imports() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", _IMPORTS], check=True)
    return time.monotonic() - began

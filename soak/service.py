"""The service, killed every few seconds while items are due every five: nothing is started twice or lost in silence."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from tests.clusters import copied
from tests.place import fast_place

from soak.part import Figures, Part, Say
from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tabsync.system.claims import claim

MINUTES = 10
RESTARTS = 10
"""Of the server that a PostgreSQL ledger is on."""

_INITDB = embedded._initdb
ROUNDS = (
    ("SQLite, one service", False, 1),
    ("SQLite, two services", False, 2),
    ("PostgreSQL, one service", True, 1),
    ("PostgreSQL, two services", True, 2),
)
AT_ONCE = 2
"""How many of them take place at the same time."""

_SITE = Path(__file__).parents[1] / "tests" / "clock_site"
_EVERY = """### Every 5 seconds

- First: `tabsync backup list`
- Second: `tabsync run list`

"""


@dataclass
class Ground:
    """Where one round takes place. services: how many are killed and started again."""

    directory: Path
    server: embedded.Server
    on_postgresql: bool
    services: int
    draw: random.Random
    kills: int = 0
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The directory with tabsync.toml."""
        return self.directory / "home"

    @property
    def starts(self) -> Path:
        """The log of the processes that were really started."""
        return self.directory / "starts"

    def environment(self) -> dict[str, str]:
        """What the services and their children get."""
        given = {"PYTHONPATH": str(_SITE), "TABSYNC_TEST_STARTS": str(self.starts), "TZ": "UTC"}
        return {**os.environ, **given}

    def begin(self, number: int) -> subprocess.Popen[bytes]:
        """Start a service."""
        with (self.directory / f"log-{number}").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tabsync", "scheduler", "run", "--name", f"service-{number}"],
                cwd=self.home,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def run(part: Part, say: Say) -> None:
    """One and two services, a ledger in SQLite and in PostgreSQL; raises SystemExit when a figure is not 0."""
    minutes = float(os.environ.get("SOAK_MINUTES", MINUTES))
    only = os.environ.get("SOAK_ONLY", "")
    rounds = [one for one in ROUNDS if one[0] not in part.done and only in ("", one[0])]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(_round, *one, minutes, random.Random(f"{part.seed}/{one[0]}")): one[0] for one in rounds}
        for future in as_completed(running):
            name, figures = running[future], future.result()
            say(f"{name}: {figures}")
            part.finish(name, figures)
    bad = [name for name, one in part.done.items() if one["started twice"] != "0" or one["lost in silence"] != "0"]
    if bad:
        raise SystemExit(f"started twice or lost: {', '.join(bad)}")


def _round(name: str, on_postgresql: bool, services: int, minutes: float, draw: random.Random) -> Figures:
    with _ground(on_postgresql, services, draw) as ground:
        _kill_for(ground, minutes * 60)
        return _count(ground)


@contextlib.contextmanager
def _ground(on_postgresql: bool, services: int, draw: random.Random) -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="tabsync-soak-", dir=fast_place()) as made:
        directory = Path(made)
        directory.chmod(0o755)
        held = claim(directory / "server")
        assert held is not None
        found = next(one for one in installations() if one.major == 17 and one.has_server)
        embedded._initdb = copied(_INITDB, fast_place() / f"tabsync-soak-templates-{os.getpid()}")  # type: ignore[assignment]
        server = embedded.create(held.directory, settings={"fsync": "off", "listen_addresses": ""}, installation=found)
        embedded.start(server)
        ground = Ground(directory, server, on_postgresql, services, draw)
        try:
            _write_home(ground)
            yield ground
        finally:
            for process in ground.processes:
                process.kill()
            embedded.end_server(held.directory)
            held.release()


def _write_home(ground: Ground) -> None:
    ground.home.mkdir()
    from tests.service.place import HEAD

    for database in ("shop", "ledger"):
        with psycopg.connect(ground.server.conninfo(), autocommit=True) as connection:
            connection.execute(f"create database {database}")
    lines = [f"database = {ground.server.conninfo('shop')!r}", 'store = "store"', 'manual = "manual.md"']
    if ground.on_postgresql:
        parts = psycopg.conninfo.conninfo_to_dict(ground.server.conninfo("ledger"))
        password = (ground.server.directory / "pgpass").read_text().strip().rsplit(":", 1)[-1]
        where = f"host={parts['host']}&port={parts['port']}"
        lines.append(f'ledger = "postgresql+psycopg://{parts["user"]}:{password}@/ledger?{where}"')
    (ground.home / "tabsync.toml").write_text("\n".join([*lines, ""]))
    (ground.home / "manual.md").write_text(HEAD + _EVERY)


def _kill_for(ground: Ground, seconds: float) -> None:
    began = time.monotonic()
    restart = began + seconds / (RESTARTS + 1)
    ground.processes = [ground.begin(number) for number in range(ground.services)]
    while time.monotonic() - began < seconds:
        time.sleep(ground.draw.uniform(2, 8))
        number = ground.draw.randrange(ground.services)
        ground.processes[number].kill()
        ground.processes[number].wait()
        ground.kills += 1
        if ground.on_postgresql and time.monotonic() >= restart:
            restart += seconds / (RESTARTS + 1)
            embedded.stop(ground.server)
            embedded.start(ground.server)
        ground.processes[number] = ground.begin(number)
    time.sleep(30)  # what was open is taken over, and ends
    for process in ground.processes:
        process.send_signal(signal.SIGTERM)
    for process in ground.processes:
        process.wait(120)


def _count(ground: Ground) -> Figures:
    command = [sys.executable, "-m", "tabsync", "schedule", "compliance", "--since", "1d", "--json"]
    done = subprocess.run(command, cwd=ground.home, env=ground.environment(), capture_output=True, check=True)
    items = json.loads(done.stdout)["items"]
    states: Counter[str] = Counter()
    for one in items:
        states.update(one["states"])
    real = Counter(line.split()[2] for line in ground.starts.read_text().splitlines())
    rows = _rows(ground)
    twice = sum(count > rows.get(name, (0, ""))[0] for name, count in real.items())
    unknown = [name for name in real if name not in rows]
    open_ = [name for name, (_, state) in rows.items() if state == "running"]
    return {
        "minutes": f"{float(os.environ.get('SOAK_MINUTES', MINUTES)):g}",
        "kills": str(ground.kills),
        "expected": str(sum(states.values())),
        "started": str(sum(real.values())),
        "done": str(states["done"]),
        "missed or failed": str(states["missed"] + states["failed"] + states["proved nothing"]),
        "started twice": str(twice),
        "lost in silence": str(len(unknown) + len(open_) + states["running"]),
    }


def _rows(ground: Ground) -> dict[str, tuple[int, str]]:
    from tabsync.ledger.open import open_ledger
    from tabsync.workspace import find

    url = find(ground.home / "tabsync.toml").ledger_url
    ledger = open_ledger(url, ground.directory / "claims")
    try:
        return {row["directory"]: (row["tries"], row["state"]) for row in ledger.read("occurrences", since="")}
    finally:
        ledger.close()

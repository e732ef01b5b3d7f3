"""Where rounds of a runbook take place, and what is broken there besides."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from tabsync.postgres import embedded
from tests.conftest import run_sql
from tests.killed_at import Moment
from tests.postgres.cli.program import Done, tabsync
from tests.postgres.runbooks.crowded import collecting, small_server, taken
from tests.postgres.runbooks.place import Place
from tests.service.disk import Disk, small_disk

SECONDS = 2.5
"""That a run takes to which nothing happens."""

_TABLES = """
create table acts (round int, step int, at timestamptz default clock_timestamp());
create table stock as select generate_series(1, 5000) as dish;
alter table acts owner to operator;
alter table stock owner to operator;
"""


@dataclass
class Site:
    """Where rounds take place: a home on a disk of its own, and a server on which few can connect."""

    ground: Place
    server: embedded.Server
    disk: Disk
    draw: random.Random
    more: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The home, with the ledger."""
        return self.disk.place / "home"

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.home / "ledger.sqlite"

    def asked(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """What the server says, asked by a superuser: a connection is left for that."""
        with psycopg.connect(self.server.conninfo()) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def command(self, *words: str, moment: Moment | None = None) -> Done:
        """Run a command, to its end or to a moment; the ledger's patience is short."""
        moment = moment or Moment(str(self.log), patience=1)
        given: dict[str, Any] = moment.variables()
        return tabsync(self.ground.directory, *words, **given)

    def manual(self, steps: str, head: str) -> None:
        """A manual with one more runbook; and the home is on the disk."""
        self.ground.manual(steps, head)
        config = self.ground.directory / "tabsync.toml"
        config.write_text(config.read_text().replace('home = "home"', 'home = "disk/home"') + self.more)

    @property
    def log(self) -> Path:
        """What commands have written down, and where the last was killed."""
        return self.ground.directory / "boundaries"


@contextmanager
def site(directory: Path, draw: random.Random, *, served: bool = True) -> Iterator[Site]:
    """A site with its own server. served: a collector runs; otherwise [emergency] names a superuser's connection."""
    with small_server("rounds", connections=20) as server, small_disk(directory / "disk", "24m") as disk:
        run_sql(server.conninfo(), _TABLES)
        run_sql(server.conninfo(), "create database other")
        ground = Place(directory, make_conninfo(server.conninfo(), user="operator", connect_timeout=5))
        more = f'\n[emergency]\ndatabases = ["{server.conninfo()}"]\n' if not served else ""
        found = Site(ground, server, disk, draw, more)
        found.manual("1. Look.", "#### Look\n\n")
        assert found.command("run", "list").code == 0  # the ledger is there, as it would be
        with collecting(ground) if served else nullcontext():
            yield found


@contextmanager
def _full(site: Site) -> Iterator[None]:
    site.disk.fill()
    try:
        yield
    finally:
        site.disk.empty()


@contextmanager
def _locked(site: Site) -> Iterator[None]:
    with closing(sqlite3.connect(site.ledger, isolation_level=None, timeout=30)) as held:
        held.execute("begin immediate")
        yield
        held.rollback()


@contextmanager
def _read_only(site: Site) -> Iterator[None]:
    """What is open for writing stays so, as after an error of the disk: a mount that is read-only lies over it."""
    home = str(site.home)
    subprocess.run(["mount", "--bind", home, home], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", home], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)


@contextmanager
def _crowd(site: Site) -> Iterator[None]:
    with taken(site.server, 0):
        yield


@contextmanager
def _restarted(site: Site) -> Iterator[None]:
    """In the middle of what is done in the block."""

    def restart() -> None:
        embedded.stop(site.server)
        embedded.start(site.server)

    timer = threading.Timer(site.draw.uniform(0.1, SECONDS), restart)
    timer.start()
    try:
        yield
    finally:
        timer.join()


RESTARTED = "server restarted"
UNSERVED = "nobody serves"
Condition = Callable[[Site], AbstractContextManager[None]]
CONDITIONS: Mapping[str, Condition] = {
    "nothing else": lambda _: nullcontext(),
    "ledger locked": _locked,
    "ledger full": _full,
    "ledger read-only": _read_only,
    "no connection left": _crowd,
    UNSERVED: lambda _: nullcontext(),
    RESTARTED: _restarted,
}
"""What is broken besides, in the order in which it can be brought about. UNSERVED is what a site is made with."""

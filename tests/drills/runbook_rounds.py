"""Runbooks that are killed at any moment while something else is broken, and gone on with by another process."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from tabsync.postgres import embedded
from tests.conftest import run_sql
from tests.killed_at import Moment, lines
from tests.postgres.cli.program import Done, tabsync
from tests.postgres.runbooks.crowded import Session, collecting, small_server, taken
from tests.postgres.runbooks.place import Place
from tests.service.disk import Disk, small_disk

WRITES = (6, 8)
"""The steps that are SQL which changes something."""

PERSON = 7
"""The step that a person does."""

_KILLED = -9
_MOST = 16  # commands until a round must have ended
_BOUNDARIES = 85  # lines in the log of a run to which nothing happens
_SECONDS = 2.5  # that it takes
_AIMED = ("after begin of its own", "after running of its own", "before done of its own", "after done of its own")
_WATCHES = "-c client_connection_check_interval=200"  # it ends with its client, though it works
_RECOVERS = "Recovers: Active connections < 0.001 % for 1 s within 2 s\n\n"
_STEPS = """1. Look.
   ```sql
   select count(*) from pg_stat_activity
   ```
2. Who is there?
   ```tabsync
   connections show
   ```
3. End what idles.
   ```tabsync
   connections terminate --idle-for 100ms --app till
   ```
4. Say that somebody is on it.
   ```tabsync
   alert silence "Active connections" --for 1h --reason "round {number}"
   ```
5. Make room.
   ```tabsync
   maintenance vacuum public.stock --anyway
   ```
6. Note it.
   ```sql write
   insert into acts (round, step) values ({number}, 6)
   ```
7. Tell Ana.
8. Note that.
   ```sql write
   insert into acts (round, step) values ({number}, 8)
   ```"""
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

    timer = threading.Timer(site.draw.uniform(0.1, _SECONDS), restart)
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


@dataclass
class Round:
    """One runbook, from its beginning to its end. victims and others: sessions, by process id.

    aimed: the line of the log, and which of them, at which the first command is killed; without, that is drawn.
    """

    site: Site
    number: int
    conditions: tuple[str, ...]
    kills: int
    aimed: tuple[str, int] | None = None
    victims: dict[int, Session] = field(default_factory=dict)
    others: dict[int, Session] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The runbook's."""
        return f"Round {self.number}"

    def live(self) -> None:
        """Run it, kill it, go on with it, until it has ended; the condition is over after some commands."""
        site = self.site
        head = f"#### {self.title}\n\n{_RECOVERS if site.draw.random() < 0.1 else ''}"
        site.manual(_STEPS.format(number=self.number), head)
        self.vacuumed = self._vacuumed()
        with ExitStack() as stack:
            self._connect(stack)
            broken = stack.enter_context(ExitStack())
            for one in self.conditions:
                broken.enter_context(CONDITIONS[one](site))
            over = site.draw.randint(1, 3)
            words: tuple[str, ...] | None = self._begins()
            for turn in range(_MOST):
                if turn == over or RESTARTED in self.conditions:
                    broken.close()
                if words is None:
                    break
                self._command(words)
                words = self._next()
            else:
                self._wrong(f"it has not ended: {self.told[-3:]}")
            broken.close()
            site.command("run", "list")  # whatever is left of the journal goes into the ledger
            from tests.drills.runbook_truth import check

            check(self)

    def _begins(self) -> tuple[str, ...]:
        return ("runbook", "run", self.title, "--yes", "--json")

    def _command(self, words: tuple[str, ...]) -> None:
        site = self.site
        before = len(lines(site.log))
        done = site.command(*words, moment=self._moment())
        self.told.append(f"{' '.join(words)}: {done.code} {done.err[-400:]}")
        if done.code == _KILLED:
            site.seen["kills"] += 1
            last = (["at its start"] + lines(site.log)[before:])[-1]
            site.seen[_where(last)] += 1
            self.kills -= 1

    def _moment(self) -> Moment | None:
        """When to kill the next command: at a line of its log that is aimed at, at any, or at any time."""
        if self.kills <= 0:
            return None
        draw, log = self.site.draw, str(self.site.log)
        if self.aimed is not None:
            return Moment(log, self.aimed[1], self.aimed[0], patience=1)
        which = draw.random()
        if which < 0.2:
            return Moment(log, 0, delay=draw.uniform(0.01, _SECONDS), patience=1)
        delay = draw.uniform(0.001, 0.1) if draw.random() < 0.3 else 0.0
        if which < 0.5:
            return Moment(log, draw.randint(1, _BOUNDARIES), delay=delay, patience=1)
        return Moment(log, draw.randint(1, 4), draw.choice(_AIMED), delay, patience=1)

    def _next(self) -> tuple[str, ...] | None:
        """What somebody does next who looks at the list of runs; None when it has ended."""
        listed = self.site.command("run", "list", "--json", "--limit", "40")
        if listed.code:
            self._wrong(f"run list: {listed.err}")
            return None
        mine = [one for one in listed.json["runs"] if one["title"] == self.title]
        if not mine:
            if self._acts():
                self._wrong("there are acts without a run")
            return self._begins()
        shown = self.site.command("run", "show", mine[0]["id"], "--json")
        if shown.code:
            self._wrong(f"run show: {shown.err}")
            return None
        run = shown.json["run"]
        self.runs = [one["id"] for one in mine]
        self._look(run)
        return self._goes_on(run)

    def _goes_on(self, run: Any) -> tuple[str, ...] | None:
        if run["state"] != "open":
            return None
        resume = ("runbook", "resume", run["id"], "--yes", "--json")
        left = next((one for one in run["steps"] if not _settled(one)), None)
        if left is not None and left["number"] == PERSON:
            return (*resume, "--step", str(PERSON), "--done", "told Ana")
        return resume

    def _look(self, run: Any) -> None:
        """No step is shown as done, at any moment, that was not."""
        acts = Counter(step for step, _ in self._acts())
        for one in run["steps"]:
            if one["number"] in WRITES and one["state"] == "done" and not acts[one["number"]]:
                self._wrong(f"step {one['number']} is shown as done, and was not")

    def _acts(self) -> list[tuple[int, Any]]:
        query = "select step, at from acts where round = %(round)s order by at"
        return [(step, at) for step, at in self.site.asked(query, round=self.number)]

    def _vacuumed(self) -> int:
        ((count,),) = self.site.asked("select vacuum_count from pg_stat_user_tables where relname = 'stock'")
        return int(count)

    def _connect(self, stack: ExitStack) -> None:
        """Sessions that may be ended, and others: in a transaction, at work, of another program, elsewhere."""
        mine = make_conninfo(self.site.server.conninfo(), user="application")
        for _ in range(self.site.draw.randint(1, 4)):
            _note(self.victims, stack, make_conninfo(mine, application_name="till")).autocommit = True
        _note(self.others, stack, make_conninfo(mine, application_name="till")).execute("select 1")
        working = _note(self.others, stack, make_conninfo(mine, application_name="till", options=_WATCHES))
        working.pgconn.send_query(b"select pg_sleep(3600)")
        _note(self.others, stack, make_conninfo(mine, application_name="kitchen"))
        _note(self.others, stack, make_conninfo(mine, application_name="till", dbname="other"))

    def _wrong(self, what: str) -> None:
        self.site.wrong.append(f"round {self.number}, {', '.join(self.conditions)}: {what}")


def _note(among: dict[int, Session], stack: ExitStack, conninfo: str) -> Session:
    opened: Session = psycopg.connect(conninfo)
    stack.callback(opened.close)
    among[opened.info.backend_pid] = opened
    return opened


def _settled(step: Any) -> bool:
    noted = step["state"] == "failed" and bool((step["facts"] or {}).get("note"))
    return step["state"] in ("done", "skipped") or noted


def _where(last: str) -> str:
    """In words where a command was killed, by the last line of its log."""
    if last in ("before begin of its own", "after begin of its own", "before running of its own"):
        return "between plan and act"
    if last == "after running of its own":
        return "in the act"
    if last in ("before done of its own", "before failed of its own"):
        return "between act and record"
    return "elsewhere"

"""Real `tabsync audit ...` processes, killed by SIGKILL at any moment while an application goes on writing."""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tabsync.profiles.tabsync import PROFILE_MANUAL
from tests import forked
from tests.postgres.cli.program import TABSYNC, environment

_NOTE = (
    "insert into audit_logs (action, entity_type, entity_id, created_at) values ('NOTE', 'Till', %s, clock_timestamp())"
)
_BEFORE = "select md5(string_agg(md5(t::text), '' order by id)) from (select {} from audit_logs where id <= %s) t"
_LEFT = """
select relname from pg_class
 where relkind in ('r', 'p') and (relname like '%tabsync_next%' or relname like '%default_next')
union all
select conname from pg_constraint where conname in ('tabsync_until', 'tabsync_only')
union all
select indexrelid::regclass::text from pg_index where not indisvalid
"""
_OLD = """
select count(*) from pg_inherits
 where inhparent = 'audit_logs'::regclass
   and substring(pg_get_expr((select relpartbound from pg_class where oid = inhrelid), inhrelid)
                 from 'TO [(]''([^'']+)')::timestamptz < now() - interval '1 year'
"""
_COLUMNS = "id, user_id, action, entity_type, entity_id, old_value, new_value, created_at"


@dataclass
class Site:
    """A database, and a directory with the settings for it. kills: how many processes were killed so far."""

    conninfo: str
    directory: Path
    kills: int = 0
    notes: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        values = {
            "database": self.conninfo,
            "home": str(self.directory / "home"),
            "store": str(self.directory / "store"),
            "manual": str(PROFILE_MANUAL),
        }
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        (self.directory / "tabsync.toml").write_text(text)

    def run(self, *words: str, killed_after: float | None = None) -> int:
        """Run a command; killed_after: seconds until it is killed, if it still runs then. Gives its exit code."""
        try:
            done = self._done(words, 600 if killed_after is None else killed_after)
        except subprocess.TimeoutExpired:
            self.kills += 1
            return -9
        if done.returncode:
            self.errors.append(f"{' '.join(words)}: {(done.stdout + done.stderr).strip()}")
        return done.returncode

    def until_done(self, *words: str, kills: int, draw: random.Random, longest: float) -> None:
        """Run a command again and again until it ends by itself; it is killed so often at most."""
        for _ in range(kills):
            if self.run(*words, killed_after=draw.uniform(0.1, longest)) == 0:
                return
            self.errors += self.unsaid()
        self.run(*words)

    def unsaid(self) -> list[str]:
        """What a killed command has left, where `audit status` says that all is in order; [] when there is nothing."""
        left, old = self.left(), self._one(_OLD)
        said = self._done(("audit", "status"), 600)
        wrong = [f"audit status says nothing of {', '.join(left)}"] if left and said.returncode == 0 else []
        if old != "0" and "to move to the store: tabsync audit archive" not in " ".join(
            (said.stdout + said.stderr).split()
        ):
            wrong.append(f"audit status says nothing of {old} old partitions: {said.stdout}{said.stderr}")
        return wrong

    def left(self) -> list[str]:
        """What is only there while a command works."""
        with psycopg.connect(self.conninfo) as session:
            return [str(name) for (name,) in session.execute(_LEFT).fetchall()]

    @contextmanager
    def application(self) -> Iterator[None]:
        """An application that adds an entry of its own to the log every few milliseconds, and notes which are there."""
        over = threading.Event()

        def work() -> None:
            with psycopg.connect(self.conninfo, autocommit=True) as session:
                while not over.wait(0.002):
                    number = len(self.notes)
                    try:
                        session.execute(_NOTE, [str(number)])
                    except psycopg.Error as error:
                        self.errors.append(f"the application's entry {number}: {error}")
                    else:
                        self.notes.append(number)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def last_id(self) -> int:
        """The newest entry."""
        return int(self._one("select max(id) from audit_logs"))

    def before(self, last: int) -> str:
        """A digest of all entries up to one, in the columns that the log had."""
        with psycopg.connect(self.conninfo) as session:
            found = session.execute(_BEFORE.format(_COLUMNS).encode(), [last]).fetchone()
        return str((found or ("",))[0])

    def count(self) -> int:
        """How many entries there are."""
        return int(self._one("select count(*) from audit_logs"))

    def wrong_notes(self, since: int = 0) -> tuple[int, int]:
        """Of the application's own entries: how many are lost since one of them, and how many are there twice."""
        with psycopg.connect(self.conninfo) as session:
            found = session.execute("select entity_id::int from audit_logs where action = 'NOTE'").fetchall()
        there = [number for (number,) in found]
        return len(set(self.notes[since:]) - set(there)), len(there) - len(set(there))

    def _done(self, words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [TABSYNC, *words, "--config", str(self.directory / "tabsync.toml")]
        return forked.run(command, self.directory, environment(self.directory), seconds)

    def _one(self, statement: str) -> str:
        with psycopg.connect(self.conninfo) as session:
            found = session.execute(statement.encode()).fetchone()
        return str((found or ("",))[0])


def installed_under_kills(site: Site, draw: random.Random, kills: int, longest: float = 1.6) -> list[str]:
    """Install while the application writes to the log; gives what is wrong in the end, [] if nothing is."""
    last, wrong = site.last_id(), []
    before = site.before(last)
    with site.application():
        site.until_done("audit", "install", kills=kills, draw=draw, longest=longest)
    if site.before(last) != before:
        wrong.append("entries of before are not what they were")
    if site.wrong_notes() != (0, 0):
        wrong.append(f"entries of the application lost, and there twice: {site.wrong_notes()}")
    if site.run("audit", "status") != 0:
        wrong.append("audit status is not in order")
    return wrong + site.errors


def sealed_under_kills(site: Site, draw: random.Random, kills: int) -> list[str]:
    """Seal again and again while the application writes; gives what is wrong in the end."""
    with site.application():
        for _ in range(kills):
            site.run("audit", "seal", killed_after=draw.uniform(0.2, 0.9))
    site.run("audit", "seal")
    wrong = [] if site.run("audit", "verify") == 0 else ["audit verify is not in order"]
    return wrong + site.errors

"""Real `tabsync audit ...` processes, killed by SIGKILL at any moment while an application goes on writing."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tabsync.workspace import PROFILE_MANUAL

_NOTE = (
    "insert into audit_logs (action, entity_type, entity_id, created_at) values ('NOTE', 'Till', %s, clock_timestamp())"
)
_BEFORE = "select md5(string_agg(md5(t::text), '' order by id)) from (select {} from audit_logs where id <= %s) t"
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
        command = [sys.executable, "-m", "tabsync", *words, "--config", str(self.directory / "tabsync.toml")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            told, _ = process.communicate(timeout=killed_after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.kills += 1
            return -9
        if process.returncode:
            self.errors.append(f"{' '.join(words)}: {told.strip()}")
        return process.returncode

    def until_done(self, *words: str, kills: int, draw: random.Random, longest: float) -> None:
        """Run a command again and again until it ends by itself; it is killed so often at most."""
        for _ in range(kills):
            if self.run(*words, killed_after=draw.uniform(0.2, longest)) == 0:
                return
        self.run(*words)

    @contextmanager
    def application(self) -> Iterator[None]:
        """An application that adds an entry of its own to the log every few milliseconds, and notes which are there."""
        over = threading.Event()

        def work() -> None:
            with psycopg.connect(self.conninfo, autocommit=True) as session:
                while not over.is_set():
                    number = len(self.notes)
                    session.execute(_NOTE, [str(number)])
                    self.notes.append(number)
                    time.sleep(0.002)

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

    def wrong_notes(self) -> tuple[int, int]:
        """Of the application's own entries: how many are lost, and how many are there twice."""
        with psycopg.connect(self.conninfo) as session:
            found = session.execute("select entity_id::int from audit_logs where action = 'NOTE'").fetchall()
        there = [number for (number,) in found]
        return len(set(self.notes) - set(there)), len(there) - len(set(there))

    def _one(self, statement: str) -> str:
        with psycopg.connect(self.conninfo) as session:
            found = session.execute(statement.encode()).fetchone()
        return str((found or ("",))[0])


def installed_under_kills(site: Site, draw: random.Random, kills: int) -> list[str]:
    """Install while the application writes to the log; gives what is wrong in the end, [] if nothing is."""
    last, wrong = site.last_id(), []
    before = site.before(last)
    with site.application():
        site.until_done("audit", "install", kills=kills, draw=draw, longest=1.6)
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

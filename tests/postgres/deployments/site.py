"""A project with a folder of SQL files, and a command that runs them as small tools do, and notes them in a table."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tabsync import profiles
from tabsync.manual.load import load
from tabsync.postgres.installation import installations
from tabsync.workspace import Workspace
from tests import forked
from tests.postgres.cli.program import TABSYNC, environment

Running = subprocess.Popen[str] | forked.Started

TOOL = """
import ctypes, os, select, sys

pq = ctypes.CDLL(LIBPQ)  # to import psycopg takes longer than all that is done here
for name in ("PQconnectdb", "PQgetResult", "PQgetCancel"):
    getattr(pq, name).restype = ctypes.c_void_p
for name in ("PQerrorMessage", "PQresultErrorMessage", "PQgetvalue"):
    getattr(pq, name).restype = ctypes.c_char_p
session = ctypes.c_void_p(pq.PQconnectdb((os.environ.get("SITE_URL") or os.environ["DATABASE_URL"]).encode()))
if pq.PQstatus(session) != 0:
    sys.exit(pq.PQerrorMessage(session).decode())

def execute(statement):
    if not pq.PQsendQuery(session, statement.encode()):
        sys.exit(pq.PQerrorMessage(session).decode())
    try:
        while pq.PQisBusy(session):
            select.select([pq.PQsocket(session)], [], [])
            if not pq.PQconsumeInput(session):
                sys.exit(pq.PQerrorMessage(session).decode())
    except KeyboardInterrupt:
        pq.PQcancel(ctypes.c_void_p(pq.PQgetCancel(session)), ctypes.create_string_buffer(256), 256)
        raise
    rows = []
    while found := pq.PQgetResult(session):
        found = ctypes.c_void_p(found)
        if told := pq.PQresultErrorMessage(found):
            sys.exit(told.decode())
        rows += [pq.PQgetvalue(found, row, 0).decode() for row in range(pq.PQntuples(found))]
    return rows

execute("set client_min_messages = warning")
execute("create table if not exists schema_migrations (version bigint primary key, dirty boolean not null)")
print("lock_timeout is", execute("show lock_timeout")[0], flush=True)
done = {int(row) for row in execute("select version from schema_migrations")}
for name in sorted(os.listdir(sys.argv[1])):
    version = int(name.split("_")[0])
    if version in done or not name.endswith(".up.sql"):
        continue
    execute("delete from schema_migrations")
    execute(f"insert into schema_migrations values ({version}, true)")
    for statement in open(os.path.join(sys.argv[1], name)).read().split(";"):
        if statement.strip():
            execute(statement.strip())
    execute("update schema_migrations set dirty = false")
    print("applied", name, flush=True)
"""
"""As golang-migrate: one row, which says that it is dirty until the file has ended."""

_PLAIN = Path(profiles.__file__).parent / "plain" / "manual.md"


@cache
def _libpq() -> str:
    one = next(one for one in installations() if one.has_server and one.major == 17)
    return str(one.bindir.parent / "lib" / "libpq.so.5")


def manual(*, gate: bool) -> str:
    """The manual for any database, with or without what it asks for before a migration."""
    text = _PLAIN.read_text()
    return text if gate else re.sub(r"### Before each migration\n.*?(?=\n#|\Z)", "", text, flags=re.DOTALL)


@dataclass(slots=True)
class Site:
    """A project below a directory, and the environment of its commands."""

    directory: Path
    conninfo: str
    url: str
    manual: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.directory / "migrations"

    def migration(self, name: str, text: str) -> None:
        """Write a file."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"{name}.up.sql").write_text(text)

    def command(self) -> list[str]:
        """The tool."""
        tool = self.directory / "tool.py"
        tool.write_text(TOOL.replace("LIBPQ", repr(_libpq())))
        return [sys.executable, str(tool), str(self.folder)]

    def start(self, *words: str, **more: str) -> Running:
        """Start tabsync."""
        return forked.start([TABSYNC, *words], self.directory, self._environment(more))

    def start_program(self, *words: str) -> subprocess.Popen[str]:
        """Start tabsync from the beginning, as a person would: where signals are what a test is about."""
        return subprocess.Popen(
            [TABSYNC, *words],
            cwd=self.directory,
            env=self._environment({}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tabsync(self, *words: str, **more: str) -> tuple[int, str, str]:
        """Run tabsync; gives its exit code, and what it printed."""
        done = forked.run([TABSYNC, *words], self.directory, self._environment(more), timeout=120)
        return done.returncode, done.stdout, done.stderr

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return environment(self.directory, DATABASE_URL=self.url) | self.environment | more

    def guard(self, *options: str, command: list[str] | None = None, **more: str) -> tuple[int, str, str]:
        """Run the tool under guard."""
        return self.tabsync(
            "migration", "guard", "--folder", str(self.folder), *options, "--", *(command or self.command()), **more
        )


def site(directory: Path, conninfo: str, url: str, *, gate: bool = False) -> Site:
    """Write its tabsync.toml and its manual. gate: with what that asks for before a migration."""
    found = Site(directory, conninfo, url, directory / "manual.md")
    found.manual.write_text(manual(gate=gate))
    load(found.manual)
    (directory / "tabsync.toml").write_text(f'database = "{conninfo}"\nmanual = "manual.md"\n')
    found.folder.mkdir(exist_ok=True)
    return found


def evidence(workspace: Workspace) -> list[dict[str, Any]]:
    """What the ledger keeps of guarded deployments, the newest first."""
    return workspace.ledger().read("evidence", kind="migration", subject=None, ok=None, limit=10)

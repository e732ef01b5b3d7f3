"""A project with a folder of SQL files, and a command that runs them as small tools do, and notes them in a table."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabsync import profiles
from tabsync.manual.load import load
from tabsync.workspace import Workspace
from tests import forked
from tests.postgres.cli.program import TABSYNC, environment

Running = subprocess.Popen[str] | forked.Started

TOOL = """
import os, sys, time
import psycopg

session = psycopg.connect(os.environ.get("SITE_URL") or os.environ["DATABASE_URL"], autocommit=True)
session.execute("create table if not exists schema_migrations (version bigint primary key, dirty boolean not null)")
print("lock_timeout is", session.execute("show lock_timeout").fetchone()[0], flush=True)
done = {row[0] for row in session.execute("select version from schema_migrations")}
for name in sorted(os.listdir(sys.argv[1])):
    version = int(name.split("_")[0])
    if version in done or not name.endswith(".up.sql"):
        continue
    session.execute("delete from schema_migrations")
    session.execute("insert into schema_migrations values (%s, true)", [version])
    for statement in open(os.path.join(sys.argv[1], name)).read().split(";"):
        if statement.strip():
            session.execute(statement.strip())
    session.execute("update schema_migrations set dirty = false")
    print("applied", name, flush=True)
"""
"""As golang-migrate: one row, which says that it is dirty until the file has ended."""

_PLAIN = Path(profiles.__file__).parent / "plain" / "manual.md"


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
        tool.write_text(TOOL)
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

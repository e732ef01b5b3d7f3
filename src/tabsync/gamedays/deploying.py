"""A project with migrations on a game day's ground, and what a person does with it: writes them, deploys, looks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tabsync.deployments.gated import EVIDENCE
from tabsync.gamedays import tool
from tabsync.gamedays.ground import Ground
from tabsync.kernel.errors import FailedPartway
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import latest_evidence

TICK = "go-through-the-pre-migration-checklist"
_PATIENCE = 300.0  # seconds for a deployment with its backup and its proof


@dataclass(frozen=True, slots=True)
class Tool:
    """What migrates. command, environment: of a deployment; name: in words; failed: what it says of one."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    failed: str = tool.FAILED


@dataclass(frozen=True, slots=True)
class Deployed:
    """What came of a deployment. failed_at: when the tool said that a migration failed, ended: monotonic, seconds."""

    code: int
    page: Facts
    said: str
    failed_at: float | None
    ended: float

    @property
    def fact(self) -> str:
        """Why it did not go through, as the guard says it."""
        error: Facts = self.page.get("error") or {}
        return str(error.get("fact") or self.said.strip()[-300:])


@dataclass(slots=True)
class Project:
    """A folder of migrations, and the tool that deploys them. database: which one they are for."""

    ground: Ground
    tool: Tool
    database: str

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self.ground.config.parent / "migrations"

    def write(self, name: str, text: str) -> None:
        """Write a migration, or change it."""
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / name / "migration.sql").write_text(text, encoding="utf-8")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run tabsync, as a person would."""
        return self.ground.command(*words, environment=self.environment())

    def configure(self, *lines: str) -> None:
        """Write lines at the head of the configuration."""
        config = self.ground.config
        config.write_text("\n".join([*lines, config.read_text(encoding="utf-8")]), encoding="utf-8")

    def switch(self, database: str) -> None:
        """It is for another database from now on: the configuration names that one."""
        text = self.ground.config.read_text(encoding="utf-8")
        kept = [line for line in text.splitlines() if not line.startswith("database = ")]
        named = f"database = {json.dumps(self.ground.own().tcp_conninfo(database))}"
        self.ground.config.write_text("\n".join([named, *kept, ""]), encoding="utf-8")
        self.database = database

    def conninfo(self, database: str = "") -> str:
        """Its database, or another one of the server, as the owner of it."""
        return self.ground.own().tcp_conninfo(database or self.database)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A session of the owner of it."""
        return psycopg.connect(self.conninfo(), autocommit=True)

    def evidence(self) -> Facts:
        """What the ledger keeps of the newest deployment."""
        kept = latest_evidence(self.ground.workspace.ledger(), EVIDENCE)
        return kept["facts"] if kept else {}

    def backup(self) -> str:
        """The newest backup: that of the gate before a migration."""
        found: Facts = json.loads(self.command("backup", "list", "--json").stdout)
        return str(max(one["id"] for one in found["backups"]))

    def ticked(self) -> None:
        """Go through the checklist that the manual asks for before a migration."""
        ran = self.command("schedule", "done", TICK, "--note", "gone through, on a game day")
        if ran.returncode:
            raise FailedPartway(f"the checklist can't be ticked: {ran.stderr.strip()[-300:]}", "tabsync schedule list")

    def guard(self) -> Deployed:
        """Deploy under guard."""
        words = ("migration", "guard", "--json", "--wait", "10s", "--", *self.tool.command)
        failed_at, lines = None, []
        with subprocess.Popen(
            self.ground.program(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.ground.config.parent,
            env=os.environ | self.environment(),
        ) as process:
            assert process.stderr is not None and process.stdout is not None  # noqa: S101 - pipes
            for line in process.stderr:  # with --json all that the tool prints goes here
                lines.append(line)
                if failed_at is None and self.tool.failed in line:
                    failed_at = time.monotonic()
            printed = process.stdout.read()
        return Deployed(process.returncode, _page(printed), "".join(lines), failed_at, time.monotonic())

    def by_the_tool_alone(self) -> None:
        """Deploy without tabsync, as it was before somebody thought of it."""
        ran = subprocess.run(
            self.tool.command,
            cwd=self.ground.config.parent,
            env=os.environ | self.environment(),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        if ran.returncode:
            raise FailedPartway(f"{self.tool.name} does not deploy: {ran.stdout[-300:]}{ran.stderr[-300:]}", "")

    def environment(self) -> dict[str, str]:
        """What the application has in its environment."""
        return {"DATABASE_URL": url_of(self.ground, self.database), **self.tool.environment}


def plain_tool(ground: Ground) -> Tool:
    """Our own."""
    folder = ground.config.parent / "migrations"
    return Tool(tool.NAME, (sys.executable, "-m", tool.__name__, str(folder)))


def url_of(ground: Ground, database: str) -> str:
    """A connection string of the server's owner, with its password, as applications have it."""
    given = conninfo_to_dict(ground.own().tcp_conninfo(database))
    user = str(given["user"])
    return f"postgresql://{user}:{ground.password(user)}@127.0.0.1:{given['port']}/{database}"


def _page(printed: str) -> Facts:
    try:
        found: Facts = json.loads(printed)
    except ValueError:
        return {}
    return found

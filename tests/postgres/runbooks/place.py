"""A directory with a manual whose runbooks a test writes, and `tabsync` in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabsync.workspace import PLAIN_MANUAL, Workspace, find
from tests.postgres.cli.program import TABSYNC, Done, environment, tabsync

RUNBOOK = """#### Too slow

Recovers: Active connections < 99 % for 1 s within 2 s

"""


@dataclass(frozen=True)
class Place:
    """Where commands run."""

    directory: Path
    conninfo: str

    def manual(self, steps: str, head: str = RUNBOOK, metric: str = "") -> None:
        """The plain manual with one more runbook, and one more metric."""
        text = PLAIN_MANUAL.read_text(encoding="utf-8")
        assert "### Long-running query\n" in text
        text = text.replace("#### Active connections\n", f"{metric}#### Active connections\n")
        self._manual.write_text(text.replace("### Long-running query\n", f"{head}{steps}\n\n### Long-running query\n"))
        config = f'database = "{self.conninfo}"\nname = "shop"\nmanual = "manual.md"\nhome = "home"\n'
        (self.directory / "tabsync.toml").write_text(config)

    def run(self, *words: str) -> Done:
        """Run a command to its end."""
        return tabsync(self.directory, *words)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command as a program of its own."""
        program = [str(TABSYNC), *words]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            program, cwd=self.directory, env=environment(self.directory), stdin=quiet, stdout=quiet, stderr=quiet
        )

    def workspace(self) -> Workspace:
        """The workspace of its commands."""
        return find(self.directory / "tabsync.toml")

    def shown(self, run: str = "") -> Any:
        """A run as it is shown; by default the newest of a runbook."""
        if not run:
            runs = self.run("run", "list", "--json").json["runs"]
            run = next(one["id"] for one in runs if one["procedure"] == "runbook run")
        found = self.run("run", "show", run, "--json").json
        return found["run"] | {"runs": found.get("runs", [])}

    def states(self, run: str = "") -> list[str]:
        """The states of a run's steps."""
        return [one["state"] for one in self.shown(run)["steps"]]

    def waits(self, what: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until something is so."""
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until
            time.sleep(0.05)

    @property
    def _manual(self) -> Path:
        return self.directory / "manual.md"


def killed(process: subprocess.Popen[bytes]) -> None:
    """Kill a program as the kernel does."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def entries(path: Path) -> list[Any]:
    """The lines of an emergency journal."""
    return [json.loads(line)["entry"] for line in path.read_text().splitlines()]

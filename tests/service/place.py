"""A home with a manual of its own, a clock that a test sets, and the service's commands in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests import forked
from tests.postgres.cli.program import TABSYNC, Done, environment

CLOCK = Path(__file__).parents[1] / "clock_site"

HEAD = """# A manual

## Targets

- **Recovery time objective (RTO)**: < 1 hour
- **Recovery point objective (RPO)**: < 24 hours

## Retention

| Class | What | Frequency | Retention | Stores |
|---|---|---|---|---|
| full | Whole database | Daily | 30 days | Local |

## Key tables

- `t`

## Metrics

### Sessions

Unit: count of sessions

```sql
select count(*) as value from pg_stat_activity
```

## Thresholds

| Metric | Warning | Critical | For | Action | Runbook |
|---|---|---|---|---|---|
| Sessions | > 80 | > 90 | 5 minutes | Look | — |

## Runbooks

### Look

1. Look.
   ```tabsync
   health
   ```

## Contacts

| Role | Contact | Availability |
|---|---|---|
| DBA | dba@example.org | always |

## Schedule

"""


@dataclass
class Home:
    """A directory with tabsync.toml and manual.md."""

    directory: Path
    conninfo: str
    env: dict[str, str] = field(default_factory=dict)
    ledger: str = ""

    def write(self, schedule: str, ledger: str = "", more: str = "") -> None:
        """Write both files."""
        self.ledger = ledger
        lines = [f"database = {self.conninfo!r}", 'store = "store"', 'manual = "manual.md"']
        lines += [f"ledger = {ledger!r}"] if ledger else []
        (self.directory / "tabsync.toml").write_text("\n".join([*lines, more, ""]))
        self.manual(schedule)

    def manual(self, schedule: str) -> None:
        """Write the manual, with that schedule."""
        (self.directory / "manual.md").write_text(HEAD + schedule)

    def at(self, moment: str) -> None:
        """Set the clock: "2026-12-01 12:00", in UTC; it goes on from there."""
        wanted = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        file = self.directory / "clock"
        pending = file.with_suffix(".new")
        pending.write_text(str((wanted - datetime.now(UTC)).total_seconds()))
        pending.replace(file)
        self.env |= {"PYTHONPATH": str(CLOCK), "TABSYNC_TEST_CLOCK": str(file)}

    def run(self, *words: str, timeout: float = 120, **env: str) -> Done:
        """Run a command to its end."""
        given: dict[str, str] = {"TZ": "UTC"} | self.env | env
        done = forked.run([TABSYNC, *words], self.directory, environment(self.directory, **given), timeout)
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def json(self, *words: str) -> Any:
        """The document that a command prints."""
        done = self.run(*words, "--json")
        assert done.code in (0, 1), done.err
        return done.json

    def states(self, since: str = "400d") -> dict[str, dict[str, int]]:
        """How often each item was in each state."""
        found = self.json("schedule", "compliance", "--since", since)["items"]
        return {one["item"]: one["states"] | {"caught up": one["caught_up"]} for one in found}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What the ledger has."""
        path = self.ledger.removeprefix("sqlite:///") or self.directory / ".tabsync" / "ledger.sqlite"
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as ledger:
            return list(ledger.execute(statement))

    @contextlib.contextmanager
    def service(self, *words: str, **env: str) -> Iterator[Service]:
        """A service that runs in the background, by default the scheduler alone."""
        log = self.directory / f"service-{time.monotonic_ns()}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [TABSYNC, *(words or ("scheduler", "run"))],
                cwd=self.directory,
                env=environment(self.directory, TZ="UTC", **self.env, **env),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Service(process, log)
        try:
            yield running
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
            assert "Traceback" not in running.said, running.said


@dataclass
class Service:
    """A service that was started."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """All that it has said."""
        return self.log.read_text()

    def waits_for(self, text: str, seconds: float = 60) -> None:
        """Wait until it has said something."""
        until = time.monotonic() + seconds
        while text not in self.said:
            assert self.process.poll() is None or text in self.said, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.05)

    def ends(self, number: int = signal.SIGTERM, seconds: float = 90) -> int:
        """Ask it to end, and wait."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

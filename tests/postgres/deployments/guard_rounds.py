"""Deployments under guard that are killed at a random moment, and what the next one makes of it."""

from __future__ import annotations

import random
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from tabsync.deployments.begin import GUARD
from tabsync.deployments.environment import RUN
from tabsync.ledger.runs import recent_runs
from tabsync.postgres import embedded
from tabsync.workspace import find
from tests.postgres.deployments.site import Site, evidence, site
from tests.servers import running_server

PHASES = ("begin", "backup", "proof", "command", "verify", "record")
GATED = ("backup", "proof")
WHOM = ("guard", "command", "server")
_TICK = "how-to-undo-the-migration-is-written"
_FIRST = "create table first (id int primary key)"
_LAST = "create table last (id int primary key)"
_ALONE = """
import fcntl, os, sys
mine = os.path.join(os.path.dirname(sys.argv[0]), "tool")
held = open(mine + ".lock", "w")
try:
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    open(mine + ".twice", "a").write(f"{os.getpid()}\\n")
"""
_DONE = """
open(mine + ".done", "a").write(os.environ["TABSYNC_DEPLOYMENT"] + "\\n")
"""
_AFTER = {  # the line after which a phase runs, and for how many seconds a kill may come later
    "begin": ("", 1.2),
    "backup": (r"^tabsync backup take full", 2.5),
    "proof": (r"^tabsync drill ", 5.0),
    "command": (r"^lock_timeout is", 1.0),
    "verify": (r"\] Run the command", 0.6),
    "record": (r"\] Run the command", 1.2),
}
_LONGEST = 300  # seconds for a guard, on a machine that is busy


@dataclass
class Ground:
    """A server of its own. seen: of what there was how much; wrong: what was not as it must be."""

    server: embedded.Server
    place: Path
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@contextmanager
def ground(place: Path) -> Iterator[Ground]:
    """A ground in a directory, for the time of the block."""
    with running_server("guard-rounds") as server:
        yield Ground(server, place)


@dataclass
class Round:
    """One deployment, and one after it. phase, whom: when is killed, and what; seed: of what else is drawn."""

    ground: Ground
    number: int
    phase: str
    whom: str
    seed: str
    lines: list[str] = field(default_factory=list)
    readers: list[threading.Thread] = field(default_factory=list)
    killed: str = ""

    def live(self) -> None:
        """Deploy, kill, deploy again, and look at both."""
        self.draw = random.Random(self.seed)
        self.site = self._site()
        process = self._start("--wait", "10s")
        self._kill(process)
        code = self._ended(process)
        self.ground.seen["kills" if self.killed else "too late"] += 1
        self.ground.seen[f"{self.killed or 'nothing'} in {self.phase}"] += 1
        said = "".join(self.lines)
        done = self._done()
        if "DEPLOYED AND VERIFIED" in said and not done:
            self._wrong(f"shown as done, and its command has not ended with 0: {code}")
        if self.killed == "server":
            embedded.start(self.ground.server)
        self._next()
        self._look()

    def _site(self) -> Site:
        name = f"round{self.number}"
        with psycopg.connect(self.ground.server.conninfo(), autocommit=True) as session:
            made = sql.SQL("create database {} template template0 strategy file_copy").format(sql.Identifier(name))
            session.execute(made)
        directory = self.ground.place / name
        directory.mkdir()
        conninfo = self.ground.server.conninfo(name)
        made_site = site(directory, conninfo, conninfo, gate=self.phase in GATED)
        seconds = round(self.draw.uniform(0.1, 3), 2)
        body = f"{_FIRST}; select pg_sleep({seconds}); {_LAST}"
        made_site.migration("1_plates", f"begin; {body}; commit" if self.draw.random() < 0.3 else body)
        if self.phase in GATED:
            code, out, err = made_site.tabsync("schedule", "done", _TICK, "--note", "as written")
            assert code == 0, out + err
        return made_site

    def _start(self, *options: str) -> subprocess.Popen[str]:
        command = self.site.command()
        tool = Path(command[1])
        tool.write_text(_ALONE + tool.read_text() + _DONE)
        return self.site.start_program(
            "migration", "guard", "--folder", str(self.site.folder), *options, "--", *command
        )

    def _kill(self, process: subprocess.Popen[str]) -> None:
        """Wait for the phase, and a moment more; then kill."""
        pattern, longest = _AFTER[self.phase]
        reached = threading.Event()
        for stream in (process.stdout, process.stderr):
            reader = threading.Thread(target=self._read, args=(stream, re.compile(pattern), reached), daemon=True)
            reader.start()
            self.readers.append(reader)
        while pattern and not reached.is_set() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(self.draw.uniform(0, longest))
        if process.poll() is not None:
            return
        if self.whom == "server":
            self._kill_server()
        elif self.whom == "command" and (found := self._commands(process)):
            for one in found:
                with suppress(psutil.Error):
                    one.kill()
            self.killed = "command"
        else:
            process.kill()
            self.killed = "guard"

    def _kill_server(self) -> None:
        postmaster = psutil.Process(int((self.ground.server.data / "postmaster.pid").read_text().split()[0]))
        for one in [*postmaster.children(), postmaster]:
            with suppress(psutil.Error):
                one.kill()
        with suppress(psutil.Error):
            postmaster.wait(30)
        self.killed = "server"

    def _commands(self, process: subprocess.Popen[str]) -> list[psutil.Process]:
        """What the guard has started: the tool, or a backup or a proof of the gate."""
        with suppress(psutil.Error):
            return [one for one in psutil.Process(process.pid).children(recursive=True) if one.name() != "postgres"]
        return []

    def _read(self, stream: Any, pattern: re.Pattern[str], reached: threading.Event) -> None:
        with stream:
            for line in stream:
                self.lines.append(line)
                if pattern.search(line):
                    reached.set()

    def _ended(self, process: subprocess.Popen[str]) -> int:
        code = process.wait(_LONGEST)
        for one in self.readers:
            one.join()
        if "Traceback" in "".join(self.lines) and self.killed != "server":
            tool = str(self.site.directory / "tool.py") in "".join(self.lines)
            if not tool:
                self._wrong(f"a traceback: {''.join(self.lines)[-800:]}")
        return code

    def _next(self) -> None:
        """The next deployment, at once: refused with a next step, or clean."""
        if self.draw.random() < 0.5:
            code, out, err = self._again("--wait", "0")
            if code == 4 and "hint: " not in err:
                self._wrong(f"refused without a next step: {err}")
            if code not in (0, 4):
                self._wrong(f"the next one ended with {code}: {out}{err}")
        self._until_dead()
        before = self._state()
        code, out, err = self._again("--wait", "30s")
        after = self._state()
        half = before in ("dirty", "half")
        self.ground.seen[f"next: {'refused' if code == 4 else 'clean' if code == 0 else code}"] += 1
        if half and code != 4:
            self._wrong(f"{before} was left, and the next one ended with {code}: {out}{err}")
        if half and "hint: " not in err:
            self._wrong(f"refused without a next step: {err}")
        if not half and (code, after) != (0, "whole"):
            self._wrong(f"{before} was left, and the next one ended with {code}, leaving {after}: {out}{err}")

    def _again(self, *options: str) -> tuple[int, str, str]:
        process = self._start(*options)
        out, err = process.communicate(timeout=_LONGEST)
        if "Traceback" in err:
            self._wrong(f"a traceback: {err[-800:]}")
        return process.returncode, out, err

    def _until_dead(self) -> None:
        """Wait for what a dead guard has left: then its lock must be free."""
        until = time.monotonic() + 60
        while self._living() and time.monotonic() < until:
            time.sleep(0.1)
        if self._living():
            self._wrong("a process of it lives on")
        for _ in range(100):
            with psycopg.connect(self.site.conninfo, autocommit=True) as session:
                if session.execute("select pg_try_advisory_lock(%s)", [GUARD]).fetchone() == (True,):
                    return
            time.sleep(0.1)
        self._wrong("the lock of the guard is held, and nobody is there")

    def _living(self) -> list[int]:
        found = []
        for one in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if one.environ().get(RUN) and str(self.site.directory) in " ".join(one.cmdline()):
                    found.append(one.pid)
        return found

    def _state(self) -> str:
        """What is there: nothing, half of it, all of it, and what the tool has noted."""
        with psycopg.connect(self.site.conninfo, autocommit=True) as session:
            asked = "select to_regclass('schema_migrations'), to_regclass('first'), to_regclass('last')"
            history, first, last = session.execute(asked).fetchone() or (None, None, None)
            rows = session.execute("select version, dirty from schema_migrations").fetchall() if history else []
        if (1, True) in rows:
            return "dirty"
        if not rows:
            return "half" if first or last else "nothing"
        return "whole" if first and last else "half"

    def _done(self) -> list[str]:
        """The runs whose command has ended with 0."""
        file = self.site.directory / "tool.done"
        return file.read_text().split() if file.exists() else []

    def _look(self) -> None:
        """The ledger calls nothing done whose command has not ended with 0; never were there two."""
        if (self.site.directory / "tool.twice").exists():
            self._wrong("two deployments at once")
        done = self._done()
        workspace = find(self.site.directory / "tabsync.toml")
        try:
            for one in evidence(workspace):
                if one["ok"] and one["run_id"] not in done:
                    self._wrong(f"verified in the ledger, and its command has not ended with 0: {one['run_id']}")
            kept = {one["run_id"] for one in evidence(workspace) if one["ok"]}
            for run in recent_runs(workspace.ledger(), procedure="migration guard"):
                if run["state"] == "running":
                    self._wrong(f"a run that is dead is shown as running: {run['id']}")
                if run["state"] == "done" and run["id"] not in kept:
                    self._wrong(f"a run is done that was not verified: {run['id']}")
        finally:
            workspace.close()
        with psycopg.connect(self.ground.server.conninfo(), autocommit=True) as session:
            name = sql.Identifier(f"round{self.number}")
            session.execute(sql.SQL("drop database {} with (force)").format(name))

    def _wrong(self, what: str) -> None:
        self.ground.wrong.append(f"round {self.number} (seed {self.seed}), {self.killed} in {self.phase}: {what}")

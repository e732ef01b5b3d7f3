"""Collector and notifier, killed at random moments while alerts fire and end, and a real SMTP server that counts."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tabsync.kernel.clock import parse_iso
from tabsync.monitoring.notify.message import id_of
from tabsync.monitoring.notify.send import HEADER
from tests.conftest import run_sql
from tests.postgres.cli.program import TABSYNC, environment
from tests.service.place import Home
from tests.service.test_collector import MANUAL
from tests.service.told import CONTACTS, Mailbox

LABELS = ("kitchen", "bar", "cellar", "terrace")
_VALUES = (1, 1, 20, 60)  # well, well, warning, critical

APART = {"collector": ["collector", "run"], "notifier": ["notifier", "run"]}
"""The two as processes of their own."""

SERVED = {"serve": ["serve", "--port", "0"]}
"""As people run it: one command, which keeps the process in which both are."""


@dataclass
class Counted:
    """What was counted.

    lost: ids of messages that never came; twice: of those that came again, with the gap in ms between the server's 250
    and the kill, below 0 when the 250 could not reach it any more; strange: that came again without a kill that
    explains it; commit: ms between the server's 250 and our commit, of the others.
    """

    episodes: int
    messages: int
    lost: list[str]
    twice: dict[str, float]
    strange: list[str]
    commit: list[float]


@dataclass
class Telling:
    """A home whose processes are killed. parts: them, by name, with their commands."""

    home: Home
    box: Mailbox
    draw: random.Random
    parts: dict[str, list[str]]
    kills: list[tuple[float, str]] = field(default_factory=list)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def begin(self, part: str) -> None:
        """Start a process."""
        with (self.home.directory / f"{part}.log").open("ab") as log:
            self._running[part] = subprocess.Popen(
                [TABSYNC, *self.parts[part]],
                cwd=self.home.directory,
                env=environment(self.home.directory, TZ="UTC"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, part: str) -> None:
        """Kill a process, and start it again."""
        if self.parts == SERVED:
            self._kill_served(part)
            return
        self._running[part].send_signal(signal.SIGKILL)
        self.kills.append((time.time(), part))
        self._running[part].wait()
        self.begin(part)

    def _kill_served(self, part: str) -> None:
        """Kill `serve`, whose others end by themselves then; the process that tells, which it starts again; or both."""
        process = self._running["serve"]
        tells = _telling_of(process.pid)
        if part == "serve" or tells is None:
            process.send_signal(signal.SIGKILL)
            part = "serve"
        if part == "all":
            process.send_signal(signal.SIGKILL)
        if part != "serve" and tells is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(tells, signal.SIGKILL)
        self.kills.append((time.time(), "serve" if part == "serve" else "notifier"))
        if part != "notifier":
            process.wait()
            self.begin("serve")

    def live(self, kills: int) -> None:
        """Let alerts fire and end while the processes are killed; half of the kills soon after a message came."""
        for part in self.parts:
            self.begin(part)
        for number in range(kills):
            self.put(self.draw.choice(LABELS), self.draw.choice(_VALUES))
            if number % 2:
                self._after_a_message()
                self.kill("notifier")
            else:
                time.sleep(self.draw.uniform(0.2, 2.5))
                self.kill(self.draw.choice((*self.parts, "all") if self.parts == SERVED else (*self.parts,)))
        self._until_told()

    def _until_told(self, seconds: float = 90) -> None:
        """On a slow machine each may have been killed before it had told anybody of anything."""
        for label in LABELS:
            self.put(label, 60)
        until = time.monotonic() + seconds
        while not self.box.got:
            assert time.monotonic() < until, "nobody was told of anything"
            time.sleep(0.2)

    def put(self, label: str, orders: int) -> None:
        """Let a condition begin or end."""
        run_sql(self.home.conninfo, f"update waiting set orders = {orders} where name = '{label}'")

    def settle(self, seconds: float = 90) -> None:
        """Let all end, and wait until everybody was told of it."""
        for label in LABELS:
            self.put(label, 1)
        until = time.monotonic() + seconds
        while self._open():
            assert time.monotonic() < until, (self._open(), (self.home.directory / "notifier.log").read_text())
            time.sleep(0.2)

    def _open(self) -> list[tuple[object, ...]]:
        open_ = self.home.rows("select id, state from episode where ended_at is null")
        untold = self.home.rows(
            "select id, '' from episode e where fired_at is not null and not exists"
            " (select from_.id from delivery from_ where from_.episode = e.id and from_.event = 'end')"
        )
        return open_ + untold + self.home.rows("select id, state from delivery where state in ('waiting', 'sending')")

    def end(self) -> None:
        """End what runs."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()

    def _after_a_message(self) -> None:
        """Until a message has come, and a moment more: there, a kill may come between the 250 and our commit."""
        before, until = len(self.box.got), time.monotonic() + 2.5
        for label in self.draw.sample(LABELS, 2):
            self.put(label, self.draw.choice(_VALUES))
        while len(self.box.got) == before and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(self.draw.uniform(0, 0.03))

    def count(self) -> Counted:
        """What came, beside what the ledger says should have come."""
        came: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
        for mail in self.box.got:
            whole = ", ".join(" ".join(str(value).split()) for name, value in mail.items() if name.startswith(HEADER))
            for one in whole.split(", "):
                came[one].append((float(mail["X-Began"]), float(mail["X-Came"]), whole))
        rows = self.home.rows("select episode, contact, event, sent_at, state from delivery")
        wanted = {id_of(episode, who, event): sent for episode, who, event, sent, _ in rows}
        fired = [id for (id,) in self.home.rows("select id from episode where fired_at is not null")]
        must = {f"{id}/Admin/{event}" for id in fired for event in ("start", "end")} | set(wanted)
        twice, strange, commit = {}, [], []
        killed = [at for at, part in self.kills if part == "notifier"]
        for id, times in came.items():
            for (began, first, whole), (_, second, again) in itertools.pairwise(times):
                between = [at for at in killed if began <= at <= second]
                if between and whole == again:
                    twice[id] = (between[0] - first) * 1000
                else:
                    strange.append(f"{id}: {first:.3f} {whole!r}, {second:.3f} {again!r}")
            if len(times) == 1 and wanted.get(id):
                commit.append((parse_iso(wanted[id]).timestamp() - times[0][1]) * 1000)
        strange += [id for id in came if id not in wanted]
        return Counted(len(fired), len(wanted), sorted(must - set(came)), twice, strange, commit)


def _telling_of(parent: int) -> int | None:
    """The process that measures and tells, of a `serve`; None: there is none at this moment."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            with contextlib.suppress(OSError):
                if b"--tell" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
    return None


@contextlib.contextmanager
def telling(
    directory: Path, conninfo: str, box: Mailbox, port: int, seed: int, parts: dict[str, list[str]]
) -> Iterator[Telling]:
    """A home on a database with a table whose rows are conditions."""
    run_sql(conninfo, "create table waiting (name text, orders int)")
    for label in LABELS:
        run_sql(conninfo, f"insert into waiting values ('{label}', 1)")
    home = Home(directory, conninfo)
    home.write("", more=f'[notify]\nmail = "mailto://127.0.0.1:{port}?from=tabsync@example.org&smtp=127.0.0.1"')
    (directory / "manual.md").write_text(MANUAL + CONTACTS.replace("| hook |", "| mail |"))
    made = Telling(home, box, random.Random(seed), parts)
    try:
        yield made
    finally:
        made.end()

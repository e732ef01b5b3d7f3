"""The scheduler: it starts what is due, each as a process of its own, and records how it ended.

It holds nothing in memory that matters: what was started is in the ledger before it runs, and how it ended is in the
job's directory. Killed at any moment, the next one takes up from there. A started occurrence is a row whose key is the
item and its time, so nothing is started twice, whatever the clock does.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from threading import Event

from sqlalchemy.exc import SQLAlchemyError

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import FailedPartway, Refused, TabsyncError, words_of
from tabsync.manual.model import Manual
from tabsync.schedule.expected import Version
from tabsync.schedule.judge import Record
from tabsync.schedule.newest import known_since, span_of
from tabsync.schedule.record import known_subject, records
from tabsync.service import jobs
from tabsync.service.chores import Chores
from tabsync.service.due import Start, due_now, next_look, startable, waits_for_a_backup
from tabsync.service.elsewhere import Elsewhere
from tabsync.service.heartbeat import Heartbeat
from tabsync.service.in_force import InForce
from tabsync.service.lease import Lease, LostLease
from tabsync.service.runs import Runs, environment_of, job_of
from tabsync.service.troubles import Troubles, trouble_of
from tabsync.service.watched import Watched
from tabsync.system.claims import is_claimed
from tabsync.system.parent import is_orphan
from tabsync.workspace import Workspace

AT_ONCE = 2
"""How many runs of the schedule go at the same time, where tabsync.toml doesn't say."""

_RENEW = 5.0  # seconds between two renewals of the lease
_PATIENCE = 45.0  # seconds: longer than who writes the ledger is waited for, and than a lease lasts
_FAILED = (SQLAlchemyError, TabsyncError, OSError)
"""The ledger is locked, or its disk is full: nothing is started that could not be recorded."""


@dataclass(slots=True)
class Scheduler:
    """Keeps the schedule of a workspace.

    name: of this service; an item may be `on` it; here: this machine's zone.

    patience: seconds that runs are given to end by themselves when the service ends.
    """

    workspace: Workspace
    name: str
    here: tzinfo
    at_once: int = AT_ONCE
    say: Callable[[str], None] = lambda _line: None
    heartbeat: Heartbeat = field(default_factory=lambda: Heartbeat(""))
    stopping: Event = field(default_factory=Event)
    patience: float = 60.0
    _single: bool = False
    _troubles: Troubles = field(init=False)
    _manual: InForce = field(init=False)
    _elsewhere: Elsewhere = field(init=False)
    _runs: Runs = field(init=False)
    _lease: Lease = field(init=False)
    _chores: Chores = field(init=False)
    _keeping: bool = False
    _next_renewal: float = 0.0
    _look_at: datetime | None = None
    _last: datetime | None = None
    _woken: int = 0
    _watched: dict[str, Watched] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._troubles = Troubles(self.name, self.say, self.workspace.home)
        self._manual = InForce(self.workspace, self._troubles)
        self._elsewhere = Elsewhere(self.workspace, self.say)
        self._chores = Chores(self.workspace, self.say)
        self._runs = Runs(self.workspace, self.name, self.here, self.heartbeat, self.say)
        holder = f"{self.name}/{socket.gethostname()}/{os.getpid()}/{iso(now())}"
        self._lease = Lease(self.workspace.ledger(), holder, self.workspace.home)

    def run(self, pause: float = 1.0) -> None:
        """Keep the schedule until `stopping` is set, or the `serve` that keeps this process is gone."""
        while not self.stopping.is_set() and not is_orphan():
            self.step()
            self.stopping.wait(pause)
        self.end()

    def once(self, pause: float = 0.2) -> int:
        """Do what is due now, wait until it has ended; returns how many runs that were.

        Raises Refused when another service keeps the schedule, FailedPartway when the ledger fails for too long.
        """
        count, until, self._single = 0, time.monotonic() + _PATIENCE, True
        while not self.stopping.is_set():
            count += self.step()
            if self._stuck or not self._keeping:
                if time.monotonic() > until:
                    self.end()
                    raise self._given_up()
            else:
                until = time.monotonic() + _PATIENCE
            if self._keeping and not self._runs.running() and not self._due():
                break
            self.stopping.wait(pause if self._keeping else 1.0)
        self.end()
        return count

    @property
    def _stuck(self) -> str:
        """What keeps it from starting anything, or ""."""
        return self._troubles.fact("ledger") or self._troubles.fact("home")

    def _given_up(self) -> TabsyncError:
        if trouble := self._stuck:
            return FailedPartway(trouble, "check the ledger, and start it again: what was not done is still due")
        return Refused("another service keeps the schedule", "to see which: tabsync status")

    @property
    def failures(self) -> int:
        """How many items were started and not done."""
        return len(self._runs.failed)

    def step(self) -> int:
        """One look: end what ended, start what is due. Returns how many were started; a failing ledger is told."""
        try:
            if not self._take():
                self._manual.ask()
                return 0
            self._elsewhere.look(wait=self._single)
            changed = self._manual.follow()
            if changed:
                self.say("the schedule of the manual is in force")
            ended = self._runs.finish(self._manual.items())
            started = self._start_due() if changed or ended or self._is_time() else 0
            self._watch()
            self._chores.look()
            self._troubles.note("heartbeat", self.heartbeat.failed)
            self._troubles.note("proofs", self._elsewhere.trouble)
            for what in ("ledger", "home"):
                self._troubles.note(what, "")
            if self._troubles.is_time():
                self._troubles.beat(self.workspace.ledger())
                self._runs.ping("fail" if self._troubles.fact("manual") else "")
        except LostLease:
            self._keeping, self._next_renewal = False, 0.0
            return 0
        except _FAILED as error:
            self._look_at = None
            self._troubles.note(*trouble_of(error))
            if self._keeping and self._troubles.is_time():
                with suppress(*_FAILED):
                    self._troubles.beat(self.workspace.ledger())
            return 0
        return started

    def _take(self) -> bool:
        """Hold the lease; False while another service does."""
        moment = time.monotonic()
        if self._keeping and moment < self._next_renewal:
            return True
        had, self._keeping = self._keeping, self._lease.take()
        self._next_renewal = moment + _RENEW
        standing_by = "another service keeps the schedule: this one stands by"
        self._troubles.note("standby", "" if self._keeping else standing_by)
        if self._keeping and not had:
            self._look_at = None
        return self._keeping

    def _is_time(self) -> bool:
        """Whether to look for what is due: it is time, somebody asked for it, or the clock was set."""
        moment = now()
        jumped = self._last is not None and not timedelta(seconds=-1) < moment - self._last < timedelta(minutes=1)
        self._last = moment
        woken = _mtime(self.workspace.home / "wake")
        asked = woken != self._woken
        self._woken = woken
        return self._look_at is None or jumped or asked or moment >= self._look_at

    def _known(self) -> tuple[list[Version], dict[str, Record]]:
        """The manuals that were in force, and what is on record of the items of the last one."""
        found = self._manual.versions()
        items = [one for one in (found[-1].items if found else ()) if startable(one)]
        known: dict[str, Record] = {}
        moment, manual = now(), self._manual.manual or Manual()
        for span in {span_of(one) for one in items}:
            group = [one for one in items if span_of(one) == span]
            since = min(known_since(found, one, moment, self.here) for one in group)
            known |= records(self.workspace.ledger(), group, manual, known_subject(self.workspace), since)
        return found, known

    def _due(self) -> Sequence[Start]:
        found, known = self._known()
        return due_now(found, known, now(), self.here, (self.name,))

    def _start_due(self) -> int:
        found, known = self._known()
        moment = now()
        elsewhere = {row["item"] for row in self.workspace.ledger().read("open_occurrences")}
        running = {row["item"] for row in self._runs.running()}
        started, left = 0, False
        for one in due_now(found, known, moment, self.here, (self.name,)):
            item = one.occurrence.item
            if item.key in running or item.key in elsewhere or is_claimed(jobs.by_hand(self._runs.place, item.key)):
                continue
            if waits_for_a_backup(item, running):
                continue  # it is looked at again when something has ended
            if len(running) >= self.at_once:
                left = True
                break
            if self._runs.start(one, known_subject(self.workspace), self._lease):
                running.add(item.key)
                started += 1
        self._look_at = moment if left else next_look(found, known, moment, self.here)
        return started

    def _watch(self) -> None:
        """Keep what never ends running: what stands under Continuously, once it is approved."""
        items = self._manual.items()
        wanted = {one.name: one for one in items if one.when.kind == "continuous" and one.words and one.built}
        known = records(self.workspace.ledger(), wanted.values(), Manual(), "", now()) if wanted else {}
        for name, item in wanted.items():
            approved = not item.approval or known[item.key].approved(item) is not None
            if not approved and name in self._watched:
                self._watched.pop(name).end()
            if approved and item.terms.on in ("", self.name):
                watched = self._watched.setdefault(name, Watched(self._runs.place / f"continuous-{name}"))
                watched.keep(job_of(item, None, ""), environment_of(self.workspace, item), self.say)
        for name in [*self._watched]:
            if name not in wanted:
                self._watched.pop(name).end()

    def end(self) -> None:
        """Let what runs end, then interrupt it, then give the lease up."""
        if self._keeping:
            try:
                for watched in self._watched.values():
                    watched.end()
                self._runs.end(self._manual.items(), self.patience)
                self._troubles.note("stopped", "the scheduler was stopped")
                self._troubles.beat(self.workspace.ledger())
            except _FAILED as error:
                self.say(f"could not record how the runs ended: {words_of(error)}")
        self.heartbeat.flush()
        self._troubles.note("heartbeat", self.heartbeat.failed)
        with suppress(*_FAILED):  # it runs out by itself
            self._lease.release()
        self._keeping = False


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0

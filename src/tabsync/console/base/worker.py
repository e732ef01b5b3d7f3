"""Plans that were shown, and the threads that run them, through the same functions as the command line.

A plan is kept here from the moment it is shown until it runs, so what was approved is what runs: the form that starts
it names its digest and nothing else. Runs go side by side, unless their steps claim the same object: the journal
refuses the second then.
"""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tabsync.kernel.errors import BadUsage, FailedPartway, Interrupted, Refused, TabsyncError
from tabsync.kernel.plan import Plan, check_approval
from tabsync.kernel.procedure import Planned, Procedure
from tabsync.kernel.step import Step
from tabsync.ledger.stop import who_stops
from tabsync.ledger.tables import run as run_table
from tabsync.procedures import carry_out
from tabsync.workspace import Workspace, with_actor

KEPT = 600.0
"""Seconds for which a plan that was shown can be started."""

_SHELF = 50

_BEGIN = 10.0  # seconds to wait for a run to be on record

AT_ONCE = 4
"""How many runs of a console may go at a time."""

_LOOK = 1.0  # seconds between two looks at whether somebody asked a run to end

_log = logging.getLogger("tabsync.console")


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan that an operator looks at. at: monotonic seconds; command: it, as one would type it."""

    procedure: Procedure
    request: Any
    made: Planned[Workspace]
    operator: str
    at: float
    command: str

    @property
    def plan(self) -> Plan:
        """What would run."""
        return self.made.plan

    @property
    def notes(self) -> tuple[str, ...]:
        """What it leaves out or brings along, in words."""
        return self.made.notes


@dataclass(slots=True)
class Progress:
    """How far the open step of a running plan is. Written by its thread, read by pages."""

    step: str = ""
    done: float = 0.0
    total: float = 0.0
    unit: str = ""


@dataclass(slots=True)
class Watcher:
    """The runner's listener. A step that reports its progress is where a stop takes hold."""

    progress_of: Progress
    stopping: threading.Event
    begun: threading.Event = field(default_factory=threading.Event)
    failure: TabsyncError | None = None
    place: Path | None = None
    """The claim of its run, once that is known."""
    _told: bool = False
    _looked: float = 0.0

    def step_started(self, number: int, total: int, step: Step) -> None:
        """Note which step is open; the run is on record now."""
        self.progress_of.step, self.progress_of.total = step.key, 0.0
        self.begun.set()

    def progress(self, done: float, total: float, unit: str) -> None:
        """Note how far it is."""
        # Raised inside the step, so that the runner records it and still takes away what was made; and only once, since
        # the steps that do so may report progress too.
        if not self._told and (why := self._asked_to_end()):
            self._told = True
            raise Interrupted(why, "to start it again: make a new plan; incomplete results are not listed")
        self.progress_of.done, self.progress_of.total, self.progress_of.unit = done, total, unit

    def step_ended(self, step: Step, seconds: float, error: str) -> None:
        """Nothing is open."""
        self.progress_of.step = ""

    def _asked_to_end(self) -> str:
        if self.stopping.is_set():
            return "the console was stopped"
        moment = time.monotonic()
        if self.place is None or moment - self._looked < _LOOK:
            return ""
        self._looked = moment
        who = who_stops(self.place)
        return f"stopped by {who}" if who else ""


@dataclass(slots=True)
class Started:
    """A run of ours. run: its id, "" until it is on record."""

    digest: str
    thread: threading.Thread
    listener: Watcher
    run: str = ""


@dataclass(slots=True)
class Worker:
    """Runs plans for a workspace, each in a thread of its own. clock: monotonic seconds."""

    workspace: Workspace
    clock: Callable[[], float] = time.monotonic
    _shelf: dict[tuple[str, str], Shown] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _beginning: threading.Lock = field(default_factory=threading.Lock)
    _started: list[Started] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _kept: list[str] = field(default_factory=list)

    def show(self, procedure: Procedure, request: Any, made: Planned[Workspace], operator: str) -> str:
        """Keep a plan that is about to be shown; returns its digest, by which it can be started."""
        command = shlex.join(["tabsync", *(made.typed or procedure.command_line(request))])
        digest = made.plan.digest()
        with self._lock:
            self._expire()
            while len(self._shelf) >= _SHELF:
                del self._shelf[next(iter(self._shelf))]
            self._shelf[digest, operator] = Shown(procedure, request, made, operator, self.clock(), command)
            if made.keeps:
                self._keep(made.keeps)
        return digest

    def _keep(self, names: Sequence[str]) -> None:
        """A plan keeps something for the one that follows it: what earlier ones kept goes, unless one is under way."""
        if not self.busy():
            for name in self._kept:
                self.workspace.delete(self.workspace.scratch(name))
            self._kept.clear()
        self._kept += names

    def shown(self, digest: str, operator: str) -> Shown:
        """The plan that was shown to an operator. Raises BadUsage when it ran, expired, or was shown to another."""
        with self._lock:
            self._expire()
            found = self._shelf.get((digest, operator))
        if found is None:
            raise BadUsage("this plan was already started or is older than 10 minutes", "make a new plan")
        return found

    def start(self, digest: str, operator: str, typed: str | None = None) -> str:
        """Run a plan that was shown, in the operator's name; returns the run's id as soon as it is on record.

        typed: what the operator typed to confirm a destructive plan.
        Raises BadUsage as shown() does, Refused when it isn't confirmed, a run that is under way uses the same, too
        many are, or the run could not begin.
        """
        shown = self.shown(digest, operator)
        plan = shown.plan
        if shown.made.only_look or not plan.steps:
            raise Refused("this plan has nothing to run", "to carry it out, make a plan that asks for it")
        approval = check_approval(plan, typed=typed, yes=False)
        with self._beginning:  # one after the other: that which is new in the ledger is this one
            return self._begin(shown, digest, operator, approval)

    def _begin(self, shown: Shown, digest: str, operator: str, approval: str) -> str:
        listener = Watcher(Progress(), self._stopping)
        with self._lock:
            if len(self._running()) >= AT_ONCE:
                raise Refused(f"{AT_ONCE} runs are under way, and no more go at a time", "the page Runs shows them")
            earlier = self._runs_of(digest)
            if self._shelf.pop((digest, operator), None) is None:
                raise BadUsage("this plan was already started", "the page Runs shows it")
            arguments = (self.workspace, shown, listener, approval)
            thread = threading.Thread(target=_work, args=arguments, name="console-worker", daemon=True)
            started = Started(digest, thread, listener)
            self._started = [*self._running(), started]
            thread.start()
        listener.begun.wait(_BEGIN)
        if listener.failure is not None:
            raise listener.failure
        new = [run for run in self._runs_of(digest) if run not in earlier]  # the same plan may have run before
        if not new:
            raise Refused("the run has not started yet", "the page Runs shows it")
        started.run = new[0]
        listener.place = self.workspace.ledger().claims / new[0]
        return new[0]

    def busy(self, digest: str | None = None) -> bool:
        """Whether a run of ours is under way; digest: whether it is that of this plan."""
        return any(digest in (None, one.digest) for one in self._running())

    def progress_of(self, run: str) -> Progress | None:
        """How far a run is; None when it is not one of ours that are under way."""
        return next((one.listener.progress_of for one in self._running() if one.run == run), None)

    def wait(self, run: str, timeout: float) -> bool:
        """Wait until a run of ours has ended; returns whether it has."""
        for one in self._running():
            if one.run == run:
                one.thread.join(timeout)
        return self.progress_of(run) is None

    def stop(self, timeout: float) -> bool:
        """Ask what runs to end at its next report of progress, and wait; returns whether it did."""
        self._stopping.set()
        until = time.monotonic() + timeout
        for one in self._running():
            one.thread.join(max(0.0, until - time.monotonic()))
        return not self.busy()

    def _running(self) -> list[Started]:
        return [one for one in self._started if one.thread.is_alive()]

    def _runs_of(self, digest: str) -> list[str]:
        query = select(run_table.c.id).where(run_table.c.plan_digest == digest)
        with self.workspace.ledger().engine.connect() as connection:
            return [str(run) for run in connection.execute(query).scalars()]

    def _expire(self) -> None:
        oldest = self.clock() - KEPT
        self._shelf = {key: shown for key, shown in self._shelf.items() if shown.at > oldest}


def _work(workspace: Workspace, shown: Shown, listener: Watcher, approval: str) -> None:
    # What fails inside a step is in the ledger. What fails before there is a run is told to whoever started it.
    made = shown.made
    if made.workspace is not None:
        made = replace(made, workspace=with_actor(made.workspace, shown.operator))
    try:
        carry_out(
            shown.procedure,
            with_actor(workspace, shown.operator),
            shown.request,
            made,
            listener,
            approval=approval,
        )
    except TabsyncError as error:
        listener.failure = error
    except Exception as error:  # noqa: BLE001 - the thread's edge
        _log.exception("%s could not be run", made.plan.procedure)
        listener.failure = FailedPartway(f"{made.plan.procedure}: {type(error).__name__}", "read the console's log")
    finally:
        listener.begun.set()
        if made.done:
            made.done()

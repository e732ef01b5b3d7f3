"""Plans that were shown, and the one thread that runs them, through the same functions as the command line.

A plan is kept here from the moment it is shown until it runs, so what was approved is what runs: the form that starts
it names its digest and nothing else.
"""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select

from tabsync.kernel.errors import BadUsage, FailedPartway, Refused, TabsyncError
from tabsync.kernel.plan import Plan, check_approval
from tabsync.kernel.procedure import Planned, Procedure
from tabsync.kernel.step import Step
from tabsync.ledger.runs import mark_interrupted, recent_runs
from tabsync.ledger.tables import run as run_table
from tabsync.procedures import carry_out
from tabsync.workspace import Workspace, with_actor

KEPT = 600.0
"""Seconds for which a plan that was shown can be started."""

_SHELF = 50

_BEGIN = 10.0  # seconds to wait for a run to be on record

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
    """How far the open step of the running plan is. Written by the worker's thread, read by pages."""

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

    def step_started(self, number: int, total: int, step: Step) -> None:
        """Note which step is open; the run is on record now."""
        self.progress_of.step, self.progress_of.total = step.key, 0.0
        self.begun.set()

    def progress(self, done: float, total: float, unit: str) -> None:
        """Note how far it is."""
        if self.stopping.is_set():
            # Raised inside the step, so that the runner records it and still takes away what was made.
            raise Refused("the console was stopped", "run it again")
        self.progress_of.done, self.progress_of.total, self.progress_of.unit = done, total, unit

    def step_ended(self, step: Step, seconds: float, error: str) -> None:
        """Nothing is open."""
        self.progress_of.step = ""


@dataclass(slots=True)
class Worker:
    """Runs one plan at a time for a workspace. clock: monotonic seconds."""

    workspace: Workspace
    clock: Callable[[], float] = time.monotonic
    progress: Progress = field(default_factory=Progress)
    _shelf: dict[tuple[str, str], Shown] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None
    _digest: str = ""
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
        Raises BadUsage as shown() does, Refused when it isn't confirmed, something runs already or the run could not
        begin.
        """
        shown = self.shown(digest, operator)
        plan = shown.plan
        if shown.made.only_look or not plan.steps:
            raise Refused("this plan has nothing to run", "to carry it out, make a plan that asks for it")
        approval = check_approval(plan, typed=typed, yes=False)
        listener = Watcher(self.progress, self._stopping)
        with self._lock:
            self._refuse_second()
            earlier = self._runs_of(digest)
            if self._shelf.pop((digest, operator), None) is None:
                raise BadUsage("this plan was already started", "the page Runs shows it")
            arguments = (self.workspace, shown, listener, approval)
            thread = threading.Thread(target=_work, args=arguments, name="console-worker", daemon=True)
            self._thread, self._digest = thread, digest
            thread.start()
        listener.begun.wait(_BEGIN)
        if listener.failure is not None:
            raise listener.failure
        new = [run for run in self._runs_of(digest) if run not in earlier]  # the same plan may have run before
        if not new:
            raise Refused("the run has not started yet", "the page Runs shows it")
        return new[0]

    def busy(self, digest: str | None = None) -> bool:
        """Whether a run of ours is under way; digest: whether it is that of this plan."""
        alive = self._thread is not None and self._thread.is_alive()
        return alive and digest in (None, self._digest)

    def wait(self, run: str, timeout: float) -> bool:
        """Wait until a run of ours has ended; returns whether it has."""
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.busy()

    def stop(self, timeout: float) -> bool:
        """Ask what runs to end at its next report of progress, and wait; returns whether it did."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.busy()

    def _refuse_second(self) -> None:
        mark_interrupted(self.workspace.ledger())  # or one whose process died would stand in the way for ever
        running = [one for one in recent_runs(self.workspace.ledger()) if one["state"] == "running"]
        if running:
            one = running[0]
            raise Refused(
                f"{one['procedure']} by {one['actor']} is still running", "wait until it ends; the page Runs shows it"
            )
        if self.busy():
            raise Refused("another run is just starting or ending", "try again in a moment")

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

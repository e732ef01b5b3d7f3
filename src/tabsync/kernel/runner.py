"""The inline runner: the one way a plan is executed when nothing else is to be trusted.

Intent is written to the journal before each step and the outcome after it, so a process that dies in between leaves
a record that says which step was open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tabsync.kernel.deadline import ended_after
from tabsync.kernel.errors import FailedPartway, Interrupted, TabsyncError, words_of
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Context, Facts, Step, resolve
from tabsync.kernel.units import human_seconds


class Journal(Protocol):
    """Where a run is recorded (the ledger; a list in unit tests)."""

    def begin(self, plan: Plan, approval: str) -> str:
        """Record that the plan is about to run; returns the run's id."""

    def step_started(self, run_id: str, number: int, step: Step) -> None:
        """Record the intent to run a step."""

    def step_finished(self, run_id: str, number: int, facts: Facts, seconds: float) -> None:
        """Record what a step did."""

    def step_failed(self, run_id: str, number: int, fact: str, hint: str, seconds: float) -> None:
        """Record that a step failed."""

    def finish(self, run_id: str, state: str) -> None:
        """Record the end: "done" or "failed"."""


class Listener(Protocol):
    """Who watches a run: the terminal, the console, nobody."""

    def step_started(self, number: int, total: int, step: Step) -> None:
        """A step begins."""

    def progress(self, done: float, total: float, unit: str) -> None:
        """The open step got this far."""

    def step_ended(self, step: Step, seconds: float, error: str) -> None:
        """A step ended; error is "" when it went well."""


class Quiet:
    """A listener that shows nothing."""

    def step_started(self, number: int, total: int, step: Step) -> None:
        """Nothing to show."""

    def progress(self, done: float, total: float, unit: str) -> None:
        """Nothing to show."""

    def step_ended(self, step: Step, seconds: float, error: str) -> None:
        """Nothing to show."""


@dataclass(slots=True)
class Outcome:
    """What came of a run. seconds: time of each step, by key; error: what stopped it, or None."""

    run_id: str
    results: dict[str, Facts] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    error: BaseException | None = None
    failed_step: str = ""

    def raise_if_failed(self) -> None:
        """Raise what stopped the run, if anything did."""
        if self.error is not None:
            raise self.error


Boundary = Callable[[str, str], None]
"""Called with ("before" | "after", step key) at every boundary; fault tests kill the process here."""


def run(
    plan: Plan,
    workspace: Any,
    journal: Journal,
    listener: Listener | None = None,
    *,
    approval: str = "not needed",
    boundary: Boundary | None = None,
) -> Outcome:
    """Run a plan's steps in order in this process; after a failure only the `always` steps still run.

    Never raises for a step's failure: the Outcome carries it. KeyboardInterrupt is carried the same way, after the
    `always` steps had their turn. So is a journal that can't be written any more (its disk is full): no step runs
    without its intent on record, but those that take away what was half made.
    """
    listener = listener or Quiet()
    outcome = Outcome(run_id=journal.begin(plan, approval))
    for number, step in enumerate(plan.steps, start=1):
        if outcome.error is not None and not step.always:
            continue
        if boundary:
            boundary("before", step.key)
        try:
            _run_step(number, step, plan, outcome, workspace, journal, listener)
        except KeyboardInterrupt as error:  # between the steps: while their outcome was recorded or shown
            _carry(outcome, step.key, told_error(step, error))
        if boundary:
            boundary("after", step.key)
    _recorded(outcome, "the end", lambda: journal.finish(outcome.run_id, "failed" if outcome.error else "done"))
    return outcome


def _run_step(
    number: int, step: Step, plan: Plan, outcome: Outcome, workspace: Any, journal: Journal, listener: Listener
) -> None:
    results: Mapping[str, Facts] = outcome.results
    intended = _recorded(outcome, step.key, lambda: journal.step_started(outcome.run_id, number, step))
    if not intended and not step.always:
        return
    listener.step_started(number, len(plan.steps), step)
    started = time.monotonic()
    try:
        with ended_after(step.deadline) as late:
            context = Context(workspace, outcome.run_id, results, listener.progress)
            facts = resolve(step)(context, **step.arguments)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every failure must reach the record
        seconds = time.monotonic() - started
        told = too_late(step, plan) if late() else told_error(step, error)
        outcome.seconds[step.key] = seconds
        _carry(outcome, step.key, told)
        _recorded(outcome, step.key, lambda: journal.step_failed(outcome.run_id, number, told.fact, told.hint, seconds))
        listener.step_ended(step, seconds, told.fact)
        return
    seconds = time.monotonic() - started
    outcome.results[step.key] = facts
    outcome.seconds[step.key] = seconds
    _recorded(outcome, step.key, lambda: journal.step_finished(outcome.run_id, number, facts, seconds))
    listener.step_ended(step, seconds, "")


def _carry(outcome: Outcome, key: str, error: TabsyncError) -> None:
    if outcome.error is None:
        outcome.error, outcome.failed_step = error, key


def _recorded(outcome: Outcome, key: str, write: Callable[[], None]) -> bool:
    try:
        write()
    except Exception as error:  # noqa: BLE001 - whatever the journal is made of
        fact = f"could not record {key}: {words_of(error)}"
        told = FailedPartway(fact, "check that the ledger can be written: its disk, its permissions")
        told.__cause__ = error
        _carry(outcome, key, told)
        return False
    return True


def too_late(step: Step, plan: Plan) -> TabsyncError:
    """What is said of a step that was ended by its deadline."""
    return FailedPartway(
        f"{step.title}: took longer than {human_seconds(step.deadline or 0)} and was ended",
        f"to see which steps were done: tabsync run show latest; to try again: tabsync {plan.procedure}",
    )


def told_error(step: Step, error: BaseException) -> TabsyncError:
    """Turn whatever a step raised into an error with a fact and a hint."""
    if isinstance(error, TabsyncError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(
            f"interrupted during the step {step.title!r}", "run it again; incomplete results are not listed"
        )
    hint = "to see which steps were done: tabsync run show latest"
    if getattr(error, "sqlstate", None) == "22021":  # character_not_in_repertoire: SQL_ASCII accepts any bytes
        hint = "the text is not valid UTF-8, so it can't be compared; restore the whole table: tabsync restore tables"
    told = FailedPartway(f"{step.title}: {words_of(error)}", hint)
    told.__cause__ = error
    return told

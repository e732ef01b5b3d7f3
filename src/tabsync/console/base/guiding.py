"""Runbooks that are gone through in a browser: a thread goes, and waits at each question until a form answers it.

What is asked has a number of its own, which the form names: an answer to a plan that is not the one on the page, or to
a question that another one has answered, does nothing. The thread holds the run's claim, so another person, here or on
the command line, can watch it and take it over; killed with the console, the run is taken up from the ledger.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tabsync.console.base.worker import Progress, Watcher
from tabsync.kernel.errors import BadUsage, Refused, TabsyncError
from tabsync.kernel.page import Page
from tabsync.kernel.runner import Listener
from tabsync.kernel.step import Risk
from tabsync.ledger.stop import who_stops
from tabsync.manual.model import Step
from tabsync.runbooks.candidates import Likely
from tabsync.runbooks.going import Choice, go
from tabsync.runbooks.guide import Guide, begin
from tabsync.runbooks.parent import risk_of
from tabsync.runbooks.recovery import Waited
from tabsync.runbooks.step import Prepared, Result
from tabsync.runbooks.taken_up import take
from tabsync.workspace import Workspace, with_actor

_LOOK = 0.5  # seconds between two looks at whether somebody takes the run over
_BEGIN = 15.0  # seconds for a run to be on record

_log = logging.getLogger("tabsync.console")


_YES = {"fill": "do", "decide": "do", "does": "done", "failed": "again"}
"""The word of each kind of question that goes on with the step; skip and stop are the others."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a run waits for. number: of this question; page: what it is about; likely: what a step leaves open."""

    number: int
    kind: Literal["fill", "decide", "does", "failed"]
    step: int
    page: Page | None = None
    risk: Risk = Risk.READ
    confirm: str = ""
    needless: bool = False
    unsure: bool = False
    likely: Mapping[str, list[Likely]] = field(default_factory=dict)
    fact: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a form says to it."""

    what: str
    note: str = ""
    typed: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    by_admin: bool = False


class Left(Exception):
    """The console ends, or somebody else took the run over."""


class _Impatient(Exception):
    """Somebody goes on without waiting."""


@dataclass(slots=True)
class InBrowser:
    """The person of a run that is gone through in a browser: see runbooks.going.Person."""

    operator: str
    stopping: threading.Event
    guide: Guide | None = None
    question: Question | None = None
    held: tuple[float, float] | None = None
    """For how long what it waits for has held, and must hold; None when it doesn't wait."""
    seen: dict[tuple[int, str], list[Page]] = field(default_factory=dict)
    """What steps have shown, whole, by the number of the step and when it began."""
    progress: Progress = field(default_factory=Progress)
    begun: threading.Event = field(default_factory=threading.Event)
    impatient: threading.Event = field(default_factory=threading.Event)
    failure: TabsyncError | None = None
    _count: int = 0
    _answer: Answer | None = None
    _told: threading.Condition = field(default_factory=threading.Condition)

    def answer(self, number: int, given: Answer) -> None:
        """Answer the question of that number. Raises Refused when it isn't asked any more, or not so."""
        with self._told:
            asked = self.question
            if asked is None or asked.number != number or self._answer is not None:
                raise Refused("this was answered already, or is not asked any more", "look at the page again")
            if given.what not in (_YES[asked.kind], "skip", "stop"):
                raise Refused(f"{given.what!r} is no answer to this; nothing was changed", "look at the page again")
            if given.what not in ("skip", "stop") and asked.risk is Risk.DESTRUCTIVE:
                if not given.by_admin:
                    raise Refused("this step destroys something: only an admin may have it done", "ask an admin")
                if given.typed != asked.confirm:
                    raise Refused(f"{given.typed!r} is not {asked.confirm!r}; nothing was changed", "type it again")
            self._answer = given
            self._told.notify_all()

    def meets(self, guide: Guide, step: Step) -> None:
        """The page shows it."""
        self._check()

    def fills(self, step: Step, likely: Mapping[str, list[Likely]]) -> Mapping[str, str] | Choice:
        """Ask for what the step leaves open."""
        given = self._ask(kind="fill", step=step.number, likely=likely)
        if given.what != "do":
            return self._choice(given, Choice("stop"))
        return {name: given.values[name] for name in likely if given.values.get(name)}

    def decides(self, step: Step, what: Prepared, *, needless: bool, unsure: bool) -> Choice:
        """Show the plan, and ask."""
        plan = what.plan
        given = self._ask(
            kind="decide",
            step=step.number,
            page=what.page,
            risk=what.risk,
            confirm=plan.confirm if plan else "",
            needless=needless,
            unsure=unsure,
        )
        approval = "typed" if what.risk is Risk.DESTRUCTIVE else "asked"
        return self._choice(given, Choice("do", approval=approval))

    def does(self, step: Step) -> Choice:
        """Ask whether a person has done it."""
        given = self._ask(kind="does", step=step.number)
        return self._choice(given, Choice("done", given.note))

    def sees(self, step: Step, result: Result) -> None:
        """The record has it, but for what is private, which is kept here as long as the run is gone through."""
        if result.page is not None and self.guide is not None:
            begun = str(self.guide.row(step.number)["started_at"])
            self.seen = {key: pages for key, pages in self.seen.items() if key[0] != step.number or key[1] == begun}
            self.seen.setdefault((step.number, begun), []).append(result.page)

    def after_failure(self, step: Step, error: TabsyncError | None) -> Choice:
        """Go on after what only looks; ask about what was to act."""
        if risk_of(step) is Risk.READ:
            return Choice("skip", "went on after it failed")
        given = self._ask(
            kind="failed", step=step.number, fact=error.fact if error else "", hint=error.hint if error else ""
        )
        return self._choice(given, Choice("again"))

    def listener(self) -> Listener:
        """Who notes the progress, and lets a stop take hold."""
        watcher = Watcher(self.progress, self.stopping)
        if self.guide is not None:
            watcher.place = self.guide.record.ledger.claims / self.guide.id
        return watcher

    def waits(self, guide: Guide) -> Waited | None:
        """Wait for the metric, while the page shows for how long it has held."""
        self.impatient.clear()
        try:
            return guide.wait(self._holds)
        except _Impatient:
            return None
        finally:
            self.held = None

    def recovered(self, guide: Guide, waited: Waited) -> bool:
        """Stop: what is left can be looked up in the runbook."""
        return True

    def _holds(self, done: float, total: float, _unit: str) -> None:
        self.held = (done, total)
        if self.impatient.is_set():
            raise _Impatient
        self._check()

    def _choice(self, given: Answer, yes: Choice) -> Choice:
        if given.what == "skip":
            return Choice("skip", given.note or "left out")
        return Choice("stop") if given.what == "stop" else yes

    def _ask(self, **about: Any) -> Answer:
        with self._told:
            self._count += 1
            self.question, self._answer = Question(self._count, **about), None
            self.begun.set()
            while self._answer is None:
                self._told.wait(_LOOK)
                self._check()
            given, self.question, self._answer = self._answer, None, None
            return given

    def _check(self) -> None:
        if self.stopping.is_set():
            raise Left
        if self.guide is not None and who_stops(self.guide.record.ledger.claims / self.guide.id):
            raise Left


@dataclass(slots=True)
class Guides:
    """The runs that threads of this console go through."""

    workspace: Workspace
    _going: dict[str, tuple[InBrowser, threading.Thread]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def begin(self, title: str, operator: str, alert: str, alert_facts: Mapping[str, object]) -> str:
        """Begin to run a runbook in an operator's name; returns the run's id. Raises what keeps it from beginning."""
        person = InBrowser(operator, self._stopping)
        guide = begin(with_actor(self.workspace, operator), title, alert, dict(alert_facts))
        return self._go(guide, person, 0)

    def resume(self, run: str, operator: str, step: int = 0, *, over: bool = False) -> str:
        """Take a run up where it stands. step: the one to begin with, also one that was done. Raises Refused."""
        person = InBrowser(operator, self._stopping)
        guide = take(with_actor(self.workspace, operator), run, over=over)
        if step:
            guide.step(step)
        return self._go(guide, person, step)

    def of(self, run: str) -> InBrowser | None:
        """Who goes through a run here; None when nobody does."""
        found = self._going.get(run)
        return found[0] if found and found[1].is_alive() else None

    def answer(self, run: str, operator: str, number: int, given: Answer) -> None:
        """Answer what a run asks. Raises BadUsage when nobody goes through it here, Refused when another one does."""
        self._mine(run, operator).answer(number, given)

    def go_on(self, run: str, operator: str) -> None:
        """Wait no longer for what a run waits for. Raises as answer()."""
        self._mine(run, operator).impatient.set()

    def _mine(self, run: str, operator: str) -> InBrowser:
        person = self.of(run)
        if person is None:
            raise BadUsage("nobody goes through this run here any more", "take it up again")
        if person.operator != operator:  # what is done is on record in their name
            raise Refused(f"{person.operator} is carrying this run out", "take it over first")
        return person

    def stop(self, timeout: float) -> None:
        """Let go of all runs: they stay open."""
        self._stopping.set()
        until = time.monotonic() + timeout
        for _, thread in list(self._going.values()):
            thread.join(max(0.0, until - time.monotonic()))

    def _go(self, guide: Guide, person: InBrowser, first: int) -> str:
        person.guide = guide
        thread = threading.Thread(target=_go, args=(guide, person, first), name="console-runbook", daemon=True)
        with self._lock:
            self._going = {run: one for run, one in self._going.items() if one[1].is_alive()}
            self._going[guide.id] = (person, thread)
        thread.start()
        person.begun.wait(0.2)  # often there is something to answer at once
        return guide.id


def _go(guide: Guide, person: InBrowser, first: int) -> None:
    try:
        go(guide, person, first)
    except Left:
        pass
    except TabsyncError as error:
        person.failure = error
        _log.warning("runbook run %s: %s", guide.id, error.fact)
    except Exception:  # noqa: BLE001 - the thread's edge
        _log.exception("runbook run %s", guide.id)
    finally:
        guide.let_go()

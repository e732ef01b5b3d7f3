"""The way through a runbook, step by step, whoever goes it: a person at a terminal, a script, a game day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Risk
from tabsync.manual.model import Step, StepKind
from tabsync.runbooks import recovery
from tabsync.runbooks.placeholders import filled, open_in
from tabsync.runbooks.step import Prepared, Result, asks_who, parts_of, prepared
from tabsync.runbooks.way_back import is_for_now, way_back

if TYPE_CHECKING:
    from tabsync.kernel.runner import Listener
    from tabsync.runbooks.candidates import Likely
    from tabsync.runbooks.guide import Guide


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody decides about a step. note: what they did, or why; approval: how a plan was approved."""

    what: Literal["do", "done", "skip", "stop", "again"]
    note: str = ""
    approval: str = "not needed"


class Person(Protocol):
    """Who goes through the runbook."""

    def meets(self, guide: Guide, step: Step) -> None:
        """The next step is this one."""

    def fills(self, step: Step, likely: Mapping[str, list[Likely]]) -> Mapping[str, str] | Choice:
        """Values for what a step leaves open, or what becomes of the step without."""

    def decides(self, step: Step, what: Prepared, *, needless: bool, unsure: bool) -> Choice:
        """Whether a plan is carried out. needless: what the runbook is for holds already.

        unsure: its process died while it did this step, so nobody knows whether it was done.
        """

    def does(self, step: Step) -> Choice:
        """A step that the program can't do: whether it was done."""

    def sees(self, step: Step, result: Result) -> None:
        """What came of a command or a statement."""

    def after_failure(self, step: Step, error: TabsyncError | None) -> Choice:
        """What to do about a step that failed."""

    def listener(self) -> Listener | None:
        """Who shows the progress of a plan."""

    def waits(self, guide: Guide) -> recovery.Waited | None:
        """Wait until it has recovered; None: no, go on."""

    def recovered(self, guide: Guide, waited: recovery.Waited) -> bool:
        """It has recovered: whether to stop here, and leave out the steps that are left."""


def go(guide: Guide, person: Person, first: int = 0) -> recovery.Waited | None:
    """Go through the steps that are open, from a step on; gives what came of the last wait, if there was one.

    first: the number of the step to begin with, 0 for the first that is open. The run stays open when it is left before
    its end, and is ended when it has recovered, or when all of its steps were settled.
    """
    step = guide.step(first) if first else guide.next_step()
    waited: recovery.Waited | None = None
    since_waited = True
    if not first and step is not None and _has_acted(guide) and recovery.holds(guide.look()) is True:
        # Whoever acted died, or left, before it was measured: the next step may not be needed any more.
        waited, since_waited = person.waits(guide), False
        if waited and waited.recovered:
            step = _left_to_do(guide, person, waited, step)
            if step is None:
                guide.finish(waited)
                return waited
    while step is not None:
        person.meets(guide, step)
        acted = _through(guide, person, step)
        if acted is None:
            guide.let_go()
            return waited
        since_waited = since_waited or acted
        follows = guide.next_step(after=step.number) or guide.next_step()
        if acted and guide.runbook.recovers and not is_for_now(guide.runbook, step):
            waited, since_waited = person.waits(guide), False
            if waited and waited.recovered:
                follows = _left_to_do(guide, person, waited, follows)
                if follows is None:
                    guide.finish(waited)
                    return waited
        step = follows
    if guide.runbook.recovers and since_waited:
        waited = person.waits(guide)
    guide.finish(waited)
    return waited


def _left_to_do(guide: Guide, person: Person, waited: recovery.Waited, follows: Step | None) -> Step | None:
    """The step to go on with though it has recovered: what was done for the time being is always taken back."""
    back = way_back(guide)
    return back or (None if follows is None or person.recovered(guide, waited) else follows)


def _through(guide: Guide, person: Person, step: Step) -> bool | None:
    """One step, until it is settled: whether it changed anything; None: somebody stops here."""
    while True:
        parts = parts_of(step)
        if not parts:
            choice = person.does(step)
        else:
            choice = _carried_out(guide, person, step)
        if choice.what == "stop":
            return None
        if choice.what == "skip":
            guide.skip(step, choice.note)
        elif choice.what == "done" and not parts:
            guide.tick(step, choice.note)
        elif choice.what == "again":
            continue
        return choice.what == "done" and (choice.approval != "read" or not parts)


def _carried_out(guide: Guide, person: Person, step: Step) -> Choice:
    """Plan, show, ask, do. Gives "done" with approval "read" when nothing was changed."""
    values = person.fills(step, guide.likely(step)) if open_in(step) else {}
    if isinstance(values, Choice):
        return values
    guide.begin_step(step, dict(values))
    try:
        whole = filled(step, values)
    except TabsyncError as error:
        return _not_begun(guide, person, step, error)
    results: list[Result] = []
    approval = "read"
    for part in parts_of(whole):
        try:
            what = prepared(guide.workspace, whole, part)
        except TabsyncError as error:
            return _not_begun(guide, person, step, error)
        if what.risk is not Risk.READ:
            unsure = guide.was_interrupted(step)
            choice = person.decides(step, what, needless=_needless(guide, what), unsure=unsure)
            if choice.what != "do":
                guide.pause(step)
                return choice
            approval = choice.approval
        results.append(
            guide.carry_out(what, person.listener(), approval if what.risk is not Risk.READ else "not needed")
        )
        person.sees(step, results[-1])
        if not results[-1].is_good:
            break
    guide.ended(step, results, approval)
    if not all(one.is_good for one in results):
        return person.after_failure(step, next((one.error for one in results if one.error), None))
    return Choice("done", approval=approval)


def _not_begun(guide: Guide, person: Person, step: Step, error: TabsyncError) -> Choice:
    """It can't be planned."""
    guide.could_not_begin(step, error)
    person.sees(step, Result(None, 0.0, error))
    return person.after_failure(step, error)


def _needless(guide: Guide, what: Prepared) -> bool:
    """Whether acting would help nobody: a step before has said so, or what the runbook is for holds already.

    That it holds counts before anything was changed.
    """
    words = what.procedure.words if what.procedure else ""
    said = [data for one in guide.run["steps"] for data in (one["facts"] or {}).get("data", ())]
    if any(words in data.get("advises_against", ()) for data in said if isinstance(data, dict)):
        return True
    return not _has_acted(guide) and recovery.holds(guide.look()) is True


def _has_acted(guide: Guide) -> bool:
    """Whether a step before has changed anything."""
    return any((one["facts"] or {}).get("approval", "read") not in ("read", "") for one in guide.run["steps"])


def by_a_person(step: Step) -> bool:
    """Whether a person does a step: the program shows it only."""
    return step.kind in (StepKind.HUMAN, StepKind.SHELL) or asks_who(step)

"""The runner: order, what still runs after a failure, and a journal that knows the intent before the outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, Quiet, run
from tabsync.kernel.step import Call, Context, Facts, Step, call

HERE = __name__


@dataclass
class Notebook:
    """A journal in memory."""

    lines: list[tuple[Any, ...]] = field(default_factory=list)
    full: bool = False

    def begin(self, plan: Plan, approval: str) -> str:
        self.lines.append(("begin", approval))
        return "run-1"

    def step_started(self, run_id: str, number: int, step: Step) -> None:
        self._write("started", step.key)

    def step_finished(self, run_id: str, number: int, facts: Facts, seconds: float) -> None:
        self._write("finished", number, facts)

    def step_failed(self, run_id: str, number: int, fact: str, hint: str, seconds: float) -> None:
        self._write("failed", number, fact)

    def finish(self, run_id: str, state: str) -> None:
        self._write("finish", state)

    def _write(self, *line: Any) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.lines.append(line)


def work(context: Context[list[Any]], *, key: str, end: str = "") -> Facts:
    """A step: notes that it ran in the services (a list), then ends as told."""
    context.workspace.append((key, sorted(context.results)))
    context.report(1, 2, "things")
    if end == "refused":
        raise Refused("the door is locked", "find the key")
    if end == "interrupted":
        raise KeyboardInterrupt
    if end == "broken":
        raise ZeroDivisionError("first line\nsecond line")
    return {"key": key}


def plan_of(*ends: str, always: Sequence[int] = ()) -> Plan:
    return Plan(
        "shop open",
        "Open the shop",
        tuple(
            Step(f"s{n}", f"step {n}", call(work, key=f"s{n}", end=end), always=n in always)
            for n, end in enumerate(ends)
        ),
    )


def ran(plan: Plan, journal: Notebook | None = None) -> tuple[list[str], Outcome]:
    services: list[tuple[str, list[str]]] = []
    outcome = run(plan, services, journal or Notebook())
    return [key for key, _ in services], outcome


@given(st.lists(st.tuples(st.sampled_from(["", "", "refused", "broken", "interrupted"]), st.booleans()), max_size=6))
def test_after_the_first_failure_only_the_always_steps_run(steps: list[tuple[str, bool]]) -> None:
    plan = plan_of(*(end for end, _ in steps), always=[n for n, (_, always) in enumerate(steps) if always])
    journal = Notebook()
    keys, outcome = ran(plan, journal)
    first = next((n for n, (end, _) in enumerate(steps) if end), len(steps))
    expected = [n for n, (_, always) in enumerate(steps) if n <= first or always]
    assert keys == [f"s{n}" for n in expected]
    assert set(outcome.results) == {f"s{n}" for n in expected if not steps[n][0]}
    assert set(outcome.seconds) == set(keys)
    assert (outcome.error is None) == (first == len(steps))
    assert outcome.failed_step == ("" if first == len(steps) else f"s{first}")
    assert journal.lines[0] == ("begin", "not needed")
    assert journal.lines[-1] == ("finish", "done" if first == len(steps) else "failed")
    # Intent, then outcome, for each step that ran and in this order.
    told = [(line[0], line[1]) for line in journal.lines[1:-1]]
    assert told == [
        pair for n in expected for pair in (("started", f"s{n}"), ("failed" if steps[n][0] else "finished", n + 1))
    ]


def test_each_step_sees_the_facts_of_those_before_it() -> None:
    services: list[tuple[str, list[str]]] = []
    run(plan_of("", "", ""), services, Notebook())
    assert services == [("s0", []), ("s1", ["s0"]), ("s2", ["s0", "s1"])]


def test_an_error_of_ours_is_carried_as_it_is() -> None:
    journal = Notebook()
    _, outcome = ran(plan_of("refused"), journal)
    assert ("failed", 1, "the door is locked") in journal.lines
    with pytest.raises(Refused, match="the door is locked"):
        outcome.raise_if_failed()


def test_an_interruption_is_carried_as_a_failure_partway() -> None:
    keys, outcome = ran(plan_of("interrupted", "", "", always=[2]))
    assert keys == ["s0", "s2"]
    assert isinstance(outcome.error, FailedPartway)
    assert "interrupted during the step 'step 0'" in outcome.error.fact


def test_the_first_error_is_the_one_that_is_told() -> None:
    _, outcome = ran(plan_of("refused", "broken", always=[1]))
    assert isinstance(outcome.error, Refused)
    assert outcome.failed_step == "s0"


def test_any_other_error_becomes_one_line_and_keeps_its_cause() -> None:
    _, outcome = ran(plan_of("broken"))
    assert isinstance(outcome.error, FailedPartway)
    assert outcome.error.fact == "step 0: ZeroDivisionError: first line"
    assert isinstance(outcome.error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("function", [f"{HERE}:nothing", "tabsync.no_such_module:f"])
def test_a_function_that_is_not_there_fails_its_step(function: str) -> None:
    journal = Notebook()
    _, outcome = ran(Plan("x", "x", (Step("s", "Do it", Call(function)),)), journal)
    assert outcome.failed_step == "s"
    assert any(line[0] == "failed" and function.split(":")[0] in line[2] for line in journal.lines)


def test_a_run_says_nothing_when_all_went_well() -> None:
    _, outcome = ran(plan_of("", ""))
    outcome.raise_if_failed()
    assert outcome.error is None


def test_a_full_journal_does_not_keep_the_always_steps_from_tidying_up() -> None:
    journal = Notebook(full=True)
    keys, outcome = ran(plan_of("", "", always=[1]), journal)
    assert keys == ["s1"]  # no step runs whose intent is not on record, but one that tidies up
    assert isinstance(outcome.error, FailedPartway)
    assert "No space left" in outcome.error.fact


def test_boundaries_are_told_around_every_step_that_runs() -> None:
    seen: list[tuple[str, str]] = []
    run(plan_of("", "refused", ""), [], Notebook(), boundary=lambda when, key: seen.append((when, key)))
    assert seen == [("before", "s0"), ("after", "s0"), ("before", "s1"), ("after", "s1")]


def test_an_interrupt_between_steps_still_takes_away_what_was_made() -> None:
    class InterruptedWhileShown(Quiet):
        def step_ended(self, step: Step, seconds: float, error: str) -> None:
            if step.key == "make":
                raise KeyboardInterrupt

    steps = tuple(Step(key, key, call(work, key=key), always=key == "tidy") for key in ("make", "use", "tidy"))
    done: list[object] = []
    outcome = run(Plan("test", "test", steps), done, Notebook(), InterruptedWhileShown())
    assert isinstance(outcome.error, FailedPartway)
    assert list(outcome.results) == ["make", "tidy"]


def sleep(_context: Context[list[Any]], *, seconds: float) -> Facts:
    time.sleep(seconds)
    return {}


@pytest.mark.parametrize("where", ["main thread", "another thread"])
def test_a_step_that_takes_longer_than_it_may_is_ended(where: str) -> None:
    late = Step("wait", "Wait for ever", call(naps, count=600), deadline=0.2)
    plan = Plan("shop open", "Open", (late, Step("after", "After", call(sleep, seconds=0))))
    found: list[Outcome] = []
    if where == "main thread":
        late = replace(late, call=call(sleep, seconds=60))
        found.append(run(replace(plan, steps=(late, plan.steps[1])), [], Notebook()))
    else:
        thread = threading.Thread(target=lambda: found.append(run(plan, [], Notebook())))
        thread.start()
        thread.join(30)
    outcome = found[0]
    assert isinstance(outcome.error, FailedPartway)
    assert outcome.error.fact == "Wait for ever: took longer than 200 ms and was ended"
    assert "tabsync shop open" in outcome.error.hint
    assert outcome.results == {}
    assert outcome.seconds["wait"] < 30


def naps(_context: Context[list[Any]], *, count: int) -> Facts:
    for _ in range(count):
        time.sleep(0.1)
    return {}


def test_a_step_that_ends_in_time_is_not_ended_later() -> None:
    steps = tuple(Step(f"s{n}", "s", call(sleep, seconds=0), deadline=0.05) for n in range(20))
    outcome = run(Plan("x", "x", (*steps, Step("last", "Last", call(sleep, seconds=0.3)))), [], Notebook())
    assert outcome.error is None

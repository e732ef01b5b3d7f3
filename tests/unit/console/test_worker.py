"""Plans that were shown: to whom, for how long, and the same one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabsync.console.base.worker import AT_ONCE, KEPT, Progress, Watcher, Worker
from tabsync.kernel.errors import BadUsage, Interrupted, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Planned
from tabsync.kernel.step import Call, Context, Facts, Step, call
from tabsync.ledger.runs import recent_runs
from tabsync.ledger.stop import ask_to_stop, wait_until_ended
from tabsync.procedures import PROCEDURES
from tabsync.workspace import Workspace

WORKSPACE = Workspace(Path("home"), "", Path("store"), Path("manual.md"), "sqlite://")


def plan(title: str = "a plan") -> Plan:
    return Plan("drill", title, (Step("one", "One", Call("tabsync.nowhere:one")),))


DRILL = next(one for one in PROCEDURES if one.words == "drill")


class Time:
    """A clock that stands still until it is moved."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def shown(worker: Worker, plan: Plan) -> str:
    return worker.show(DRILL, DRILL.request_type(), Planned(plan), "ana")


def test_a_plan_is_kept_for_whom_it_was_shown_to() -> None:
    worker = Worker(WORKSPACE)
    digest = shown(worker, plan())
    assert worker.shown(digest, "ana").plan == plan()
    with pytest.raises(BadUsage):
        worker.shown(digest, "bob")
    with pytest.raises(BadUsage):
        worker.shown("0" * 64, "ana")


def test_the_same_plan_shown_to_another_takes_it_from_nobody() -> None:
    worker = Worker(WORKSPACE)
    digest = shown(worker, plan())
    assert worker.show(DRILL, DRILL.request_type(), Planned(plan()), "bob") == digest
    assert [worker.shown(digest, name).operator for name in ("ana", "bob")] == ["ana", "bob"]


def look(_context: Context[Workspace]) -> Facts:
    return {}


def test_the_same_plan_run_again_is_another_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ledger = f"sqlite:///{home / 'ledger.sqlite'}"
    worker = Worker(Workspace(home, "", tmp_path / "store", tmp_path / "manual.md", ledger))
    again = Plan("backup verify", "Look", (Step("look", "Look", call(look)),))
    verify = next(one for one in PROCEDURES if one.words == "backup verify")
    runs = []
    for _ in range(3):
        digest = worker.show(verify, verify.request_type("latest"), Planned(again), "ana")
        runs.append(worker.start(digest, "ana"))
        assert worker.stop(30)
    assert len(set(runs)) == 3
    worker.workspace.close()


def test_a_plan_expires() -> None:
    time = Time()
    worker = Worker(WORKSPACE, clock=time)
    digest = shown(worker, plan())
    time.seconds = KEPT - 1
    assert worker.shown(digest, "ana")
    time.seconds = KEPT
    with pytest.raises(BadUsage, match="10 minutes"):
        worker.shown(digest, "ana")


def test_the_shelf_has_an_end_and_the_newest_stay() -> None:
    worker = Worker(WORKSPACE)
    digests = [shown(worker, plan(f"plan {number}")) for number in range(60)]
    with pytest.raises(BadUsage):
        worker.shown(digests[0], "ana")
    assert worker.shown(digests[-1], "ana").plan.title == "plan 59"


def test_a_stop_takes_hold_inside_the_step_and_once() -> None:
    worker = Worker(WORKSPACE)
    watcher = Watcher(Progress(), worker._stopping)
    watcher.progress(1, 2, "tables")
    assert (watcher.progress_of.done, watcher.progress_of.unit) == (1, "tables")
    assert worker.stop(0)  # nothing runs
    with pytest.raises(Interrupted, match="console was stopped"):
        watcher.progress(2, 2, "tables")
    watcher.progress(2, 2, "tables")  # what takes away what was half made goes on


GOES = {"one": threading.Event(), "two": threading.Event()}


def linger(context: Context[Workspace], *, name: str) -> Facts:
    """A step that reports how far it is until a test lets it go."""
    number = 0
    while not GOES[name].wait(0.02):
        number += 1
        context.report(number, 1_000_000, f"of {name}")
    return {}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker with a ledger, whose runs are all let go at the end."""
    for one in GOES.values():
        one.clear()
    home = tmp_path / "home"
    home.mkdir()
    workspace = Workspace(home, "", tmp_path / "store", tmp_path / "manual.md", f"sqlite:///{home / 'ledger.sqlite'}")
    made = Worker(workspace)
    yield made
    for one in GOES.values():
        one.set()
    assert made.stop(30)
    workspace.close()


def begun(worker: Worker, name: str, *claims: str, title: str = "Linger", who: str = "ana") -> str:
    step = Step("linger", "Linger", call(linger, name=name), claims=claims)
    verify = next(one for one in PROCEDURES if one.words == "backup verify")
    made: Planned[Workspace] = Planned(Plan("backup verify", title, (step,)))
    return worker.start(worker.show(verify, verify.request_type("latest"), made, who), who)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


def test_runs_go_side_by_side_each_with_its_own_progress(worker: Worker) -> None:
    one, two = begun(worker, "one", "database:shop"), begun(worker, "two", "database:other")
    found = worker.progress_of(one), worker.progress_of(two)
    until(lambda: all(progress is not None and progress.unit for progress in found))
    assert [progress.unit for progress in found if progress] == ["of one", "of two"]
    assert worker.progress_of("another") is None
    GOES["one"].set()
    assert worker.wait(one, 20)
    assert worker.progress_of(one) is None and worker.progress_of(two) is not None
    assert worker.busy()


def test_one_that_uses_the_same_is_refused_and_says_with_what(worker: Worker) -> None:
    first = begun(worker, "one", "database:shop", "warm")
    with pytest.raises(Refused, match=r"backup verify by ana uses database:shop since \d\d:\d\d UTC") as refused:
        begun(worker, "two", "database:shop", who="bob")
    assert f"tabsync run stop {first}" in refused.value.hint
    assert [one["id"] for one in recent_runs(worker.workspace.ledger())] == [first]  # nothing of it is on record
    GOES["one"].set()
    assert worker.wait(first, 20)
    GOES["two"].set()
    assert worker.wait(begun(worker, "two", "database:shop", who="bob"), 20)


def test_there_is_an_end_to_how_many_go_at_once(worker: Worker) -> None:
    for number in range(AT_ONCE):
        begun(worker, "one", title=f"Run {number}")
    with pytest.raises(Refused, match="4 runs are under way"):
        begun(worker, "two")


def test_one_run_is_stopped_and_the_other_goes_on(worker: Worker) -> None:
    one, two = begun(worker, "one"), begun(worker, "two", title="Another")
    ledger = worker.workspace.ledger()
    ask_to_stop(ledger, one, "bob")
    ended = wait_until_ended(ledger, one, 20)
    assert ended is not None
    assert (ended["state"], ended["steps"][0]["fact"]) == ("failed", "stopped by bob")
    assert worker.progress_of(two) is not None
    with pytest.raises(Refused, match="does not run any more: failed"):
        ask_to_stop(ledger, one, "bob")
    with pytest.raises(BadUsage, match="no run"):
        ask_to_stop(ledger, "20261122T181500Z-ffffff", "bob")

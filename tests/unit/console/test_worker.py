"""Plans that were shown: to whom, for how long, and the same one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabsync.console.base.worker import KEPT, Progress, Watcher, Worker
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Planned
from tabsync.kernel.step import Call, Context, Facts, Step, call
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


def test_a_stop_takes_hold_inside_the_step() -> None:
    worker = Worker(WORKSPACE)
    watcher = Watcher(Progress(), worker._stopping)
    watcher.progress(1, 2, "tables")
    assert (watcher.progress_of.done, watcher.progress_of.unit) == (1, "tables")
    assert worker.stop(0)  # nothing runs
    with pytest.raises(Refused):
        watcher.progress(2, 2, "tables")

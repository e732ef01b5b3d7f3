"""Every call of a store fails once, in every procedure that writes to one; a line is cut at every stage.

What must hold each time: a listed backup has all its objects; the procedure says that it failed, unless it didn't need
the call; and run again it succeeds.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tabsync.backups.copy import plan_copy
from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.hold import plan_hold
from tabsync.backups.prune import plan_prune, survey
from tabsync.backups.take import plan_take
from tabsync.kernel.errors import CannotConnect, FailedPartway, TabsyncError
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, run
from tabsync.manual.load import load
from tabsync.stores import remote as remote_module
from tabsync.stores.clients import Patience
from tabsync.stores.local import LocalStore
from tabsync.stores.store import Store
from tabsync.workspace import Workspace
from tests import emulators
from tests.conftest import Databases, run_sql
from tests.drills.faulty import Faults, Faulty, Line, dead_letters, line
from tests.drills.pruned import fabricate, proved

Make = Callable[..., Workspace]
DAY = timedelta(days=1)


def check_whole(store: Store) -> None:
    """Every listed backup has all that it names, as it was."""
    manifests, bad = store.manifests()
    assert bad == []
    for manifest in manifests:
        assert list(store.damaged(manifest)) == [], manifest.id


@contextlib.contextmanager
def faults(at: int, *, after: bool) -> Iterator[Faults]:
    Faulty.faults = Faults(at, after=after)
    try:
        yield Faulty.faults
    finally:
        Faulty.faults = Faults()


@pytest.fixture
def small(databases: Databases) -> str:
    """A database of two small tables."""
    conninfo = databases()
    run_sql(conninfo, "create table users as select i as id from generate_series(1, 100) i")
    run_sql(conninfo, "create table orders as select i as id from generate_series(1, 100) i")
    return conninfo


Procedure = Callable[[Workspace], Plan]


def _take(workspace: Workspace) -> Plan:
    return plan_take(workspace, "full", "manual")


def _copy(workspace: Workspace) -> Plan:
    return plan_copy(workspace, "latest", str(workspace.store_root.with_name("second")))


def _prune(workspace: Workspace) -> Plan:
    return plan_prune(workspace, survey(workspace, timedelta(minutes=1)))


def _hold(workspace: Workspace) -> Plan:
    return plan_hold(workspace, "latest", "evidence")


def attempt(workspace: Workspace, procedure: Procedure) -> Outcome | TabsyncError:
    """Plan and run it; the plan may fail too."""
    try:
        plan = procedure(workspace)
    except TabsyncError as error:
        return error
    return run(plan, workspace, workspace.journal(), approval="--yes")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("procedure", [_take, _copy, _prune, _hold])
def test_a_call_that_fails_costs_nothing(
    procedure: Procedure, after: bool, small: str, workspaces: Make, directory: Path
) -> None:
    workspace = workspaces(small)
    workspace.store().prepare()
    now = datetime.now(UTC)
    for name, age in (("expired1", 200), ("expired2", 190), ("proven", 180), ("fresh", 1)):
        fabricate(LocalStore(workspace.store_root), name, now - age * DAY, b"users", name.encode())
    proved(workspace, "proven")
    shutil.copytree(workspace.store_root, directory / "as it was")
    failed: list[str] = []
    for at in range(200):
        second = directory / "second"
        for store in (workspace.store_root, second):
            shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(directory / "as it was", workspace.store_root)
        workspace._open.pop("claims", None)
        for store in (workspace.store_root, second):
            workspace._open[f"store {store}"] = Faulty(store)
        with faults(at, after=after) as injected:
            told = attempt(workspace, procedure)
        if not injected.failed:
            assert isinstance(told, Outcome)
            told.raise_if_failed()
            break
        failed.append(injected.failed)
        error = told if isinstance(told, TabsyncError) else told.error
        assert error is None or "the store failed" in str(error), (at, injected.failed, error)
        for store in (workspace.store_root, second):
            check_whole(LocalStore(store))
            assert dead_letters(store) == [], (at, injected.failed)
        assert {"proven", "fresh"} <= set(LocalStore(workspace.store_root).ids())
        again = attempt(workspace, procedure)
        fine = isinstance(again, TabsyncError) or again.error is None
        assert fine, (at, injected.failed, again)
        if isinstance(again, TabsyncError):
            # Done before it failed: nothing is left to do. A lease that was not given back runs out by itself.
            done = after and "already" in again.fact
            assert done or "another prune" in again.fact, (at, injected.failed, again)
    else:
        pytest.fail("it never ended")
    assert len(failed) >= 3


@pytest.fixture
def cuttable(azurite: emulators.Emulator, address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A line to Azurite; the store's patience is short."""
    monkeypatch.setattr(remote_module, "BRIEF", Patience(request=2, again=0.5, tries=1))
    monkeypatch.setattr(remote_module, "LONG", Patience(request=2, again=0.5, tries=1))
    with line(azurite.port) as made:
        endpoint = f"http://127.0.0.1:{made.port}/{emulators.ACCOUNT}"
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
        yield made


def away(workspace: Workspace, address: str) -> Workspace:
    return replace(workspace, store_url=address, _open={})


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_a_line_that_is_cut_while_a_backup_goes_up(
    share: float, cuttable: Line, address: str, small: str, workspaces: Make
) -> None:
    run_sql(small, "insert into users select i from generate_series(1, 200000) i")
    workspace = away(workspaces(small), address)
    first = run(_take(workspace), workspace, workspace.journal())
    first.raise_if_failed()
    whole = cuttable.sent
    run_sql(small, "update users set id = id + 1")
    plan = _take(workspace)
    cuttable.sent, cuttable.cut_after = 0, int(share * whole)
    outcome = run(plan, workspace, workspace.journal())
    cuttable.mend()
    store = workspace.store()
    check_whole(store)
    assert isinstance(outcome.error, (FailedPartway, CannotConnect)), outcome.error
    # The manifest may have got there although its answer was lost: then the backup is whole, and listed.
    assert len(store.ids()) in ((1, 2) if share > 0.9 else (1,))
    run(_take(workspace), workspace, workspace.journal()).raise_if_failed()
    assert not list((workspace.home / "staging").glob("*"))


def test_a_line_that_is_cut_while_a_backup_comes_down(
    cuttable: Line, address: str, small: str, workspaces: Make
) -> None:
    workspace = away(workspaces(small), address)
    run(_take(workspace), workspace, workspace.journal()).raise_if_failed()
    manual = load(workspace.manual_path).model_copy(update={"key_tables": ()})
    plan = plan_drill(workspace, manual, "latest")
    cuttable.cut_after = cuttable.sent + 1500
    report = run_drill(workspace, plan)
    assert report.data["verdict"] is None or not report.data["verdict"]["ok"]
    cuttable.mend()
    report = run_drill(workspace, plan_drill(workspace, manual, "latest"))
    assert report.data["verdict"]["content"] == "identical"
    assert not list(workspace.scratch().glob("*"))


def test_a_line_that_is_cut_while_a_prune_deletes(cuttable: Line, address: str, small: str, workspaces: Make) -> None:
    workspace = away(workspaces(small), address)
    backups = []
    for _ in range(3):
        outcome = run(_take(workspace), workspace, workspace.journal())
        backups.append(outcome.results["commit"]["backup"])
    store = workspace.store()
    manifest = store.manifest(backups[0])
    for cut_after in (300, 900, 1500, 2500):
        cuttable.sent, cuttable.cut_after = 0, cut_after
        with contextlib.suppress(TabsyncError):
            store.delete_manifest(backups[0])
            for file in manifest.files:
                store.delete_object(file.object, datetime.now(UTC) - DAY)
        cuttable.mend()
        check_whole(store)
    assert set(backups[1:]) <= set(store.ids())

"""A disk that is full: told with what to do, nothing listed, nothing left lying about."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.hold import plan_hold
from tabsync.backups.retention.lease import take_lease
from tabsync.backups.take import plan_take_full
from tabsync.kernel.errors import Exit, FailedPartway
from tabsync.kernel.runner import Outcome, run
from tabsync.manual.load import load
from tabsync.stores.local import LocalStore
from tabsync.workspace import Workspace
from tests.conftest import Databases, missing, run_sql


@pytest.fixture
def small_disk(directory: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    if os.geteuid() != 0:
        missing("root, to mount a small disk")
    disk = directory / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", str(disk)], check=False)
    if done.returncode != 0:
        missing("the right to mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def large(databases: Databases) -> str:
    """A database of more than ten megabytes that don't compress, in two tables."""
    conninfo = databases()
    for name in ("one", "two"):
        run_sql(
            conninfo,
            "create table {} as select n, sha512(n::text::bytea) || sha512((n + 0.5)::text::bytea) as noise"
            " from generate_series(1, 30000) n",
            name,
        )
    return conninfo


def take(workspace: Workspace) -> Outcome:
    return run(plan_take_full(workspace), workspace, workspace.journal())


def check_nothing_is_left(workspace: Workspace, outcome: Outcome) -> None:
    error = outcome.error
    assert isinstance(error, FailedPartway)
    assert error.exit_code is Exit.FAILED_PARTWAY
    assert "No space left" in error.fact or "full" in error.fact
    assert "\n" not in error.fact
    assert workspace.store().ids() == []
    assert list((workspace.store_root / "staging").glob("*")) == []
    assert list(workspace.store_root.glob("objects/*/*")) == []


def test_a_disk_that_is_full_to_the_last_byte_still_takes_a_record_and_a_marker(
    databases: Databases, workspaces: Callable[..., Workspace], small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,size=24m", str(small_disk)], check=True)
    home, root = small_disk / "home", small_disk / "store"
    workspace = replace(
        workspaces(databases()), home=home, store_root=root, ledger_url=f"sqlite:///{home / 'ledger.sqlite'}"
    )
    take(workspace).raise_if_failed()
    with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    assert LocalStore(root).free_bytes() == 0
    plan = plan_hold(workspace, "latest", "the disk is full")
    run(plan, workspace, workspace.journal()).raise_if_failed()
    take_lease(workspace.store())
    assert not (root / "reserve").exists()
    workspace.close()


def test_the_stores_disk(large: str, workspaces: Callable[..., Workspace], small_disk: Path) -> None:
    workspace = replace(workspaces(large), store_root=small_disk / "store")
    outcome = take(workspace)
    check_nothing_is_left(workspace, outcome)
    assert isinstance(outcome.error, FailedPartway)
    assert outcome.error.hint.startswith("free some space on the disk of")
    assert LocalStore(workspace.store_root).free_bytes() > 3 << 20
    workspace.close()


def test_one_disk_for_the_store_and_the_ledger(
    large: str, workspaces: Callable[..., Workspace], small_disk: Path
) -> None:
    home = small_disk / "home"
    workspace = replace(
        workspaces(large), home=home, store_root=home / "store", ledger_url=f"sqlite:///{home / 'ledger.sqlite'}"
    )
    outcome = take(workspace)
    check_nothing_is_left(workspace, outcome)
    assert LocalStore(workspace.store_root).free_bytes() > 3 << 20
    # With the space that came free the next command works again, and can say what happened to the last one.
    run_sql(large, "drop table one, two")
    take(workspace).raise_if_failed()
    assert len(workspace.store().ids()) == 1
    workspace.close()


def test_the_disk_of_the_scratch_server_is_looked_at_before_restoring(
    large: str, workspaces: Callable[..., Workspace], small_disk: Path
) -> None:
    workspace = replace(workspaces(large), home=small_disk)
    report = run_drill(workspace, plan_drill(workspace, load(workspace.manual_path)))
    assert report.exit_code is Exit.REFUSED
    assert "MB free" in report.data["error"]["fact"]
    assert "TABSYNC_HOME" in report.data["error"]["hint"]
    states = {step["key"]: step["state"] for step in report.data["steps"]}
    assert (states["commit"], states["scratch"], states["restore"]) == ("done", "failed", "not run")
    assert list(workspace.scratch().glob("*")) == []
    assert len(workspace.store().ids()) == 1  # the backup that it took first is good, and stays
    workspace.close()

"""Two takes and a prune at the same time, for real: what is listed at the end is whole and restores."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.prune import plan_prune, survey
from tabsync.backups.take import plan_take
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.runner import run
from tabsync.manual.load import load
from tabsync.stores.keys import Keys, new_identity
from tabsync.stores.local import LocalStore
from tabsync.workspace import Workspace
from tests.conftest import run_sql

OLD = datetime.now(UTC) - timedelta(days=200)


def made_old(store: LocalStore, backup: str) -> None:
    """Let a backup and its objects be of long ago."""
    manifest = store.manifest(backup)
    path = store.root / "manifests" / f"{backup}.json"
    path.write_bytes(replace(manifest, snapshot=manifest.snapshot | {"time": iso(OLD)}).to_bytes())
    for file in manifest.files:
        os.utime(store.object_path(file.object), (OLD.timestamp(),) * 2)


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "encrypted"])
def test_takes_that_count_on_what_a_prune_lets_go(
    sealed: bool, tabsync_database: Callable[[], str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    """Old backups of the same rows expire: the new ones need the very objects that the prune may delete."""
    conninfo = tabsync_database()
    keys = Keys((new_identity(directory / "identity"),), directory / "identity") if sealed else Keys()
    first = replace(workspaces(conninfo), keys=keys)
    own = {"home": directory / "home2", "ledger_url": f"sqlite:///{directory / 'ledger2.sqlite'}"}
    second = replace(first, **own, _open={})  # type: ignore[arg-type]
    store = LocalStore(first.store_root)
    kept: list[str] = []
    for _ in range(3):
        outcome = run(plan_take(first, "full", "manual"), first, first.journal())
        outcome.raise_if_failed()
        made_old(store, outcome.results["commit"]["backup"])
        run_sql(conninfo, "update restaurants set name = name || '.'")
    errors: list[BaseException | None] = []
    refused: list[TabsyncError] = []
    done = threading.Event()

    def take(workspace: Workspace) -> None:
        taken = run(plan_take(workspace, "full", "manual"), workspace, workspace.journal())
        errors.append(taken.error)
        kept.append(taken.results.get("commit", {}).get("backup", ""))

    third = replace(first, home=directory / "home3", ledger_url=f"sqlite:///{directory / 'l3.sqlite'}", _open={})
    for one in (first, second, third):
        one.ledger()  # processes open theirs one by one; in threads its migrations would meet

    def prune() -> None:
        while not done.is_set():
            try:
                pruned = run(
                    plan_prune(third, survey(third, timedelta(minutes=5))), third, third.journal(), approval="--yes"
                )
                errors.append(pruned.error)
            except TabsyncError as error:
                refused.append(error)
            time.sleep(0.02)
        third.close()

    threads = [threading.Thread(target=take, args=(one,)) for one in (first, second)]
    pruning = threading.Thread(target=prune)
    for thread in (*threads, pruning):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    pruning.join()
    assert [error for error in errors if error is not None] == []
    assert refused == []
    assert set(kept) <= set(store.ids())
    assert len(set(kept)) == 2
    for backup in store.ids():
        assert list(store.damaged(store.manifest(backup))) == []
    manual = load(first.manual_path)
    for backup in kept:
        report = run_drill(second, plan_drill(second, manual, backup))
        assert report.data["verdict"]["content"] == "identical", report.data["error"]
    second.close()

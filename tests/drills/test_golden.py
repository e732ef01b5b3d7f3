"""Stores of every version of the format stay readable for ever: as they were written, restored by this code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.hold import holds
from tabsync.manual.load import load
from tabsync.stores.keys import Keys
from tabsync.stores.local import LocalStore
from tabsync.workspace import Workspace

GOLDEN = sorted(path for path in Path(__file__).parents[1].joinpath("golden").glob("v*") if path.is_dir())


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_a_golden_store_is_listed_verified_and_restored(
    golden: Path, workspaces: Callable[..., Workspace], directory: Path
) -> None:
    shutil.copytree(golden / "store", directory / "store")
    keys = Keys(identity=golden / "identity")
    workspace = replace(workspaces("host=127.0.0.1 port=1 dbname=shop"), keys=keys)
    store = workspace.store()
    manifests, bad = store.manifests()
    assert bad == []
    assert [(one.kind, one.reason) for one in manifests] == [
        ("full", "manual"),
        ("tables", "critical-tables"),
        ("full", "pre-migration"),
    ]
    assert list(holds(store).values()) == ["golden"]
    for one in manifests:
        assert list(store.damaged(one)) == []
    signed = LocalStore(store_root(store), keys=Keys(trusted=((golden / "trusted").read_text().strip(),)))
    assert signed.manifest(manifests[2].id).signature
    manual = load(workspace.manual_path).model_copy(update={"key_tables": ()})
    for one in (manifests[0], manifests[2]):
        report = run_drill(workspace, plan_drill(workspace, manual, one.id))
        verdict = report.data["verdict"]
        assert (verdict["content"], verdict["rows"]) == ("identical", 6), report.data["error"]


def store_root(store: object) -> Path:
    assert isinstance(store, LocalStore)
    return store.root


def test_there_is_a_golden_store() -> None:
    assert GOLDEN

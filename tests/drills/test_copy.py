"""Backups in several stores: copied as they are, each copy read back, and never listed before it is whole."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tabsync.backups.copy import plan_copy
from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.prune import plan_prune, survey
from tabsync.backups.take import plan_take
from tabsync.cli.tree import program
from tabsync.kernel.errors import BadUsage, FailedPartway, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, run
from tabsync.manual.load import load
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.stores.keys import Keys, new_signing_key
from tabsync.stores.local import LocalStore
from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.workspace import Workspace

Make = Callable[..., Workspace]


def carried_out(workspace: Workspace, plan: Plan) -> Outcome:
    return run(plan, workspace, workspace.journal())


@pytest.fixture
def workspace(tabsync_database: Callable[[], str], workspaces: Make) -> Workspace:
    return workspaces(tabsync_database())


def taken(workspace: Workspace) -> str:
    outcome = carried_out(workspace, plan_take(workspace, "full", "manual"))
    outcome.raise_if_failed()
    return str(outcome.results["commit"]["backup"])


def test_a_class_that_is_kept_in_two_stores_is_copied_when_it_is_taken(
    workspace: Workspace, address: str, directory: Path
) -> None:
    new_signing_key(directory / "key")
    away = replace(workspace, stores=(("azure blob storage", address),), keys=Keys(signing=directory / "key"), _open={})
    plan = plan_take(away, "tables", "critical-tables", ["users", "orders", "payments"])
    outcome = carried_out(away, plan)
    outcome.raise_if_failed()
    backup = outcome.results["commit"]["backup"]
    here, there = away.store(), away.store(address)
    assert there.ids() == here.ids() == [backup]
    assert there.manifest_content(backup) == here.manifest_content(backup)  # its signature holds there too
    assert list(there.damaged(there.manifest(backup))) == []
    again = carried_out(away, plan_take(away, "tables", "critical-tables", ["users", "orders", "payments"]))
    sizes = {file.table: file.bytes for file in there.manifest(backup).files}
    assert again.results["copy_1"]["sent_bytes"] <= sizes[""] + 1000  # the table of contents: it holds the time
    assert not list((away.home / "staging").glob("*"))


def test_a_copy_restores_from_the_store_it_went_to(workspace: Workspace, address: str, directory: Path) -> None:
    backup = taken(workspace)
    for to in (address, str(directory / "second")):
        carried_out(workspace, plan_copy(workspace, "latest", to)).raise_if_failed()
    for store in ({"store_url": address}, {"store_root": directory / "second"}):
        there = replace(workspace, **store, _open={})
        report = run_drill(there, plan_drill(there, load(there.manual_path), backup))
        assert report.data["verdict"]["content"] == "identical"
    assert all(file.is_file() and not file.is_symlink() for file in (workspace.store_root / "objects").glob("??/*"))


def test_a_copy_that_is_there_or_leads_nowhere_is_refused(workspace: Workspace, directory: Path) -> None:
    taken(workspace)
    second = str(directory / "second")
    carried_out(workspace, plan_copy(workspace, "latest", second)).raise_if_failed()
    with pytest.raises(Refused, match="already"):
        plan_copy(workspace, "latest", second)
    with pytest.raises(BadUsage, match="are in the same store"):
        plan_copy(workspace, "latest", str(workspace.store_root))


class Rotting(LocalStore):
    """A disk that loses a bit of what is written to it."""

    def adopt(self, path: Path, digest: str) -> None:
        super().adopt(path, digest)
        target = self.object_path(digest)
        target.chmod(0o600)
        content = bytearray(target.read_bytes())
        content[-1] ^= 1
        target.write_bytes(content)


def test_a_copy_that_is_not_what_it_was_is_never_listed(workspace: Workspace, directory: Path) -> None:
    backup = taken(workspace)
    second = directory / "second"
    plan = plan_copy(workspace, backup, str(second))
    workspace._open[f"store {second}"] = Rotting(second)
    outcome = carried_out(workspace, plan)
    assert isinstance(outcome.error, FailedPartway)
    assert "does not match its digest" in outcome.error.fact
    assert f"tabsync backup copy {backup}" in outcome.error.hint
    assert LocalStore(second).ids() == []
    assert workspace.store().ids() == [backup]


def test_an_object_of_the_source_that_is_damaged_is_not_copied(workspace: Workspace, directory: Path) -> None:
    backup = taken(workspace)
    users = next(file for file in workspace.store().manifest(backup).files if file.table == "users")
    LocalStore(workspace.store_root).object_path(users.digest).unlink()
    outcome = carried_out(workspace, plan_copy(workspace, backup, str(directory / "second")))
    assert isinstance(outcome.error, FailedPartway)
    assert "is missing" in outcome.error.fact
    assert LocalStore(directory / "second").ids() == []


class Pruned(LocalStore):
    """A store on which somebody prunes, with next to no grace, just before a manifest is written."""

    def commit(self, manifest: Manifest, content: bytes | None = None) -> None:
        url = f"sqlite:///{self.root.parent / 'other.sqlite'}"
        other = Workspace(self.root.parent / "other", "", self.root, PROFILE_MANUAL, url)
        pruned = run(plan_prune(other, survey(other, timedelta(minutes=5))), other, other.journal(), approval="--yes")
        other.close()
        assert pruned.error is None
        super().commit(manifest, content)


def test_a_prune_in_the_middle_of_a_copy_costs_nothing(workspace: Workspace, directory: Path) -> None:
    """Objects that nobody names yet stay, an old one that the copy counts on too; what nobody needs goes."""
    backup = taken(workspace)
    second = directory / "second"
    there = LocalStore(second)
    there.prepare()
    users, orders = (
        next(file for file in workspace.store().manifest(backup).files if file.table == name)
        for name in ("users", "orders")
    )
    _lay(workspace, there, users, directory)
    garbage = replace(orders, digest="0" * 64)
    (there.root / "objects" / "00").mkdir()
    there.object_path(garbage.digest).write_bytes(b"nobody's")
    for file in (users, garbage):
        os.utime(there.object_path(file.digest), (time.time() - 3600,) * 2)
    plan = plan_copy(workspace, backup, str(second))
    workspace._open[f"store {second}"] = Pruned(second)
    carried_out(workspace, plan).raise_if_failed()
    assert list(there.damaged(there.manifest(backup))) == []
    assert not there.object_path(garbage.digest).exists()


def _lay(workspace: Workspace, there: LocalStore, file: StoredFile, directory: Path) -> None:
    path = directory / "laid"
    path.write_bytes(LocalStore(workspace.store_root).object_path(file.digest).read_bytes())
    there.adopt(path, file.digest)


def test_the_command_copies_and_says_what_it_sent(workspace: Workspace, directory: Path) -> None:
    backup = taken(workspace)
    (directory / "tabsync.toml").write_text(
        f'store = "{workspace.store_root}"\nhome = "{workspace.home}"\n[stores]\nLocal = "second"\n'
    )
    asked = ["backup", "copy", "--config", str(directory / "tabsync.toml"), "--to", "local", "--json"]
    done = CliRunner().invoke(program(), asked)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["version"], told["kind"], told["backup"]) == (1, "backup copy", backup)
    assert told["store"] == f"file://{directory / 'second'}"
    assert told["sent_bytes"] == workspace.store().manifest(backup).stored_bytes

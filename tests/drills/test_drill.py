"""The main job, end to end, on real servers of every version."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.drill.report import Report
from tabsync.backups.procedures.drill import page_of_drill
from tabsync.cli.terminal import Terminal
from tabsync.kernel.errors import Exit
from tabsync.kernel.procedure import Procedure
from tabsync.kernel.runner import Quiet
from tabsync.kernel.step import Step
from tabsync.ledger.evidence import latest_evidence
from tabsync.manual.load import load
from tabsync.stores.local import LocalStore
from tabsync.workspace import Workspace
from tests.conftest import run_sql


def drill(workspace: Workspace, backup: str | None = None) -> Report:
    """Plan a drill and run it."""
    return run_drill(workspace, plan_drill(workspace, load(workspace.manual_path), backup))


def left_behind(workspace: Workspace) -> list[Path]:
    """What a drill should have taken away."""
    return [*workspace.scratch().glob("*"), *(workspace.store_root / "staging").glob("*")]


@pytest.mark.parametrize("major", [15, 17, 18])
def test_a_new_backup_comes_back_identical(
    major: int, tabsync_database: Callable[[int], str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database(major))
    report = drill(workspace)
    verdict = report.data["verdict"]
    assert report.data["error"] is None
    assert (verdict["content"], verdict["ok"], report.exit_code) == ("identical", True, Exit.DONE)
    rows = {table["name"]: table["rows"] for table in report.data["tables"]}
    assert rows["orders"] == 300
    assert verdict["rows"] == sum(rows.values())
    assert verdict["foreign_keys"] >= 15
    assert 0 < verdict["rto_seconds"] < 60
    assert 0 <= verdict["rpo_seconds"] < 60
    assert left_behind(workspace) == []
    evidence = latest_evidence(workspace.ledger(), "drill")
    assert evidence is not None
    assert evidence["ok"] is True


def test_the_report_is_written_twice_and_says_the_same(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    report = drill(workspaces(tabsync_database()))
    assert json.loads(Path(report.json_path).read_text()) == report.data
    page = Path(report.html_path).read_text()
    assert report.data["verdict"]["sentence"] in page
    assert all(step["state"] == "done" for step in report.data["steps"])
    assert all(step["title"] in page for step in report.data["steps"])


class StopsAt(Quiet):
    """Somebody who presses Ctrl-C in the middle of a step."""

    def __init__(self, key: str) -> None:
        self.key = key

    def step_started(self, number: int, total: int, step: Step) -> None:
        """Press it."""
        if step.key == self.key:
            raise KeyboardInterrupt


@pytest.mark.parametrize("key", ["dump", "restore"])
def test_what_is_interrupted_is_not_called_missed(
    key: str,
    tabsync_database: Callable[..., str],
    workspaces: Callable[..., Workspace],
    capsys: pytest.CaptureFixture[str],
) -> None:
    workspace = workspaces(tabsync_database())
    plan = plan_drill(workspace, load(workspace.manual_path))
    report = run_drill(workspace, plan, StopsAt(key))
    assert (report.data["interrupted"], report.exit_code) == (True, Exit.FAILED_PARTWAY)
    Terminal(Procedure(words="drill", summary="", example="")).page(page_of_drill(report))
    told = capsys.readouterr().out
    page = Path(report.html_path).read_text()
    for text in (told, page):
        assert "interrupted: not measured" in text
        assert "missed" not in text.lower()
    assert left_behind(workspace) == []


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_harm_to_one_object_is_found_and_the_table_named(
    harm: str, tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database())
    backup = drill(workspace).data["backup"]
    file = next(file for file in workspace.store().manifest(backup).files if file.table == "payments")
    injure(LocalStore(workspace.store_root), file.digest, harm)
    report = drill(workspace, "latest")
    assert report.exit_code == Exit.PROBLEM_FOUND
    assert "public.payments" in report.data["error"]["fact"]
    assert report.data["verdict"]["content"] == "not proven"
    assert left_behind(workspace) == []
    evidence = latest_evidence(workspace.ledger(), "drill")
    assert evidence is not None
    assert evidence["ok"] is False


def injure(store: LocalStore, digest: str, harm: str) -> None:
    path = store.object_path(digest)
    content = bytearray(path.read_bytes())
    path.unlink()
    if harm == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif harm == "truncate":
        path.write_bytes(content[:-1])


def test_an_old_backup_misses_the_rpo(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], tmp_path: Path
) -> None:
    strict = tmp_path / "manual.md"
    workspace = workspaces(tabsync_database(), strict)
    text = (Path(__file__).parents[2] / "src/tabsync/profiles/tabsync/manual.md").read_text()
    strict.write_text(text)
    drill(workspace)
    strict.write_text(text.replace("< 15 minutes", "< 1 ms"))
    report = drill(workspace, "latest")
    assert report.data["verdict"]["content"] == "identical"
    assert report.data["verdict"]["rpo_met"] is False
    assert report.exit_code == Exit.PROBLEM_FOUND


def test_the_drill_works_when_the_source_is_gone(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo = tabsync_database()
    workspace = workspaces(conninfo)
    drill(workspace)
    name = workspace.store().find("latest").source["database"]
    run_sql(conninfo.replace(f"dbname={name}", "dbname=postgres"), "drop database {}", name)
    report = drill(workspace, "latest")
    assert report.data["verdict"]["content"] == "identical"
    assert report.data["verdict"]["wal_bytes"] is None


def test_orphans_in_the_source_are_found(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo = tabsync_database()
    # As a broken restore or a superuser in a hurry would do it: the constraint stays, the rows behind it are gone.
    with psycopg.connect(conninfo) as connection:  # a session of ours takes no such preset
        connection.execute("set session_replication_role = replica; delete from menu_items")
    report = drill(workspaces(conninfo))
    assert report.exit_code == Exit.PROBLEM_FOUND
    assert "order_items" in report.data["error"]["fact"]

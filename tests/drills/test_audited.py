"""A database with its audit log is backed up, drilled and restored like any other; its chain of seals goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.audit.seals.seal import plan_seal
from tabsync.audit.seals.verify import Verify, plan_verify
from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.restore.new import plan_restore_new
from tabsync.kernel.plan import Plan
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts
from tabsync.manual.load import load
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.whole import MAJORS


def carried_out(workspace: Workspace, plan: Plan) -> dict[str, Facts]:
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    return outcome.results


def changed(workspace: Workspace, statement: str) -> None:
    with psycopg.connect(workspace.conninfo) as session:
        session.execute(statement.encode())


def test_its_drill_is_identical(audited_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces(audited_database())
    changed(workspace, "update users set full_name = full_name || ' jr.' where role <> 'CUSTOMER'")
    carried_out(workspace, plan_seal(workspace, Nothing()))
    report = run_drill(workspace, plan_drill(workspace, load(workspace.manual_path), None))
    assert report.data["error"] is None
    assert (report.data["verdict"]["content"], report.data["verdict"]["ok"]) == ("identical", True)
    (manifest,) = workspace.store().manifests()[0]
    assert manifest.audit["n"] == 2


@pytest.mark.parametrize("major", MAJORS)
def test_its_chain_goes_on_in_a_restored_database_and_the_first_one_s_too(
    major: int, audited_database: Callable[[int], str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    workspace = workspaces(audited_database(major))
    changed(workspace, "update users set full_name = full_name || ' jr.' where role <> 'CUSTOMER'")
    carried_out(workspace, plan_seal(workspace, Nothing()))
    changed(workspace, "update orders set notes = 'not sealed when it was backed up' where status = 'DELIVERED'")
    plan = run_drill(workspace, plan_drill(workspace, load(workspace.manual_path), None))
    assert plan.data["error"] is None
    name = f"{conninfo_to_dict(workspace.conninfo)['dbname']}_again"
    try:
        carried_out(workspace, plan_restore_new(workspace, "latest", name))
        restored = replace(workspace, conninfo=make_conninfo(workspace.conninfo, dbname=name))
        changed(restored, "update users set full_name = 'restored' where role = 'CUSTOMER'")
        sealed = carried_out(restored, plan_seal(restored, Nothing()))["seal"]
        assert [mark.partition(":")[0] for mark in sealed["marks"]] == ["restored into another database"]
        verdict = carried_out(restored, plan_verify(restored, Verify()))["verify"]
        assert (verdict["wrong"], len(verdict["marks"])) == ("", 1)
    finally:
        run_sql(workspace.conninfo, "drop database if exists {} with (force)", name)
    carried_out(workspace, plan_seal(workspace, Nothing()))
    assert carried_out(workspace, plan_verify(workspace, Verify()))["verify"]["wrong"] == ""

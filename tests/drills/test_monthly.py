"""The monthly drill: of the farthest store, in a scratch server or on staging."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.backups.drill.drill import run_drill
from tabsync.backups.drill.monthly import Monthly, plan_monthly
from tabsync.backups.drill.report import Report
from tabsync.kernel.errors import BadUsage, Exit, Refused
from tabsync.kernel.runner import Quiet
from tabsync.kernel.step import Step
from tabsync.ledger.evidence import latest_evidence
from tabsync.manual.load import load
from tabsync.workspace import Workspace
from tests.conftest import Servers
from tests.drills.test_drill import left_behind
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import backed_up
from tests.servers import running_server


@pytest.fixture
def two_stores(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> Workspace:
    """A workspace with another store beside its own, both empty; no class of the manual copies there."""
    workspace = workspaces(tabsync_database())
    return replace(workspace, stores=(("Elsewhere", str(directory / "far")),))


def planned(workspace: Workspace, staging: str | None = None, *, drop: bool = False) -> Monthly:
    return plan_monthly(workspace, load(workspace.manual_path), staging, drop=drop)


def drilled(one: Monthly, listener: Quiet | None = None) -> Report:
    return run_drill(one.workspace, one.plan, listener)


def test_the_newest_full_backup_of_the_farthest_store_is_drilled(two_stores: Workspace, directory: Path) -> None:
    with pytest.raises(BadUsage, match=r"no full backup .*far; there is no full backup .*store"):
        planned(two_stores)
    near = backed_up(two_stores)
    here = planned(two_stores)
    assert here.plan.steps[0].arguments["backup"] == near
    assert "far" in here.notes[0]  # that the far store has none is said
    far = backed_up(replace(two_stores, store_root=directory / "far"))
    backed_up(two_stores)  # newer, but near
    report = drilled(planned(two_stores))
    assert (report.data["error"], report.exit_code) == (None, Exit.DONE)
    verdict = report.data["verdict"]
    assert (report.data["backup"], verdict["content"]) == (far, "identical")
    assert report.data["store"].endswith("/far")
    assert verdict["indexes"] > 100
    assert (verdict["rpo_target"], verdict["rpo_met"]) == (None, True)
    assert verdict["rpo_seconds"] >= 0
    evidence = latest_evidence(two_stores.ledger(), "drill")
    assert evidence is not None
    assert (evidence["ok"], evidence["facts"]["schedule"], evidence["facts"]["backup"]) == (True, "monthly", far)
    assert "no target in this drill" in Path(report.html_path).read_text()
    assert left_behind(two_stores) == []


class Tamper(Quiet):
    """Changes the database on staging before a step."""

    def __init__(self, staging: str, statement: str) -> None:
        self.staging, self.statement, self.database = staging, statement, ""

    def step_started(self, number: int, total: int, step: Step) -> None:
        self.database = step.arguments.get("database", self.database)
        if step.key == "answer":
            fill(make_conninfo(self.staging, dbname=self.database), self.statement)


def test_on_staging(two_stores: Workspace, servers: Servers) -> None:
    backup = backed_up(two_stores)
    with pytest.raises(Refused, match="is the server that the backup was taken from"):
        planned(two_stores, servers(17).conninfo())
    with pytest.raises(Refused, match="staging is PostgreSQL 18 and the backup is of PostgreSQL 17"):
        planned(two_stores, servers(18).conninfo())
    with running_server("staging") as server:
        staging = server.conninfo()
        report = drilled(planned(two_stores, staging))
        assert (report.data["error"], report.exit_code) == (None, Exit.DONE)
        assert (report.data["backup"], report.data["verdict"]["content"]) == (backup, "identical")
        assert report.data["verdict"]["rows"] == sum(one["rows"] for one in report.data["tables"])
        left = report.data["database_left"]
        assert left in databases(staging)
        with psycopg.connect(make_conninfo(staging, dbname=left)) as connection:
            assert connection.execute("select count(*) from orders").fetchone() == (300,)

        changed = Tamper(staging, "update orders set notes = 'x' where ctid = (select min(ctid) from payments)")
        report = drilled(planned(two_stores, staging, drop=True), changed)
        assert report.exit_code == Exit.PROBLEM_FOUND
        assert "rows of table public.orders" in report.data["error"]["fact"]
        assert report.data["database_left"] is None
        assert databases(staging) == {left, "postgres"}

        changed = Tamper(staging, "drop index orders_created_at_idx")
        report = drilled(planned(two_stores, staging, drop=True), changed)
        assert "index public.orders_created_at_idx" in report.data["error"]["fact"]
        assert databases(staging) == {left, "postgres"}
    assert left_behind(two_stores) == []


def databases(conninfo: str) -> set[str]:
    with psycopg.connect(make_conninfo(conninfo, dbname="postgres")) as connection:
        rows = connection.execute("select datname from pg_database where not datistemplate").fetchall()
    assert conninfo_to_dict(conninfo)["dbname"] == "postgres"
    return {str(row[0]) for row in rows}

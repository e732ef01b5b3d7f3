"""The proof can fail: a copy that differs in anything is found, and what differs is named."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.kernel.errors import Exit
from tabsync.kernel.runner import Quiet
from tabsync.kernel.step import Step
from tabsync.manual.load import load
from tabsync.postgres import embedded
from tabsync.workspace import Workspace


class Tamper(Quiet):
    """Changes the copy just before it is compared."""

    def __init__(self, workspace: Workspace, statement: str) -> None:
        self.workspace, self.statement = workspace, statement

    def step_started(self, number: int, total: int, step: Step) -> None:
        if step.key == "round_trip":
            (scratch,) = self.workspace.scratch().iterdir()
            database = psycopg.conninfo.conninfo_to_dict(self.workspace.conninfo)["dbname"]
            with psycopg.connect(embedded.opened(scratch).conninfo(str(database)), autocommit=True) as connection:
                connection.execute(self.statement)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            "update orders set table_session_id = table_session_id where id = (select min(id::text)::uuid from orders)",
            "orders",
        ),
        ("delete from audit_logs where id = (select max(id) from audit_logs)", "audit_logs"),
        ("drop index orders_created_at_idx", "orders_created_at_idx"),
        ("alter table payments alter column status drop not null", "payments"),
        ("alter table menu_items disable trigger all", "menu_items"),
        ("create table spurious (x int)", "spurious"),
        ("grant select on users to public", "users"),
        ("alter database {database} set work_mem = '5MB'", "database"),
        ("select lo_create(4711)", "large objects"),
        ("comment on table users is 'changed'", "users"),
    ],
    ids=lambda value: value.split()[0] if " " in value else value,
)
def test_a_changed_copy_is_found(
    statement: str,
    named: str,
    tabsync_database: Callable[..., str],
    workspaces: Callable[..., Workspace],
) -> None:
    workspace = workspaces(tabsync_database())
    database = psycopg.conninfo.conninfo_to_dict(workspace.conninfo)["dbname"]
    plan = plan_drill(workspace, load(workspace.manual_path))
    report = run_drill(workspace, plan, Tamper(workspace, statement.replace("{database}", str(database))))
    assert report.exit_code == Exit.PROBLEM_FOUND
    assert "the copy differs from the backup" in report.data["error"]["fact"]
    assert named in report.data["error"]["fact"]
    assert report.data["verdict"]["content"] == "not proven"

"""A step that needs a backup says so, or prune could delete it meanwhile: looked for in what the plans really hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tabsync.backups.copy import plan_copy
from tabsync.backups.drill.drill import plan_drill
from tabsync.backups.query import plan_query
from tabsync.backups.restore.in_place import plan_restore_in_place
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.rows.plan_compare import plan_compare_rows
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.backups.sign import plan_sign
from tabsync.backups.take import plan_take_full
from tabsync.backups.verify import plan_verify, plan_verify_deep
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import run
from tabsync.manual.load import load
from tabsync.stores.keys import Keys, new_signing_key
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql

PLANS: dict[str, Callable[[Workspace, str], Plan]] = {
    "verify": lambda workspace, backup: plan_verify(workspace, [backup]),
    "verify --deep": plan_verify_deep,
    "drill": lambda workspace, backup: plan_drill(workspace, load(workspace.manual_path), backup),
    "restore new": plan_restore_new,
    "restore tables": lambda workspace, backup: plan_restore_tables(workspace, ["guests"], backup)[0],
    "restore in-place": plan_restore_in_place,
    "restore rows": lambda workspace, backup: plan_compare_rows(workspace, "guests", "true", backup)[0],
    "query": lambda workspace, backup: plan_query(workspace, backup, "table guests", timeout=9, limit=9)[0],
    "copy": lambda workspace, backup: plan_copy(workspace, backup, str(workspace.home / "elsewhere")),
    "sign": lambda workspace, backup: plan_sign(workspace, [backup]),
}


def texts(value: Any) -> Iterator[str]:
    """Every text in some JSON, keys of objects among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def test_a_plan_names_the_backup_that_its_steps_need(
    databases: Databases, workspaces: Callable[..., Workspace], tmp_path: Path
) -> None:
    conninfo = databases()
    run_sql(conninfo, "create table public.guests (id int primary key)")
    run_sql(conninfo, "insert into public.guests values (1)")
    workspace = workspaces(conninfo)
    outcome = run(plan_take_full(workspace), workspace, workspace.journal())
    outcome.raise_if_failed()
    backup = outcome.results["commit"]["backup"]
    signing = Keys(signing=tmp_path / "key.pem", trusted=(new_signing_key(tmp_path / "key.pem"),))
    found = {}
    for name, plan_of in PLANS.items():
        where = replace(workspace, keys=signing, _open={}) if name == "sign" else workspace
        plan = plan_of(where, backup)
        needed = any(backup in texts(step.arguments) for step in plan.steps)
        found[name] = (needed, backup in plan.reads)
    assert found == dict.fromkeys(PLANS, (True, True))

"""While anybody deploys, under guard or with the lock of any tool, nothing is undone and nothing is resolved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.errors import Refused
from tabsync.kernel.runner import run
from tabsync.migrations.histories.lock import GUARD
from tabsync.migrations.resolve import Resolve, plan_resolve
from tabsync.migrations.tools.prisma import LOCK
from tabsync.migrations.undo.undo import Undo, plan_undo
from tabsync.workspace import Workspace
from tests.postgres.migrations.history import History, half_done
from tests.postgres.migrations.test_locks import holding, numbers

_DIRTY = (
    "create table schema_migrations (version bigint primary key, dirty boolean not null);"
    "insert into schema_migrations values (2, true);"
    "create table fresh (id int); insert into fresh values (1)"
)


def test_a_deployment_of_golang_migrate_or_under_guard_is_not_undone_while_it_runs(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    conninfo, folder = databases(), directory / "sql"
    folder.mkdir()
    (folder / "001_a.up.sql").write_text("select 1")
    (folder / "002_b.up.sql").write_text("create table fresh (id int); insert into fresh values (1); select 1/0")
    with psycopg.connect(conninfo, autocommit=True) as session:
        for one in _DIRTY.split(";"):
            session.execute(one.encode())
        own = numbers(str(session.info.dbname))["dirty"]
    workspace = workspaces(conninfo)
    plan = plan_undo(workspace, Undo("002", folder)).plan
    for number, why in ((GUARD, "runs under guard"), (own, "golang-migrate holds the migration lock")):
        with holding(conninfo, number):
            with pytest.raises(Refused, match=why):
                plan_undo(workspace, Undo("002", folder))
            with pytest.raises(Refused, match=why):
                run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()
    run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()


def test_nothing_is_resolved_while_a_deployment_runs(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    half_done(history, "2_broken", "select 1/0")
    workspace = workspaces(history.conninfo)
    request = Resolve("2_broken", history.folder, rolled_back=True)
    plan = plan_resolve(workspace, request).plan
    for number, why in ((GUARD, "under guard"), (LOCK, "holds the migration lock")):
        with holding(history.conninfo, number):
            with pytest.raises(Refused, match=why):
                plan_resolve(workspace, request)
            with pytest.raises(Refused, match=why):
                run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()
    run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()

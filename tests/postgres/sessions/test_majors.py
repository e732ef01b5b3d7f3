"""What this chapter asks is understood by the oldest and the newest PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.maintenance.indexes import Indexes, plan_indexes
from tabsync.maintenance.vacuum import Vacuum, plan_vacuum
from tabsync.sessions.locks import look_locks
from tabsync.sessions.queries import Queries, look_queries
from tabsync.sessions.show import Show, look_show
from tabsync.sessions.statements import SQL, ask
from tabsync.sessions.terminate import Terminate, plan_terminate
from tabsync.sessions.watch import prospects
from tabsync.workspace import Workspace
from tests.conftest import Databases

VALUES = {
    "pid": 1,
    "pids": [1],
    "starts": ["2026-01-01"],
    "backend_start": "2026-01-01",
    "state": "idle",
    "state_change": "2026-01-01",
    "dumps": [],
}


@pytest.mark.parametrize("major", [15, 18])
def test_on_other_versions(major: int, databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    conninfo = databases(major)
    workspace = workspaces(conninfo)
    with psycopg.connect(conninfo, application_name="web", autocommit=True) as one:
        assert any(found["application"] == "web" for found in look_show(workspace, Show()).data["sessions"])
        look_queries(workspace, Queries(all=True))
        look_locks(workspace, Nothing())
        told = prospects(workspace)
        assert told is not None
        assert told["ways"] == ["a superuser's slots"]
        plan = plan_terminate(workspace, Terminate(idle_for="1ms", app="web")).plan
        outcome = run(plan, workspace, workspace.journal())
        assert [found["pid"] for found in outcome.results["end"]["ended"]] == [one.info.backend_pid]
    assert plan_vacuum(workspace, Vacuum()).plan.steps
    assert not plan_indexes(workspace, Indexes()).about.found
    with workspace.connect("tests") as connection:
        for name in SQL:  # also those that are asked only when something waits
            (said,) = ask(connection, (), name, [VALUES])
            assert not said.error, name

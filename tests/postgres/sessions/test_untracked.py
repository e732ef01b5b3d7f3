"""With track_activities off nobody sees what sessions do: that is unknown, and never nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tabsync.kernel.errors import Exit, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.procedure import Done
from tabsync.kernel.runner import run
from tabsync.sessions.cancel import Cancel, plan_cancel
from tabsync.sessions.diagnose import Diagnose, look_diagnose
from tabsync.sessions.explain import Explain, look_explain
from tabsync.sessions.queries import Queries, look_queries
from tabsync.sessions.show import Show, look_show
from tabsync.sessions.terminate import Terminate, plan_terminate, show_terminate
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql


@pytest.fixture
def conninfo(databases: Databases) -> str:
    """A database that does not track what its sessions do."""
    made = databases()
    run_sql(made, "alter database {} set track_activities = off", str(conninfo_to_dict(made)["dbname"]))
    return made


@pytest.fixture
def session(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    """A session in it."""
    with psycopg.connect(conninfo, application_name="web", autocommit=True) as one:
        one.execute("select 1")
        yield one


def done(workspace: Workspace, request: Terminate) -> Page:
    made = plan_terminate(workspace, request)
    outcome = run(made.plan, workspace, workspace.journal()) if made.plan.steps else None
    return show_terminate(Done(workspace, request, made, outcome))


def test_what_is_not_tracked_is_unknown(
    conninfo: str, session: psycopg.Connection[Any], workspaces: Callable[..., Workspace]
) -> None:
    workspace, pid = workspaces(conninfo), session.info.backend_pid
    page = done(workspace, Terminate(idle_for="1ms"))
    assert page.headline.startswith("UNKNOWN")
    assert page.exit_code is Exit.UNKNOWN
    assert any("track_activities" in note for note in plan_terminate(workspace, Terminate(idle_for="1ms")).notes)
    page = look_show(workspace, Show())
    assert "1 not tracked" in page.headline
    assert page.exit_code is Exit.UNKNOWN
    page = look_queries(workspace, Queries())
    assert "of 1 more sessions it is unknown" in page.headline
    assert page.exit_code is Exit.UNKNOWN
    for refused in (
        lambda: look_explain(workspace, Explain(pid)),
        lambda: plan_cancel(workspace, Cancel(pid)),
    ):
        with pytest.raises(Refused, match="not tracked"):
            refused()
    page = look_diagnose(workspace, Diagnose())
    assert any("track_activities is off" in unseen for unseen in page.data["unseen"])
    assert "1 are not tracked" in str(page.data["because"])
    done(workspace, Terminate((pid,)))  # by its process id it is ended
    with pytest.raises(psycopg.OperationalError):
        session.execute("select 1")

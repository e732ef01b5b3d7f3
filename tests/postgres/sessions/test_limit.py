"""A role is held back for a while, and the limit of before comes back, whoever dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.cli.leftovers import delete_leftovers
from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.runner import run
from tabsync.manual.model import Manual
from tabsync.postgres.conninfo import place
from tabsync.service.chores import Chores
from tabsync.sessions.limit import Limit, plan_limit, show_limit
from tabsync.sessions.limits import Limited, begin, in_force
from tabsync.sessions.watch import contribute
from tabsync.workspace import Workspace
from tests.conftest import run_sql

ROLE = 'a "limited" role'
"""Names are no text of ours."""


@pytest.fixture
def workspace(databases: Callable[..., str], workspaces: Callable[..., Workspace]) -> Iterator[Workspace]:
    conninfo = databases()
    run_sql(conninfo, "create role {} login password 'secret' connection limit 7", ROLE)
    yield workspaces(conninfo)
    run_sql(conninfo, "drop role if exists {}", ROLE)


def limit_now(workspace: Workspace) -> int:
    with workspace.connect("tests") as connection:
        found = connection.execute("select rolconnlimit from pg_roles where rolname = %s", [ROLE]).fetchone()
        return int(found[0]) if found else -2


def does(workspace: Workspace, request: Limit) -> Any:
    plan = plan_limit(workspace, request)
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    return show_limit(Done(workspace, request, Planned(plan), outcome))


def set_long_ago(workspace: Workspace, limit: int = 2, minutes: int = 5) -> None:
    """A limit whose time is over: whoever set it is gone."""
    until = iso(now() - timedelta(minutes=minutes))
    begin(workspace, Limited(ROLE, place(workspace.conninfo), limit, 7, until))
    run_sql(workspace.conninfo, f"alter role {{}} connection limit {limit}", ROLE)


def test_it_is_set_and_undone(workspace: Workspace) -> None:
    page = does(workspace, Limit(ROLE, 2, "1h"))
    assert limit_now(workspace) == 2
    assert "a limit of 7 before" in page.blocks[1].text
    does(workspace, Limit(ROLE, 0))  # again: what was before stays what it was
    assert limit_now(workspace) == 0
    assert [one.before for one in in_force(workspace)] == [7]
    with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
        psycopg.connect(make_conninfo(workspace.conninfo, user=ROLE, password="secret", passfile=""))
    does(workspace, Limit(ROLE, undo=True))
    assert limit_now(workspace) == 7
    assert not in_force(workspace)
    with pytest.raises(BadUsage, match="no connection limit"):
        plan_limit(workspace, Limit(ROLE, undo=True))


def test_the_next_command_undoes_it(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    set_long_ago(workspace)
    facts: dict[str, Any] = {"database": {"reachable": False}, "alerts": []}
    contribute(workspace, Manual(), facts)
    assert [one["label"] for one in facts["alerts"]] == [ROLE]
    delete_leftovers(workspace)
    assert limit_now(workspace) == 7
    assert "set back to a limit of 7" in capsys.readouterr().err
    delete_leftovers(workspace)
    assert not capsys.readouterr().err


def test_the_service_undoes_it(workspace: Workspace) -> None:
    set_long_ago(workspace)
    said: list[str] = []
    limits = Chores(workspace, said.append)
    limits.look()
    assert limits._working is not None
    limits._working.join(30)
    assert limit_now(workspace) == 7
    assert len(said) == 1


def test_what_somebody_else_has_changed_is_left(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    set_long_ago(workspace)
    run_sql(workspace.conninfo, "alter role {} connection limit 30", ROLE)
    delete_leftovers(workspace)
    assert limit_now(workspace) == 30
    assert "somebody else has changed it to a limit of 30" in capsys.readouterr().err
    assert not in_force(workspace)


def test_a_role_that_is_gone_and_a_server_that_is_away(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    set_long_ago(workspace)
    away = replace(workspace, conninfo="host=127.0.0.1 port=1 dbname=d", _open={})
    begin(away, Limited(ROLE, place(away.conninfo), 2, 7, iso(now())))
    delete_leftovers(away)
    assert "is not set back yet" in capsys.readouterr().err
    away.close()
    run_sql(workspace.conninfo, "drop role {}", ROLE)
    delete_leftovers(workspace)
    assert "no such role any more" in capsys.readouterr().err
    assert [one.place for one in in_force(workspace)] == ["d on 127.0.0.1:1"]


def test_what_is_refused(workspace: Workspace) -> None:
    with pytest.raises(Refused, match="superuser"):
        plan_limit(workspace, Limit("postgres", 5))
    for wrong in (
        Limit(ROLE),
        Limit(ROLE, 5, undo=True),
        Limit(ROLE, -1),
        Limit(ROLE, 5, "2 days"),
        Limit("nobody", 5),
    ):
        with pytest.raises(BadUsage):
            plan_limit(workspace, wrong)
    plan = plan_limit(workspace, Limit(ROLE, 5))
    run_sql(workspace.conninfo, "alter role {} connection limit 9", ROLE)
    with pytest.raises(Refused, match="by now"):
        run(plan, workspace, workspace.journal()).raise_if_failed()
    assert limit_now(workspace) == 9
    assert not in_force(workspace)


def test_a_role_that_may_not(workspace: Workspace) -> None:
    with workspace.connect("tests") as connection:
        connection.execute(sql.SQL("create role weak login password 'secret'"))
    weak = replace(
        workspace, conninfo=make_conninfo(workspace.conninfo, user="weak", password="secret", passfile=""), _open={}
    )
    try:
        with pytest.raises(NotAllowed, match="not allowed to limit"):
            does(weak, Limit(ROLE, 5))
        assert not in_force(weak)
    finally:
        weak.close()
        run_sql(workspace.conninfo, "drop role weak")

"""A role is held back for a while, and the limit of before comes back, whoever dies meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.cli.leftovers import delete_leftovers
from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import BadUsage, FailedPartway, NotAllowed, NotRecorded, Refused
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.runner import run
from tabsync.ledger import sqlite_file
from tabsync.ledger.open import unopened
from tabsync.ledger.sqlite_file import sqlite_path
from tabsync.manual.model import Manual
from tabsync.postgres.catalog import identity
from tabsync.postgres.conninfo import libpq_environment, server_of
from tabsync.service.chores import Chores
from tabsync.sessions.limit import Limit, plan_limit, show_limit
from tabsync.sessions.limits import Limited, begin, in_force
from tabsync.sessions.role_limit import role_named
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


def limited(workspace: Workspace, limit: int, until: str) -> Limited:
    """A limit of ROLE as it would be on record."""
    with workspace.connect("tests") as connection:
        row, identifier = role_named(connection, ROLE), identity(connection)["system_identifier"]
    return Limited(ROLE, row["oid"], server_of(workspace.conninfo), identifier, limit, 7, until)


def set_long_ago(workspace: Workspace, limit: int = 2, minutes: int = 5) -> None:
    """A limit whose time is over: whoever set it is gone."""
    begin(workspace, limited(workspace, limit, iso(now() - timedelta(minutes=minutes))))
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


def test_what_somebody_else_has_changed_stays_visible_until_a_person_settles_it(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    set_long_ago(workspace)
    run_sql(workspace.conninfo, "alter role {} connection limit 30", ROLE)
    for _ in range(2):
        delete_leftovers(workspace)
        assert limit_now(workspace) == 30
        said = capsys.readouterr().err
        assert "overdue: found a limit of 30, ours was 2" in said
        assert "--undo, which sets a limit of 7, or --keep" in said
    facts: dict[str, Any] = {"database": {"reachable": False}, "alerts": []}
    contribute(workspace, Manual(), facts)
    assert "found a limit of 30" in facts["alerts"][0]["value"]
    plan = plan_limit(workspace, Limit(ROLE, undo=True))
    assert "it is a limit of 30 now" in plan.steps[0].title
    does(workspace, Limit(ROLE, keep=True))
    assert limit_now(workspace) == 30
    assert not in_force(workspace)
    with pytest.raises(BadUsage, match="no connection limit"):
        plan_limit(workspace, Limit(ROLE, keep=True))
    set_long_ago(workspace)
    run_sql(workspace.conninfo, "alter role {} connection limit 31", ROLE)
    run(plan_limit(workspace, Limit(ROLE, undo=True)), workspace, workspace.journal()).raise_if_failed()
    assert limit_now(workspace) == 7
    assert not in_force(workspace)


def test_two_homes_limit_one_role(workspace: Workspace, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the other has set can't be known, so the first says what it found, and undoes it when it is ours again."""
    other = replace(workspace, home=directory / "other", ledger_url=f"sqlite:///{directory}/other.sqlite", _open={})
    set_long_ago(workspace, 15)
    does(other, Limit(ROLE, 12))
    delete_leftovers(workspace)
    assert "found a limit of 12, ours was 15" in capsys.readouterr().err
    does(other, Limit(ROLE, undo=True))
    assert limit_now(workspace) == 15
    delete_leftovers(workspace)
    assert limit_now(workspace) == 7
    assert not in_force(workspace)
    other.close()


def test_another_database_and_another_name_of_the_server_are_the_same_role(workspace: Workspace) -> None:
    does(workspace, Limit(ROLE, 5))
    host, port = (workspace_part(workspace, name) for name in ("PGHOST", "PGPORT"))
    spelled = make_conninfo(workspace.conninfo, dbname="postgres", host=f"{host}/", port=port)
    elsewhere = replace(workspace, conninfo=spelled)
    does(elsewhere, Limit(ROLE, 3))
    assert [(one.limit, one.before) for one in in_force(workspace)] == [(3, 7)]
    does(workspace, Limit(ROLE, undo=True))
    assert limit_now(workspace) == 7
    assert not in_force(elsewhere)


def workspace_part(workspace: Workspace, name: str) -> str:
    return libpq_environment(workspace.conninfo)[name]


def test_a_role_that_was_renamed(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    set_long_ago(workspace)
    run_sql(workspace.conninfo, "alter role {} rename to {}", ROLE, "renamed")
    try:
        delete_leftovers(workspace)
        assert "the connection limit of renamed: set back to a limit of 7" in capsys.readouterr().err
    finally:
        run_sql(workspace.conninfo, "alter role {} rename to {}", "renamed", ROLE)
    assert limit_now(workspace) == 7
    assert not in_force(workspace)


def test_a_second_limit_that_fails_leaves_the_first_on_record(workspace: Workspace) -> None:
    does(workspace, Limit(ROLE, 2))
    with psycopg.connect(workspace.conninfo, application_name="other hands") as another:
        another.execute(sql.SQL("alter role {} connection limit 2").format(sql.Identifier(ROLE)))
        with pytest.raises(FailedPartway, match=r"still open: session \d+ \(other hands as postgres\)") as failed:
            does(workspace, Limit(ROLE, 1))
        assert f"terminate {another.info.backend_pid}" in failed.value.hint
    assert [(one.limit, one.before) for one in in_force(workspace)] == [(2, 7)]
    does(workspace, Limit(ROLE, undo=True))
    with psycopg.connect(workspace.conninfo) as another:
        another.execute(sql.SQL("alter role {} connection limit 7").format(sql.Identifier(ROLE)))
        with pytest.raises(FailedPartway, match="still open"):
            does(workspace, Limit(ROLE, 1))
    assert not in_force(workspace)  # nothing was set


def test_killed_between_the_record_and_the_change(workspace: Workspace) -> None:
    does(workspace, Limit(ROLE, 2))
    (first,) = in_force(workspace)
    begin(workspace, replace(first, limit=1, ours=(2,), until=iso(now() - timedelta(minutes=1))))  # and no ALTER ROLE
    delete_leftovers(workspace)
    assert limit_now(workspace) == 7
    assert not in_force(workspace)


def test_while_the_ledger_cant_be_written(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the emergency journal is in force too."""
    monkeypatch.setattr(sqlite_file, "PATIENCE", 0)
    path = sqlite_path(workspace.ledger().url)
    one = limited(workspace, 2, iso(now()))
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as holding:
        holding.execute("begin immediate")
        begin(workspace, one)
        assert in_force(workspace) == [one]
        does(workspace, Limit(ROLE, 3))
        (second,) = in_force(workspace)
        assert second.before == 7
        begin(workspace, replace(second, until=iso(now() - timedelta(minutes=1))))
        delete_leftovers(workspace)
        assert limit_now(workspace) == 7
        assert not in_force(workspace)
    delete_leftovers(workspace)
    assert not in_force(workspace)
    assert not workspace.ledger().emergency.runs()


def test_a_ledger_that_cant_be_read_may_know_of_a_limit(workspace: Workspace) -> None:
    ledger = workspace.ledger()
    workspace._open["ledger"] = unopened(ledger.url, ledger.claims, broken="the disk is gone")
    with pytest.raises(NotRecorded, match="is unknown: the disk is gone"):
        plan_limit(workspace, Limit(ROLE, undo=True))
    workspace._open["ledger"] = ledger


def test_a_role_that_is_gone_and_a_server_that_is_away(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    set_long_ago(workspace)
    away = replace(workspace, conninfo="host=127.0.0.1 port=1 dbname=d", _open={})
    begin(away, Limited(ROLE, 1, server_of(away.conninfo), "1", 2, 7, iso(now())))
    delete_leftovers(away)
    assert "is not set back yet" in capsys.readouterr().err
    away.close()
    run_sql(workspace.conninfo, "drop role {}", ROLE)
    delete_leftovers(workspace)
    assert "no such role any more" in capsys.readouterr().err
    assert [one.server for one in in_force(workspace)] == ["127.0.0.1:1"]
    does(workspace, Limit(ROLE, keep=True))  # a server that will never come again
    assert not in_force(workspace)


def test_what_is_refused(workspace: Workspace) -> None:
    with pytest.raises(Refused, match="superuser"):
        plan_limit(workspace, Limit("postgres", 5))
    for wrong in (
        Limit(ROLE),
        Limit(ROLE, 5, undo=True),
        Limit(ROLE, undo=True, keep=True),
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

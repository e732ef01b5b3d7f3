"""Invalid indexes are listed, built anew and dropped; what an attempt leaves is dropped too, also after kill -9."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tabsync.kernel.errors import BadUsage, FailedPartway, Refused
from tabsync.kernel.plan import plan_from_json
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.runner import run
from tabsync.maintenance.indexes import Indexes, plan_indexes, show_indexes
from tabsync.workspace import Workspace
from tests.conftest import Databases


@pytest.fixture
def workspace(databases: Databases, workspaces: Callable[..., Workspace]) -> Workspace:
    conninfo = databases()
    with psycopg.connect(conninfo, autocommit=True) as making:
        making.execute("create table t (a int, b int)")
        making.execute("insert into t values (1, 1), (1, 2)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            making.execute("create unique index concurrently once on t (a)")
        making.execute('create index "Fine" on t (b)')
    return workspaces(conninfo)


def does(workspace: Workspace, request: Indexes) -> Any:
    made: Planned[Workspace] = plan_indexes(workspace, request)
    outcome = run(plan_from_json(made.plan.to_json()), workspace, workspace.journal()) if made.plan.steps else None
    if outcome:
        outcome.raise_if_failed()
    return show_indexes(Done(workspace, request, made, outcome))


def invalid(workspace: Workspace) -> list[str]:
    with workspace.connect("tests") as connection:
        found = connection.execute("select indexrelid::regclass::text from pg_index where not indisvalid order by 1")
        return [name for (name,) in found.fetchall()]


def test_they_are_listed(workspace: Workspace) -> None:
    page = does(workspace, Indexes())
    assert [one["name"] for one in page.data["indexes"]] == ["once"]
    assert page.exit_code == 1
    assert invalid(workspace) == ["public.once"]


def test_one_is_built_anew_once_its_cause_is_gone(workspace: Workspace) -> None:
    with pytest.raises(FailedPartway, match="could not create unique index"):
        does(workspace, Indexes(rebuild=True))
    assert invalid(workspace) == ["public.once"]  # what the attempt left is gone
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        session.execute("delete from t where b = 2")
    page = does(workspace, Indexes("public.once", rebuild=True))
    assert [one["state"] for one in page.data["indexes"]] == ["rebuilt"]
    assert invalid(workspace) == []
    assert does(workspace, Indexes()).headline.startswith("NO INVALID INDEX")


def test_what_a_killed_attempt_left_is_dropped_by_the_next(workspace: Workspace) -> None:
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute("reindex index concurrently once")  # as a process that dies leaves it
        session.execute("delete from t where b = 2")
    assert invalid(workspace) == ["public.once", "public.once_ccnew"]
    page = does(workspace, Indexes(rebuild=True))
    assert {one["index"]: one["state"] for one in page.data["indexes"]} == {
        "public.once": "rebuilt",
        "public.once_ccnew": "dropped",
    }
    assert invalid(workspace) == []


@pytest.mark.parametrize("base", ["x" * 63, "é" * 31, "ab" + "日" * 20, "once_ccnew"])
def test_a_leftover_is_told_by_the_name_that_postgresql_makes(workspace: Workspace, base: str) -> None:
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        session.execute(sql.SQL("alter index once rename to {}").format(sql.Identifier(base)))
        for _ in range(2):
            with pytest.raises(psycopg.errors.UniqueViolation):
                session.execute(sql.SQL("reindex index concurrently {}").format(sql.Identifier(base)))
    made = plan_indexes(workspace, Indexes(rebuild=True))
    assert sorted(step.title.split()[0] for step in made.plan.steps) == ["Drop", "Drop", "Rebuild"]


def test_an_index_of_the_application_is_no_leftover_whatever_its_name(workspace: Workspace) -> None:
    names = ("mail_ccnewsletter_idx", "lone_ccnew", "once_ccnewer", "once_ccold01")
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        session.execute("create table other (a int)")
        session.execute("create index lone on other (a)")  # of another table
        for name in names:
            with pytest.raises(psycopg.errors.UniqueViolation):
                session.execute(f"create unique index concurrently {name} on t (a)")
        session.execute("delete from t where b = 2")
    page = does(workspace, Indexes(rebuild=True))
    assert {one["state"] for one in page.data["indexes"]} == {"rebuilt"}
    assert invalid(workspace) == []


def test_what_another_session_builds_is_no_leftover(workspace: Workspace) -> None:
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        session.execute("delete from t where b = 2")
        session.execute("reindex index once")
    with psycopg.connect(workspace.conninfo) as old, psycopg.connect(workspace.conninfo, autocommit=True) as other:
        old.execute("insert into t values (5, 5)")  # the build waits for it
        building = Thread(target=other.execute, args=("reindex index concurrently once",))
        building.start()
        until(lambda: invalid(workspace) == ["public.once_ccnew"])
        page = does(workspace, Indexes(rebuild=True))
        assert page.headline.startswith("UNKNOWN")
        assert page.exit_code == 6
        with pytest.raises(Refused, match=f"session {other.info.backend_pid} builds"):
            plan_indexes(workspace, Indexes("public.once_ccnew", drop=True))
        old.rollback()
        building.join()
    assert invalid(workspace) == []


def test_one_who_begins_to_build_after_the_plan_is_left_too(workspace: Workspace) -> None:
    with psycopg.connect(workspace.conninfo, autocommit=True) as session, pytest.raises(psycopg.errors.UniqueViolation):
        session.execute("reindex index concurrently once")
    request = Indexes("public.once_ccnew", drop=True)
    made = plan_indexes(workspace, request)
    with psycopg.connect(workspace.conninfo) as other:
        other.execute("lock table t in share update exclusive mode")
        outcome = run(made.plan, workspace, workspace.journal())
        page = show_indexes(Done(workspace, request, made, outcome))
    assert [one["state"] for one in page.data["indexes"]] == ["left"]
    assert invalid(workspace) == ["public.once", "public.once_ccnew"]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_is_dropped_and_the_plan_says_how_it_comes_again(workspace: Workspace) -> None:
    made = plan_indexes(workspace, Indexes(drop=True))
    assert made.plan.steps[0].undo == "CREATE UNIQUE INDEX CONCURRENTLY once ON public.t USING btree (a)"
    page = does(workspace, Indexes(drop=True))
    assert [one["state"] for one in page.data["indexes"]] == ["dropped"]
    assert invalid(workspace) == []


def test_one_that_has_become_valid_or_was_replaced_is_left(workspace: Workspace) -> None:
    request = Indexes(drop=True)
    made = plan_indexes(workspace, request)
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        session.execute("drop index once")
        session.execute("create index once on t (a)")
    outcome = run(made.plan, workspace, workspace.journal())
    page = show_indexes(Done(workspace, request, made, outcome))
    assert [(one["state"], one["why"]) for one in page.data["indexes"]] == [
        ("left", "it was dropped or renamed meanwhile")
    ]


def test_what_is_refused(workspace: Workspace) -> None:
    with pytest.raises(Refused, match="is valid"):
        plan_indexes(workspace, Indexes('public."Fine"', drop=True))
    for wrong in (Indexes("nothing"), Indexes(drop=True, rebuild=True)):
        with pytest.raises(BadUsage):
            plan_indexes(workspace, wrong)

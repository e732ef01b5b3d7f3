"""Statements and locks on a real server: seen, cancelled, and who waits for whom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import plan_from_json
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.kernel.step import Risk
from tabsync.sessions.cancel import Cancel, plan_cancel, show_cancel
from tabsync.sessions.locks import look_locks
from tabsync.sessions.queries import Queries, look_queries
from tabsync.workspace import Workspace
from tests.servers import running_server

Workspaces = Callable[..., Workspace]


@pytest.fixture(scope="module")
def conninfo() -> Iterator[str]:
    """A server that takes prepared transactions."""
    with running_server("locks", max_prepared_transactions="5") as server:
        with psycopg.connect(server.conninfo(), autocommit=True) as making:
            making.execute("create table t (a int primary key); insert into t values (1), (2)")
            making.execute("""
                create function stubborn() returns void language plpgsql as $$
                begin perform pg_sleep(60); exception when query_canceled then perform pg_sleep(60); end $$
            """)
        yield server.conninfo()


class Clients:
    """Sessions whose statements run beside the test."""

    def __init__(self, conninfo: str, stack: ExitStack) -> None:
        self._conninfo, self._stack = conninfo, stack
        self._pool = stack.enter_context(ThreadPoolExecutor(8))

    def session(self, name: str = "web") -> psycopg.Connection[Any]:
        made = psycopg.connect(self._conninfo, application_name=name, autocommit=True)
        self._stack.callback(made.close)
        return made

    def runs(self, session: psycopg.Connection[Any], statement: str, *, waits: bool = False) -> Future[Any]:
        """Start a statement, and see that it runs, or waits for a lock."""
        future = self._pool.submit(session.execute, statement)
        pid = session.info.backend_pid
        sign = "wait_event_type = 'Lock'" if waits else "wait_event = 'PgSleep'"
        with psycopg.connect(self._conninfo, autocommit=True) as looking:
            until = time.monotonic() + 60
            while not looking.execute(f"select 1 from pg_stat_activity where pid = {pid} and {sign}").fetchone():
                assert time.monotonic() < until
                time.sleep(0.01)
        return future


@pytest.fixture
def clients(conninfo: str) -> Iterator[Clients]:
    with ExitStack() as stack:
        made = Clients(conninfo, stack)
        yield made
        with psycopg.connect(conninfo, autocommit=True) as ending:
            for (gid,) in ending.execute("select gid from pg_prepared_xacts").fetchall():
                ending.execute(sql.SQL("rollback prepared {}").format(sql.Literal(gid)))
            ending.execute(
                "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
                " where pid <> pg_backend_pid() and backend_type = 'client backend'"
            )


def cancelled(workspace: Workspace, request: Cancel) -> Any:
    made = plan_cancel(workspace, request)
    assert made.plan.risk is Risk.DESTRUCTIVE
    outcome = run(plan_from_json(made.plan.to_json()), workspace, workspace.journal())
    return show_cancel(Done(workspace, request, made, outcome))


def test_a_statement_is_cancelled_and_its_session_stays(
    conninfo: str, clients: Clients, workspaces: Workspaces
) -> None:
    one = clients.session()
    running = clients.runs(one, "select pg_sleep(60)")
    page = cancelled(workspaces(conninfo), Cancel(one.info.backend_pid))
    assert page.data["cancel"]["done"]
    assert not page.exit_code
    with pytest.raises(psycopg.errors.QueryCanceled):
        running.result(30)
    one.execute("select 1")


def test_another_statement_than_the_planned_one_is_left(
    conninfo: str, clients: Clients, workspaces: Workspaces
) -> None:
    workspace, one = workspaces(conninfo), clients.session()
    first = clients.runs(one, "select pg_sleep(60)")
    request = Cancel(one.info.backend_pid, terminate=True)
    made = plan_cancel(workspace, request)
    one.cancel()
    first.exception(30)
    second = clients.runs(one, "select pg_sleep(60), 2")
    outcome = run(made.plan, workspace, workspace.journal())
    page = show_cancel(Done(workspace, request, made, outcome))
    assert page.data["cancel"]["found"] == "changed"
    assert not page.data["end"]["needed"]
    assert not second.done()


def test_what_does_not_heed_it_is_told_and_ended_only_where_that_was_asked_for(
    conninfo: str, clients: Clients, workspaces: Workspaces
) -> None:
    workspace, one = workspaces(conninfo), clients.session()
    running = clients.runs(one, "select stubborn()")
    page = cancelled(workspace, Cancel(one.info.backend_pid))
    assert "STILL RUNS" in page.headline
    assert page.exit_code == 1
    assert not running.done()
    page = cancelled(workspace, Cancel(one.info.backend_pid, terminate=True))
    assert page.headline.startswith(("ENDED", "CANCELLED"))
    assert running.exception(30)


def test_who_idles_runs_nothing_to_cancel(conninfo: str, clients: Clients, workspaces: Workspaces) -> None:
    with pytest.raises(Refused, match="runs no statement: it is idle"):
        plan_cancel(workspaces(conninfo), Cancel(clients.session().info.backend_pid))


def test_what_runs_what_it_waits_for_and_whom_it_blocks(
    conninfo: str, clients: Clients, workspaces: Workspaces
) -> None:
    holder, waiter, sleeper = clients.session("holder\x1b[2J\nx"), clients.session("waiter"), clients.session()
    holder.execute("begin")
    holder.execute("update t set a = a where a = 1 -- \x1b[31m")
    clients.runs(waiter, "update t set a = a where a = 1", waits=True)
    clients.runs(sleeper, "select pg_sleep(60)")
    page = look_queries(workspaces(conninfo), Queries())
    first, *others = page.data["queries"]
    assert (first["pid"], first["blocks"], first["state"]) == (holder.info.backend_pid, 1, "idle in transaction")
    told = {one["pid"]: one for one in others}
    assert told[waiter.info.backend_pid]["blocked_by"] == [holder.info.backend_pid]
    assert told[waiter.info.backend_pid]["waits_for"].endswith(f"held by {holder.info.backend_pid}")
    assert told[sleeper.info.backend_pid]["waits_for"] == "Timeout: PgSleep"
    drawn = [cell for block in page.blocks for row in getattr(block, "rows", ()) for cell in row]
    assert not any("\x1b" in cell or "\n" in cell for cell in drawn)


def test_the_root_of_the_locks_is_first(conninfo: str, clients: Clients, workspaces: Workspaces) -> None:
    root, middle, last = (clients.session(name) for name in ("root", "middle", "last"))
    root.execute("begin")
    root.execute("lock table t in access share mode")
    clients.runs(middle, "alter table t alter a set default 1", waits=True)
    clients.runs(last, "select * from t", waits=True)
    page = look_locks(workspaces(conninfo), Nothing())
    pids = [one.info.backend_pid for one in (root, middle, last)]
    assert [(one["name"], one["depth"]) for one in page.data["tree"]] == list(zip(pids, (0, 1, 2), strict=True))
    assert page.exit_code == 1
    (table,) = [block for block in page.blocks if hasattr(block, "rows")]
    assert table.rows[0][2] == "idle in transaction"
    assert "lock table t in access share" in table.rows[0][4]
    assert "AccessExclusiveLock on public.t" in table.rows[1][4]
    assert any(f"terminate {pids[0]}" in getattr(block, "text", "") for block in page.blocks)


def test_a_prepared_transaction_blocks_without_a_session(
    conninfo: str, clients: Clients, workspaces: Workspaces
) -> None:
    one, waiter = clients.session(), clients.session()
    for statement in ("begin", "update t set a = a where a = 2", "prepare transaction 'order-1'"):
        one.execute(statement)
    clients.runs(waiter, "update t set a = a where a = 2", waits=True)
    page = look_locks(workspaces(conninfo), Nothing())
    assert [one["name"] for one in page.data["tree"]] == ["prepared order-1", waiter.info.backend_pid]
    assert any("rollback prepared 'order-1'" in getattr(block, "text", "") for block in page.blocks)


@pytest.mark.parametrize(
    ("gid", "hint"),
    [
        ("x'; drop table t; --", "in its database: rollback prepared 'x''; drop table t; --'"),
        ("x\ndrop table t", "select format('rollback prepared %L', gid) from pg_prepared_xacts"),
    ],
)
def test_the_name_of_a_prepared_transaction_is_no_statement(
    conninfo: str, clients: Clients, workspaces: Workspaces, gid: str, hint: str
) -> None:
    """Any user of the database chooses it, and a superuser copies the hint."""
    one, waiter = clients.session(), clients.session()
    one.execute("begin")
    one.execute("update t set a = a where a = 2")
    one.execute(sql.SQL("prepare transaction {}").format(sql.Literal(gid)))
    clients.runs(waiter, "update t set a = a where a = 2", waits=True)
    page = look_locks(workspaces(conninfo), Nothing())
    (told,) = [text for block in page.blocks if "prepared" in (text := getattr(block, "text", ""))]
    assert told.endswith(hint)


def test_nobody_waits(conninfo: str, clients: Clients, workspaces: Workspaces) -> None:
    clients.session()
    page = look_locks(replace(workspaces(conninfo)), Nothing())
    assert page.headline.startswith("NOBODY WAITS")
    assert not page.exit_code

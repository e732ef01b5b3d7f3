"""Sessions are ended on a real server: those that were planned, and no other one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.kernel.plan import Plan, plan_from_json
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.runner import run
from tabsync.kernel.step import Call, Risk
from tabsync.postgres.embedded import Server
from tabsync.sessions.show import Show, look_show
from tabsync.sessions.terminate import Terminate, plan_terminate, show_terminate
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.pooler import pgbouncer
from tests.servers import running_server
from tests.whole import WHOLE

Session = psycopg.Connection[tuple[Any, ...]]
Clients = Callable[..., Session]


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Opens sessions of an application; gives each in autocommit."""
    with ExitStack() as stack:

        def one(conninfo: str, application: str = "web") -> Session:
            made = psycopg.connect(conninfo, application_name=application, autocommit=True)
            return stack.enter_context(made)

        yield one


def is_alive(session: Session) -> bool:
    try:
        session.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def pid(session: Session) -> int:
    return session.info.backend_pid


def changed(plan: Plan, **of_all: Any) -> Plan:
    """The plan with something else in its first step, as a plan that was made earlier would have it."""
    first = plan.steps[0]
    given = dict(first.arguments)
    given["sessions"] = [one | of_all for one in given["sessions"]]
    return replace(plan, steps=(replace(first, call=Call(first.function, given)), *plan.steps[1:]))


def shown(workspace: Workspace, request: Terminate, made: Planned[Workspace], plan: Plan | None = None) -> Any:
    """Run a plan, which went through JSON, and give its page."""
    plan = plan_from_json((plan or made.plan).to_json())
    outcome = run(plan, workspace, workspace.journal()) if plan.steps else None
    if outcome:
        outcome.raise_if_failed()
    return show_terminate(Done(workspace, request, made, outcome))


def done(workspace: Workspace, request: Terminate) -> Any:
    return shown(workspace, request, plan_terminate(workspace, request))


def test_idle_ones_are_ended_and_the_connections_are_counted_again(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], clients: Clients
) -> None:
    conninfo = databases()
    idle = [clients(conninfo) for _ in range(3)]
    busy, other = clients(conninfo), clients(conninfo, "batch")
    busy.autocommit = False
    busy.execute("select 1")
    request = Terminate(idle_for="1ms", app="web")
    made = plan_terminate(workspaces(conninfo), request)
    assert made.plan.risk is Risk.REVERSIBLE
    assert any(f"terminate {pid(busy)}" in note for note in made.notes)
    page = shown(workspaces(conninfo), request, made)
    assert {one["pid"] for one in page.data["ended"]} == {pid(one) for one in idle}
    assert [is_alive(one) for one in (*idle, busy, other)] == [False, False, False, True, True]
    assert page.headline.startswith("ENDED 3 SESSIONS")
    assert not any("opened anew" in getattr(block, "text", "") for block in page.blocks)


def test_a_session_that_became_active_is_left(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], clients: Clients
) -> None:
    conninfo = databases()
    workspace, request = workspaces(conninfo), Terminate(idle_for="1ms", app="web")
    working, idle, between = clients(conninfo), clients(conninfo), clients(conninfo)
    made = plan_terminate(workspace, request)
    working.autocommit = False
    working.execute("select 1")
    between.execute("select 1")  # idle again, but it was at work
    page = shown(workspace, request, made)
    assert {one["pid"]: one["found"] for one in page.data["left"]} == {pid(working): "changed", pid(between): "changed"}
    assert [is_alive(one) for one in (working, between, idle)] == [True, True, False]
    assert not page.exit_code


def test_a_process_id_that_belongs_to_another_session_is_left(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], clients: Clients
) -> None:
    conninfo = databases()
    workspace, one = workspaces(conninfo), clients(databases())
    request = Terminate((pid(one),))
    made = plan_terminate(workspace, request)
    page = shown(workspace, request, made, changed(made.plan, backend_start="2026-01-01 00:00:00.000001+00"))
    assert [left["found"] for left in page.data["left"]] == ["another"]
    assert page.exit_code == 1
    assert is_alive(one)


def test_one_that_has_ended_meanwhile_is_told(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], clients: Clients
) -> None:
    conninfo = databases()
    workspace, one = workspaces(conninfo), clients(conninfo)
    request = Terminate((pid(one),))
    made = plan_terminate(workspace, request)
    run_sql(conninfo, f"select pg_terminate_backend({pid(one)}, 10000)")
    page = shown(workspace, request, made)
    assert [left["found"] for left in page.data["left"]] == ["gone"]


def test_an_expired_plan_and_one_for_another_database_are_refused(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], clients: Clients
) -> None:
    conninfo = databases()
    workspace, one = workspaces(conninfo), clients(conninfo)
    request = Terminate((pid(one),))
    made = plan_terminate(workspace, request)
    first = made.plan.steps[0]
    old = Call(first.function, first.arguments | {"planned_at": "2026-01-01 00:00:00+00"})
    with pytest.raises(Refused, match="the plan is"):
        shown(workspace, request, made, replace(made.plan, steps=(replace(first, call=old),)))
    with pytest.raises(Refused, match="another database"):
        shown(workspaces(databases()), request, made)
    assert is_alive(one)


def test_a_transaction_is_ended_by_its_process_id_only_and_is_destructive(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], clients: Clients
) -> None:
    conninfo = databases()
    workspace, one = workspaces(conninfo), clients(conninfo)
    one.autocommit = False
    one.execute("select 1")
    assert not plan_terminate(workspace, Terminate(idle_for="1ms")).plan.steps
    made = plan_terminate(workspace, Terminate((pid(one),)))
    assert made.plan.risk is Risk.DESTRUCTIVE
    assert made.plan.confirm == made.plan.target["database"]
    page = done(workspace, Terminate((pid(one),)))
    assert [ended["pid"] for ended in page.data["ended"]] == [pid(one)]
    assert not is_alive(one)


@pytest.fixture
def roles(databases: Callable[..., str], server: Server) -> Iterator[dict[str, str]]:
    """Connection strings to one database as several roles."""
    conninfo = databases()
    made = {
        "app": "",
        "watching": "pg_monitor",
        "acting": "pg_monitor, pg_signal_backend",
        "blind": "pg_signal_backend",
    }
    for name, of in made.items():
        run_sql(conninfo, f"create role sessions_{name} login password 'secret'")
        if of:
            run_sql(conninfo, f"grant {of} to sessions_{name}")
    plain = {name: make_conninfo(conninfo, user=f"sessions_{name}", password="secret") for name in made}
    yield plain | {"postgres": conninfo}
    for name in made:
        run_sql(conninfo, f"drop role sessions_{name}")


def test_a_superusers_session_is_marked_and_not_attempted(
    roles: dict[str, str], workspaces: Callable[..., Workspace], clients: Clients
) -> None:
    app, root = clients(roles["app"]), clients(roles["postgres"])
    workspace = workspaces(roles["acting"])
    made = plan_terminate(workspace, Terminate(idle_for="1ms"))
    assert [one["pid"] for one in made.plan.steps[0].arguments["sessions"]] == [pid(app)]
    assert f"may not be ended by this role: {pid(root)}" in made.plan.steps[0].preview
    with pytest.raises(NotAllowed, match="may not end session"):
        plan_terminate(workspace, Terminate((pid(root),)))
    # Whoever says otherwise is told by the server.
    request = Terminate((pid(app),))
    made = plan_terminate(workspaces(roles["postgres"]), Terminate((pid(root),)))
    page = shown(workspace, request, made)
    assert [left["found"] for left in page.data["left"]] == ["not allowed"]
    assert page.exit_code == 1
    assert is_alive(root)


def test_what_a_role_cant_see_is_not_guessed(
    roles: dict[str, str], workspaces: Callable[..., Workspace], clients: Clients
) -> None:
    app = clients(roles["app"])
    made = plan_terminate(workspaces(roles["blind"]), Terminate(idle_for="1ms"))
    assert not made.plan.steps
    assert any("not visible" in note for note in made.notes)
    with pytest.raises(NotAllowed, match="not visible"):
        plan_terminate(workspaces(roles["blind"]), Terminate((pid(app),)))
    page = look_show(workspaces(roles["blind"]), Show())
    (one,) = [one for one in page.data["sessions"] if one["pid"] == pid(app)]
    assert (one["state"], one["kind"]) == (None, "not visible")
    with pytest.raises(NotAllowed, match="may not end"):
        plan_terminate(workspaces(roles["watching"]), Terminate((pid(app),)))


def test_no_process_of_the_server_is_taken_by_a_rule(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], clients: Clients
) -> None:
    conninfo = databases()
    for name in ("pg_dump", "tabsync/collector"):
        clients(conninfo, name)
    workspace = workspaces(conninfo)
    left = plan_terminate(workspace, Terminate(idle_for="1ms"))
    assert not left.plan.steps
    (note,) = left.notes  # any client may call itself so
    assert "call themselves tabsync or a dump: 2 idle sessions (" in note
    assert "pg_dump as postgres" in note
    with psycopg.connect(conninfo) as asking:
        pids: dict[str, int] = dict(asking.execute("select backend_type, pid from pg_stat_activity").fetchall())
    launcher = pids["autovacuum launcher"]
    made = plan_terminate(workspace, Terminate((launcher,)))  # named by a superuser
    assert made.notes == (f"{launcher} is autovacuum launcher",)
    assert made.plan.risk is Risk.DESTRUCTIVE
    for kind in ("checkpointer", "background writer", "walwriter"):  # PostgreSQL signals none of these
        with pytest.raises(NotAllowed, match=f"nobody can end process {pids[kind]}, {kind}"):
            plan_terminate(workspace, Terminate((pids[kind],)))


def test_through_a_pooler_in_transaction_mode(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], clients: Clients, directory: Any
) -> None:
    conninfo = databases()
    one = clients(conninfo)
    with pgbouncer(directory, conninfo, "transaction") as through:
        page = done(workspaces(through), Terminate(idle_for="1ms", app="web"))
    assert [ended["pid"] for ended in page.data["ended"]] == [pid(one)]
    assert not is_alive(one)


@pytest.mark.parametrize(("many", "few"), [(1000, 100)] if WHOLE else [(150, 50)])
def test_exactly_those_of_many(many: int, few: int, workspaces: Callable[..., Workspace], clients: Clients) -> None:
    with running_server("crowd", max_connections=str(many + 10)) as server:
        found = [clients(server.conninfo(), "leaking" if number < few else "web") for number in range(many)]
        workspace = workspaces(server.conninfo())
        request = Terminate(idle_for="1ms", app="leaking", limit=few)
        started = time.process_time()
        page = done(workspace, request)
        spent = time.process_time() - started
        assert {one["pid"] for one in page.data["ended"]} == {pid(one) for one in found[:few]}
        assert page.data["left"] == []
        assert [is_alive(one) for one in found] == [False] * few + [True] * (many - few)
    assert spent < 2  # processor time of ours, whatever else this machine does

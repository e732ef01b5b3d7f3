"""tabsync orders pause, resume, status: what one types, and what comes in afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel, sql

from tabsync.kernel.errors import BadUsage, Exit, Refused
from tabsync.kernel.step import Context
from tabsync.procedures import carry_out, find, prepare, request_of
from tabsync.profiles.tabsync.orders.drain import drain
from tabsync.profiles.tabsync.orders.pause import Pausing, pause
from tabsync.profiles.tabsync.orders.resume import Resuming
from tabsync.workspace import Workspace, with_actor
from tests.postgres.orders.shop import (
    LEVELS,
    ORDER,
    RESTAURANTS,
    TOGGLE,
    accepting,
    add,
    client,
    look,
    order,
    restaurant_id,
    run,
    step_context,
    target_of,
)
from tests.whole import MAJORS

Workspaces = Callable[..., Workspace]


@pytest.mark.parametrize("major", MAJORS)
def test_paused_and_back_exactly(shops: Callable[..., str], workspaces: Workspaces, major: int) -> None:
    conninfo = shops(major)
    workspace = workspaces(conninfo)
    with psycopg.connect(conninfo, autocommit=True) as guest:
        guest.execute(TOGGLE, [False, "beta"])
        rows = "select slug, accepts_orders, updated_at, xmin::text from restaurants order by slug"
        before = guest.execute(rows).fetchall()
        paused = run(workspace, "orders pause", lasting="30min", reason="Stripe is down")
        assert (paused.exit_code, paused.data["drained"]) == (Exit.DONE, True)
        assert paused.headline.startswith("PAUSED all restaurants until ")
        assert [order(guest, one) for one in RESTAURANTS] == ["TS001"] * 3
        add(guest, "delta")
        assert order(guest, "delta") == "TS001"
        told = look(workspace)
        assert (told.exit_code, told.data["pauses"][0]["reason"]) == (Exit.PROBLEM_FOUND, "Stripe is down")
        assert (told.data["accepting"], told.data["closed"], told.data["paused"]) == (3, 1, 3)
        back = run(workspace, "orders resume")
        assert back.headline.endswith("again at all restaurants; 3 restaurants take orders, closed by their owners: 1")
        assert [order(guest, one) for one in (*RESTAURANTS, "delta")] == ["", "TS001", "", ""]
        assert guest.execute(rows).fetchall()[:2] == before[:2]
        assert look(workspace).exit_code == Exit.DONE


def test_what_the_guest_is_told(shop: str, workspaces: Workspaces) -> None:
    run(workspaces(shop), "orders pause", restaurant="alpha")
    with psycopg.connect(shop, autocommit=True) as guest, pytest.raises(psycopg.Error, match="are paused") as refused:
        guest.execute(ORDER, ["alpha"])
    assert refused.value.sqlstate == "TS001"
    assert "takes no orders until 20" in str(refused.value)
    assert "tabsync orders status" in (refused.value.diag.message_hint or "")


def test_one_restaurant(shop: str, workspaces: Workspaces) -> None:
    workspace = workspaces(shop)
    with psycopg.connect(shop, autocommit=True) as guest:
        for said in ("beta", "Beta", "BETA", restaurant_id(guest, "beta").upper()):
            run(workspace, "orders pause", restaurant=said)
            assert [order(guest, one) for one in RESTAURANTS] == ["", "TS001", ""]
            run(workspace, "orders resume", restaurant=said)
            assert order(guest, "beta") == ""
        with pytest.raises(BadUsage, match="there is no restaurant"):
            run(workspace, "orders pause", restaurant="zeta")
        for words, asked in (("orders pause", Pausing), ("orders resume", Resuming)):
            for said in ("", " ", "alpha\0"):
                procedure = find(words)
                assert procedure is not None
                with pytest.raises(BadUsage, match="has no name of a restaurant"):
                    prepare(procedure, workspace, asked(restaurant=said))
        guest.execute("update restaurants set name = 'Twin' where slug in ('alpha', 'beta')")
        with pytest.raises(BadUsage, match="2 restaurants are called Twin") as wrong:
            run(workspace, "orders pause", restaurant="Twin")
        assert wrong.value.hint.endswith("alpha, beta")


def test_a_pause_of_one_outlives_the_resume_of_all(shop: str, workspaces: Workspaces) -> None:
    workspace = workspaces(shop)
    run(workspace, "orders pause", restaurant="beta", reason="fire in the kitchen")
    with pytest.raises(Refused, match="alpha"):
        run(workspace, "orders pause")
        run(workspace, "orders resume", restaurant="alpha")
    with psycopg.connect(shop, autocommit=True) as guest:
        back = run(workspace, "orders resume")
        assert "fire in the kitchen" in str(back.blocks)
        assert [order(guest, one) for one in RESTAURANTS] == ["", "TS001", ""]
        run(workspace, "orders resume", restaurant="beta")
        assert order(guest, "beta") == ""
    assert run(workspace, "orders resume").headline.startswith("NOTHING TO END")


def test_two_people_and_the_latest_counts(shop: str, workspaces: Workspaces) -> None:
    workspace = workspaces(shop)
    pause = find("orders pause")
    assert pause is not None
    run(workspace, "orders pause", lasting="3h", reason="first")
    second = prepare(pause, workspace, request_of(pause, {"lasting": "1h"}))
    assert "PAUSED ALREADY" in second.notes[1]
    run(workspace, "orders pause", lasting="1h", reason="second")
    resume = find("orders resume")
    assert resume is not None
    plan = prepare(resume, workspace, request_of(resume, {}))
    assert len(plan.plan.steps[0].arguments["ids"]) == 2
    paused = run(workspace, "orders pause", lasting="2h", reason="a third came after that plan")
    assert "3 pauses stand" in str(paused.blocks)
    done = carry_out(resume, workspace, request_of(resume, {}), plan)
    assert (done.results["resume"]["ended"], len(done.results["resume"]["standing"])) == (2, 1)
    with psycopg.connect(shop, autocommit=True) as guest:
        assert order(guest, "alpha") == "TS001"
        run(workspace, "orders resume")
        assert order(guest, "alpha") == ""


@pytest.mark.parametrize("level", LEVELS, ids=lambda one: one.name)
def test_an_order_under_way_is_waited_for(shop: str, workspaces: Workspaces, level: IsolationLevel) -> None:
    workspace = workspaces(shop)
    with client(shop, level) as guest:
        guest.execute(ORDER, ["alpha"])
        paused = run(workspace, "orders pause", wait="100ms")
        assert (paused.exit_code, paused.data["drained"]) == (Exit.UNKNOWN, False)
        assert [one["pid"] for one in paused.data["still"]] == [guest.info.backend_pid]
        assert paused.data["still"][0]["application"] == "guest"
        assert "1 TRANSACTION" in str(paused.blocks)
        told = look(workspace)
        assert [one["pid"] for one in told.data["under_way_since_before"]] == [guest.info.backend_pid]
        threading.Timer(0.3, guest.rollback).start()
        again = run(workspace, "orders pause", wait="1min")
        assert (again.exit_code, again.data["drained"]) == (Exit.DONE, True)
        assert len(again.data["standing"]) == 1, "waiting again is no second pause"
        assert len(run(workspace, "orders pause").data["standing"]) == 2


@pytest.mark.parametrize("level", LEVELS[1:], ids=lambda one: one.name)
def test_an_older_snapshot_can_not_order(shop: str, workspaces: Workspaces, level: IsolationLevel) -> None:
    workspace = workspaces(shop)
    with client(shop, level) as guest, client(shop, level) as founder:
        paused = run(workspace, "orders pause", wait="0s")
        assert paused.data["drained"] is True
        assert order(guest, "alpha") == "40001"
        add(founder, "delta")  # nobody else sees this restaurant, so nobody could have locked its row
        assert order(founder, "delta") == "40001"


def test_an_order_in_a_restaurant_that_nobody_sees_yet(shop: str, workspaces: Workspaces) -> None:
    workspace = workspaces(shop)
    with client(shop) as founder:
        add(founder, "delta")
        assert order(founder, "delta") == ""
        paused = run(workspace, "orders pause", wait="100ms")
        assert [one["pid"] for one in paused.data["still"]] == [founder.info.backend_pid]
        assert run(workspace, "orders pause", restaurant="alpha", wait="0s").data["drained"] is True
        assert order(founder, "delta") == "TS001"


def test_who_only_moves_orders_along_is_not_waited_for(shop: str, workspaces: Workspaces) -> None:
    with psycopg.connect(shop, autocommit=True) as guest, client(shop) as kitchen:
        order(guest, "alpha")
        kitchen.execute("update orders set status = 'PREPARING'")
        assert run(workspaces(shop), "orders pause", wait="0s").data["drained"] is True


def test_who_runs_it_has_paused(shop: str, workspaces: Workspaces) -> None:
    workspace = workspaces(shop)
    for words, column in (("orders pause", "paused_by"), ("orders resume", "ended_by")):
        procedure = find(words)
        assert procedure is not None
        request = request_of(procedure, {})
        plan = prepare(procedure, with_actor(workspace, "the console"), request)
        carry_out(procedure, with_actor(workspace, "ana"), request, plan)
        with psycopg.connect(shop) as watch:
            query = sql.SQL("select {} from order_pauses").format(sql.Identifier(column))
            assert watch.execute(query).fetchall() == [("ana",)]


def test_who_is_prepared_while_it_is_waited_for(shop: str, workspaces: Workspaces) -> None:
    workspace, target = workspaces(shop), target_of(shop)
    who: dict[str, Any] = {"target": target, "restaurant": None}
    late: list[dict[str, Any]] = []
    with psycopg.connect(shop) as guest, psycopg.connect(shop, autocommit=True) as owner:
        guest.execute("savepoint one")
        guest.execute(ORDER, ["alpha"])
        made = pause(step_context(workspace, "x"), **who, seconds=600, reason="x")

        looks = count(1)

        def at_each_look(*_: object) -> None:
            number = next(looks)
            if number == 1:
                guest.execute("prepare transaction 'late'")
            elif number == 3:
                earlier = "update order_pauses set paused_at = paused_at - interval '1 minute' where id = %s"
                owner.execute(earlier, [made["id"]])
                late.extend(look(workspace).data["under_way_since_before"])
                owner.execute("commit prepared 'late'")

        found = drain(Context(workspace, "x", {}, at_each_look), **who, wait=120.0)
        assert [one["gid"] for one in late] == ["late"], "it was not waited for"
        assert found["drained"] is True


def test_a_pause_that_is_ended_while_it_waits(shop: str, workspaces: Workspaces) -> None:
    workspace, target = workspaces(shop), target_of(shop)
    who: dict[str, Any] = {"target": target, "restaurant": None}
    told: dict[str, Any] = who | {"seconds": 600, "reason": "x"}
    looks = count(1)
    with client(shop) as first, client(shop) as second:
        first.execute(ORDER, ["beta"])
        pause(step_context(workspace, "a"), **told)

        def at_each_look(*_: object) -> None:
            if next(looks) == 1:
                run(workspace, "orders resume")
                assert order(second, "alpha") == ""
                second.execute("select")  # and its transaction stays open
                pause(step_context(workspace, "b"), **told)
                first.commit()

        facts = drain(Context(workspace, "a", {}, at_each_look), **who, wait=120.0)
        assert (facts["drained"], facts["ended"]) == (False, True)
        assert [one["pid"] for one in facts["still"]] == [second.info.backend_pid]
        late = look(workspace).data["under_way_since_before"]
        assert [one["pid"] for one in late] == [second.info.backend_pid], "the other pause was called drained"


def test_a_prepared_order_is_named(shop: str, workspaces: Workspaces) -> None:
    with psycopg.connect(shop) as guest:
        guest.execute(ORDER, ["alpha"])
        guest.execute("prepare transaction 'two phases'")
    with psycopg.connect(shop, autocommit=True) as owner:
        try:
            paused = run(workspaces(shop), "orders pause", wait="0s")
            assert [(one["pid"], one["gid"]) for one in paused.data["still"]] == [(None, "two phases")]
        finally:
            owner.execute("rollback prepared 'two phases'")
        assert accepting(owner) == dict.fromkeys(RESTAURANTS, True)

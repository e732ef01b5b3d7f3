"""orders pause, killed by SIGKILL at each point, by two people at once, and with nobody left at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tabsync.profiles.tabsync.orders.pause import pause
from tabsync.workspace import Workspace
from tests import forked
from tests.killed_at import Moment, lines
from tests.postgres.cli.program import TABSYNC, environment, tabsync
from tests.postgres.orders.shop import (
    ORDER,
    RESTAURANTS,
    Conn,
    accepting,
    client,
    look,
    order,
    run,
    settings_in,
    step_context,
    target_of,
)
from tests.postgres.runbooks.place import Place
from tests.whole import WHOLE

Workspaces = Callable[..., Workspace]
EACH = 1 if WHOLE else 3
"""Of the points at which something is written down of a run."""


@pytest.fixture
def watch(shop: str) -> Iterator[Conn]:
    """A session that looks on, and orders."""
    with psycopg.connect(shop, autocommit=True) as connection:
        yield connection


def pauses(watch: Conn, reason: str) -> int:
    """How many pauses there are for a reason."""
    row = watch.execute("select count(*) from order_pauses where reason = %s", [reason]).fetchone()
    return int(row[0]) if row else 0


def test_at_any_moment_it_is_paused_once_or_not(
    directory: Path, shop: str, watch: Conn, workspaces: Workspaces
) -> None:
    settings_in(directory, shop)
    log, told, number, code = directory / "moments", [], 0, -1
    while code != 0:
        reason = f"moment {number}"
        log.unlink(missing_ok=True)
        env = Moment(str(log), number=number).variables()
        code = tabsync(directory, "orders", "pause", "--reason", reason, **env).code  # type: ignore[arg-type]
        there = pauses(watch, reason)
        told.append(there)
        assert there <= 1
        assert [order(watch, one) for one in RESTAURANTS] == ["TS001" if there else ""] * 3, lines(log)
        run(workspaces(shop), "orders resume")
        assert [order(watch, one) for one in RESTAURANTS] == [""] * 3
        number += EACH
    assert told[0] == 0
    assert told[-2:] == [1, 1], "the last one that was killed had paused already"
    assert accepting(watch) == dict.fromkeys(RESTAURANTS, True)


def test_killed_while_it_waits_for_an_order(directory: Path, shop: str, watch: Conn, workspaces: Workspaces) -> None:
    settings_in(directory, shop)
    with client(shop) as guest:
        guest.execute(ORDER, ["alpha"])
        process = forked.start(
            [TABSYNC, "orders", "pause", "--reason", "waits", "--wait", "5min"], directory, environment(directory)
        )
        before = watch.execute("select closed_at from order_gate").fetchone()
        while watch.execute("select closed_at from order_gate").fetchone() == before:
            time.sleep(0.02)
        process.kill()
        process.communicate()
        assert order(watch, "beta") == "TS001"
        workspace = workspaces(shop)
        told = look(workspace)
        assert [one["pid"] for one in told.data["under_way_since_before"]] == [guest.info.backend_pid]
        guest.commit()
    assert look(workspace).data["under_way_since_before"] == []
    assert run(workspace, "orders pause", reason="again").data["drained"] is True
    assert (pauses(watch, "waits"), pauses(watch, "again")) == (1, 1)
    assert all(one["drained_at"] for one in look(workspace).data["pauses"])


def test_a_runbook_that_is_taken_up_does_not_pause_twice(directory: Path, shop: str, watch: Conn) -> None:
    ground = Place(directory, shop)
    steps = "1. Pause.\n   ```tabsync\n   orders pause --reason runbook\n   ```\n2. Tell.\n"
    ground.manual(steps, "#### Payments fail\n\n")
    with (directory / "tabsync.toml").open("a") as config:
        config.write('profile = "tabsync"\n')
    moment = Moment(str(directory / "moments"), number=1, line="before done of its own")
    begun = tabsync(directory, "runbook", "run", "payments fail", "--yes", **moment.variables())  # type: ignore[arg-type]
    assert begun.code == -9, begun.err
    assert pauses(watch, "runbook") == 1
    ended = ground.run("runbook", "resume", "--step", "1", "--yes")
    assert "it isn't written again" in ended.err + ended.out
    assert ground.states() == ["done", "waiting"]
    assert pauses(watch, "runbook") == 1
    assert order(watch, "alpha") == "TS001"


def test_two_people_at_once(directory: Path, shop: str, watch: Conn) -> None:
    settings_in(directory, shop)
    asked = [str(TABSYNC), "orders", "pause"]
    both = [
        forked.start([*asked, "--reason", name], directory, environment(directory, TABSYNC_ACTOR=name))
        for name in ("ana", "bob")
    ]
    for one in both:
        printed = one.communicate(timeout=60)
        assert one.returncode == 0, printed
    who = watch.execute("select paused_by from order_pauses order by paused_by").fetchall()
    assert who == [("ana",), ("bob",)]
    assert order(watch, "alpha") == "TS001"
    done = tabsync(directory, "orders", "resume")
    assert done.code == 0, done.err
    assert order(watch, "alpha") == ""


def test_it_ends_by_its_time_with_nobody_there(shop: str, watch: Conn, workspaces: Workspaces) -> None:
    context = step_context(workspaces(shop), "the only run")
    target = target_of(shop)
    made = pause(context, target=target, restaurant=None, seconds=0.7, reason="short")
    same = pause(context, target=target, restaurant=None, seconds=700.0, reason="short")
    assert same == made, "a run writes one row"
    while watch.execute("select clock_timestamp() < %s", [made["ends_at"]]).fetchone() == (True,):
        came = order(watch, "alpha")
        passed = watch.execute("select clock_timestamp() >= %s", [made["ends_at"]]).fetchone()
        assert came == "TS001" or passed == (True,)
        time.sleep(0.05)
    assert order(watch, "alpha") == ""
    assert watch.execute("select ended_at from order_pauses").fetchall() == [(None,)]

"""What a plan to end sessions takes, whom it marks, and when it is too old: no I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.step import Risk
from tabsync.sessions.end import Choice, check_fresh, ending_steps
from tabsync.sessions.seen import Session, session_from_json
from tabsync.sessions.terminate import Terminate, _check, _idle, _named

SERVER: dict[str, Any] = {
    "database": "shop",
    "database_oid": 5,
    "system_identifier": "7",
    "user": "me",
    "now": "2026-11-29 08:00:00+00",
    "signals_all": True,
    "sees_all": True,
}
IDLE = Session(
    pid=1,
    database="shop",
    user="app",
    application="web",
    address="10.0.0.7",
    type="client backend",
    state="idle",
    wait_event_type="Client",
    wait_event="ClientRead",
    backend_start="2026-11-29 07:00:00.000001+00",
    state_change="2026-11-29 07:50:00.000002+00",
    seconds=3600.0,
    state_seconds=600.0,
    transaction_seconds=None,
    query="select 1",
    kind="client",
    may_signal=True,
)
FIVE = Terminate(idle_for="5min")


def chosen(request: Terminate, *found: Session) -> list[int]:
    return [one.pid for one in _idle(request, found, SERVER)[0].ending]


def test_only_what_idles_outside_of_a_transaction_for_long_enough() -> None:
    spared = {
        "active": replace(IDLE, pid=2, state="active"),
        "in a transaction": replace(IDLE, pid=3, state="idle in transaction"),
        "not for long": replace(IDLE, pid=4, state_seconds=299.0),
        "a dump": replace(IDLE, pid=5, kind="dump"),
        "ours": replace(IDLE, pid=6, kind="tabsync"),
        "an index build": replace(IDLE, pid=7, kind="index build"),
        "another database": replace(IDLE, pid=8, database="other"),
        "not visible": replace(IDLE, pid=9, kind="not visible", state=None, state_seconds=None),
        "a walsender": replace(IDLE, pid=10, kind="walsender"),
        "this one": replace(IDLE, pid=11, kind="this one"),
        "no state": replace(IDLE, pid=12, state=None),
        "aborted": replace(IDLE, pid=13, state="idle in transaction (aborted)"),
        "a superuser's": replace(IDLE, pid=14, may_signal=False),
    }
    for what, one in spared.items():
        assert chosen(FIVE, IDLE, one) == [1], what
        assert chosen(FIVE, one) == [], what


def test_by_user_and_application() -> None:
    other = replace(IDLE, pid=2, user="cron", application="batch")
    assert chosen(replace(FIVE, user="cron"), IDLE, other) == [2]
    assert chosen(replace(FIVE, app="web"), IDLE, other) == [1]
    assert chosen(replace(FIVE, app="web", user="cron"), IDLE, other) == []


def test_the_longest_idle_go_first_and_the_rest_is_told() -> None:
    found = [replace(IDLE, pid=pid, state_seconds=300.0 + pid) for pid in range(1, 11)]
    choice, notes, about = _idle(replace(FIVE, limit=3), found, SERVER)
    assert [one.pid for one in choice.ending] == [10, 9, 8]
    assert about.more == 7
    assert notes[0].startswith("7 more")


def test_what_is_left_is_told() -> None:
    left = [
        replace(IDLE, pid=2, may_signal=False),
        replace(IDLE, pid=3, kind="not visible", state=None, state_seconds=None, database="shop"),
        replace(IDLE, pid=4, database="other"),
        replace(IDLE, pid=5, state="idle in transaction"),
    ]
    notes = " | ".join(_idle(FIVE, left, SERVER)[1])
    for words in ("1 more may not be ended", "other users, 1", "other databases, 1", "terminate 5"):
        assert words in notes


def test_the_plan_lists_who_may_not_be_ended() -> None:
    steps = ending_steps(Choice([IDLE], [replace(IDLE, pid=2, may_signal=False, user="root")]), SERVER)
    assert "select pg_terminate_backend(1);  -- web as app from 10.0.0.7, idle for 10 min" in steps[0].preview
    assert "-- may not be ended by this role: 2, web as root" in steps[0].preview
    assert [one["pid"] for one in steps[0].arguments["sessions"]] == [1]


def test_ending_what_idles_is_reversible_and_anything_else_is_not() -> None:
    assert ending_steps(Choice([IDLE]), SERVER)[0].risk is Risk.REVERSIBLE
    for state in ("active", "idle in transaction", "fastpath function call", None):
        assert ending_steps(Choice([IDLE, replace(IDLE, state=state)]), SERVER)[0].risk is Risk.DESTRUCTIVE


def test_a_name_that_pretends_to_be_a_statement_stays_a_comment() -> None:
    mean = replace(IDLE, application="web\nselect drop_all();\x1b[2J")
    (line,) = ending_steps(Choice([mean]), SERVER)[0].preview.splitlines()
    assert line.startswith("select pg_terminate_backend(1);  -- web")
    assert "\x1b" not in line


def test_by_process_id_all_but_our_own() -> None:
    dump = replace(IDLE, pid=2, kind="dump", application="pg_dump", state="active")
    choice, notes, _ = _named(Terminate((2, 1, 2)), [IDLE, dump], SERVER)
    assert [one.pid for one in choice.ending] == [2, 1]
    assert notes == ["2 is pg_dump: its work is lost"]
    with pytest.raises(Refused, match="of this command"):
        _named(Terminate((3,)), [replace(IDLE, pid=3, kind="this one")], SERVER)
    with pytest.raises(Refused, match="no session with the process id 4"):
        _named(Terminate((4,)), [IDLE], SERVER)


def test_by_process_id_what_may_not_be_ended_says_what_is_missing() -> None:
    shut = replace(IDLE, may_signal=False)
    with pytest.raises(NotAllowed) as lacking:
        _named(Terminate((1,)), [shut], SERVER | {"signals_all": False})
    assert "grant pg_signal_backend to me" in lacking.value.hint
    with pytest.raises(NotAllowed) as above:
        _named(Terminate((1,)), [shut], SERVER)
    assert "superuser" in above.value.hint
    with pytest.raises(NotAllowed) as hidden:
        _named(Terminate((1,)), [replace(IDLE, kind="not visible", backend_start=None, state=None)], SERVER)
    assert hidden.value.hint == "grant pg_monitor to me"


@pytest.mark.parametrize(
    "asked",
    [Terminate(), Terminate((1,), "5min"), Terminate((1,), user="a"), Terminate((1,), app="a"), Terminate(user="a")],
)
def test_one_says_which_sessions_or_for_how_long(asked: Terminate) -> None:
    with pytest.raises(BadUsage):
        _check(asked)


def test_a_duration_that_is_none() -> None:
    with pytest.raises(BadUsage, match="--idle-for"):
        _idle(Terminate(idle_for="long"), [IDLE], SERVER)


def test_a_plan_expires() -> None:
    check_fresh("2026-11-29 08:05:00+00", "2026-11-29 08:00:00+00")
    with pytest.raises(Refused, match="the plan is 5 min 1 s old"):
        check_fresh("2026-11-29 08:05:01+00", "2026-11-29 08:00:00+00")


def test_a_session_is_the_same_in_the_record() -> None:
    assert session_from_json(IDLE.to_json() | {"why": "more"}) == IDLE

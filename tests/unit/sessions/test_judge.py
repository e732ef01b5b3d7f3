"""From the evidence to the cause, in their order: what tests on real servers bring about, and its neighbours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tabsync.sessions.found import Evidence, Here, Last, Limit, Pool, Pooler, Preset, Room, Root
from tabsync.sessions.judge import judge, meaning
from tabsync.symptoms.table import causes

SEEN = Evidence("db", "5432", "answers")
ROOM = Room(12, 97, active=3, idle=9)
LAST = Last("db", "5432", "2026-11-29 09:00")
STUCK = Pooler((Pool("shop of app", 5, 2, 2, 7.0),))
DEAD = Pooler((Pool("shop of app", 5, 0, 0),))
REFUSED = replace(SEEN, network="refused", refusal="Connection refused")

ROOT = Root("process 7: web as app, idle in transaction for 3 min", in_transaction=True)
STUCK_ROOM = Room(60, 97, active=50, idle=9, in_transaction=1, waiting=40, root=ROOT)
POOL = ("application pool full",)
OTHER = Limit("database", "d", 1, 1)
RETIRED = Limit("role", "Retired", 0, 0)
NAMES_IT = "FATAL:  zu viele Verbindungen von Rolle »Retired«"
PRESET = Preset("role app", "alter role app reset default_transaction_read_only")

CASES: list[tuple[Evidence, list[str]]] = [
    (replace(SEEN, network="no name"), ["name unknown"]),
    (REFUSED, ["server stopped", "wrong port"]),
    (replace(REFUSED, last=LAST), ["server stopped"]),
    (replace(REFUSED, last=replace(LAST, port="5433")), ["wrong port"]),
    (replace(REFUSED, last=replace(LAST, host="other")), ["server stopped", "wrong port"]),
    (replace(REFUSED, here=(Here("/d", "5432"),)), ["server stopped"]),
    (replace(REFUSED, here=(Here("/d", "5433", runs=True),)), ["wrong port"]),
    (replace(REFUSED, disk_free=1000, last=LAST), ["disk full"]),
    (replace(SEEN, network="silent", refusal="no answer within 8 s"), ["no answer in time"]),
    (replace(SEEN, refusal="FATAL: the database system is starting up"), ["starting"]),
    (replace(SEEN, refusal="Das Datenbanksystem startet"), ["starting"]),
    (replace(SEEN, refusal='FATAL: too many connections for role "app"'), ["role limit"]),
    (replace(SEEN, refusal="sorry, too many clients already"), ["server slots full"]),
    (replace(SEEN, refusal="sorry, too many clients already", pooler=DEAD), ["behind the pooler down"]),
    (replace(SEEN, refusal="Tenant or user not found"), ["project paused"]),
    (replace(SEEN, room=ROOM, pooler=STUCK), ["pooler pool full"]),
    (replace(SEEN, room=replace(ROOM, used=97), pooler=STUCK), ["server slots full"]),
    (replace(SEEN, room=ROOM, pooler=Pooler(clients=100, most=100)), ["pooler client limit"]),
    (replace(SEEN, room=replace(ROOM, at_limit=(replace(OTHER, ours=True),))), ["database limit"]),
    (replace(SEEN, room=replace(ROOM, at_limit=(OTHER, RETIRED))), []),
    (replace(SEEN, room=replace(ROOM, used=97, at_limit=(RETIRED,))), ["server slots full"]),
    (replace(SEEN, room=replace(ROOM, used=97, at_limit=(replace(OTHER, ours=True),))), ["server slots full"]),
    (replace(SEEN, room=replace(ROOM, at_limit=(RETIRED,)), text=NAMES_IT, said=meaning(NAMES_IT)), ["role limit"]),
    (replace(SEEN, room=replace(ROOM, at_limit=(RETIRED,)), refusal=NAMES_IT), ["role limit"]),
    (replace(SEEN, room=replace(ROOM, read_only=(PRESET,))), []),
    (replace(SEEN, room=replace(ROOM, read_only=(PRESET,)), said=("read-only",), text="x"), ["read-only"]),
    (replace(SEEN, room=replace(ROOM, read_only=(replace(PRESET, ours=True),))), ["read-only"]),
    (replace(SEEN, room=replace(ROOM, standby=True), said=("read-only",)), ["read-only"]),
    (replace(SEEN, room=replace(ROOM, standby=True)), []),
    (replace(SEEN, room=ROOM, disk_free=0), ["disk full"]),
    (replace(SEEN, room=ROOM, said=("application pool full",), text="x"), ["application pool full"]),
    (replace(SEEN, room=ROOM), []),
    (replace(SEEN, room=STUCK_ROOM), ["waits for a lock"]),
    (replace(SEEN, room=replace(STUCK_ROOM, used=100)), ["server slots full"]),
    (replace(SEEN, room=STUCK_ROOM, said=POOL, text="x"), ["waits for a lock", "application pool full"]),
    (replace(SEEN, room=STUCK_ROOM, said=("waits for a lock",), text="x"), ["waits for a lock"]),
    (replace(SEEN, room=STUCK_ROOM, said=("read-only",), text="x"), ["read-only"]),
    (replace(SEEN, room=STUCK_ROOM, text="nobody knows"), []),
    (replace(SEEN, room=replace(STUCK_ROOM, waiting=2)), []),
    (replace(SEEN, room=replace(STUCK_ROOM, active=80)), []),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_the_cause_that_the_evidence_leaves(case: int) -> None:
    seen, expected = CASES[case]
    found = judge(seen)
    assert list(found.causes) == expected
    assert found.says.endswith(".")
    assert found.next
    assert all(one in causes() or one == "wrong port" for one in found.causes)


def test_ending_sessions_helps_only_where_connections_are_used_up() -> None:
    helped = {found.causes[0] for seen, _ in CASES if (found := judge(seen)).causes and found.helps}
    assert helped == {"server slots full", "role limit", "database limit", "pooler pool full", "waits for a lock"}


def test_who_holds_what_the_others_wait_for_is_named() -> None:
    for room in (STUCK_ROOM, replace(STUCK_ROOM, used=97)):
        found = judge(replace(SEEN, room=room))
        assert "40 of 50 active sessions wait for locks behind process 7: web as app" in found.says
        assert found.next[0].endswith("tabsync locks show")
        assert found.helps
    assert found.runbooks == causes()["server slots full"].runbooks
    assert judge(replace(SEEN, room=STUCK_ROOM)).runbooks == ("Long-running query",)


def test_more_than_all_is_told_as_what_is_reserved() -> None:
    found = judge(replace(SEEN, room=replace(ROOM, used=100)))
    assert "97 of 97 and 3 reserved ones" in found.says
    assert "100 of 97" not in str(found)


def test_a_limit_of_0_is_a_lock_and_others_limits_are_a_note() -> None:
    found = judge(replace(SEEN, room=replace(ROOM, at_limit=(OTHER, RETIRED))))
    assert "also: database d has 1 of its 1 connections" in found.because
    assert "etired" not in str(found)
    assert not found.helps
    found = judge(replace(SEEN, room=replace(ROOM, at_limit=(RETIRED,)), refusal=NAMES_IT))
    assert not found.helps  # there is no session to end
    assert 'alter role "Retired" connection limit N' in found.next[0]


def test_what_is_not_known_is_unknown() -> None:
    assert judge(replace(SEEN, refusal="nobody knows")).unknown
    assert judge(replace(SEEN, room=ROOM, text="x")).unknown
    assert not judge(replace(SEEN, room=ROOM)).unknown
    assert meaning("nobody knows") == ()


def test_what_could_not_be_seen_is_said() -> None:
    assert any("[pgbouncer]" in one for one in judge(replace(SEEN, room=ROOM)).unseen)
    broken = replace(SEEN, room=ROOM, pooler=Pooler(error="no password"))
    assert any("no password" in one for one in judge(broken).unseen)

"""Which refusals may mean that all connections are in use, and what is said beforehand: no I/O."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tabsync.kernel.errors import Refused
from tabsync.postgres.refusal import cannot_connect, may_be_full
from tabsync.sessions.watch import judged
from tabsync.sessions.way_in import prove_same

ROLE: dict[str, Any] = {
    "user": "ops",
    "superuser": False,
    "superuser_reserved": 3,
    "reserved": 0,
    "uses_reserved": False,
    "signals_all": True,
    "major": 17,
}
SERVICE = {"user": "ops", "signals_all": True}


def refused(text: str) -> bool:
    return may_be_full(cannot_connect(psycopg.OperationalError(text), "host=h dbname=d"))


@pytest.mark.parametrize(
    "text",
    [
        'connection to server at "h", port 5432 failed: FATAL:  sorry, too many clients already',
        "connection failed: FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "connection failed: FATAL:  remaining connection slots are reserved for non-replication superuser connections",
        'connection failed: FATAL:  too many connections for role "app"',
        "connection failed: SCHWERWIEGEND:  tut mir leid, schon zu viele Verbindungen",
        "connection failed: FATAL:  desol, trop de clients sont dj connects",
        "connection failed: FATAL:  ??????????, ??? ??????? ????? ????????",
        "connection failed: FATAL:  no more connections allowed (max_client_conn)",
        "connection failed: FATAL:  query_wait_timeout",
    ],
)
def test_it_may_be_full(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize(
    "text",
    [
        'connection failed: FATAL:  password authentication failed for user "ops"',
        'connection failed: FATAL:  database "nowhere" does not exist',
        "connection failed: connection to server at 127.0.0.1, port 1 failed: Connection refused",
        "connection failed: FATAL:  the database system is starting up",
        "connection timeout expired",
    ],
)
def test_it_is_something_else(text: str) -> None:
    assert not refused(text)


def test_beforehand() -> None:
    assert judged(ROLE, SERVICE, 0)["told"] == "in through the session that tabsync serve keeps"
    shut = judged(ROLE, None, 0)
    assert shut["told"].startswith("nobody would get in: keep tabsync serve running, or set reserved_connections")
    assert "grant pg_use_reserved_connections to ops" in judged(ROLE | {"reserved": 3}, None, 0)["told"]
    assert "[emergency]" in judged(ROLE | {"major": 15}, None, 0)["told"]
    assert judged(ROLE | {"superuser": True}, None, 0)["ways"] == ["a superuser's slots"]
    assert judged(ROLE | {"reserved": 3, "uses_reserved": True}, None, 0)["ways"] == ["reserved connections"]
    assert judged(ROLE, None, 1)["told"] == "in through [emergency] databases"
    weak = judged(ROLE | {"signals_all": False}, {"user": "ops", "signals_all": False}, 0)
    assert weak["told"].endswith("but to end no sessions: grant pg_signal_backend to ops")
    assert not weak["acts"]


def test_the_same_server_as_far_as_is_known() -> None:
    here = {"system_identifier": "7", "database": "shop", "database_oid": 5}
    prove_same(here, here)
    prove_same(here | {"system_identifier": None}, here)
    prove_same(here, here | {"system_identifier": None})
    for what in here:
        with pytest.raises(Refused, match=what):
            prove_same(here | {what: "8"}, here)

"""Ways by which a change gets in or does not: prepared transactions, savepoints, a replica's role, a rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tabsync.audit.database.log import log_of
from tabsync.audit.seals.outside import Outside
from tabsync.audit.seals.seal import sealed, waiting
from tabsync.audit.seals.verified import verified
from tabsync.audit.status import look_status
from tabsync.kernel.request import Nothing
from tabsync.postgres.embedded import Server
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.workspace import Workspace
from tests.audited import install_profile
from tests.servers import running_server
from tests.sessions import connect

_LOGICAL = {"wal_level": "logical", "max_wal_senders": "5", "max_replication_slots": "5"}
_RENAME = "update users set full_name = %s where role = 'SUPER_ADMIN'"


@pytest.fixture(scope="module")
def way_in() -> Iterator[Server]:
    """A server that takes prepared transactions, with an audited TabSync database."""
    with running_server("ways-in", max_prepared_transactions="5", **_LOGICAL) as server:
        with connect(server.conninfo(), "tests") as session:
            apply_schema(session)
            generate(session, orders=10)
        install_profile(server.conninfo())
        yield server


@pytest.fixture
def session(way_in: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(way_in.conninfo(), autocommit=True) as connection:
        yield connection


def recorded(session: psycopg.Connection, name: str) -> int:
    asked = "select count(*) from audit_logs where new_value ->> 'full_name' = %s"
    return int((session.execute(asked, [name]).fetchone() or (0,))[0])


def test_a_prepared_change_is_recorded_when_it_commits_and_holds_the_sealing_back(
    session: psycopg.Connection, way_in: Server
) -> None:
    session.execute("begin")
    session.execute(_RENAME, ["prepared"])
    session.execute("prepare transaction 'till 3'")
    assert recorded(session, "prepared") == 0
    session.execute("update orders set notes = 'later'")
    with connect(way_in.conninfo(), "audit") as ours:
        seals = list(sealed(ours, log_of(ours)))
        assert sum(one.rows for one in seals) == 0
        left = waiting(ours, log_of(ours))
        assert (left["stalled_by"]["pid"], left["stalled_by"]["app"]) == (None, "till 3")
        session.execute("commit prepared 'till 3'")
        assert recorded(session, "prepared") == 1
        assert sum(one.rows for one in sealed(ours, log_of(ours))) >= 11
        assert verified(ours, Outside())["wrong"] == ""
    session.execute("begin")
    session.execute(_RENAME, ["given up"])
    session.execute("prepare transaction 'till 4'")
    session.execute("rollback prepared 'till 4'")
    assert recorded(session, "given up") == 0


def test_what_is_rolled_back_leaves_no_entry(session: psycopg.Connection) -> None:
    with pytest.raises(ZeroDivisionError), session.transaction():
        session.execute(_RENAME, ["rolled back"])
        raise ZeroDivisionError
    with session.transaction():
        with pytest.raises(ZeroDivisionError), session.transaction():
            session.execute(_RENAME, ["to a savepoint"])
            raise ZeroDivisionError
        session.execute(_RENAME, ["kept"])
    assert [recorded(session, name) for name in ("rolled back", "to a savepoint", "kept")] == [0, 0, 1]


def test_a_replicas_role_is_recorded_too(session: psycopg.Connection) -> None:
    session.execute("set session_replication_role = replica")
    session.execute(_RENAME, ["replica"])
    assert recorded(session, "replica") == 1


def test_what_a_subscription_brings_is_not_seen_and_said_so(
    way_in: Server, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = way_in.conninfo()
    workspace = workspaces(conninfo)
    told = look_status(workspace, Nothing()).data["drift"]
    assert not [one for one in told if "subscription" in one["told"]]
    with psycopg.connect(conninfo, autocommit=True) as session:
        # Tables that are audited; whether the rows fit does not matter for what is said.
        session.execute("create subscription stock connection 'dbname=none' publication stock with (connect = false)")
        session.execute(
            "insert into pg_subscription_rel (srsubid, srrelid, srsubstate)"
            " select oid, 'orders'::regclass, 'r' from pg_subscription"
        )
        (one,) = [
            one["told"] for one in look_status(workspace, Nothing()).data["drift"] if "subscription" in one["told"]
        ]
        assert one == "what the subscription stock changes in public.orders is not recorded"
        session.execute("alter subscription stock set (slot_name = none); drop subscription stock")

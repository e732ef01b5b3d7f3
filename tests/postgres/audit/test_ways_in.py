"""Ways by which a change gets in or does not: prepared transactions, savepoints, a replica's role, a rollback."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tabsync.audit.log import log_of
from tabsync.audit.seal import sealed, waiting
from tabsync.audit.verify import verified
from tabsync.postgres.embedded import Server
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tests.audited import install_profile
from tests.servers import running_server
from tests.sessions import connect

_RENAME = "update users set full_name = %s where role = 'SUPER_ADMIN'"


@pytest.fixture(scope="module")
def way_in() -> Iterator[Server]:
    """A server that takes prepared transactions, with an audited TabSync database."""
    with running_server("ways-in", max_prepared_transactions="5") as server:
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
        assert verified(ours, [])["wrong"] == ""
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

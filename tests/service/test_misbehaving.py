"""What misbehaves beside the metrics: a role at its connection limit, and a primary that is replaced by its standby."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from tabsync.postgres import embedded
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.servers import running_server, standby_of
from tests.service.test_collector import MANUAL, NOBODY, Watched
from tests.sessions import connect
from tests.vanish import until


def test_a_role_at_its_connection_limit_is_said_once_and_tried_ever_less_often(
    databases: Databases, workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = databases()
    run_sql(conninfo, "create table waiting as select 'kitchen' as name, 20 as orders")
    path = directory / "manual.md"
    path.write_text(MANUAL + NOBODY)
    run_sql(conninfo, "drop role if exists limited")
    run_sql(conninfo, "create role limited login password 'x' connection limit 1")
    run_sql(conninfo, "grant select on waiting to limited")
    own = make_conninfo(conninfo, user="limited", password="x")
    watched = Watched(workspaces(own, path))
    collector = watched.collector
    with psycopg.connect(own):
        for _ in range(8):
            watched.look()
        assert len([one for one in watched.said if "too many connections for role" in one]) == 1
        assert collector._tries == 8
        collector._next.clear()
        collector.step()
        assert collector._tries == 8, "it is within the back-off: nothing is tried"
        assert set(watched.episodes("down")) == {("Access", "")}
        assert watched.episodes() == {}
    collector._next["waiting"] += 3600  # it was due while nobody was let in
    del collector._next["retries"]
    collector._connect_at = 0.0
    until(lambda: collector.step() and watched.episodes())
    assert set(watched.episodes()) == {("Waiting", "kitchen")}, "what was missed is measured now, not an interval later"
    assert watched.episodes("down") == {}
    collector.end()
    run_sql(conninfo, "drop owned by limited")
    run_sql(conninfo, "drop role limited")


def test_after_a_failover_the_promoted_standby_goes_on_with_the_same_episodes(
    workspaces: Callable[..., Workspace], directory: Path
) -> None:
    settings = {"wal_level": "replica", "max_wal_senders": "5", "max_replication_slots": "5"}
    with running_server("failing_over", **settings) as primary:
        run_sql(primary.conninfo(), "create table waiting as select 'kitchen' as name, 20 as orders")
        with standby_of(primary, "successor") as standby:
            path = directory / "manual.md"
            path.write_text(MANUAL + NOBODY)
            watched = Watched(workspaces(primary.conninfo(), path))
            watched.look()
            (before,) = watched.episodes().values()
            with connect(standby.conninfo(), "tests") as connection:
                until(lambda: connection.execute("select from pg_class where relname = 'waiting'").rowcount)
            embedded.stop(primary)
            watched.look()
            assert watched.first == before
            watched.collector.end()
            with connect(standby.conninfo(), "tests") as connection:
                connection.execute("select pg_promote()")
            after = Watched(replace(watched.workspace, conninfo=standby.conninfo()))
            after.look()
            assert (after.first.id, after.first.state, after.first.subject) == (before.id, before.state, before.subject)
            run_sql(standby.conninfo(), "update waiting set orders = 1")
            after.look()
            assert after.episodes() == {}
            after.collector.end()

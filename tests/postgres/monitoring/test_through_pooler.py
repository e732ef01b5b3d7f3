"""The collector behind a pooler in transaction mode: its settings last for its transactions, others count for none."""

from __future__ import annotations

from pathlib import Path

import psycopg

from tabsync.manual.load import load
from tabsync.monitoring.collect.session import LIMITS, Watching
from tabsync.postgres.connect import connect_to_look
from tabsync.workspace import PLAIN_MANUAL
from tests.pooler import pgbouncer
from tests.servers import running_server

LEFT = "set search_path = public, pg_catalog; set statement_timeout = '300ms'; set row_security = on"
PLANTED = (
    "create table public.pg_class (oid oid, relkind text)",
    "create function public.count(bigint) returns bigint language sql as 'select 1 / 0'",
    "alter role postgres set datestyle = 'German, DMY'",
    "alter role postgres set search_path = public, pg_catalog",
)


def test_it_measures_the_same_and_leaves_nothing_behind(directory: Path) -> None:
    manual = load(PLAIN_MANUAL)
    metrics = [one for one in manual.metrics if one.sql and "onnections" not in one.title]
    with running_server("pooled", listen_addresses="127.0.0.1") as server:
        with psycopg.connect(server.conninfo(), autocommit=True) as admin:
            for statement in PLANTED:
                admin.execute(statement.encode())
        (directory / "pooler").mkdir()
        with pgbouncer(directory / "pooler", server.conninfo(), "transaction", default_pool_size="1") as through:
            found, first = connect_to_look(through, "collector", LIMITS)
            assert first
            pooled = Watching(found, None, first)
            with psycopg.connect(through, autocommit=True) as other:
                other.execute(LEFT.encode())
                there = [pooled.scrape(metrics, manual, 10) for _ in range(2)][1]
                assert pooled.around().started_at.year >= 2024
                left = [other.execute(f"show {name}".encode()).fetchone() for name in ("search_path", "row_security")]
            assert left == [("public, pg_catalog",), ("on",)]
            assert pooled.trips == 2
            direct = Watching(*connect_to_look(server.conninfo(), "collector", LIMITS)[:1])
            here = direct.scrape(metrics, manual, 10)
            direct.close()
            pooled.close()
    assert [one.error for one in there] == [""] * len(metrics)
    for one, same in zip(there, here, strict=True):
        assert [row.label for row in one.samples] == [row.label for row in same.samples], one.metric
        assert [row.level for row in one.samples] == [row.level for row in same.samples], one.metric

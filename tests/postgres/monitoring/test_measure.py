"""The manual's metrics on a real server: measured, judged, and honest about what could not be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.manual.parse import parse
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import Reading, measure
from tabsync.postgres import embedded
from tabsync.profiles.tabsync import PROFILE_MANUAL

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def manual() -> Manual:
    return load(Path(PROFILE_MANUAL))


@pytest.fixture
def reader(connection: Connection) -> Iterator[Connection]:
    """A session of an ordinary monitoring role: pg_monitor, and it may read the tables."""
    connection.execute(
        "create role watcher; grant pg_monitor, pg_read_all_data to watcher; set session authorization watcher"
    )
    yield connection
    connection.execute("reset session authorization; drop role watcher")


def policy(metrics: str, thresholds: str = "") -> Manual:
    """A manual with some metrics; other sections are left out."""
    header = "| Metric | Warning | Critical | For | Action | Runbook |\n|---|---|---|---|---|---|\n"
    found, _ = parse(f"# M\n\n## Metrics\n\n{metrics}\n\n## Thresholds\n\n{header}{thresholds}\n")
    return found


def metric(title: str, sql: str, lines: str = "Unit: count of things") -> str:
    return f"### {title}\n\n{lines}\n\n```sql\n{sql}\n```\n\n"


def by_title(readings: list[Reading]) -> dict[str, Reading]:
    return {reading.metric: reading for reading in readings}


def test_every_metric_of_the_manual_is_measured(connection: Connection, manual: Manual) -> None:
    readings = measure(connection, manual)
    assert [reading.metric for reading in readings] == [metric.title for metric in manual.metrics if metric.sql]
    assert {reading.metric: reading.error for reading in readings if reading.error} == {}
    assert [reading.metric for reading in readings if reading.level is Level.UNKNOWN] == ["Database size"]


def test_an_ordinary_monitoring_role_measures_the_same(reader: Connection, manual: Manual) -> None:
    readings = measure(reader, manual)
    assert {reading.metric: reading.error for reading in readings if reading.error} == {}
    assert [reading.metric for reading in readings if reading.level is Level.UNKNOWN] == ["Database size"]


def test_connections_are_a_share_of_what_an_ordinary_user_can_open(connection: Connection, manual: Manual) -> None:
    (reading,) = measure(connection, manual, only=["active connections"])
    (sample,) = reading.samples
    assert sample.of == 97  # max_connections 100, less 3 for superusers
    assert sample.value is not None
    assert sample.value >= 1
    assert reading.level is Level.OK
    assert sample.percent == pytest.approx(sample.value * 100 / 97)


def test_who_may_not_see_other_sessions_is_told_so(connection: Connection, manual: Manual) -> None:
    connection.execute("create role nobody_special; set session authorization nobody_special")
    try:
        readings = by_title(measure(connection, manual))
    finally:
        connection.execute("reset session authorization; drop role nobody_special")
    for title in ("Active connections", "Query duration", "Idle in transaction"):
        assert readings[title].level is Level.UNKNOWN
        assert readings[title].samples[0].why == "the role is not a member of pg_monitor"
    assert "permission denied" in readings["Failed payments"].error


def test_the_size_has_no_limit_until_the_manual_declares_one(connection: Connection) -> None:
    text = PROFILE_MANUAL.read_text(encoding="utf-8")
    manual, _ = parse(text.replace("Of: disk", "Of: not declared"))
    (reading,) = measure(connection, manual, only=["Database size"])
    size = manual.metric("Database size")
    assert size is not None
    assert reading.samples[0].why == (
        f"the bound is in percent, but line {size.of_line} of the manual declares no limit (Of:)"
    )
    declared, _ = parse(text.replace("Of: disk", "Of: 8 GB"))
    (reading,) = measure(connection, declared, only=["Database size"])
    assert (reading.level, reading.samples[0].of) == (Level.OK, 8 * 1024**3)


def test_an_idle_transaction_and_a_long_query_are_seen(
    connection: Connection, manual: Manual, monitoring_conninfo: str
) -> None:
    with psycopg.connect(monitoring_conninfo) as other:
        other.execute("select 1")
        time.sleep(0.3)
        (idle,) = measure(connection, manual, only=["Idle in transaction"])
        assert idle.samples[0].value is not None
        assert idle.samples[0].value >= 0.3


def test_failed_payments_count_and_share(connection: Connection, manual: Manual) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("set local session_replication_role = replica")  # without the rows behind them
        insert = (
            "insert into payments (split_payment_id, attempt, method, gateway, status, amount_cents)"
            " select n, 1, 'CARD', 'stripe', %s::\"PaymentStatus\", 100 from generate_series(%s::int, %s::int) n"
        )
        connection.execute(insert, ["FAILED", 1, 21])
        connection.execute(insert, ["PAID", 101, 120])
        found = manual.metric("Failed payments")
        assert found is not None
        row = connection.execute(found.sql.encode()).fetchone()
    assert row == (21, 41)


def test_a_metric_that_fails_leaves_the_others_alone(connection: Connection) -> None:
    manual = policy(
        metric("Missing", "select count(*) as value from no_such_table")
        + metric("Divided", "select 1 / 0 as value")
        + metric("Slow", "select count(*) as value from generate_series(1, 1e12::bigint)")
        + metric("Killer", "select pg_terminate_backend(pid)::int as value from pg_stat_activity")
        + metric("Text", "select 'much' as value")
        + metric("Nameless", "select 1 as number")
        + metric("Many", "select g as value from generate_series(1, 3) g")
        + metric("Nothing", "select 1 as value where false")
        + metric("Null", "select null::int as value")
        + metric("Fine", "select 3 as value"),
        "| Fine | > 1 | > 2 | — | Do | — |\n| Null | > 1 | > 2 | — | Do | — |",
    )
    found = by_title(measure(connection, manual, statement_timeout="300ms"))
    told = {title: reading.error for title, reading in found.items() if reading.error}
    assert told == {
        "Missing": 'relation "no_such_table" does not exist',
        "Divided": "division by zero",
        "Slow": "canceling statement due to statement timeout",
        "Killer": "this statement is not read-only: pg_terminate_backend has side effects",
        "Text": "'much' is not a number",
        "Nameless": "the query returns the columns number, but no 'value'",
        "Many": "the query returns 3 rows without a 'label'",
        "Nothing": "the query returned no rows",
    }
    assert all(found[title].level is Level.UNKNOWN for title in [*told, "Null"])
    assert found["Null"].samples[0].why == "the value is null"
    assert found["Fine"].level is Level.CRITICAL
    assert found["Slow"].seconds > found["Fine"].seconds


def test_rows_are_judged_one_by_one_and_the_worst_counts(connection: Connection) -> None:
    manual = policy(
        metric("Rows", "select * from (values ('a', 1, 10), ('b', 9, 10), ('c', 5, 0)) x(label, value, \"of\")")
        + metric("None", "select 'a' as label, 1 as value where false", "Unit: count of things\nNo rows: ok")
        + metric("Free", "select 5 as value"),
        "| Rows | > 50 % | > 80 % | — | Do | — |",
    )
    found = by_title(measure(connection, manual))
    assert [sample.level for sample in found["Rows"].samples] == [Level.OK, Level.CRITICAL, Level.UNKNOWN]
    assert found["Rows"].level is Level.CRITICAL
    assert found["Rows"].worst is found["Rows"].samples[1]
    assert (
        found["Rows"].samples[2].why == "the bound is in percent, but there is no limit (Of:) to compare the value with"
    )
    assert (found["None"].level, found["None"].samples) == (Level.UNBOUNDED, ())
    assert found["Free"].level is Level.UNBOUNDED


def test_a_lost_connection_makes_all_that_follows_unknown(monitoring_server: embedded.Server, manual: Manual) -> None:
    with psycopg.connect(monitoring_server.conninfo(), autocommit=True) as victim:
        with psycopg.connect(monitoring_server.conninfo(), autocommit=True) as killer:
            killer.execute("select pg_terminate_backend(%s, 5000)", [victim.info.backend_pid])
        readings = measure(victim, manual)
    assert len(readings) == len([metric for metric in manual.metrics if metric.sql])
    assert {reading.level for reading in readings} == {Level.UNKNOWN}
    assert {reading.error for reading in readings[1:]} == {"the connection is lost"}

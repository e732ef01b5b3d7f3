"""What goes wrong with the log is beyond a bound of the manual at the next measurement: every 15 s, or every minute."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import measure
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tests.sessions import connect

MANUAL: Manual = load(PROFILE_MANUAL)

WRONG = {
    "Audit log months ahead": """do $$ declare part regclass; begin
      for part in select inhrelid from pg_inherits where inhparent = 'audit_logs'::regclass
       and pg_get_expr((select relpartbound from pg_class where oid = inhrelid), inhrelid) ~ '^FOR VALUES FROM \\(''2'
      loop execute format('drop table %s', part); end loop; end $$""",
    "Audit log default partition": (
        "insert into audit_logs (action, entity_type, entity_id, created_at) values ('X', 'Y', '1', '2101-01-01')"
    ),
    "Audit triggers not firing": "alter table orders enable trigger all",
    "Audit log not sealed": "select setval('tabsync_audit.last_sealed', extract(epoch from now())::bigint - 4000)",
}


def levels(conninfo: str) -> dict[str, Level]:
    with connect(conninfo, "tests") as session:
        return {one.metric: one.level for one in measure(session, MANUAL)}


def test_each_is_measured_within_a_minute_and_told_at_once() -> None:
    for title in ("Changes not recorded", *WRONG):
        metric = MANUAL.metric(title)
        assert metric
        assert metric.every <= timedelta(minutes=1)
        assert [row.for_ for row in MANUAL.thresholds_of(title)] == [timedelta(0)]


def test_a_change_that_was_not_recorded_is_told(audited_database: Callable[..., str]) -> None:
    conninfo = audited_database()
    assert levels(conninfo)["Changes not recorded"] is Level.OK
    with psycopg.connect(conninfo) as other, psycopg.connect(conninfo, autocommit=True) as session:
        other.execute("lock table audit_logs in access exclusive mode")
        assert session.execute("update orders set notes = 'x' where status = 'DELIVERED'").rowcount
    assert levels(conninfo)["Changes not recorded"] is Level.WARNING


@pytest.mark.parametrize("column", ["password_hash", "id"])
def test_a_column_that_the_triggers_miss_is_told(column: str, audited_database: Callable[..., str]) -> None:
    conninfo = audited_database()
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute(f"alter table users rename column {column} to another")
    assert levels(conninfo)["Audit triggers not firing"] is Level.WARNING


@pytest.mark.parametrize("title", WRONG)
def test_it_is_beyond_its_bound(title: str, audited_database: Callable[..., str]) -> None:
    conninfo = audited_database()
    assert levels(conninfo)[title] is Level.OK
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute(WRONG[title].encode())
    assert levels(conninfo)[title] in (Level.WARNING, Level.CRITICAL)

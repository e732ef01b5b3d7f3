"""Traffic: every scene happens, what it says has happened is in the database, and nothing stops it."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import psycopg
import pytest

from tabsync.kernel.errors import BadUsage
from tabsync.postgres import embedded
from tabsync.profiles.tabsync.traffic import Traffic, play_one

from .conftest import NewDatabase

Conn: TypeAlias = psycopg.Connection[tuple[Any, ...]]

STATE = """
SELECT
  (SELECT count(*) FROM table_sessions) AS sessions_opened,
  (SELECT count(*) FROM table_session_guests) - (SELECT count(*) FROM table_sessions) AS guests_joined,
  (SELECT count(*) FROM orders) AS orders_placed,
  (SELECT count(*) FROM orders WHERE status = 'CANCELLED') AS orders_cancelled,
  (SELECT count(*) FROM payments WHERE status = 'PAID') AS payments_paid,
  (SELECT count(*) FROM payments WHERE status = 'FAILED') AS payments_declined,
  (SELECT count(*) FROM table_sessions WHERE status IN ('CLOSED', 'ABANDONED')) AS sessions_closed,
  (SELECT sum(array_position(enum_range(NULL::"OrderStatus"), status) - 1) FROM orders
   WHERE status <> 'CANCELLED') AS orders_moved
"""
"""What the database says, under the names of the counters."""

WRONG = """
SELECT
  (SELECT count(*) FROM session_bills WHERE status <> 'OPEN' AND split_cents <> ordered_cents),
  (SELECT count(*) FROM orders AS o
   WHERE total_cents <> (SELECT sum(line_total_cents) FROM order_items AS i WHERE i.order_id = o.id)),
  (SELECT count(*) FROM split_payments AS s
   WHERE (payment_status = 'PAID')
     <> EXISTS (SELECT FROM payments AS p WHERE p.split_payment_id = s.id AND p.status = 'PAID'))
"""
"""Bills, orders and shares that do not add up."""


MINE = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'tabsync/traffic' AND datname = current_database() AND backend_type = 'client backend'
"""
"""Sessions of traffic on this database."""


def state(conninfo: str) -> Counter[str]:
    """The counters as the database would have them."""
    with psycopg.connect(conninfo) as conn:
        cursor = conn.execute(STATE)
        row = cursor.fetchone()
        assert row is not None
        return Counter(dict(zip([column.name for column in cursor.description or ()], row, strict=True)))


def played(conninfo: str, scenes: int, seed: int = 1, declined: float = 0.02) -> list[str]:
    """What happened in so many scenes."""
    rng = Random(seed)
    with psycopg.connect(conninfo, autocommit=True) as conn:
        return [play_one(conn, rng, declined) for _ in range(scenes)]


def added(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """What came between two states."""
    return {name: after[name] - before[name] for name in before}


def until(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_counters_match_the_database(profile_conninfo: str) -> None:
    before = state(profile_conninfo)
    happened = Counter(played(profile_conninfo, 800, declined=0.2))
    assert added(before, state(profile_conninfo)) == {name: happened[name] for name in before}
    assert min(happened[name] for name in before) > 0


def test_books_are_right_after_it(profile_conninfo: str) -> None:
    played(profile_conninfo, 600, declined=0.3)
    with psycopg.connect(profile_conninfo) as conn:
        assert conn.execute(WRONG).fetchone() == (0, 0, 0)


def test_orders_go_through_every_status(profile_conninfo: str) -> None:
    rng = Random(4)
    passed: dict[Any, list[str]] = {}
    with psycopg.connect(profile_conninfo, autocommit=True) as conn:
        started = conn.execute("SELECT now()").fetchone()
        for _ in range(400):
            play_one(conn, rng)
            for order, status in conn.execute("SELECT id, status::text FROM orders WHERE created_at > %s", started):
                if passed.setdefault(order, [status])[-1] != status:
                    passed[order].append(status)
    assert ["PENDING", "CONFIRMED", "PREPARING", "READY", "DELIVERED"] in passed.values()


def test_same_seed_same_story(new_database: NewDatabase, filled_template: str) -> None:
    stories = [played(new_database(filled_template), 300, seed) for seed in (5, 5, 6)]
    assert stories[0] == stories[1]
    assert stories[0] != stories[2]


def test_closed_restaurants_refuse_and_empty(profile_conninfo: str) -> None:
    with psycopg.connect(profile_conninfo, autocommit=True) as conn:
        conn.execute("UPDATE restaurants SET accepts_orders = false")
    before = state(profile_conninfo)
    happened = Counter(played(profile_conninfo, 300))
    assert happened["orders_refused"] > 0
    assert added(before, state(profile_conninfo))["orders_placed"] == happened["orders_placed"] == 0
    assert happened["sessions_closed"] > 0


def test_outage_of_the_gateways(profile_conninfo: str) -> None:
    before = state(profile_conninfo)
    happened = Counter(played(profile_conninfo, 600, declined=1.0))
    assert happened["payments_declined"] > happened["payments_paid"] > 0
    with psycopg.connect(profile_conninfo) as conn:
        retried = conn.execute(
            "SELECT count(*) FROM payments WHERE attempt > 1 AND created_at > now() - interval '1 minute'"
        ).fetchone()
        ways = conn.execute(
            "SELECT DISTINCT method::text FROM payments WHERE status = 'PAID' ORDER BY 1 LIMIT %s", [before.total()]
        ).fetchall()
    assert retried is not None
    assert retried[0] > 0
    assert ("CASH",) in ways


def test_nothing_to_do_in_an_empty_database(empty_conninfo: str) -> None:
    assert played(empty_conninfo, 3) == ["", "", ""]


def test_threads_count_what_they_committed(profile_conninfo: str) -> None:
    before = state(profile_conninfo)
    traffic = Traffic(profile_conninfo, seed=1, rate=400, workers=3)
    traffic.start()
    assert until(lambda: sum(traffic.counts().values()) >= 300)
    traffic.stop()
    counts = traffic.counts()
    assert (counts["errors"], traffic.last_error) == (0, "")
    assert added(before, state(profile_conninfo)) == {name: counts[name] for name in before}
    with psycopg.connect(profile_conninfo) as conn:
        assert conn.execute(WRONG).fetchone() == (0, 0, 0)


def test_rate_is_kept(profile_conninfo: str) -> None:
    traffic = Traffic(profile_conninfo, seed=1, rate=40)
    traffic.start()
    time.sleep(1)
    traffic.stop()
    assert 10 <= sum(traffic.counts().values()) <= 50


def test_sessions_say_who_they_are_and_are_bounded(profile_conninfo: str) -> None:
    traffic = Traffic(profile_conninfo, seed=1, rate=50, workers=2)
    traffic.start()
    with psycopg.connect(profile_conninfo, autocommit=True) as conn:
        assert until(lambda: conn.execute(MINE).fetchone() == (2,))
        conn.execute("BEGIN; LOCK TABLE dining_tables, table_sessions, orders IN ACCESS EXCLUSIVE MODE")
        assert until(lambda: "lock timeout" in traffic.last_error)
        conn.execute("ROLLBACK")
        traffic.stop()
        assert until(lambda: conn.execute(MINE).fetchone() == (0,))
    assert traffic.counts()["errors"] > 0


def test_goes_on_when_its_sessions_are_ended(profile_conninfo: str) -> None:
    traffic = Traffic(profile_conninfo, seed=1, rate=100)
    traffic.start()
    assert until(lambda: traffic.counts()["orders_moved"] > 0)
    with psycopg.connect(profile_conninfo, autocommit=True) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'tabsync/traffic' AND datname = current_database()"
        )
    assert until(lambda: traffic.counts()["errors"] >= 2)
    moved = traffic.counts()["orders_moved"]
    assert until(lambda: traffic.counts()["orders_moved"] > moved + 5)
    traffic.stop()
    # The server's last words are lost where the connection is reset before they are read.
    assert re.search("terminating connection|server closed the connection", traffic.last_error)


def test_comes_back_after_the_server_was_away(profile_server: embedded.Server, profile_conninfo: str) -> None:
    traffic = Traffic(profile_conninfo, seed=1, rate=100)
    traffic.start()
    assert until(lambda: traffic.counts()["orders_moved"] > 0)
    embedded.stop(profile_server, mode="immediate")
    try:
        assert until(lambda: "can't connect" in traffic.last_error)
    finally:
        embedded.start(profile_server)
    moved = traffic.counts()["orders_moved"]
    assert until(lambda: traffic.counts()["orders_moved"] > moved)
    traffic.stop()


def test_can_be_started_again(profile_conninfo: str) -> None:
    traffic = Traffic(profile_conninfo, seed=1, rate=100)
    traffic.start()
    assert until(lambda: sum(traffic.counts().values()) > 0)
    traffic.stop()
    before = sum(traffic.counts().values())
    traffic.start()
    traffic.start()  # no second set of workers
    assert until(lambda: sum(traffic.counts().values()) > before)
    assert len(traffic._threads) == 2
    traffic.stop()


@pytest.mark.parametrize(("conninfo", "rate"), [("dbname=x", 0), ("dbname=x", -1), ("no connection string", 1)])
def test_what_is_no_traffic_is_refused(conninfo: str, rate: float) -> None:
    with pytest.raises(BadUsage):
        Traffic(conninfo, seed=1, rate=rate)

"""Generated data: the same for the same seed, true to every rule of the schema, and shaped like a restaurant's."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.profiles.tabsync.generate import TABLES, generate, scale

from .conftest import ORDERS, NewDatabase

AT = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)


def digest(conninfo: str) -> str:
    """SHA-256 of what COPY gives of every table, in the order in which the rows lie there."""
    total = hashlib.sha256()
    with psycopg.connect(conninfo) as conn:
        for table in TABLES:
            with conn.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
                for chunk in copy:
                    total.update(chunk)
    return total.hexdigest()


def catalog(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Everything that a bulk load takes off and has to bring back."""
    return conn.execute(
        """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
        UNION ALL
        SELECT indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) || tgenabled::text, true FROM pg_trigger
        WHERE NOT tgisinternal
        ORDER BY 1, 2, 3
        """
    ).fetchall()


def made(new_database: NewDatabase, template: str, **arguments: Any) -> str:
    """A new database with 300 orders."""
    conninfo = new_database(template)
    with psycopg.connect(conninfo, autocommit=True) as conn:
        generate(conn, orders=300, **arguments)
    return conninfo


def test_same_seed_same_bytes(new_database: NewDatabase, empty_template: str) -> None:
    one = digest(made(new_database, empty_template, seed=7, at=AT))
    assert digest(made(new_database, empty_template, seed=7, at=AT)) == one
    assert digest(made(new_database, empty_template, seed=-7, at=AT)) != one
    assert digest(made(new_database, empty_template, seed=7, at=AT.replace(minute=31))) != one


def test_batches_do_not_show(new_database: NewDatabase, empty_template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = digest(made(new_database, empty_template, seed=7, at=AT))
    monkeypatch.setattr("tabsync.profiles.tabsync.generate.SESSIONS_PER_BATCH", 17)
    assert digest(made(new_database, empty_template, seed=7, at=AT)) == whole


@pytest.mark.parametrize("orders", range(1, 18))
def test_number_of_orders_is_exact(orders: int, new_database: NewDatabase, empty_template: str) -> None:
    with psycopg.connect(new_database(empty_template), autocommit=True) as conn:
        counts = generate(conn, orders=orders, at=AT)
        sessions = conn.execute("SELECT count(DISTINCT table_session_id) FROM orders").fetchone()
    assert counts["orders"] == orders
    assert sessions == (counts["table_sessions"],) == (scale(orders).sessions,)


def test_counts_are_what_is_there(empty_conninfo: str) -> None:
    seen: list[tuple[float, float, str]] = []
    with psycopg.connect(empty_conninfo, autocommit=True) as conn:
        counts = generate(conn, orders=500, at=AT, report=lambda *progress: seen.append(progress))
        for table, count in counts.items():
            there = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
            assert (table, there) == (table, (count,))
            assert count > 0
    assert (500, 500, "orders") in seen
    assert seen[-1][0] == seen[-1][1]


def test_rules_are_back_as_they_were(empty_conninfo: str) -> None:
    with psycopg.connect(empty_conninfo, autocommit=True) as conn:
        conn.execute("ALTER TABLE users ENABLE ALWAYS TRIGGER users_updated_at")
        conn.execute("ALTER TABLE restaurants ENABLE REPLICA TRIGGER restaurants_updated_at")
        conn.execute("ALTER TABLE payments DISABLE TRIGGER payments_updated_at")
        before = catalog(conn)
        generate(conn, orders=100, at=AT)
        assert catalog(conn) == before
        assert {"orders_pkey", "payments_paid_once_key"} <= {row[1] for row in before}


def test_identity_columns_go_on_counting(profile_conninfo: str) -> None:
    with psycopg.connect(profile_conninfo, autocommit=True) as conn:
        last = conn.execute("SELECT max(id) FROM order_items").fetchone()
        new = conn.execute(
            "INSERT INTO order_items (order_id, menu_item_id, quantity, unit_price_cents)"
            " SELECT order_id, menu_item_id, 1, 100 FROM order_items LIMIT 1 RETURNING id - 1"
        ).fetchone()
    assert new == last


def test_tables_with_rows_are_refused(profile_conninfo: str) -> None:
    before = digest(profile_conninfo)
    with (
        psycopg.connect(profile_conninfo, autocommit=True) as conn,
        pytest.raises(Refused, match="table users has rows already"),
    ):
        generate(conn, orders=10)
    assert digest(profile_conninfo) == before


def test_database_without_schema_is_refused(new_database: NewDatabase) -> None:
    with psycopg.connect(new_database("template0")) as conn, pytest.raises(Refused, match="no table users"):
        generate(conn, orders=10)


def test_moment_without_time_zone_is_refused(empty_conninfo: str) -> None:
    with psycopg.connect(empty_conninfo) as conn, pytest.raises(BadUsage, match="no time zone"):
        generate(conn, orders=10, at=AT.replace(tzinfo=None))


def test_nothing_to_generate_is_refused(empty_conninfo: str) -> None:
    with psycopg.connect(empty_conninfo) as conn, pytest.raises(BadUsage, match="can't generate 0 orders"):
        generate(conn, orders=0)


def test_failure_leaves_nothing(empty_conninfo: str) -> None:
    with psycopg.connect(empty_conninfo, autocommit=True) as conn:
        before = catalog(conn)
        conn.execute("ALTER TABLE payments ADD CONSTRAINT too_strict CHECK (status <> 'FAILED')")
        with pytest.raises(psycopg.errors.CheckViolation):
            generate(conn, orders=2000, at=AT)
        conn.execute("ALTER TABLE payments DROP CONSTRAINT too_strict")
        assert catalog(conn) == before
        assert conn.execute("SELECT count(*) FROM users").fetchone() == (0,)
        assert generate(conn, orders=10, at=AT)["orders"] == 10


NONE_OF_THESE = {
    "an order's total is not the sum of its items": """
        SELECT count(*) FROM orders AS o
        WHERE total_cents <> (SELECT sum(line_total_cents) FROM order_items AS i WHERE i.order_id = o.id)
    """,
    "the shares of a bill do not add up to it": """
        SELECT count(*) FROM session_bills WHERE status <> 'OPEN' AND split_cents <> ordered_cents
    """,
    "a bill was split while guests still order": """
        SELECT count(*) FROM session_bills WHERE status = 'OPEN' AND split_cents <> 0
    """,
    "a share is paid without a payment of its amount, or the reverse": """
        SELECT count(*) FROM split_payments AS s
        WHERE (payment_status = 'PAID') <> EXISTS (
          SELECT FROM payments AS p
          WHERE p.split_payment_id = s.id AND p.status = 'PAID' AND p.amount_cents = s.amount_cents
        )
    """,
    "a table that was left still owes, though it was not abandoned": """
        SELECT count(*) FROM table_sessions AS t JOIN split_payments AS s ON s.table_session_id = t.id
        WHERE t.status = 'CLOSED' AND s.payment_status NOT IN ('PAID', 'REFUNDED')
    """,
    "a declined payment has no decline code, or another one has": """
        SELECT count(*) FROM payments WHERE (status = 'FAILED') <> (metadata ? 'decline_code')
    """,
    "a dish comes from another restaurant's menu": """
        SELECT count(*) FROM orders AS o JOIN order_items AS i ON i.order_id = o.id
        JOIN menu_items AS m ON m.id = i.menu_item_id WHERE m.restaurant_id <> o.restaurant_id
    """,
    "a dish was not sold at its price": """
        SELECT count(*) FROM order_items AS i JOIN menu_items AS m ON m.id = i.menu_item_id
        WHERE m.price_cents <> i.unit_price_cents
    """,
    "an order was taken by another restaurant's staff, or by the kitchen": """
        SELECT count(*) FROM orders AS o JOIN staff AS s ON s.id = o.staff_id
        WHERE s.restaurant_id <> o.restaurant_id OR s.position <> 'WAITER'
    """,
    "staff whose account has another role": """
        SELECT count(*) FROM staff AS s JOIN users AS u ON u.id = s.user_id
        WHERE replace(s.position::text, 'OWNER', 'RESTAURANT_OWNER') <> u.role::text
    """,
    "two parties sat at one table": """
        SELECT count(*) FROM table_sessions AS a JOIN table_sessions AS b USING (dining_table_id)
        WHERE a.id < b.id AND tstzrange(a.created_at, a.closed_at) && tstzrange(b.created_at, b.closed_at)
    """,
    "a guest has an account from after the visit": """
        SELECT count(*) FROM table_session_guests AS g JOIN users AS u ON u.id = g.user_id
        WHERE u.created_at > g.created_at
    """,
    "an order is older than its session or younger than its end": """
        SELECT count(*) FROM orders AS o JOIN table_sessions AS s ON s.id = o.table_session_id
        WHERE o.created_at < s.created_at OR o.created_at > s.closed_at
    """,
    "something is from the future": """
        SELECT (SELECT count(*) FROM orders WHERE greatest(created_at, updated_at) > %(at)s)
          + (SELECT count(*) FROM payments WHERE greatest(created_at, updated_at) > %(at)s)
          + (SELECT count(*) FROM audit_logs WHERE created_at > %(at)s)
          + (SELECT count(*) FROM users WHERE created_at > %(at)s)
    """,
    "somebody is ADMIN, whom the manual made SUPER_ADMIN": """
        SELECT count(*) FROM users WHERE role = 'ADMIN'
    """,
    "an order is in the kitchen though the table pays or has left": """
        SELECT count(*) FROM orders AS o JOIN table_sessions AS s ON s.id = o.table_session_id
        WHERE s.status <> 'OPEN' AND o.status NOT IN ('DELIVERED', 'CANCELLED')
    """,
}
"""What must not be in the data, each with the query that counts it."""


@pytest.fixture(scope="module")
def large(new_database: NewDatabase, empty_template: str) -> str:
    """A database of 16,000 orders: enough for shares to mean something, and for guests in every state."""
    conninfo = new_database(empty_template)
    with psycopg.connect(conninfo, autocommit=True) as conn:
        generate(conn, orders=16_000, seed=3, at=AT)
    return conninfo


@pytest.mark.parametrize("wrong", NONE_OF_THESE)
def test_data_makes_sense(wrong: str, large: str) -> None:
    with psycopg.connect(large) as conn:
        assert conn.execute(NONE_OF_THESE[wrong].encode(), {"at": AT}).fetchone() == (0,)


def test_two_in_a_hundred_payments_failed(large: str) -> None:
    with psycopg.connect(large) as conn:
        row = conn.execute("SELECT avg((status = 'FAILED')::int)::float8 FROM payments").fetchone()
    assert row is not None
    assert 0.01 < row[0] < 0.03


def test_every_status_occurs(large: str) -> None:
    with psycopg.connect(large) as conn:
        orders = conn.execute("SELECT count(DISTINCT status) FROM orders").fetchone()
        sessions = conn.execute("SELECT count(DISTINCT status) FROM table_sessions").fetchone()
        payments = conn.execute("SELECT count(DISTINCT (method, gateway)) FROM payments").fetchone()
        shares = conn.execute("SELECT count(DISTINCT payment_status) FROM split_payments").fetchone()
    assert (orders, sessions, payments, shares) == ((6,), (4,), (4,), (4,))


def test_orders_reach_back_400_days_and_grow(large: str) -> None:
    with psycopg.connect(large) as conn:
        row = conn.execute(
            "SELECT extract(day FROM %(at)s - min(created_at))::int,"
            " count(*) FILTER (WHERE created_at > %(at)s - interval '200 days')::float8 / count(*),"
            " count(*) FILTER (WHERE created_at > %(at)s - interval '24 hours') FROM orders",
            {"at": AT},
        ).fetchone()
    assert row is not None
    days, recent, last_day = row
    assert 395 <= days <= 400
    assert recent > 0.55
    assert last_day > 50


def test_default_moment_is_the_hour(profile_conninfo: str) -> None:
    with psycopg.connect(profile_conninfo) as conn:
        row = conn.execute("SELECT count(*), max(created_at) <= now() FROM orders").fetchone()
    assert row == (ORDERS, True)

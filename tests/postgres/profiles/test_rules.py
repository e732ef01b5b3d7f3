"""What the database itself keeps true, whoever writes and however many at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias
from uuid import UUID

import psycopg
import pytest

Conn: TypeAlias = psycopg.Connection[tuple[Any, ...]]

OPEN_SESSION = """
SELECT s.restaurant_id, s.id FROM table_sessions AS s WHERE s.status = 'OPEN' ORDER BY s.id LIMIT 1
"""

ORDER = "INSERT INTO orders (restaurant_id, table_session_id) VALUES (%s, %s) RETURNING id"

CLOSE = "UPDATE restaurants SET accepts_orders = false WHERE id = %s"

ITEM = """
INSERT INTO order_items (order_id, menu_item_id, quantity, unit_price_cents)
SELECT %s::uuid, min(id), 2, 1000 FROM menu_items
"""

TOTAL = "SELECT total_cents FROM orders WHERE id = %s"


@pytest.fixture
def conn(profile_conninfo: str) -> Iterator[Conn]:
    """A session in which each statement is a transaction."""
    with psycopg.connect(profile_conninfo, autocommit=True) as conn:
        yield conn


@pytest.fixture
def table(conn: Conn) -> tuple[UUID, UUID]:
    """(restaurant, session): a party of its own."""
    row = conn.execute(
        "INSERT INTO table_sessions (restaurant_id, dining_table_id) SELECT restaurant_id, id FROM dining_tables AS d"
        " WHERE NOT EXISTS (SELECT FROM table_sessions WHERE dining_table_id = d.id AND status IN ('OPEN', 'PAYING'))"
        " ORDER BY id LIMIT 1 RETURNING restaurant_id, id"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def order(conn: Conn, table: tuple[UUID, UUID]) -> UUID:
    """Place an order; returns its id."""
    row = conn.execute(ORDER, table).fetchone()
    assert row is not None
    found: UUID = row[0]
    return found


def total(conn: Conn, of: UUID) -> int:
    """An order's total, in cents."""
    row = conn.execute(TOTAL, [of]).fetchone()
    assert row is not None
    return int(row[0])


def waits(watcher: Conn, waiting: Conn) -> bool:
    """Whether a session comes to wait for a lock within two seconds."""
    for _ in range(200):
        if watcher.execute("SELECT pg_blocking_pids(%s) <> '{}'", [waiting.info.backend_pid]).fetchone() == (True,):
            return True
        time.sleep(0.01)
    return False


def refusal(conn: Conn, table: tuple[UUID, UUID]) -> str | None:
    """SQLSTATE of an order that is refused, None when it gets in."""
    try:
        order(conn, table)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def test_closed_restaurant_gets_no_order(conn: Conn, table: tuple[UUID, UUID]) -> None:
    conn.execute(CLOSE, table[:1])
    with pytest.raises(psycopg.DatabaseError, match=f"restaurant {table[0]} does not accept orders") as refused:
        order(conn, table)
    assert refused.value.sqlstate == "TS001"
    assert "accepts_orders" in (refused.value.diag.message_hint or "")
    conn.execute("UPDATE restaurants SET accepts_orders = true")
    assert refusal(conn, table) is None


def test_order_waits_for_the_closing_that_is_under_way(
    profile_conninfo: str, conn: Conn, table: tuple[UUID, UUID]
) -> None:
    with psycopg.connect(profile_conninfo) as closer, psycopg.connect(profile_conninfo) as guest:
        closer.execute(CLOSE, table[:1])
        with ThreadPoolExecutor(1) as pool:
            outcome = pool.submit(refusal, guest, table)
            waited = waits(conn, guest)
            closer.commit()
            assert (waited, outcome.result()) == (True, "TS001")


def test_closing_waits_for_the_order_that_is_under_way(
    profile_conninfo: str, conn: Conn, table: tuple[UUID, UUID]
) -> None:
    with psycopg.connect(profile_conninfo) as closer, psycopg.connect(profile_conninfo) as guest:
        placed = order(guest, table)
        with ThreadPoolExecutor(1) as pool:
            closing = pool.submit(closer.execute, CLOSE, table[:1])
            waited = waits(conn, closer)
            guest.commit()
            closing.result()
        closer.commit()
        assert waited
        assert total(conn, placed) == 0
        assert refusal(conn, table) == "TS001"


def test_orders_of_one_restaurant_do_not_wait_for_each_other(profile_conninfo: str, table: tuple[UUID, UUID]) -> None:
    with psycopg.connect(profile_conninfo) as one, psycopg.connect(profile_conninfo) as other:
        other.execute("SET lock_timeout = '200ms'")
        order(one, table)
        order(other, table)


def test_old_snapshot_is_not_trusted(profile_conninfo: str, conn: Conn, table: tuple[UUID, UUID]) -> None:
    with psycopg.connect(profile_conninfo) as guest:
        guest.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        guest.execute("SELECT count(*) FROM orders")
        conn.execute(CLOSE, table[:1])
        with pytest.raises(psycopg.errors.SerializationFailure):
            order(guest, table)


def test_session_that_pays_takes_no_orders(conn: Conn, table: tuple[UUID, UUID]) -> None:
    conn.execute("UPDATE table_sessions SET status = 'PAYING' WHERE id = %s", table[1:])
    assert refusal(conn, table) == "TS002"


def test_waiter_without_rights_on_restaurants_may_order(conn: Conn, table: tuple[UUID, UUID]) -> None:
    conn.execute("CREATE ROLE profile_waiter")
    try:
        conn.execute("GRANT SELECT, INSERT ON orders, order_items TO profile_waiter")
        conn.execute("GRANT SELECT ON menu_items TO profile_waiter")
        conn.execute("SET ROLE profile_waiter")
        placed = order(conn, table)
        conn.execute(ITEM, [placed])
        assert total(conn, placed) == 2000
        conn.execute("RESET ROLE")
        conn.execute(CLOSE, table[:1])
        conn.execute("SET ROLE profile_waiter")
        assert refusal(conn, table) == "TS001"
    finally:
        conn.execute("RESET ROLE")
        conn.execute("DROP OWNED BY profile_waiter")
        conn.execute("DROP ROLE profile_waiter")


def test_orders_come_back_from_a_backup_while_the_restaurant_is_closed(conn: Conn) -> None:
    conn.execute("CREATE TABLE kept_orders AS SELECT * FROM orders WHERE status = 'DELIVERED' LIMIT 50")
    conn.execute(
        "CREATE TABLE kept_items AS SELECT id, order_id, menu_item_id, quantity, unit_price_cents, notes"
        " FROM order_items WHERE order_id IN (SELECT id FROM kept_orders)"
    )
    conn.execute("UPDATE restaurants SET accepts_orders = false")
    conn.execute("DELETE FROM orders WHERE id IN (SELECT id FROM kept_orders)")
    conn.execute("INSERT INTO orders SELECT * FROM kept_orders")
    conn.execute(
        "INSERT INTO order_items (id, order_id, menu_item_id, quantity, unit_price_cents, notes)"
        " OVERRIDING SYSTEM VALUE SELECT * FROM kept_items"
    )
    same = conn.execute(
        "SELECT count(*) FROM kept_orders AS k JOIN orders AS o USING (id) WHERE k::text = o::text"
    ).fetchone()
    assert same == (50,)


def test_total_follows_the_items(conn: Conn, table: tuple[UUID, UUID]) -> None:
    one, other = order(conn, table), order(conn, table)
    conn.execute(ITEM, [one])
    conn.execute(ITEM, [one])
    assert (total(conn, one), total(conn, other)) == (4000, 0)
    conn.execute("UPDATE order_items SET quantity = 3 WHERE order_id = %s", [one])
    assert total(conn, one) == 6000
    conn.execute(
        "UPDATE order_items SET order_id = %s WHERE id = (SELECT min(id) FROM order_items WHERE order_id = %s)",
        [other, one],
    )
    assert (total(conn, one), total(conn, other)) == (3000, 3000)
    conn.execute("DELETE FROM order_items WHERE order_id = %s", [one])
    assert (total(conn, one), total(conn, other)) == (0, 3000)


def test_total_counts_items_that_are_added_at_once(profile_conninfo: str, conn: Conn, table: tuple[UUID, UUID]) -> None:
    placed = order(conn, table)
    with psycopg.connect(profile_conninfo) as one, psycopg.connect(profile_conninfo) as other:
        one.execute(ITEM, [placed])
        with ThreadPoolExecutor(1) as pool:
            adding = pool.submit(other.execute, ITEM, [placed])
            waited = waits(conn, other)
            one.commit()
            adding.result()
        other.commit()
    assert (waited, total(conn, placed)) == (True, 4000)


def test_updated_at_moves_only_when_something_changed(conn: Conn) -> None:
    conn.execute("UPDATE users SET updated_at = created_at")
    conn.execute("UPDATE users SET full_name = full_name")
    conn.execute("UPDATE users SET full_name = 'Somebody Else' WHERE email = 'user@example.com'")
    moved = conn.execute("SELECT email FROM users WHERE updated_at > now() - interval '1 minute'").fetchall()
    assert moved == [("user@example.com",)]


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        # Two parties at one table.
        (
            "INSERT INTO table_sessions (restaurant_id, dining_table_id)"
            " SELECT restaurant_id, dining_table_id FROM table_sessions WHERE status = 'OPEN' LIMIT 1",
            "23505",
        ),
        # A table of another restaurant.
        (
            "INSERT INTO table_sessions (restaurant_id, dining_table_id)"
            " SELECT r.id, d.id FROM restaurants AS r, dining_tables AS d WHERE d.restaurant_id <> r.id LIMIT 1",
            "23503",
        ),
        # A share that is collected twice.
        (
            "INSERT INTO payments (split_payment_id, attempt, method, gateway, status, amount_cents)"
            " SELECT split_payment_id, 9, 'CARD', 'stripe', 'PAID', amount_cents FROM payments"
            " WHERE status = 'PAID' LIMIT 1",
            "23505",
        ),
        ("UPDATE payments SET gateway = 'stripe' WHERE method = 'PIX'", "23514"),
        ("UPDATE payments SET gateway = NULL WHERE method = 'CARD'", "23514"),
        ("UPDATE table_sessions SET status = 'CLOSED' WHERE status = 'OPEN'", "23514"),
        ("UPDATE menu_items SET price_cents = -1", "23514"),
        ("UPDATE users SET email = 'nobody at example.com' WHERE email = 'user@example.com'", "23514"),
        (
            "INSERT INTO users (email, full_name, role) VALUES ('USER@example.com', 'Twice', 'CUSTOMER')",
            "23505",
        ),
        # A role has to be said: the column has no default, or the manual could not replace its type.
        ("INSERT INTO users (email, full_name) VALUES ('new@example.com', 'New')", "23502"),
        ("DELETE FROM menu_items", "23503"),
    ],
)
def test_what_does_not_fit_is_refused(conn: Conn, statement: str, sqlstate: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        conn.execute(statement.encode())
    assert refused.value.sqlstate == sqlstate


def test_every_foreign_key_has_an_index(conn: Conn) -> None:
    bare = conn.execute(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint AS c WHERE contype = 'f' AND NOT EXISTS ("
        " SELECT FROM pg_index AS i WHERE i.indrelid = c.conrelid AND i.indkey[0] = ANY (c.conkey))"
    ).fetchall()
    assert bare == []


def test_only_the_plain_index_depends_on_the_role(conn: Conn) -> None:
    dependents = conn.execute(
        "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend AS d"
        " JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
        " WHERE d.refobjid = 'users'::regclass AND d.refclassid = 'pg_class'::regclass AND a.attname = 'role'"
    ).fetchall()
    assert {name for (name,) in dependents} <= {"index users_role_idx", "constraint users_role_not_null on table users"}

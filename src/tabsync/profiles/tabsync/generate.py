"""Data shaped like TabSync's own, at any scale, the same for the same seed.

Everything is made inside the server by the statements of generate.sql, in one transaction.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection, Cursor, sql
from psycopg.errors import UndefinedTable
from psycopg.rows import tuple_row

from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.postgres.queries import named
from tabsync.profiles.tabsync.bulk import Progress, taken_off

TABLES = (
    "users",
    "restaurants",
    "staff",
    "dining_tables",
    "menu_categories",
    "menu_items",
    "inventory_items",
    "table_sessions",
    "table_session_guests",
    "orders",
    "order_items",
    "split_payments",
    "payments",
    "audit_logs",
)
"""Every table that gets rows, each after those it refers to."""

GROUND = (
    "users",
    "restaurants",
    "staff",
    "dining_tables",
    "menu_categories",
    "menu_items",
    "inventory_items",
    "role_changes",
)
"""Blocks of generate.sql that run once."""

BATCH = (
    "clear_stage",
    "stage_sessions",
    "stage_orders",
    "stage_shares",
    "table_sessions",
    "table_session_guests",
    "orders",
    "order_items",
    "split_payments",
    "payments",
    "audit_logs",
)
"""Blocks of generate.sql that run for each batch of sessions."""

SESSIONS_PER_BATCH = 50_000
"""80,000 orders: a few seconds, so a person sees it moving, and the batch stays in memory."""

HAS_ROWS = sql.SQL("SELECT EXISTS (SELECT FROM {table})")
"""Whether a table has any row."""

COUNT = sql.SQL("SELECT count(*) FROM {table}")
"""How many rows a table got."""

ANALYZE = sql.SQL("ANALYZE {table}")
"""The planner's statistics, which a bulk load leaves far behind."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How many there are of each thing that the others are derived from."""

    orders: int
    sessions: int
    restaurants: int
    tables: int
    customers: int


def scale(orders: int) -> Scale:
    """What belongs to a number of orders: eight of them are five sessions (see first_order in generate.sql).

    Raises BadUsage when there is nothing to generate.
    """
    if orders < 1:
        raise BadUsage(f"can't generate {orders} orders", "ask for one or more, such as --orders 20000")
    blocks, rest = divmod(orders, 8)
    restaurants = max(3, orders // 5000)
    return Scale(
        orders=orders,
        sessions=blocks * 5 + (0, 1, 2, 2, 3, 4, 4, 4)[rest],
        restaurants=restaurants,
        tables=restaurants * 12,
        customers=max(20, orders // 12),
    )


def generate(
    conn: Connection[Any], *, orders: int, seed: int = 1, at: datetime | None = None, report: Progress | None = None
) -> dict[str, int]:
    """Fill the empty tables of the schema; returns the number of rows by table.

    conn: as the owner of the tables. orders: how many; the rest follows from it, about 1.3 kB of database each,
    so that 2.4 million give 3 GB.
    seed: the same seed, orders and at give the same rows in the same order. at: the moment at which the data ends,
    with guests at the tables; the current hour in UTC unless given. report: called with (done, total, unit).

    Raises Refused when a table has rows already or isn't there, BadUsage for orders < 1 and for an `at` without time
    zone. Either all rows are there or none.
    """
    wanted = scale(orders)
    moment = at or now().replace(minute=0, second=0, microsecond=0)
    if moment.tzinfo is None:
        raise BadUsage(f"the timestamp {moment} has no time zone", "give it one, such as 2026-11-22T18:00+00:00")
    report = report or _silent
    with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
        _refuse_rows(cursor)
        with taken_off(cursor, TABLES, report):
            _load(cursor, wanted, seed, moment, report)
        return _count(cursor)


def _silent(done: float, total: float, unit: str) -> None:
    """Nobody watches."""


def _refuse_rows(cursor: Cursor[tuple[Any, ...]]) -> None:
    for table in TABLES:
        try:
            has_rows = _value(cursor, HAS_ROWS.format(table=sql.Identifier(table)))
        except UndefinedTable:
            raise Refused(f"there is no table {table}", "bring the database to the newest schema first") from None
        if has_rows:
            raise Refused(f"table {table} has rows already", "generate into a new database")


def _load(cursor: Cursor[tuple[Any, ...]], wanted: Scale, seed: int, moment: datetime, report: Progress) -> None:
    block = named(__package__, "generate.sql")
    # A function's body takes no parameters: the seed has to be created inside.
    cursor.execute(sql.SQL(block["helpers"]).format(seed=sql.Literal(seed)))
    parameters = {**asdict(wanted), "at": moment}
    for name in GROUND:
        cursor.execute(block[name], parameters)
    cursor.execute(block["stage"])
    for lo in range(0, wanted.sessions, SESSIONS_PER_BATCH):
        hi = min(lo + SESSIONS_PER_BATCH, wanted.sessions)
        for name in BATCH:
            cursor.execute(block[name], {**parameters, "lo": lo, "hi": hi})
        report(wanted.orders * hi // wanted.sessions, wanted.orders, "orders")
    cursor.execute(block["drop_helpers"])


def _count(cursor: Cursor[tuple[Any, ...]]) -> dict[str, int]:
    counts = {}
    for table in TABLES:
        cursor.execute(ANALYZE.format(table=sql.Identifier(table)))
        counts[table] = int(_value(cursor, COUNT.format(table=sql.Identifier(table))))
    return counts


def _value(cursor: Cursor[tuple[Any, ...]], query: sql.Composed) -> Any:
    """The one value of a query that always gives one."""
    row = cursor.execute(query).fetchone()
    return row[0] if row else None

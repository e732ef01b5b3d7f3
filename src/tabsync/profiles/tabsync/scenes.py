"""What goes on in a restaurant, scene by scene: each is one short transaction that does one thing, or nothing.

A scene picks what it works on with the caller's random numbers, so that the same seed on the same data plays the same.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias
from uuid import UUID

from psycopg import Connection, Cursor, DatabaseError
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from tabsync.postgres.queries import named

CLOSED_KITCHEN = "TS001"
"""SQLSTATE of orders_admission(): the restaurant does not accept orders."""

SESSION_NOT_OPEN = "TS002"
"""SQLSTATE of orders_admission(): the guests have asked for the bill meanwhile."""

DECLINED_SHARE = 0.02
"""The part of card and PIX payments that a gateway turns down on an ordinary day."""

COUNTED = (
    "sessions_opened",
    "guests_joined",
    "orders_placed",
    "orders_refused",
    "orders_moved",
    "orders_cancelled",
    "bills_split",
    "payments_paid",
    "payments_declined",
    "sessions_closed",
)
"""Everything a scene can say has happened."""

NEXT_STATUS = {"PENDING": "CONFIRMED", "CONFIRMED": "PREPARING", "PREPARING": "READY", "READY": "DELIVERED"}
"""How the kitchen moves an order along."""

_NAMES = ("Alice", "Bia", "Caio", "Davi", "Enzo", "Flora", "Gil", "Hugo", "Ines", "Jade")

_CODES = ("insufficient_funds", "do_not_honor", "expired_card", "incorrect_cvc")

_WAYS = (("CARD", "stripe"), ("CARD", "mercadopago"), ("PIX", "mercadopago"), ("CASH", None))

_Cursor: TypeAlias = Cursor[tuple[Any, ...]]
Charge: TypeAlias = Callable[[Random, str, str, int, str], tuple[str, dict[str, Any]]]
"""Asks a gateway for a payment: f(rng, method, gateway, cents, currency) -> its status, what is kept of the answer."""

Scene: TypeAlias = Callable[[_Cursor, Random, Charge], str]


def by_chance(declined: float) -> Charge:
    """A gateway that turns some payments down. declined: 0 to 1, the part of them."""

    def charge(rng: Random, method: str, _gateway: str, _cents: int, _currency: str) -> tuple[str, dict[str, Any]]:
        metadata = {"reference": f"{rng.getrandbits(96):024x}"}
        if rng.random() >= declined:
            return "PAID", metadata
        return "FAILED", {**metadata, "decline_code": rng.choice(_CODES) if method == "CARD" else "expired"}

    return charge


def play_one(conn: Connection[Any], rng: Random, declined: float | Charge = DECLINED_SHARE) -> str:
    """Play one scene and commit it; returns what happened, one of COUNTED, or "" when there was nothing to do.

    conn: outside a transaction. rng: decides which scene and with whom. declined: 0 to 1, the part of card and PIX
    payments that is turned down, or who is asked. Raises psycopg.Error; then nothing of the scene is left.
    """
    charge = declined if callable(declined) else by_chance(declined)
    # The favourite of the moment first; when it finds nothing to do, the others get their turn.
    scenes = sorted(_SCENES, key=lambda scene: rng.random() ** (1 / _SCENES[scene]), reverse=True)
    for scene in scenes:
        with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
            if happened := scene(cursor, rng, charge):
                return happened
    return ""


def _sit_down(cursor: _Cursor, rng: Random, charge: Charge) -> str:
    restaurants = _one(cursor, "count_restaurants", {})
    if restaurants is None or not restaurants[0]:
        return ""
    table = _one(cursor, "free_table", {"number": rng.randrange(restaurants[0]), "draw": rng.random()})
    if table is None:
        return ""
    session = _uuid(rng)
    opened = _one(cursor, "open_session", {"session": session, "table": table[0], "restaurant": table[1]})
    if opened is None:
        return ""
    _run(cursor, "join_session", {"session": session, "guest": 1, "name": rng.choice(_NAMES)})
    return "sessions_opened"


def _join(cursor: _Cursor, rng: Random, charge: Charge) -> str:
    found = _one(cursor, "table_to_join", {"draw": rng.random()})
    if found is None:
        return ""
    _run(cursor, "join_session", {"session": found[0], "guest": found[1], "name": rng.choice(_NAMES)})
    return "guests_joined"


def _order(cursor: _Cursor, rng: Random, charge: Charge) -> str:
    found = _one(cursor, "table_to_serve", {"draw": rng.random()})
    if found is None:
        return ""
    session, restaurant, guests = found
    menu = cursor.execute(named(__package__, "traffic.sql")["menu"], {"restaurant": restaurant}).fetchall()
    chosen = [rng.choice(menu) for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))]
    order = {
        "order": _uuid(rng),
        "restaurant": restaurant,
        "session": session,
        "guest": rng.randint(1, guests),
        "items": [item for item, _ in chosen],
        "prices": [price for _, price in chosen],
        "quantities": [rng.choice((1, 1, 1, 2)) for _ in chosen],
    }
    try:
        with cursor.connection.transaction():
            _run(cursor, "place_order", order)
            _run(cursor, "add_items", order)
    except DatabaseError as error:
        if error.sqlstate == CLOSED_KITCHEN:
            return "orders_refused"
        if error.sqlstate == SESSION_NOT_OPEN:
            return ""
        raise
    return "orders_placed"


def _move_along(cursor: _Cursor, rng: Random, charge: Charge) -> str:
    found = _one(cursor, "order_to_move", {})
    if found is None:
        return ""
    order, status = found
    if status == "PENDING" and rng.random() < 0.03:
        _run(cursor, "move_order", {"order": order, "status": "CANCELLED"})
        return "orders_cancelled"
    _run(cursor, "move_order", {"order": order, "status": NEXT_STATUS[status]})
    return "orders_moved"


def _split_the_bill(cursor: _Cursor, rng: Random, charge: Charge) -> str:
    found = _one(cursor, "table_to_bill", {"draw": rng.random()})
    if found is None:
        return ""
    session = {"session": found[0]}
    served = _one(cursor, "served", session)
    if served is None or served[2]:
        return ""
    cents, guests, _ = served
    if not cents:  # everything was cancelled: nobody owes anything
        _run(cursor, "close_session", session)
        return "sessions_closed"
    _run(cursor, "split_bill", {**session, "cents": cents, "payers": rng.choice((1, guests))})
    _run(cursor, "start_paying", session)
    return "bills_split"


def _pay(cursor: _Cursor, rng: Random, charge: Charge) -> str:
    found = _one(cursor, "share_to_pay", {"draw": rng.random()})
    if found is None:
        return ""
    share, cents, currency, attempt = found
    method, gateway = rng.choice(_WAYS)
    status, metadata = "PAID", {"reference": f"{rng.getrandbits(96):024x}"}
    if gateway:
        status, metadata = charge(rng, method, gateway, cents, currency)
    payment = {"payment": _uuid(rng), "share": share, "attempt": attempt, "cents": cents, "currency": currency}
    answer = {"method": method, "gateway": gateway, "status": status, "metadata": Jsonb(metadata)}
    _run(cursor, "pay", payment | answer)
    _run(cursor, "settle_share", {"share": share, "status": status})
    return "payments_paid" if status == "PAID" else "payments_declined"


def _leave(cursor: _Cursor, rng: Random, charge: Charge) -> str:
    found = _one(cursor, "table_to_free", {"draw": rng.random()})
    if found is None:
        return ""
    _run(cursor, "close_session", {"session": found[0]})
    return "sessions_closed"


_SCENES: dict[Scene, float] = {
    _sit_down: 1.0,
    _join: 0.8,
    _order: 2.0,
    _move_along: 8.0,
    _split_the_bill: 1.3,
    _pay: 2.5,
    _leave: 1.3,
}
"""How often each scene is the favourite. A party needs about so many of each, so tables do not pile up at any point."""


def _run(cursor: _Cursor, block: str, parameters: dict[str, Any]) -> None:
    cursor.execute(named(__package__, "traffic.sql")[block], parameters)


def _one(cursor: _Cursor, block: str, parameters: dict[str, Any]) -> tuple[Any, ...] | None:
    return cursor.execute(named(__package__, "traffic.sql")[block], parameters).fetchone()


def _uuid(rng: Random) -> UUID:
    return UUID(int=rng.getrandbits(128), version=4)

"""The second step of `orders pause`: wait for the orders that were under way, and name those that outlast the wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg

from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import prove_target
from tabsync.postgres.connect import Connection
from tabsync.profiles.tabsync.orders.database import check_pauses, holding, looking, rows, session, standing
from tabsync.profiles.tabsync.orders.under_way import Waited, Writer
from tabsync.profiles.tabsync.orders.write import writing

if TYPE_CHECKING:
    from tabsync.workspace import Context

_LOOKS = (0.02, 0.05, 0.1, 0.2, 0.5)  # seconds between two looks; the last one goes on
_NOT_NOTED = "orders are paused and none is under way any more, but that was not noted"
_NOT_CLOSED = "orders are paused, but the gate for transactions that began before was not closed"


def drain(context: Context, *, target: Facts, restaurant: Facts | None, wait: float) -> Facts:
    """Wait until no order of before the pause can come in any more. Nobody waits for us meanwhile.

    restaurant: None for all; wait: seconds. Raises Refused, NotAllowed, FailedPartway when the gate can't be
    closed; the pause stands then.
    """
    began = time.monotonic()
    one = restaurant["id"] if restaurant else None
    with session(context.workspace) as connection:
        prove_target(connection, target)
        with looking(connection) as found:
            check_pauses(found)
            before = standing(connection)  # first: who is seen writing after that is all who may not see these
            first = writers(connection)
            ids = [one] if one else [each["id"] for each in rows(connection, "restaurants")]
        waited = Waited(first, ids, everywhere=one is None)
        gate, still, now = _wait(context, connection, waited, began + wait)
        drained = not still and gate == "closed"
        if drained:
            with writing(connection, "order_pauses", _NOT_NOTED) as write:
                write("drained", ids=[each.id for each in before if one in (None, each.restaurant_id)])
        with looking(connection):
            stands = standing(connection)
    known = {each.id for each in before if each.restaurant_id in (None, one)}
    kept = any(each.id in known for each in stands)
    left = still if kept and gate != "held" else now
    return {
        "drained": drained and kept,
        "ended": not kept,
        "gate": gate,
        "still": [each.to_json() for each in left],
        "unsure": found.unsure,
        "standing": [each.to_json() for each in stands],
        "seconds": time.monotonic() - began,
    }


def _wait(
    context: Context, connection: Connection, waited: Waited, until: float
) -> tuple[str, list[Writer], list[Writer]]:
    """Look until nobody is waited for: how the gate is, who is still waited for, who writes. until: monotonic."""
    gate, began = "held", time.monotonic()
    for turn in range(1_000_000):
        if gate == "held":
            gate = close_gate(connection)
        _see_free(connection, waited)
        now = writers(connection)
        still = waited.still(now)
        left = until - time.monotonic()
        if (not still and gate != "held") or left <= 0:
            break
        context.report(time.monotonic() - began, until - began, "s")
        time.sleep(min(_LOOKS[min(turn, len(_LOOKS) - 1)], left))
    return gate, still, now


def writers(connection: Connection) -> list[Writer]:
    """Who is writing orders now."""
    return [Writer(**one) for one in rows(connection, "writing")]


def close_gate(connection: Connection) -> str:
    """Close it for older snapshots: "closed"; "held" by orders that passed it; "missing": there was no row to see."""
    with writing(connection, "order_gate", _NOT_CLOSED) as write:
        there = bool(rows(connection, "gate")[0]["closed_at"])
        if there and not rows(connection, "free_gate"):
            return "held"
        write("close_gate")
    return "closed" if there else "missing"


def _see_free(connection: Connection, waited: Waited) -> None:
    """Look which restaurants have no order under way: locks that nobody else holds, given back at once."""
    ids = waited.looked_at
    if not ids:
        return
    try:
        with holding(connection, "restaurants"):
            free = [one["id"] for one in rows(connection, "free_restaurants", ids=ids)]
        waited.seen_free(free)
    except psycopg.errors.LockNotAvailable:
        pass  # somebody changes the table: the next look may tell
    except psycopg.errors.InsufficientPrivilege:
        waited.rows_are_hidden()

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
            first = writers(connection)
            ids = [one] if one else [each["id"] for each in rows(connection, "restaurants")]
        waited = Waited(first, ids, everywhere=one is None)
        gate, still = "held", list(first)
        for turn in range(1_000_000):
            if gate == "held":
                gate = close_gate(connection)
            _see_free(connection, waited, one)
            now = writers(connection)
            still = waited.still(now)
            passed = time.monotonic() - began
            if (not still and gate != "held") or passed >= wait:
                break
            context.report(min(passed, wait), wait, "s")
            time.sleep(max(0.0, min(_LOOKS[min(turn, len(_LOOKS) - 1)], wait - passed)))
        left = still if gate != "held" else now
        drained = not still and gate == "closed"
        if drained:
            with writing(connection, "order_pauses", _NOT_NOTED) as write:
                write("drained", restaurant=one)
        with looking(connection):
            stands = standing(connection)
    return {
        "drained": drained,
        "gate": gate,
        "still": [each.to_json() for each in left],
        "unsure": found.unsure,
        "standing": [each.to_json() for each in stands],
        "seconds": time.monotonic() - began,
    }


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


def _see_free(connection: Connection, waited: Waited, restaurant: str | None) -> None:
    """Look which restaurants have no order under way: locks that nobody else holds, given back at once."""
    if not waited.looks_at_rows:
        return
    try:
        with holding(connection, "restaurants"):
            free = [one["id"] for one in rows(connection, "free_restaurants", restaurant=restaurant)]
        waited.seen_free(free)
    except psycopg.errors.LockNotAvailable:
        pass  # somebody changes the table: the next look may tell
    except psycopg.errors.InsufficientPrivilege:
        waited.rows_are_hidden()

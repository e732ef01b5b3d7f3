"""tabsync orders status: which restaurants take orders, which don't, and why."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.request import Nothing
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import identity
from tabsync.postgres.connect import Connection
from tabsync.profiles.tabsync.orders.database import (
    check_pauses,
    counts,
    looking,
    recent,
    rows,
    session,
    standing,
)
from tabsync.profiles.tabsync.orders.drain import writers
from tabsync.profiles.tabsync.orders.pauses import Pause
from tabsync.profiles.tabsync.orders.shown import show_pauses, show_writers, told_counts, told_recent
from tabsync.profiles.tabsync.orders.under_way import Writer

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_MINUTES = 10
_LISTED = 10
_COMMITTED = timedelta(seconds=5)  # a pause holds from its commit on, which comes after its time


def look_status(workspace: Workspace, _request: Nothing) -> Page:
    """What takes orders now. Raises CannotConnect, Refused, NotAllowed."""
    with session(workspace) as connection:
        role = identity(connection)["role"]
        with looking(connection) as found:
            check_pauses(found)
            there, stands, lately = counts(connection), standing(connection), recent(connection, _MINUTES)
            closed = rows(connection, "closed", limit=_LISTED)
            late = _of_before(connection, stands)
            gate = rows(connection, "gate")[0]["closed_at"]
    data: Facts = {
        **there,
        "pauses": [one.to_json() for one in stands],
        "orders_lately": {"minutes": _MINUTES, "orders": lately},
        "under_way_since_before": [one.to_json() for one in late],
        "unsure": found.unsure,
        "server": role,
    }
    page = Page("orders status", data)
    _headline(page, there, stands)
    if found.unsure:
        page.line(("WHETHER A PAUSE KEEPS ORDERS OUT IS UNKNOWN", "strong warning"), f": {found.unsure}")
        page.exit_code = Exit.UNKNOWN
    if stands:
        show_pauses(page, stands)
    if closed:
        more = f", and {there['closed'] - len(closed)} more" if there["closed"] > len(closed) else ""
        page.line(f"Closed by their owners: {', '.join(in_one_line(one['slug']) for one in closed)}{more}")
    page.line(told_recent(lately, _MINUTES).capitalize() + ".")
    if late:
        show_writers(page, late)
    elif _was_interrupted(stands, gate):
        page.note("a pause was made without waiting: whether an order of before is under way is unknown")
    if role == "standby":
        page.note("this is a standby, as far as it has replayed; pause and resume need the primary")
    return page


def _headline(page: Page, there: Facts, stands: list[Pause]) -> None:
    if any(one.restaurant_id is None for one in stands):
        latest = next(one for one in stands if one.restaurant_id is None)
        page.line(("PAUSED all restaurants", "strong warning"), f" until {latest.until}")
    elif stands:
        some = len({one.restaurant_id for one in stands})
        which = "1 restaurant" if some == 1 else f"{some} restaurants"
        page.line((f"PAUSED {which}", "strong warning"), f"; {told_counts(there)}")
    else:
        page.line(("NOTHING IS PAUSED", "strong good"), f"; {told_counts(there)}")
    if stands:
        page.exit_code = Exit.PROBLEM_FOUND


def _of_before(connection: Connection, stands: list[Pause]) -> list[Writer]:
    """The transactions that write orders and began before a pause of which it isn't known that all have ended.

    Of a prepared one it is only known since when it is prepared.
    """
    undrained = [one.paused_at for one in stands if one.drained_at is None]
    if not undrained:
        return []
    latest = max(undrained) + _COMMITTED
    return [one for one in writers(connection) if one.pid is None or one.since is None or one.since <= latest]


def _was_interrupted(stands: list[Pause], closed_at: datetime | None) -> bool:
    return any(one.drained_at is None and (closed_at is None or closed_at < one.paused_at) for one in stands)

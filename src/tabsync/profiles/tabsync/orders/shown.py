"""What the commands of orders show alike."""

from __future__ import annotations

from collections.abc import Sequence

from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.profiles.tabsync.orders.pauses import Pause
from tabsync.profiles.tabsync.orders.under_way import Writer, from_json

_MOST = 30


def show_left(page: Page, facts: Facts) -> None:
    """Whether no order is under way any more, and who may still commit one. facts: of the step drain."""
    left = [from_json(one) for one in facts["still"]]
    if facts["unsure"]:
        page.line(("WHETHER IT KEEPS ORDERS OUT IS UNKNOWN", "strong warning"), f": {facts['unsure']}")
        page.exit_code = Exit.UNKNOWN
    if facts["drained"]:
        page.line("No order is under way any more.")
        return
    page.exit_code = Exit.UNKNOWN
    if facts["ended"]:
        page.line(
            "The pause that was waited for was ended meanwhile, and another one stands: orders may have come between."
        )
        page.hint("to wait for them: tabsync orders pause")
    if facts["gate"] == "missing":
        page.line(
            "order_gate had no row: in REPEATABLE READ, a transaction that began before may still bring orders in."
        )
    if left:
        show_writers(page, left)
    elif facts["gate"] == "held":
        page.line("Orders were under way in REPEATABLE READ until now; whether all have ended is unknown.")
    page.hint("to see whether they have ended: tabsync orders status")


def show_writers(page: Page, left: Sequence[Writer]) -> None:
    """Who may still commit an order."""
    count = "1 TRANSACTION" if len(left) == 1 else f"{len(left)} TRANSACTIONS"
    page.line((count, "strong warning"), " that began before may still bring orders in")
    page.table(
        ("Process", "User", "Its transaction since"),
        ((one.who, in_one_line(one.user), one.began) for one in left[:_MOST]),
    )
    pids = [str(one.pid) for one in left if one.pid is not None]
    if pids:
        page.hint(f"to end one, which undoes what it did: tabsync connections terminate {pids[0]}")


def show_pauses(page: Page, stands: Sequence[Pause]) -> None:
    """The pauses that stand."""
    rows = ((one.whom, one.until, in_one_line(one.paused_by), in_one_line(one.reason)[:60]) for one in stands[:_MOST])
    page.table(("Paused", "Until", "By", "Why"), rows)
    if len(stands) > _MOST:
        page.note(f"{len(stands) - _MOST} more pauses are not shown; --json has all of them")


def told_counts(there: Facts) -> str:
    """How many restaurants take orders, are closed and are paused, in words."""
    take = there["accepting"] - there["paused"]
    told = f"{take} restaurant takes orders" if take == 1 else f"{take} restaurants take orders"
    told += f", closed by their owners: {there['closed']}"
    return told + (f", paused: {there['paused']}" if there["paused"] else "")


def told_recent(count: int | None, minutes: int) -> str:
    """How many orders came in lately, in words."""
    if count is None:
        return f"how many orders came in within {minutes} min is unknown"
    return f"{count} order{'' if count == 1 else 's'} came in within {minutes} min"

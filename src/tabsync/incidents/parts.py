"""Parts of what incidents show: what one cost, whom to call, what to tell a supplier."""

from __future__ import annotations

from tabsync.incidents.measured import rows_of, times_of
from tabsync.kernel.clock import local
from tabsync.kernel.page import Cell, Page
from tabsync.kernel.step import Facts

_NAMED = 3  # metrics by their names
_THERE: dict[bool | None, Cell] = {True: ("there", "good"), False: ("not now", "quiet"), None: "unknown"}


def show_people(page: Page, people: Facts) -> None:
    """The tables of `incident show --people`. people: see people.people_of."""
    rows: list[tuple[Cell, ...]] = [
        (
            one["role"],
            one["address"],
            one["when"],
            _THERE[one["there"]],
            local(one["told_at"]) if one["told_at"] else "not told",
        )
        for one in people["staff"]
    ]
    page.table(("Call", "At", "When", "Now", "Told"), rows, whole=("At",))
    if people["above_all_users"]:
        above = [(one["name"] or "-", one["address"], one["role"]) for one in people["above_all_users"]]
        page.table(("Escalate to", "At", "Role"), above, whole=("At",))
        page.note(f"who stands above all users, as of {local(people['known_at'])}")
    if people["suppliers"]:
        page.table(("Supplier", "At", "When"), [tuple(one.values()) for one in people["suppliers"]], whole=("At",))
        page.line("What to tell them, by a person:")
        for line in people["ticket"].splitlines():
            page.line(f"  {line}", whole=True)


def show_impact(page: Page, impact: Facts) -> None:
    """How soon it was detected and over, and each metric that was beyond its bound. impact: see measured.impact_of."""
    if impact["began_at"]:
        page.line("; ".join(f"{name.lower()}: {value}" for name, value in times_of(impact)[1:]))
    rows, unmeasured = rows_of(impact)
    if rows:
        page.table(("What it cost", "Beyond its bound", "Worst", "Counted"), rows)
    if impact["unknown"]:
        page.line((f"what it cost is unknown: {impact['unknown']}", "warning"))
    elif unmeasured:
        page.note(f"unknown, since nobody measured it: {', '.join(unmeasured[:_NAMED])}{_more(len(unmeasured))}")


def _more(count: int) -> str:
    return f" and {count - _NAMED} more" if count > _NAMED else ""

"""How it is shown whom to call, and what to tell a supplier."""

from __future__ import annotations

from tabsync.kernel.clock import local
from tabsync.kernel.page import Cell, Page
from tabsync.kernel.step import Facts

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

"""tabsync metrics sessions: who logs in, and how many sessions nobody has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import age, iso, local, now
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.request import Option
from tabsync.manual.show import NONE
from tabsync.monitoring.history.history import History
from tabsync.monitoring.history.logins import Passed
from tabsync.monitoring.history.looks import span_of
from tabsync.monitoring.history.place import history_of
from tabsync.monitoring.history.sessions import SeenSession

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_MOST = 200  # rows that a terminal shows


@dataclass(frozen=True, slots=True)
class Who:
    """What one may ask of metrics sessions."""

    since: Annotated[str, Option("Who was seen in this time: 6h, 7d, 13 months.")] = "7d"


def look_sessions(workspace: Workspace, request: Who) -> Page:
    """Each role, application and address that has logged in, with when it was first and last seen."""
    since = now() - span_of(request.since)
    with history_of(workspace) as history:
        found, passed, ever = history.sessions(since), history.logins(since), has_looked(history)
    page = Page(
        "sessions",
        {
            "since": iso(since),
            "sessions": [
                {"role": one.role, "application": one.application, "address": one.address}
                | {"first_seen": iso(one.first_seen), "last_seen": iso(one.last_seen)}
                for one in found
            ],
            "counted_from": iso(passed.since) if passed.since else None,
            "established": passed.established if passed.since else None,
            "unseen": passed.unseen if passed.since else None,
        },
    )
    if not ever:
        page.line(("? nobody has looked yet who logs in", "warning"))
        page.hint("tabsync serve looks every half minute")
        page.exit_code = Exit.UNKNOWN
        return page
    page.table(("Role", "Application", "Address", "First seen", "Last seen"), rows_of(found[:_MOST]))
    if len(found) > _MOST:
        page.line(f"and {len(found) - _MOST} more: --json lists all")
    if not found:
        page.line("Nobody was logged in when it was looked.")
    page.line(unseen_text(passed), style="quiet")
    return page


def has_looked(history: History) -> bool:
    """Whether anybody has ever looked who is logged in."""
    return history.state("logins") is not None


def rows_of(sessions: Sequence[SeenSession]) -> list[tuple[str, ...]]:
    """As a table shows them: what a client calls itself is other people's words."""
    return [
        (
            *(in_one_line(word) or NONE for word in (one.role, one.application, one.address)),
            local(iso(one.first_seen)),
            age(iso(one.last_seen)),
        )
        for one in sessions
    ]


def unseen_text(passed: Passed) -> str:
    """How many sessions passed unseen, in words."""
    if passed.since is None:
        return "How many sessions began and ended between two looks is not known yet."
    began = f"{passed.established} session{'s' if passed.established != 1 else ''} began"
    told = f"The server has counted since {local(iso(passed.since))}: {began}"
    if passed.unseen is None:
        return f"{told}; how many of them passed unseen is unknown: the role is not a member of pg_monitor."
    return f"{told}, and {passed.unseen} of them ended between two looks, unseen."

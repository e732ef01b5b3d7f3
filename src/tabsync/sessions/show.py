"""tabsync connections show: who uses the connections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page, Part
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.postgres.catalog import quoted
from tabsync.sessions.limits import in_force
from tabsync.sessions.seen import TRACK, Session, sessions, short
from tabsync.sessions.way_in import here, way_in

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_GROUPS, _EACH = 40, 200  # rows of a table, at most
_NAME = 18
_FULL = 0.8  # a part of the connections from which on it is said in another colour


@dataclass(frozen=True, slots=True)
class Show:
    """What one may ask of connections show."""

    each: Annotated[bool, Option("List each session with its process id, instead of groups.")] = False


def look_show(workspace: Workspace, request: Show) -> Page:
    """The connections that are used: by application, user, address and state. Raises CannotConnect."""
    with way_in(workspace, "connections") as way:
        server = here(way)
        found = [one for one in sessions(way) if one.is_client]
    data: Facts = {"server": server, "through": way.told, "sessions": [one.to_json() for one in found]}
    page = Page("connections show", data, private=("query", "Last statement"))
    if way.told:
        page.line(f"Through {way.told}.", style="quiet")
    page.line(*_summary(server, found))
    if request.each:
        _each(page, found)
    else:
        _groups(page, found)
    _idle_in_transaction(page, found)
    limits = in_force(workspace)
    data["limits"] = [asdict(one) for one in limits]
    for one in limits:
        page.note(one.told())
    remarks(page, server, found)
    return page


def remarks(page: Page, server: Facts, found: Iterable[Session]) -> None:
    """What this role can't see or may not end, and what would change that."""
    found = list(found)
    user = quoted(str(server["user"]))
    if not server["sees_all"] and any(one.kind == "not visible" for one in found):
        page.note(f"what other users' sessions do is not visible to {user}")
        page.hint(f"to see it: grant pg_monitor to {user}")
    if untracked := sum(one.is_untracked for one in found):
        page.note(f"what sessions do is not tracked, and so unknown: {untracked}; track_activities is off for them")
        page.hint(TRACK)
        page.exit_code = page.exit_code or Exit.UNKNOWN
    shut = [one for one in found if not one.may_signal]
    if shut and server["signals_all"]:
        page.note(f"*: sessions of a superuser, which only a superuser may end: {len(shut)}")
    elif shut:
        page.note(f"*: sessions that {user} may not end: {len(shut)}")
        page.hint(f"to end those of ordinary users: grant pg_signal_backend to {user}")


def _summary(server: Facts, found: Sequence[Session]) -> list[Part]:
    states: dict[str, int] = defaultdict(int)
    for one in found:
        states[one.state_told] += 1
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items(), key=lambda one: -one[1]))
    full = server["used"] >= _FULL * server["slots"]
    return [(f"{server['used']} of {server['slots']} slots", "strong warning" if full else "strong"), f": {told}"]


def _groups(page: Page, found: Sequence[Session]) -> None:
    groups: dict[tuple[str, ...], list[Session]] = defaultdict(list)
    several = len({one.database for one in found}) > 1
    for one in found:
        whose = (short(one.database or "-", _NAME),) if several else ()
        groups[(one.name, short(one.user or "-", _NAME), *whose, one.address or "-", _state(one))].append(one)
    rows = sorted(groups.items(), key=lambda one: (-len(one[1]), one[0]))
    named = ("Application", "User", *(["Database"] if several else []), "From", "State", "Sessions", "Longest")
    page.table(named, ((*key, str(len(of)), _longest(of)) for key, of in rows[:_GROUPS]), right=("Sessions", "Longest"))
    _left_out(page, len(rows) - _GROUPS, "groups")


def _each(page: Page, found: Sequence[Session]) -> None:
    order = sorted(found, key=lambda one: -(one.state_seconds or 0.0))
    rows = (
        (str(one.pid), one.name, short(one.user or "-", _NAME), one.address or "-", _state(one), _longest([one]))
        for one in order[:_EACH]
    )
    page.table(("Process", "Application", "User", "From", "State", "For"), rows, right=("Process", "For"))
    _left_out(page, len(order) - _EACH, "sessions")


def _idle_in_transaction(page: Page, found: Sequence[Session]) -> None:
    holding = sorted((one for one in found if one.is_in_transaction), key=lambda one: -(one.transaction_seconds or 0.0))
    if not holding:
        return
    rows = [
        (str(one.pid), one.name, _longest([one]), human_seconds(one.transaction_seconds or 0.0), one.query_told)
        for one in holding[:_GROUPS]
    ]
    page.table(
        ("Process", "Application", "Idle for", "Transaction", "Last statement"),
        rows,
        right=("Process", "Idle for", "Transaction"),
        title="Idle in transaction: they hold locks and old row versions",
    )
    page.hint(f"to end one of these, and lose what it did: tabsync connections terminate {holding[0].pid}")


def _left_out(page: Page, count: int, what: str) -> None:
    if count > 0:
        page.note(f"{count} more {what} are not shown; --json has all of them")


def _state(one: Session) -> str:
    return one.state_told if one.may_signal else f"{one.state_told} *"


def _longest(found: Iterable[Session]) -> str:
    known = [one.state_seconds for one in found if one.state_seconds is not None]
    return human_seconds(max(known)) if known else "-"

"""tabsync replication diagnose: where a standby lags, and what would be lost if a person promoted one now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from psycopg.rows import dict_row

from tabsync.kernel.errors import CannotConnect, Exit
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.conninfo import place
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named(__package__, "replication.sql")
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)
_NOISE = 1024 * 1024
"""Bytes that are on their way at any time: less than that is no lag."""

_SILENT = 30.0  # seconds after which a standby has heard nothing: the primary sends a sign of life every 10 s

_STAGES = {
    "unsent": "sending: the network is too slow, or was interrupted",
    "unwritten": "writing: the network, or the standby's load",
    "unflushed": "flushing: the standby's disk",
    "unreplayed": "replaying: a query on the standby, a recovery conflict, or one processor that is too slow",
}


@dataclass(frozen=True, slots=True)
class Diagnose:
    """What one may ask of replication diagnose."""

    standby: Annotated[
        tuple[str, ...],
        Option(
            "Connection string of a standby, to look from there too; repeatable.", metavar="URL", secret=True, of="host"
        ),
    ] = ()


def look_diagnose(workspace: Workspace, request: Diagnose) -> Page:
    """Each standby, the stage that lags, and which one is furthest. Raises CannotConnect."""
    with workspace.connect("replication", _LIMITS) as connection:
        here = _rows(connection, "here")[0]
        standbys, slots = _rows(connection, "standbys"), _rows(connection, "slots")
        inside = [_inside(connection, place(workspace.conninfo))] if here["standby"] else []
    inside += [_look_inside(conninfo) for conninfo in request.standby]
    found = [one | {"cause": cause_of(one)} for one in standbys]
    page = Page("replication diagnose", {"here": here, "standbys": found, "slots": slots, "inside": inside})
    _verdict(page, found, slots, here)
    if found:
        page.table(("Standby", "State", "Unsent", "Unwritten", "Unflushed", "Unreplayed", "Lags in"), map(_row, found))
    for slot in slots:
        kept = human_bytes(slot["retained"] or 0)
        page.line((f"The slot {slot['name']} has nobody: {kept} of WAL are kept for it.", "warning"))
    for one in inside:
        for text, bad in inside_told(one):
            page.line((f"{one['place']}: {text}", "warning" if bad else ""))
    if found and not here["standby"]:
        best = found[0]
        page.line(
            f"Furthest is {in_one_line(str(best['name']))}, at {best['flushed_to']}: if it were promoted now, "
            f"{human_bytes(best['lost'] or 0)} of WAL would be lost, at least."
        )
        page.hint("a standby that lags is the one that loses data: don't fail over because of a lag")
    return page


def cause_of(one: Facts) -> str:
    """Where a standby lags, in words; "" when it does not."""
    if one["state"] is None:
        return "not visible: the role is not a member of pg_monitor"
    if one["state"] not in ("streaming", "catchup"):
        return f"it is in the state {one['state']}"
    behind = {stage: one[stage] or 0 for stage in _STAGES}
    worst = max(behind, key=lambda stage: behind[stage])
    return _STAGES[worst] if behind[worst] > _NOISE else ""


def inside_told(one: Facts) -> list[tuple[str, bool]]:
    """What a standby says of itself, each with whether that is a reason to lag."""
    if one.get("error"):
        return [(f"can't be asked: {one['error']}", True)]
    said = []
    if one["receiver"] is None:
        said.append(("it receives nothing: its primary can't be reached, or primary_conninfo is wrong", True))
    elif (one["heard_seconds"] or 0) > _SILENT:
        said.append((f"it has heard nothing for {human_seconds(one['heard_seconds'])}: the network", True))
    if one["paused"]:
        said.append(("replaying is paused: select pg_wal_replay_resume()", True))
    if (one["unreplayed"] or 0) > _NOISE:
        query = one["oldest_query"] or 0
        why = f"; its oldest transaction is {human_seconds(query)} old" if query > 1 else ""
        said.append((f"{human_bytes(one['unreplayed'])} are received and not replayed{why}", True))
    if one["conflicts"]:
        said.append((f"{one['conflicts']} queries were cancelled by recovery so far", False))
    if not any(bad for _, bad in said):
        last = one["last_commit_seconds"]
        told = f"; the last commit that came was {human_seconds(last)} ago" if last is not None else ""
        said.append((f"it has replayed all that it received{told}: an idle primary is no lag", False))
    return said


def _verdict(page: Page, found: Sequence[Facts], slots: Sequence[Facts], here: Facts) -> None:
    lagging = [one for one in found if one["cause"]]
    if not here["sees_all"] and found:
        page.line(("UNKNOWN", "strong warning"), ": the role is not a member of pg_monitor")
        page.exit_code = Exit.UNKNOWN
    elif lagging:
        names = ", ".join(in_one_line(str(one["name"])) for one in lagging)
        page.line((f"LAGGING: {names}", "strong bad"), f": {lagging[0]['cause']}")
        page.exit_code = Exit.PROBLEM_FOUND
    elif slots:
        page.line(("A STANDBY IS CUT OFF", "strong bad"), f": nobody reads the slot {slots[0]['name']}")
        page.exit_code = Exit.PROBLEM_FOUND
    elif found:
        page.line(("NO LAG", "strong good"), f": {len(found)} connected, each with all but what is on its way")
    elif not here["standby"]:
        page.line(("NO STANDBY", "strong warning"), " is connected")
        page.hint("one that should be here is cut off: look at its log")


def _row(one: Facts) -> tuple[str, ...]:
    stages = (human_bytes(one[stage] or 0) for stage in _STAGES)
    return in_one_line(str(one["name"])), str(one["state"] or "hidden"), *stages, one["cause"] or "nothing"


def _rows(connection: Connection, statement: str) -> list[Facts]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SQL[statement]).fetchall()


def _inside(connection: Connection, where: str) -> Facts:
    return _rows(connection, "inside")[0] | {"place": where, "error": ""}


def _look_inside(conninfo: str) -> Facts:
    where = place(conninfo)
    try:
        with connect(conninfo, "replication", limits=_LIMITS) as connection:
            if not _rows(connection, "here")[0]["standby"]:
                return {"place": where, "error": "it is not a standby: it was promoted, or is another server"}
            return _inside(connection, where)
    except CannotConnect as error:
        return {"place": where, "error": error.fact}

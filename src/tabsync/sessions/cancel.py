"""tabsync queries cancel: end a statement, and only where that has no effect and it was asked for, its session."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import Exit, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import INTEGER, Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_seconds
from tabsync.sessions.end import check_fresh, found_by, still_ending
from tabsync.sessions.seen import TRACK, Session, by_pid
from tabsync.sessions.terminate import check_may_end, warning_of
from tabsync.sessions.way_in import Way, here, prove_same, way_in

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_PATIENCE = 2.0  # seconds until a statement that was cancelled is told as one that goes on
_LOOK = 0.05  # seconds between two looks
_LOST = "no undo: the statement fails, and its transaction is rolled back; its client has to begin it again"


@dataclass(frozen=True, slots=True)
class Cancel:
    """What one may ask of queries cancel."""

    pid: Annotated[int, Argument("Process id of the session, as queries show lists it.", maximum=INTEGER)]
    terminate: Annotated[bool, Option("If the statement still runs after 2 s, end its session too.")] = False


def plan_cancel(workspace: Workspace, request: Cancel) -> Planned[Workspace]:
    """Plan to cancel what a session runs. Raises Refused and NotAllowed with what can't be cancelled and why."""
    with way_in(workspace, "queries") as way:
        server = here(way)
        seen = by_pid(way, [request.pid])
    one = check_may_end(request.pid, seen.get(request.pid), server)
    if one.is_untracked:
        raise Refused(f"what session {one.pid} does is not tracked: track_activities is off for it", TRACK)
    if one.state != "active":
        raise Refused(
            f"session {one.pid} runs no statement: it is {one.state_told}; nothing was changed",
            f"to end the session: tabsync connections terminate {one.pid}",
        )
    notes = [f"through {way.told}"] if way.told else []
    notes += [warning] if (warning := warning_of(one, server)) else []
    steps = _steps(one, server, terminate=request.terminate)
    title = f"Cancel the statement of session {one.pid}: {one.query_told}"
    return Planned(Plan("queries cancel", title, steps, server, confirm=str(server["database"])), tuple(notes))


def show_cancel(done: Done[Workspace, Cancel]) -> Page:
    """What came of it."""
    pid, cancelled = done.request.pid, done.results.get("cancel", {})
    ended = done.results.get("end", {})
    page = Page("queries cancel", {"pid": pid, "cancel": cancelled, "end": ended or None})
    if cancelled.get("done"):
        page.line((f"CANCELLED the statement of session {pid}", "strong good"), "; the session stays connected")
    elif cancelled.get("why"):
        page.line((f"LEFT session {pid}", "strong warning"), f": {cancelled['why']}")
        page.exit_code = Exit.DONE if cancelled["found"] in ("gone", "changed") else Exit.PROBLEM_FOUND
    elif ended.get("done"):
        page.line((f"ENDED session {pid}", "strong good"), ": its statement went on after it was cancelled")
    else:
        page.line((f"SESSION {pid} STILL RUNS", "strong warning"), f": {ended.get('why') or _goes_on()}")
        page.hint(f"to end the session too: tabsync queries cancel {pid} --terminate")
        page.exit_code = Exit.PROBLEM_FOUND
    return page


def cancel(context: Context, *, target: Facts, planned_at: str, session: Facts) -> Facts:
    """Cancel the statement that a session ran when it was planned, and wait until it has ended.

    target: the database of the plan; planned_at: by the server's clock. Raises Refused when the plan is too old.
    """
    with way_in(context.workspace, "queries") as way:
        server = here(way)
        prove_same(server, target)
        check_fresh(server["now"], planned_at)
        found, why = found_by(way.ask("cancel_one", [_values(session)])[0])
        if found != "planned":
            return {"done": False, "found": found, "why": why}
        return {"done": _ends(way, session), "found": found, "why": ""}


def end_if_running(context: Context, *, target: Facts, session: Facts) -> Facts:
    """End the session, if it still runs the statement that was cancelled before."""
    before = context.results["cancel"]
    if before["done"] or before["why"]:
        return {"done": False, "needed": False, "why": ""}
    with way_in(context.workspace, "queries") as way:
        prove_same(here(way), target)
        found, why = found_by(way.ask("end_one", [_values(session)])[0])
        remaining = still_ending(way, [session]) if found == "planned" else set()
    if found == "gone":
        return {"done": True, "needed": False, "why": ""}
    goes_on = "it was told to end, and has not ended yet" if remaining else why
    return {"done": found == "planned" and not remaining, "needed": True, "why": goes_on}


def _steps(one: Session, server: Facts, *, terminate: bool) -> tuple[Step, ...]:
    target = {name: server[name] for name in ("system_identifier", "database", "database_oid")}
    session = one.to_record()
    first = Step(
        "cancel",
        f"Cancel what session {one.pid} runs, if it is still that",
        call(cancel, target=target, planned_at=server["now"], session=session),
        f"select pg_cancel_backend({one.pid});  -- {one.described()}",
        Risk.DESTRUCTIVE,
        _LOST,
        deadline=60.0,
        repeatable=True,
    )
    second = Step(
        "end",
        f"End the session, if the statement still runs after {human_seconds(_PATIENCE)}",
        call(end_if_running, target=target, session=session),
        f"select pg_terminate_backend({one.pid});  -- {one.described()}",
        Risk.DESTRUCTIVE,
        _LOST,
        deadline=60.0,
        repeatable=True,
    )
    return (first, second) if terminate else (first,)


def _ends(way: Way, session: Facts) -> bool:
    """Whether the statement ends in time."""
    values = {key: session[key] for key in ("pid", "backend_start", "state_change")}
    until = time.monotonic() + _PATIENCE
    while way.rows("still_running", **values):
        if time.monotonic() > until:
            return False
        time.sleep(_LOOK)
    return True


def _values(session: Facts) -> Facts:
    return {key: session[key] for key in ("pid", "backend_start", "state", "state_change")}


def _goes_on() -> str:
    return f"it was cancelled, and its statement goes on after {human_seconds(_PATIENCE)}"

"""Ending sessions: exactly those that were planned, each looked at again by the statement that ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_seconds
from tabsync.sessions.seen import Session
from tabsync.sessions.statements import NOT_ALLOWED, Said
from tabsync.sessions.way_in import Way, here, prove_same, way_in

if TYPE_CHECKING:
    from tabsync.workspace import Context

EXPIRES = timedelta(minutes=5)
"""How old a plan may be that names sessions: afterwards they are others, or do something else."""

_PATIENCE = 5.0  # seconds until a session that was signalled is told as one that has not ended
_LOOKS = (0.02, 0.05, 0.1, 0.2)  # seconds between two looks whether they have
_RECONNECT = "no undo needed: its client opens a new one"
_LOST = "no undo: its statement fails and its transaction is rolled back; its client has to begin it again"

WHY = {
    "gone": "it had ended already",
    "ours": "it is the session of this command",
    "not visible": "what it does is not visible to this role",
    "another": "its process id belongs to another session now",
    "changed": "it is {state} now, and not as it was planned",
    "not allowed": "this role may not end it",
    "not ended": "it was told to end, and had not after {patience}",
}
"""Why a session was left, by what the statement found."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a plan is about. ending: sessions to end; marked: those that our role may not end, which are only told."""

    ending: Sequence[Session]
    marked: Sequence[Session] = ()

    @property
    def risk(self) -> Risk:
        """Of ending them: a client whose session idled opens a new one; any other loses what it was doing."""
        return Risk.REVERSIBLE if all(one.state == "idle" for one in self.ending) else Risk.DESTRUCTIVE


def ending_steps(choice: Choice, server: Facts) -> tuple[Step, ...]:
    """The steps that end sessions and count the connections again. server: as here() found it."""
    count = len(choice.ending)
    target = {name: server[name] for name in ("system_identifier", "database", "database_oid")}
    chosen = [one.to_record() for one in choice.ending]
    made = call(end, target=target, planned_at=server["now"], sessions=chosen)
    title = f"End {count} session{'s' if count != 1 else ''}, each only if it is still as it is now"
    undo = _RECONNECT if choice.risk is Risk.REVERSIBLE else _LOST
    return (
        Step("end", title, made, _preview(choice), choice.risk, undo, deadline=120.0, repeatable=True),
        Step("count", "Count the connections again", call(count_again), "select count(*) from pg_stat_activity"),
    )


def end(context: Context, *, target: Facts, planned_at: str, sessions: list[Facts]) -> Facts:
    """End sessions that are as they were planned; what was left is told one by one.

    target: the database of the plan; planned_at: by the server's clock. Raises Refused when the plan is too old, or the
    server another one.
    """
    with way_in(context.workspace, "connections") as way:
        server = here(way)
        prove_same(server, target)
        check_fresh(server["now"], planned_at)
        values = [{key: one[key] for key in ("pid", "backend_start", "state", "state_change")} for one in sessions]
        said = way.ask("end_one", values)
        signalled = [one for one, answer in zip(sessions, said, strict=True) if found_by(answer)[0] == "planned"]
        remaining = still_ending(way, signalled, lambda ended: context.report(ended, len(sessions), "sessions"))
    ended, left = [], []
    for one, answer in zip(sessions, said, strict=True):
        found, why = found_by(answer)
        if found == "planned" and one["pid"] not in remaining:
            ended.append(one)
        else:
            left.append(one | ({"found": found, "why": why} if found != "planned" else _not_ended()))
    before = {"used_before": server["used"], "ours_before": server["ours"], "slots": server["slots"]}
    return {**before, "ended": ended, "left": left}


def count_again(context: Context) -> Facts:
    """How many connections are used now."""
    with way_in(context.workspace, "connections") as way:
        server = here(way)
    return {"used": server["used"], "ours": server["ours"], "slots": server["slots"]}


def check_fresh(now: str, planned_at: str) -> None:
    """Refuse a plan that is too old: what it says of sessions was then. Both times are the server's."""
    old = datetime.fromisoformat(now) - datetime.fromisoformat(planned_at)
    if old > EXPIRES:
        raise Refused(
            f"the plan is {human_seconds(old.total_seconds())} old, and the sessions may do something else by now; "
            "nothing was changed",
            f"a plan that ends sessions is valid for {human_seconds(EXPIRES.total_seconds())}: make it again",
        )


def still_ending(way: Way, signalled: Sequence[Facts], report: Callable[[int], None] = lambda _ended: None) -> set[int]:
    """The process ids of those that have not ended in time. report: called with how many have ended so far."""
    pids, starts = [one["pid"] for one in signalled], [one["backend_start"] for one in signalled]
    until = time.monotonic() + _PATIENCE
    looks = 0
    while pids:
        remaining = {int(row["pid"]) for row in way.rows("still_there", pids=pids, starts=starts)}
        report(len(pids) - len(remaining))
        if not remaining or time.monotonic() > until:
            return remaining
        time.sleep(_LOOKS[min(looks, len(_LOOKS) - 1)])
        looks += 1
    return set()


def found_by(answer: Said) -> tuple[str, str]:
    """What the statement found, and in words why it left the session."""
    if answer.sqlstate == NOT_ALLOWED:
        return "not allowed", WHY["not allowed"]
    if answer.error:
        return "unknown", f"the server did not answer: {answer.error}"
    row = answer.rows[0]
    found = "gone" if row["is"] == "planned" and not row["signalled"] else str(row["is"])
    return found, WHY.get(found, "").format(state=row["state"])


def _not_ended() -> Facts:
    return {"found": "not ended", "why": WHY["not ended"].format(patience=human_seconds(_PATIENCE))}


def _preview(choice: Choice) -> str:
    lines = [f"select pg_terminate_backend({one.pid});  -- {one.described()}" for one in choice.ending]
    return "\n".join(
        [*lines, *(f"-- may not be ended by this role: {one.pid}, {one.described()}" for one in choice.marked)]
    )

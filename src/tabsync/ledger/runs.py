"""Runs that were, and that are. One whose process died is shown as interrupted, with what was left undone."""

from __future__ import annotations

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import NotRecorded
from tabsync.kernel.plan import Plan, plan_from_json
from tabsync.kernel.step import Facts
from tabsync.ledger.moved import MOVED
from tabsync.ledger.open import Ledger
from tabsync.system.claims import claim, is_claimed

_UNDER = ("id", "procedure", "title", "state", "actor", "started_at", "finished_at")


def mark_interrupted(ledger: Ledger) -> list[str]:
    """Mark the runs of this home whose process is gone; returns their ids."""
    running = ledger.read("running", **ledger.here)
    dead = [one["id"] for one in running if not is_claimed(ledger.claims / one["id"])]
    marked = _mark(ledger, dead) if dead else []
    for run_id in marked:
        held = claim(ledger.claims / run_id)
        if held:
            held.remove()
    return marked


def _mark(ledger: Ledger, dead: list[str]) -> list[str]:
    from sqlalchemy import update

    from tabsync.ledger.tables import run, step

    marked = []
    with ledger.writing() as connection:
        for run_id in dead:
            # It may have ended since it was read; then it has nothing to be marked.
            still = (run.c.id == run_id) & (run.c.state == "running")
            ended = update(run).where(still).values(finished_at=iso(now()), state="interrupted")
            if connection.execute(ended).rowcount:
                undone = (step.c.run_id == run_id) & (step.c.state == "running")
                connection.execute(update(step).where(undone).values(state="interrupted"))
                marked.append(run_id)
    return marked


def recent_runs(ledger: Ledger, limit: int = 20, procedure: str | None = None) -> list[Facts]:
    """The newest runs first, without their plans; with those that only the emergency journal has so far."""
    kept = ledger.emergency.runs()
    try:
        found = ledger.read("runs", limit=limit, procedure=procedure)
    except NotRecorded:
        if not kept:
            raise
        found = []
    if not kept:
        return found
    known = {one["id"]: one | {"steps": []} for one in found}
    wanted = {run_id: kept.get(run_id) for run_id in [*known, *kept]}
    each = (_lively(ledger, one.onto(known.get(run_id)) if one else known[run_id]) for run_id, one in wanted.items())
    shown = [
        {name: one[name] for name in one if name not in ("plan", "steps")}
        for one in each
        if one and procedure in (None, one["procedure"])
    ]
    return sorted(shown, key=lambda one: str(one["started_at"]), reverse=True)[:limit]


def plan_of(run: Facts) -> Plan:
    """The plan of a run, also of one that an earlier version recorded."""
    return plan_from_json(run["plan"], MOVED)


def one_run(ledger: Ledger, run_id: str) -> Facts | None:
    """A run with its steps under "steps", or None. run_id: "latest" is the newest.

    What only the emergency journal has of it so far is in it, and then "journal" names the files.
    """
    kept = ledger.emergency.runs()
    unread: NotRecorded | None = None
    try:
        if run_id == "latest":
            newest = recent_runs(ledger, 1)
            run_id = newest[0]["id"] if newest else run_id
        rows = ledger.read("run", id=run_id)
        found = rows[0] | {"steps": ledger.read("steps", run_id=run_id)} if rows else None
    except NotRecorded as error:
        found, unread = None, error
    if run_id in kept:
        found = _lively(ledger, kept[run_id].onto(found))
        found = found and found | {"journal": [str(path) for path in kept[run_id].files]}
    if found is None and unread is not None:
        raise unread  # the ledger may know it: that nobody can read it is not that it is not there
    return found


def runs_under(ledger: Ledger, parent: str) -> list[Facts]:
    """The runs that belong to a run, in order; with those that only the emergency journal has so far."""
    try:
        found = {one["id"]: one for one in ledger.read("runs_under", parent=parent)}
    except NotRecorded:
        found = {}
    for run_id, kept in ledger.emergency.runs().items():
        one = _lively(ledger, kept.onto(found[run_id] | {"steps": []} if run_id in found else None))
        if one and (run_id in found or one["parent"] == parent):
            found[run_id] = {name: one[name] for name in _UNDER}
    return sorted(found.values(), key=lambda one: str(one["started_at"]))


def unread(ledger: Ledger) -> str:
    """Why the ledger can't be read, so that only the emergency journal is known; "" when it can."""
    try:
        ledger.read("runs", limit=1, procedure=None)
    except NotRecorded as error:
        return error.fact
    return ""


def _lively(ledger: Ledger, run: Facts | None) -> Facts | None:
    """A run of the journal; one whose process is gone was interrupted, which nobody could write down."""
    if run is None or run["state"] != "running" or is_claimed(ledger.claims / run["id"]):
        return run
    steps = [one | {"state": "interrupted"} if one["state"] == "running" else one for one in run["steps"]]
    return run | {"state": "interrupted", "steps": steps}

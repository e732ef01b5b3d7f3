"""Runs that were, and that are. One whose process died is shown as interrupted, with what was left undone."""

from __future__ import annotations

from tabsync.kernel.clock import iso, now
from tabsync.kernel.plan import Plan, plan_from_json
from tabsync.kernel.step import Facts
from tabsync.ledger.moved import MOVED
from tabsync.ledger.open import Ledger
from tabsync.system.claims import claim, is_claimed


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
    """The newest runs first, without their plans."""
    return ledger.read("runs", limit=limit, procedure=procedure)


def plan_of(run: Facts) -> Plan:
    """The plan of a run, also of one that an earlier version recorded."""
    return plan_from_json(run["plan"], MOVED)


def one_run(ledger: Ledger, run_id: str) -> Facts | None:
    """A run with its steps under "steps", or None. run_id: "latest" is the newest."""
    newest = ledger.read("newest_run") if run_id == "latest" else []
    found = ledger.read("run", id=newest[0]["id"] if newest else run_id)
    return found[0] | {"steps": ledger.read("steps", run_id=found[0]["id"])} if found else None

"""Runs: intent before, outcome after. A run whose process died is shown as interrupted, with what was left undone."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from tabsync.kernel.clock import compact, iso, now
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Step
from tabsync.ledger.open import Ledger
from tabsync.ledger.tables import audit, run, step
from tabsync.system.claims import Claim, claim, is_claimed


@dataclass(slots=True)
class LedgerJournal:
    """The runner's journal, kept in the ledger. While a run is open its claim is held, so that death shows."""

    ledger: Ledger
    actor: str
    manual_digest: str
    _claims: dict[str, Claim] = field(default_factory=dict)

    def begin(self, plan: Plan, approval: str) -> str:
        """Record a plan that is about to run, with all its steps waiting."""
        moment = now()
        run_id = f"{compact(moment)}-{secrets.token_hex(3)}"
        held = claim(self.ledger.claims / run_id)
        if held is None:
            raise RuntimeError(f"run {run_id} is claimed already")  # ids are random: this can't be a user's doing
        self._claims[run_id] = held
        with self.ledger.engine.begin() as connection:
            connection.execute(insert(run), [_run_row(run_id, plan, self, approval, moment)])
            for number, one in enumerate(plan.steps, start=1):
                row = {"run_id": run_id, "number": number, "key": one.key, "title": one.title, "state": "waiting"}
                connection.execute(insert(step), [row])
            _audit(connection, self.actor, f"{plan.procedure}: begin", plan, run_id)
        return run_id

    def step_started(self, run_id: str, number: int, step: Step) -> None:
        """Record the intent to run a step."""
        self._update_step(run_id, number, state="running", started_at=iso(now()))

    def step_finished(self, run_id: str, number: int, facts: Facts, seconds: float) -> None:
        """Record what a step did."""
        self._update_step(run_id, number, state="done", facts=facts, seconds=seconds)

    def step_failed(self, run_id: str, number: int, fact: str, hint: str, seconds: float) -> None:
        """Record why a step failed."""
        self._update_step(run_id, number, state="failed", fact=fact, hint=hint, seconds=seconds)

    def finish(self, run_id: str, state: str) -> None:
        """Record the end and let go of the run's claim."""
        with self.ledger.engine.begin() as connection:
            connection.execute(update(run).where(run.c.id == run_id).values(state=state, finished_at=iso(now())))
        self._claims.pop(run_id).remove()

    def _update_step(self, run_id: str, number: int, **values: object) -> None:
        with self.ledger.engine.begin() as connection:
            connection.execute(update(step).where(step.c.run_id == run_id, step.c.number == number).values(**values))


def mark_interrupted(ledger: Ledger) -> list[str]:
    """Mark the runs of this machine whose process is gone; returns their ids."""
    marked = []
    with ledger.engine.begin() as connection:
        open_runs = connection.execute(
            select(run.c.id).where(run.c.state == "running", run.c.host == socket.gethostname())
        ).scalars()
        for run_id in list(open_runs):
            if not is_claimed(ledger.claims / run_id):
                values = {"state": "interrupted"}
                # It may have ended since it was read; then it has nothing to be marked.
                still = (run.c.id == run_id) & (run.c.state == "running")
                if not connection.execute(update(run).where(still).values(finished_at=iso(now()), **values)).rowcount:
                    continue
                undone = (step.c.run_id == run_id) & (step.c.state == "running")
                connection.execute(update(step).where(undone).values(**values))
                marked.append(run_id)
    for run_id in marked:
        held = claim(ledger.claims / run_id)
        if held:
            held.remove()
    return marked


def recent_runs(ledger: Ledger, limit: int = 20, procedure: str | None = None) -> list[Facts]:
    """The newest runs first, without their plans."""
    columns = [column for column in run.c if column.name != "plan"]
    query = select(*columns).order_by(run.c.started_at.desc()).limit(limit)
    if procedure:
        query = query.where(run.c.procedure == procedure)
    with ledger.engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def one_run(ledger: Ledger, run_id: str) -> Facts | None:
    """A run with its steps under "steps", or None. run_id: "latest" is the newest."""
    wanted = select(run).order_by(run.c.started_at.desc()).limit(1)
    if run_id != "latest":
        wanted = select(run).where(run.c.id == run_id)
    with ledger.engine.connect() as connection:
        found = connection.execute(wanted).first()
        if found is None:
            return None
        steps = connection.execute(select(step).where(step.c.run_id == found.id).order_by(step.c.number))
        return dict(found._mapping) | {"steps": [dict(row._mapping) for row in steps]}


def _run_row(run_id: str, plan: Plan, journal: LedgerJournal, approval: str, moment: datetime) -> Facts:
    return {
        "id": run_id,
        "procedure": plan.procedure,
        "title": plan.title,
        "state": "running",
        "approval": approval,
        "actor": journal.actor,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "target": plan.target,
        "plan": plan.to_json(),
        "plan_digest": plan.digest(),
        "manual_digest": journal.manual_digest,
        "started_at": iso(moment),
    }


def _audit(connection: Connection, actor: str, action: str, plan: Plan, run_id: str) -> None:
    target = str(plan.target.get("database", ""))
    row = {"at": iso(now()), "actor": actor, "action": action, "target": target, "run_id": run_id}
    connection.execute(insert(audit), [row | {"detail": {"plan_digest": plan.digest(), "risk": plan.risk.value}}])

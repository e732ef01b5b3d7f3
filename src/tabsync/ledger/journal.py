"""The runner's journal: intent before, outcome after. Who only looks at runs needs runs.py, and not SQLAlchemy."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, insert, update

from tabsync.kernel.clock import compact, iso, now
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Step
from tabsync.ledger.open import Ledger
from tabsync.ledger.tables import audit, run, step
from tabsync.system.claims import Claim, claim


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
            raise RuntimeError(f"run {run_id} is already in use")  # ids are random: this can't be a user's doing
        self._claims[run_id] = held
        with self.ledger.engine.begin() as connection:
            connection.execute(insert(run), [_run_row(run_id, plan, self, approval, moment)])
            for number, one in enumerate(plan.steps, start=1):
                row = {"run_id": run_id, "number": number, "key": one.key, "title": one.title, "state": "waiting"}
                connection.execute(insert(step), [row])
            _audit(connection, self.actor, f"{plan.procedure}: begin", plan, run_id)
        if job := os.environ.get("TABSYNC_JOB"):  # who started this process as a job wants to know which run it is
            with suppress(OSError):
                (Path(job) / "run").write_text(run_id, encoding="utf-8")
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

"""The runner's journal: intent before, outcome after. Who only looks at runs needs runs.py, and not SQLAlchemy.

Runs go side by side unless they claim the same object (see kernel.step): the transaction that begins a run looks for
one that does, and nobody else begins one meanwhile.
"""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, select, text

from tabsync.kernel.clock import compact, iso, now, parse_iso
from tabsync.kernel.errors import NotRecorded, Refused
from tabsync.kernel.plan import Plan, plan_from_json
from tabsync.kernel.step import Facts, Risk, Step
from tabsync.ledger import entries
from tabsync.ledger.moved import MOVED
from tabsync.ledger.open import Ledger
from tabsync.ledger.runs import one_run
from tabsync.ledger.stop import THREAD
from tabsync.ledger.tables import run
from tabsync.system.claims import Claim, claim, is_claimed

_LOCK = 8420_0010
"""The advisory lock under which runs with claims begin, in a ledger that is PostgreSQL."""

_FOREIGN = timedelta(days=1)


@dataclass(slots=True)
class LedgerJournal:
    """The runner's journal, kept in the ledger. While a run goes its claim is held, so that death shows.

    parent: the id of the run that its runs belong to, "" for those that stand alone.
    """

    ledger: Ledger
    actor: str
    manual_digest: str
    parent: str = ""
    _claims: dict[str, Claim] = field(default_factory=dict)

    def begin(self, plan: Plan, approval: str) -> str:
        """Record a plan that is about to run, with all its steps waiting.

        Raises Refused when a run that is under way claims one of the same objects.
        """
        moment = now()
        run_id = f"{compact(moment)}-{secrets.token_hex(3)}"
        held = claim(self.ledger.claims / run_id)
        if held is None:
            raise RuntimeError(f"run {run_id} is already in use")  # ids are random: this can't be a user's doing
        self._claims[run_id] = held
        entry = self.begins(run_id, plan, approval, moment)
        if threading.current_thread() is not threading.main_thread():
            try:
                (held.directory / THREAD).touch()  # a signal would end more than this run
            except OSError:
                entry["run"]["pid"] = 0  # nobody can ask it to end
        try:
            self._record(run_id, plan, entry)
        except BaseException:
            self._claims.pop(run_id).remove()
            raise
        if job := os.environ.get("TABSYNC_JOB"):  # who started this process as a job wants to know which run it is
            with suppress(OSError), (Path(job) / "run").open("r+", encoding="utf-8") as file:
                file.write(run_id)  # in the room that was taken for it: its disk may be full by now
        return run_id

    def step_started(self, run_id: str, number: int, step: Step) -> None:
        """Record the intent to run a step."""
        entry = entries.step(run_id, number, state="running", started_at=iso(now()))
        self.ledger.write(run_id, entry, harmless=step.risk is not Risk.DESTRUCTIVE)

    def step_finished(self, run_id: str, number: int, facts: Facts, seconds: float) -> None:
        """Record what a step did."""
        self.ledger.write(run_id, entries.step(run_id, number, state="done", facts=facts, seconds=seconds))

    def step_failed(self, run_id: str, number: int, fact: str, hint: str, seconds: float) -> None:
        """Record why a step failed."""
        self.ledger.write(run_id, entries.step(run_id, number, state="failed", fact=fact, hint=hint, seconds=seconds))

    def finish(self, run_id: str, state: str) -> None:
        """Record the end and let go of the run's claim."""
        self.ledger.write(run_id, entries.end(run_id, state=state, finished_at=iso(now())))
        self._claims.pop(run_id).remove()

    def _record(self, run_id: str, plan: Plan, entry: Facts) -> None:
        try:
            with self.ledger.writing() as connection:
                if plan.claims:
                    _check_claims(connection, self.ledger, plan)
                entries.write(connection, entry)
        except NotRecorded:
            _check_kept(self.ledger, plan)
            self.ledger.emergency.append(run_id, entry, harmless=plan.risk is not Risk.DESTRUCTIVE)

    def begins(self, run_id: str, plan: Plan, approval: str, moment: datetime) -> Facts:
        """What is written down of a plan that is about to run."""
        row = {
            "id": run_id,
            "procedure": plan.procedure,
            "title": plan.title,
            "state": "running",
            "approval": approval,
            "actor": self.actor,
            **self.ledger.here,
            "pid": os.getpid(),
            "target": plan.target,
            "plan": plan.to_json(),
            "plan_digest": plan.digest(),
            "manual_digest": self.manual_digest,
            "started_at": iso(moment),
            "parent": self.parent,
        }
        steps = (
            {"run_id": run_id, "number": number, "key": one.key, "title": one.title, "state": "waiting"}
            for number, one in enumerate(plan.steps, start=1)
        )
        return entries.begin(row, steps, begun(self.actor, plan, run_id))


def begun(actor: str, plan: Plan, run_id: str) -> Facts:
    """What the audit says of a run that begins."""
    target = str(plan.target.get("database", ""))
    row = {"at": iso(now()), "actor": actor, "action": f"{plan.procedure}: begin", "target": target, "run_id": run_id}
    return row | {"detail": {"plan_digest": plan.digest(), "risk": plan.risk.value}}


def _check_claims(connection: Connection, ledger: Ledger, plan: Plan) -> None:
    """Raise Refused when a run of a living process claims what the plan claims; nobody begins one until it is written.

    Whether a process on another host lives can't be seen from here: its run counts for a day.
    """
    connection.execute(text("begin immediate" if ledger.is_sqlite else f"select pg_advisory_xact_lock({_LOCK})"))
    columns = (run.c.id, run.c.procedure, run.c.actor, run.c.host, run.c.home, run.c.started_at, run.c.plan)
    for one in connection.execute(select(*columns).where(run.c.state == "running")):
        both = plan.claims & plan_from_json(one.plan, MOVED).claims
        if both and _lives(one.id, one.host, one.home, one.started_at, ledger):
            since = parse_iso(one.started_at)
            day = f"{since:%H:%M}" if since.date() == now().date() else f"{since:%Y-%m-%d %H:%M}"
            raise Refused(
                f"{one.procedure} by {one.actor} uses {min(both)} since {day} UTC",
                f"wait until it ends: tabsync run list; or end it: tabsync run stop {one.id}",
            )


def _check_kept(ledger: Ledger, plan: Plan) -> None:
    """The same by what can be seen without a ledger that can be written: what it holds, and the emergency journal."""
    if not plan.claims:
        return
    try:
        running = [one["id"] for one in ledger.read("running", **ledger.here)]
    except NotRecorded:
        running = []
    kept = (run_id for run_id in ledger.emergency.runs() if not ledger.emergency.is_loose(run_id))
    for run_id in {*running, *kept}:
        one = one_run(ledger, run_id)
        both = plan.claims & plan_from_json(one["plan"], MOVED).claims if one and one["state"] == "running" else ()
        if one and both and is_claimed(ledger.claims / run_id):
            raise Refused(f"{one['procedure']} by {one['actor']} uses {min(both)}", f"tabsync run stop {run_id}")


def _lives(run_id: str, host: str, home: str, started_at: str, ledger: Ledger) -> bool:
    if ledger.is_here(host, home):
        return is_claimed(ledger.claims / run_id)
    return now() - parse_iso(started_at) < _FOREIGN

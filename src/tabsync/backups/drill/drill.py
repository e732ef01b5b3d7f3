"""tabsync drill: restore a backup into a scratch server, prove the copy, measure RTO and RPO against the manual.

The source is only read. Everything the drill makes is in claimed directories and is taken away at its end; when the
process dies, the next command takes it away.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from tabsync.backups.drill.report import Report, report_of
from tabsync.backups.drill.verdict import judge
from tabsync.backups.restore.leftovers import sweep
from tabsync.backups.shared_proofs import leave_proof
from tabsync.backups.take import plan_take_full
from tabsync.copies.choose import full_backup
from tabsync.copies.proofs.steps import proof_steps, tidy_step
from tabsync.copies.warm import keep_step
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Boundary, Listener, run
from tabsync.kernel.step import Facts, Step, call
from tabsync.ledger.evidence import add_evidence
from tabsync.manual.model import Manual
from tabsync.postgres.catalog import relation_named, server_major
from tabsync.postgres.installation import server_for
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace


def plan_drill(workspace: Workspace, manual: Manual, backup: str | None = None, *, keep_warm: bool = False) -> Plan:
    """Plan a drill of one backup ("latest" or an id), or, without one, of a new backup that it takes first.

    keep_warm: keep the copy, stopped, when it was proven; the loss is then told and not judged: decision 0006.
    Raises BadUsage when there is no such backup, CannotConnect when a new one is wanted and the source is down,
    Refused when no installed PostgreSQL could hold the copy. Nothing is changed.
    """
    scratch = f"drill-{compact(now())}-{secrets.token_hex(2)}"
    key_tables = [asdict(relation_named(table.name)) for table in manual.key_tables]
    if backup is None:
        workspace.keys.require_identity(workspace.keys.recipients)
        taking = plan_take_full(workspace, reason="drill")
        target = taking.target
        backup = str(taking.steps[0].arguments["backup"])
        steps = [step for step in taking.steps if step.key != "tidy_store"]
        last = [step for step in taking.steps if step.key == "tidy_store"]
    else:
        manifest = full_backup(workspace, backup)
        workspace.keys.require_identity(manifest.encryption.get("recipients", ()))
        backup, target = manifest.id, manifest.source
        steps, last = [], []
    server_for(server_major(target))
    steps += proof_steps(workspace, backup, scratch, target, key_tables)
    targets = targets_of(manual) | ({"rpo_target": None} if keep_warm else {})
    kept = (keep_step(backup, scratch),) if keep_warm else ()
    return Plan(
        procedure="drill",
        title=f"Drill: prove a backup of {target['database']}",
        target=target,
        steps=(*steps, record_step(backup, target, targets), *kept, tidy_step(scratch), *last),
    )


def run_drill(
    workspace: Workspace, plan: Plan, listener: Listener | None = None, boundary: Boundary | None = None
) -> Report:
    """Run a drill's plan and return its report; what dead drills left behind is taken away first."""
    sweep(workspace)
    outcome = run(plan, workspace, workspace.journal(), listener, boundary=boundary)
    return report_of(workspace, plan, outcome)


def record(
    context: Context,
    *,
    backup: str,
    subject: str,
    rto_target: float,
    rpo_target: float | None,
    needs: Sequence[str] = (),
    schedule: str = "",
) -> Facts:
    """Judge the drill and put the verdict into the ledger as evidence, good or bad.

    schedule: the frequency that it was done for, "monthly"; rpo_target, needs: see verdict.judge.
    """
    verdict = judge(context.results, rto_target=rto_target, rpo_target=rpo_target, needs=needs)
    facts = verdict.to_json() | {"backup": backup, "schedule": schedule, "proven": verdict.proven}
    facts |= {"proof": leave_proof(context.workspace, subject, context.run_id, facts, ok=verdict.ok)}
    add_evidence(context.workspace.ledger(), "drill", subject, ok=verdict.ok, facts=facts, run_id=context.run_id)
    return facts


def targets_of(manual: Manual) -> Facts:
    """The RTO and RPO of the manual, in seconds. Raises Refused when it states none."""
    if manual.targets is None:
        raise Refused(
            "the manual has no RTO and RPO targets, so a drill has nothing to measure against", "tabsync manual check"
        )
    rto, rpo = manual.targets.rto.value, manual.targets.rpo.value
    return {"rto_target": rto.total_seconds(), "rpo_target": rpo.total_seconds()}


def record_step(backup: str, target: Facts, judged_by: Facts) -> Step:
    """The step that judges the drill, whatever happened. judged_by: further arguments of record()."""
    return Step(
        "record",
        "Record the verdict",
        call(record, backup=backup, subject=subject_of(target), **judged_by),
        "write it into the ledger",
        always=True,
    )

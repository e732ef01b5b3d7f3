"""tabsync drill: restore a backup into a scratch server, prove the copy, measure RTO and RPO against the manual.

The source is only read. Everything the drill makes is in claimed directories and is taken away at its end; when the
process dies, the next command takes it away.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from tabsync.backups.restore.leftovers import sweep
from tabsync.copies.restores.passes import PASSES
from tabsync.backups.drill.report import Report, report_of
from tabsync.backups.take import plan_take_full
from tabsync.backups.drill.verdict import judge
from tabsync.copies.warm import keep_step
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, CannotConnect, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Boundary, Listener, run
from tabsync.kernel.step import Context, Facts, Risk, Step
from tabsync.ledger.evidence import add_evidence
from tabsync.manual.model import Manual
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation, relation_named, server_major
from tabsync.postgres.installation import clients_for, server_for
from tabsync.stores.manifest import Manifest, subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def plan_drill(workspace: Workspace, manual: Manual, backup: str | None = None, *, keep_warm: bool = False) -> Plan:
    """Plan a drill of one backup ("latest" or an id), or, without one, of a new backup that it takes first.

    keep_warm: keep the copy, stopped, when it was proven.
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
    targets = targets_of(manual)
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
    facts = verdict.to_json() | {"backup": backup, "schedule": schedule}
    add_evidence(context.services.ledger(), "drill", subject, ok=verdict.ok, facts=facts, run_id=context.run_id)
    return facts


def targets_of(manual: Manual) -> Facts:
    """The RTO and RPO of the manual, in seconds. Raises Refused when it states none."""
    if manual.targets is None:
        raise Refused(
            "the manual has no RTO and RPO targets, so a drill has nothing to measure against", "tabsync manual check"
        )
    rto, rpo = manual.targets.rto.value, manual.targets.rpo.value
    return {"rto_target": rto.total_seconds(), "rpo_target": rpo.total_seconds()}


def full_backup(workspace: Workspace, backup: str) -> Manifest:
    """A full backup by id, or the newest one of the database ("latest"). Raises BadUsage when there is none."""
    subject = None
    if backup == "latest":
        try:
            with workspace.connect("drill") as connection:
                subject = subject_of(catalog.identity(connection))
        except CannotConnect:
            subject = None  # the source is down: the very case a drill is for; the newest backup of the store then
    store = workspace.store()
    if backup != "latest":
        found = store.find(backup)
        if found.kind != "full":
            raise BadUsage(
                f"backup {backup} is of kind {found.kind}: a drill needs a full backup", "tabsync backup list"
            )
        return found
    good, bad = store.manifests()
    full = [one for one in good if one.kind == "full" and subject in (None, one.subject)]
    if not full:
        raise store.nothing("full backup of this database", bad, "tabsync backup take full")
    return full[-1]


def proof_steps(workspace: Workspace, backup: str, scratch: str, target: Facts, key_tables: list[Facts]) -> list[Step]:
    """The steps that restore a backup into a scratch server and prove the copy."""
    database, which, where = target["database"], {"backup": backup}, {"scratch": scratch}
    both = which | where
    clients, server = clients_for(server_major(target)), server_for(server_major(target))
    undo = "the scratch server is deleted at the end"
    here = "tabsync.backups"
    return [
        Step(
            "disaster",
            "Treat the source as lost from now on",
            f"{here}.proof:disaster",
            which,
            "select pg_current_wal_insert_lsn()",
        ),
        Step(
            "fetch",
            "Read and verify every stored object",
            f"{here}.scratch:fetch",
            both,
            "SHA-256 of each object of the backup",
        ),
        Step(
            "scratch",
            f"Start a scratch PostgreSQL {server.dotted}",
            f"{here}.scratch:start",
            both,
            f"initdb and pg_ctl start in {workspace.scratch(scratch)}",
            Risk.REVERSIBLE,
            undo,
        ),
        Step(
            "restore",
            f"Restore {database} into the scratch server",
            f"{here}.restore:restore",
            both,
            f"{clients.program('pg_restore')} --format=directory --jobs={workspace.jobs}; {PASSES}",
            Risk.REVERSIBLE,
            undo,
        ),
        Step(
            "answer",
            "Read the key tables of the copy",
            f"{here}.proof:answer",
            where | {"key_tables": key_tables},
            "read one row of each key table: " + ", ".join(str(Relation(**one)) for one in key_tables),
        ),
        Step(
            "round_trip",
            "Dump the copy and compare every byte",
            f"{here}.proof:round_trip",
            both,
            "pg_dump of the copy with the same settings; SHA-256 of each table file against the manifest",
        ),
        Step("rows", "Count the rows", f"{here}.proof:rows", where, "select count(*) from each table of the copy"),
        Step(
            "orphans",
            "Check the foreign keys for orphaned rows",
            f"{here}.proof:orphans",
            both,
            "for each foreign key of the copy: count the rows whose referenced row does not exist",
        ),
    ]


def record_step(backup: str, target: Facts, judged_by: Facts) -> Step:
    """The step that judges the drill, whatever happened. judged_by: further arguments of record()."""
    return Step(
        "record",
        "Record the verdict",
        "tabsync.backups.drill.drill:record",
        {"backup": backup, "subject": subject_of(target)} | judged_by,
        "write it into the ledger",
        always=True,
    )


def tidy_step(scratch: str) -> Step:
    """The step that stops the scratch server and takes it away, whatever happened."""
    return Step(
        "tidy_scratch",
        "Delete the scratch server",
        "tabsync.copies.restores.scratch:tidy",
        {"scratch": scratch},
        "stop the scratch server and delete its directory",
        Risk.REVERSIBLE,
        "no undo needed: the scratch server contained only a copy",
        always=True,
    )

"""tabsync drill quarterly: the whole disaster, on a copy that is thrown away.

Canaries are committed until the source counts as lost; which of them the store has is the RPO. Then the cluster is
recovered to a random second of the last day, from the backup and the WAL that the store has, until its key tables
answer, which is the RTO. The copy is read by amcheck; a table and a row are restored on it, by the same commands.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tabsync.backups.drill.canary import commit_canaries, last_saved
from tabsync.backups.drill.drill import targets_of
from tabsync.backups.drill.exercise import exercise
from tabsync.backups.drill.report import Report, write_report
from tabsync.backups.physical.lay_out import programs_of
from tabsync.backups.pitr.clusters import own_conninfo
from tabsync.backups.pitr.target import Target, choose, local
from tabsync.backups.restore.leftovers import sweep
from tabsync.backups.restore.to_time import cluster_meant, recover_steps
from tabsync.backups.wal.contents import read_archive
from tabsync.copies.proofs.amcheck import check_relations
from tabsync.kernel.clock import compact, iso, now
from tabsync.kernel.errors import ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Listener, Outcome, run
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.evidence import add_evidence
from tabsync.manual.model import Manual
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits
from tabsync.stores.manifest import Manifest, subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_SQL = named(__package__, "drill.sql")
_DAY = timedelta(days=1)
_NO_LIMIT = Limits(statement_timeout=0, lock_timeout=0, idle_in_transaction_timeout=0)
_HERE = "tabsync.backups.drill.quarterly"
_WATCH = (8.0, 16.0)  # seconds of canaries: the moment of the disaster must not follow the receiver's rhythm
_EVERY = 0.2  # seconds between two canaries
_PROVEN = ("disaster", "fetch", "recover", "answer", "amcheck", "exercise")


def plan_quarterly(workspace: Workspace, manual: Manual, *, watch: float | None = None) -> Plan:
    """Plan the quarterly drill. watch: seconds of canaries before the source is lost, random by default.

    Raises CannotConnect when the source is down (its loss can't be measured any more), Refused on a standby, when there
    is no physical backup with WAL after it, or the manual states no targets. Nothing is changed.
    """
    targets = targets_of(manual)
    with workspace.connect("drill") as connection:
        catalog.check_primary(connection)  # canaries are commits
        cluster = cluster_meant(workspace)
    if not cluster.windows:
        raise Refused("there is no physical backup of this cluster in the store", "tabsync backup take physical")
    begins, ends = cluster.windows[-1]
    earliest = max(begins, ends - _DAY)
    moment = earliest + timedelta(seconds=random.uniform(0, (ends - earliest).total_seconds()))  # noqa: S311 - no secret
    target = Target("time", iso(moment))
    base = choose(cluster, target)
    manifest, name = base.manifest, f"quarterly-{compact(now())}-{secrets.token_hex(2)}"
    directory = workspace.scratch(name)
    replay = {step.key: step for step in recover_steps(base, target, name, directory, durable=False)}
    where = {"backup": manifest.id, "directory": str(directory)}
    key_tables = [asdict(relation_named(table.name)) for table in manual.key_tables]
    seconds = round(random.uniform(*_WATCH), 1) if watch is None else watch  # noqa: S311 - no secret
    return Plan(
        procedure="drill quarterly",
        title=f"Quarterly drill: simulate the loss of the source, recover to {local(moment)}",
        target=manifest.source,
        steps=(
            Step(
                "disaster",
                f"Commit test records for {seconds:.0f} s, then treat the source as lost",
                call(disaster, backup=manifest.id, seconds=seconds),
                "select pg_logical_emit_message(true, 'tabsync-canary', ...): a record in the WAL, nothing in a table",
                Risk.REVERSIBLE,
                "no undo needed: the records expire with the WAL",
            ),
            replay["fetch"],
            replay["recover"],
            *_proof_steps(where, key_tables),
            Step(
                "record",
                "Record the verdict",
                call(record, backup=manifest.id, subject=subject_of(manifest.source), moment=iso(moment), **targets),
                "write it into the ledger",
                always=True,
            ),
            replay["tidy"],
        ),
    )


def _proof_steps(where: Facts, key_tables: list[Facts]) -> tuple[Step, ...]:
    names = ", ".join(str(Relation(**one)) for one in key_tables)
    first = str(Relation(**key_tables[0])) if key_tables else "none"
    gone = "the copy is deleted at the end"
    return (
        Step(
            "answer",
            "Read the key tables of the copy",
            call(answer, **where, key_tables=key_tables),
            f"read one row of each key table: {names}",
        ),
        Step(
            "amcheck",
            "Check every index and page of the copy",
            call(read_all, **where),
            "amcheck, on the copy",
            Risk.REVERSIBLE,
            gone,
        ),
        Step(
            "exercise",
            "Restore a table and a row on the copy",
            call(exercise, **where, key_tables=key_tables),
            f"tabsync restore tables {first}; delete one row of it, tabsync restore rows",
            Risk.REVERSIBLE,
            gone,
        ),
    )


def run_quarterly(workspace: Workspace, plan: Plan, listener: Listener | None = None) -> Report:
    """Run a quarterly drill's plan and write its report; what dead drills left behind is taken away first."""
    sweep(workspace)
    return report_of(workspace, plan, run(plan, workspace, workspace.journal(), listener))


def report_of(workspace: Workspace, plan: Plan, outcome: Outcome) -> Report:
    """Write the report of a quarterly drill that ran."""
    given = {step.key: step.arguments for step in plan.steps}
    targets = {name: given["record"][name] for name in ("rto_target", "rpo_target")}
    facts = judge(outcome.results, **targets) | {name: given["record"][name] for name in ("backup", "moment")}
    checked = outcome.results.get("amcheck", {})
    facts |= {
        "lost_at": outcome.results.get("disaster", {}).get("lost_at"),
        "recovered": outcome.results.get("recover"),
        "key_tables": [str(Relation(**one)) for one in given["answer"]["key_tables"]],
        "health": {"answered": "answer" in outcome.results} | {name: checked.get(name) for name in ("tables", "bytes")},
    }
    return write_report(workspace, plan, outcome, "quarterly drill", facts, ok=facts["ok"])


def disaster(context: Context, *, backup: str, seconds: float) -> Facts:
    """Commit canaries, declare the source lost, and look which of them the store has at that moment."""
    workspace = context.workspace
    store, manifest = workspace.store(), workspace.store().manifest(backup)
    identifier, size = str(manifest.source["system_identifier"]), int(manifest.physical["wal_segment_size"])
    with workspace.connect("canary", _NO_LIMIT) as connection:
        batch = commit_canaries(connection, seconds, _EVERY, context.report)
        lost_at = _clock(connection)
    # What the store has from here on doesn't count; the listing and the reading of its end take a moment of it.
    monotonic, archive = time.monotonic(), read_archive(store, identifier, size)
    programs = programs_of(int(manifest.source["version_num"]) // 10000)
    saved = last_saved(store, identifier, archive, programs, batch)
    rpo = (lost_at - batch.moments[saved]).total_seconds() if saved >= 0 else None
    lost = len(batch.moments) - 1 - saved
    if rpo is None and archive.newest is not None:  # older than all canaries: what the store is known to reach to
        ends = archive.partial.get(archive.newest)
        rpo = (lost_at - ends.until).total_seconds() if ends else None
    counted = {"canaries": len(batch.moments), "lost": lost, "rpo_seconds": rpo}
    return {"lost_at": iso(lost_at), "monotonic": monotonic} | counted


def answer(context: Context, *, backup: str, directory: str, key_tables: list[Facts]) -> Facts:
    """Ask for a row of each key table; when the copy answers, the recovery is over. Raises ProblemFound."""
    with _copy(context, backup, directory) as connection:
        for one in key_tables:
            relation = Relation(**one)
            try:
                connection.execute(sql.SQL("select exists (select from {})").format(relation.identifier()))
            except psycopg.Error as error:
                told = f"a query on the recovered copy failed: {error.diag.message_primary}"
                raise ProblemFound(
                    told, "check the section Key tables of the manual: tabsync manual show 'Key tables'"
                ) from None
    return {"rto_seconds": time.monotonic() - context.results["disaster"]["monotonic"], "key_tables": len(key_tables)}


def read_all(context: Context, *, backup: str, directory: str) -> Facts:
    """Check every index and table of the copy with amcheck. Raises ProblemFound naming what is damaged."""
    with _copy(context, backup, directory) as connection:
        checked = check_relations(connection, context.report)
    if checked.wrong:
        raise ProblemFound(
            f"the recovered copy is corrupt: {checked.wrong[0]}", "the source may be corrupt too: run pg_amcheck there"
        )
    return checked.to_json()


def record(context: Context, *, backup: str, subject: str, moment: str, rto_target: float, rpo_target: float) -> Facts:
    """Judge the drill and put the verdict into the ledger, good or bad."""
    facts = judge(context.results, rto_target=rto_target, rpo_target=rpo_target) | {"backup": backup, "moment": moment}
    add_evidence(context.workspace.ledger(), "quarterly", subject, ok=facts["ok"], facts=facts, run_id=context.run_id)
    return facts


def judge(results: Mapping[str, Facts], *, rto_target: float, rpo_target: float) -> Facts:
    """What the steps showed, against the targets (seconds). Pure; a step that is missing was not proven."""
    lost, recovered = results.get("disaster", {}), results.get("recover", {})
    rto, rpo = results.get("answer", {}).get("rto_seconds"), lost.get("rpo_seconds")
    proven = bool(recovered.get("reached")) and all(key in results for key in _PROVEN)
    rto_met, rpo_met = rto is not None and rto <= rto_target, rpo is not None and rpo <= rpo_target
    missed = [name for name, met in (("RTO", rto_met), ("RPO", rpo_met)) if not met]
    checked, exercise = results.get("amcheck", {}), results.get("exercise", {})
    # Done without a failure is not proven yet: there may have been no amcheck to read with, and no table to restore.
    partial = proven and not (checked.get("indexes") and exercise.get("table"))
    if not proven:
        sentence = "NOT PROVEN: the cluster was not recovered as required"
    elif partial:
        sentence = "PARTLY PROVEN: the cluster was recovered, but not everything could be checked"
    elif missed:
        sentence = f"RECOVERED, BUT {' AND '.join(missed)} MISSED"
    else:
        sentence = "PROVEN: the cluster was recovered to the second, checked and used"
    return {
        "ok": proven and not partial and not missed,
        "partial": partial,
        "sentence": sentence,
        "rto_seconds": rto,
        "rto_target": rto_target,
        "rto_met": rto_met,
        "rpo_seconds": rpo,
        "rpo_target": rpo_target,
        "rpo_met": rpo_met,
        "canaries": lost.get("canaries", 0),
        "canaries_lost": lost.get("lost"),
        "reached": recovered.get("why"),
        "wal_files": recovered.get("segments", 0),
        "indexes": checked.get("indexes", 0),
        "not_checked": [*checked.get("not_checked", ()), *exercise.get("not_done", ())],
        "table": exercise.get("table"),
        "row": exercise.get("row"),
    }


def _copy(context: Context, backup: str, directory: str) -> Connection:
    return connect(_conninfo(context, backup, directory), "drill", limits=_NO_LIMIT)


def _conninfo(context: Context, backup: str, directory: str) -> str:
    manifest: Manifest = context.workspace.store().manifest(backup)
    return own_conninfo(Path(directory), manifest.physical["superuser"], manifest.source["database"])


def _clock(connection: Connection) -> datetime:
    moment: datetime = connection.execute(_SQL["clock"]).fetchall()[0][0]
    return moment

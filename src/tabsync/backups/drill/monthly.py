"""tabsync drill monthly: the newest full backup of the farthest store, restored, proven and read by amcheck.

The backup that counts when the machine is gone is the one that lies elsewhere, so that is the one that is drilled.
What it would lose is told and not judged: a weekly dump keeps no RPO of minutes, and the quarterly drill measures
what does. Into a scratch server here, or into a new database of the staging server.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import sql

from tabsync.backups.drill.drill import record_step, targets_of
from tabsync.backups.restore.fit import check_target
from tabsync.backups.restore.new import copy_steps
from tabsync.backups.restore.server import fetch_step, last_steps, new_name, on_server
from tabsync.backups.restore.staging import create, forget
from tabsync.copies.choose import entries_of, full_backup
from tabsync.copies.proofs.amcheck import amcheck_step
from tabsync.copies.proofs.proof import round_trip
from tabsync.copies.proofs.steps import proof_steps, tidy_step
from tabsync.copies.restores.scratch import manifest_of
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.manual.model import Manual
from tabsync.postgres import catalog
from tabsync.postgres.catalog import prove_target, quoted, relation_named, server_major
from tabsync.postgres.installation import server_for
from tabsync.stores.address import parse_address
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace


@dataclass(frozen=True, slots=True)
class Monthly:
    """A monthly drill. workspace: the one to run it in, its store and server being those that are drilled."""

    workspace: Workspace
    plan: Plan
    notes: tuple[str, ...]


def plan_monthly(workspace: Workspace, manual: Manual, staging: str | None = None, *, drop: bool = False) -> Monthly:
    """Plan the monthly drill. staging: a connection string; drop: drop the database made there when all is proven.

    Raises BadUsage when no store has a full backup, Refused when no installed PostgreSQL could hold the copy, or the
    staging server is the source itself or of another major version. Nothing is changed.
    """
    far, manifest, notes = _farthest(workspace)
    far.keys.require_identity(manifest.encryption.get("recipients", ()))
    targets = targets_of(manual) | {"rpo_target": None, "needs": ["amcheck"], "schedule": "monthly"}
    scratch = f"monthly-{compact(now())}-{secrets.token_hex(2)}"
    key_tables = [asdict(relation_named(table.name)) for table in manual.key_tables]
    if staging is None:
        server_for(server_major(manifest.source))
        steps = proof_steps(far, manifest.id, scratch, manifest.source, key_tables)
        last = [tidy_step(scratch)]
        where = "a scratch server"
    else:
        far = replace(far, conninfo=staging)
        steps, last, where = _staged(far, manifest, scratch, key_tables, drop=drop)
    plan = Plan(
        procedure="drill monthly",
        title=f"Monthly drill: restore backup {manifest.id} of {manifest.source['database']} into {where}",
        target=manifest.source,
        steps=(
            *steps,
            amcheck_step(scratch, manifest.source),
            record_step(manifest.id, manifest.source, targets),
            *last,
        ),
    )
    return Monthly(far, plan, tuple(notes))


def _farthest(workspace: Workspace) -> tuple[Workspace, Manifest, list[str]]:
    """The workspace with its farthest store that has a full backup, and the newest one there."""
    own = workspace.store_url or str(workspace.store_root)
    places = dict.fromkeys([own, *(place for _, place in workspace.stores)])
    notes: list[str] = []
    for place in sorted(places, key=lambda one: _nearness(one, own)):
        here = isinstance(parse_address(place), Path)
        far = replace(workspace, store_root=Path(place), store_url="") if here else replace(workspace, store_url=place)
        try:
            return far, full_backup(far, "latest"), notes
        except BadUsage as none:
            notes.append(none.fact)
    raise BadUsage("; ".join(notes), "tabsync backup take full")


def _nearness(place: str, own: str) -> int:
    if not isinstance(parse_address(place), Path):
        return 0
    return 2 if place == own else 1


def _staged(
    staged: Workspace, manifest: Manifest, scratch: str, key_tables: list[Facts], *, drop: bool
) -> tuple[list[Step], list[Step], str]:
    """The steps that restore into a new database of the staging server and prove it there."""
    with on_server(staged) as connection:
        target = catalog.identity(connection)
        _refuse_unfit(manifest, target)
        database = new_name(connection, None, f"{manifest.source['database']}_drill")
        options = check_target(connection, manifest, entries_of(staged, manifest), no_owner=False)
    made, *filled = copy_steps(staged, manifest, scratch, database, target, options)
    proof = {step.key: step for step in proof_steps(staged, manifest.id, scratch, manifest.source, key_tables)}
    steps = [
        Step(
            "disaster",
            "Start to measure the recovery time",
            call(begin, backup=manifest.id),
            "the source is treated as lost from now on",
        ),
        fetch_step(manifest.id, scratch),
        Step(
            "scratch",
            f"Check that staging is still the server of {target['database']}",
            call(look, target=target, database=database),
            "select current_database(), system_identifier from pg_control_system()",
        ),
        replace(made, call=call(create, **made.arguments, name=scratch)),
        *filled,
        proof["answer"],
        replace(proof["round_trip"], call=call(round_trip, backup=manifest.id, scratch=scratch)),
        proof["rows"],
        proof["orphans"],
    ]
    last = last_steps(database, scratch)
    if drop:
        last.insert(0, _drop_step(database))
    return steps, [*last, _forget_step(database, scratch, drop=drop)], f"{quoted(database)} on staging"


def _refuse_unfit(manifest: Manifest, target: Facts) -> None:
    source = manifest.source
    if target["system_identifier"] is not None and target["system_identifier"] == source["system_identifier"]:
        raise Refused("staging is the server that the backup was taken from", "name another server: --staging URL")
    if server_major(target) != server_major(source):
        raise Refused(
            f"staging is PostgreSQL {server_major(target)} and the backup is of PostgreSQL {server_major(source)}:"
            " their dumps can't be compared",
            "leave --staging out to use a scratch server; tabsync restore new restores into any later version",
        )


def _drop_step(database: str) -> Step:
    return Step(
        "drop",
        f"Drop {database}",
        call(drop, database=database),
        f"drop database {quoted(database)} with (force)",
        Risk.REVERSIBLE,
        "no undo needed: this run created it, and the backup stays",
        always=True,
    )


def _forget_step(database: str, name: str, *, drop: bool) -> Step:
    return Step(
        "forget",
        "Delete the note of where the database was created",
        call(forget, database=database, name=name, drop=drop),
        "if this command dies, a later command drops the database by this note",
        Risk.REVERSIBLE,
        "no undo needed: the note is only used if the drill dies",
        always=True,
    )


def begin(context: Context, *, backup: str) -> Facts:
    """The moment from which the recovery counts, and what would be lost if the source were gone now."""
    lost = (now() - manifest_of(context, backup).taken_at).total_seconds()
    return {"monotonic": time.monotonic(), "rpo_seconds": max(0.0, lost), "wal_bytes": None}


def look(context: Context, *, target: Facts, database: str) -> Facts:
    """Refuse when staging is not the server that the plan was made for."""
    with on_server(context.workspace) as connection:
        prove_target(connection, target)
    return {"database": database, "version": target["version"]}


def drop(context: Context, *, database: str) -> Facts:
    """Drop the database that this run made; one that it did not make is never touched."""
    if "create" not in context.results:
        return {"dropped": False}
    with on_server(context.workspace, beside=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))
    return {"dropped": True}

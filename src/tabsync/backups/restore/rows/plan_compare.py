"""The first plan of `restore rows`: where the rows come from, and how they are compared with those in the database."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from tabsync.backups.restore.rows.asked import AUDIT, NEAREST, NOTHING, Asked
from tabsync.backups.restore.rows.compare import compare
from tabsync.backups.restore.rows.compare_log import compare_with_log
from tabsync.backups.restore.rows.condition import why_not
from tabsync.backups.restore.rows.nearest import nearest
from tabsync.backups.restore.rows.secret import hiding_tables
from tabsync.backups.restore.rows.shape import as_deleted_along, links_of, shape_of, wanted
from tabsync.copies.partial import DATABASE, close_step, copy_steps
from tabsync.copies.source import Source, source_named
from tabsync.copies.warm import stop_step
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Step, call
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def plan_compare_rows(
    workspace: Workspace,
    table: str,
    where: str,
    source: str = "latest",
    *,
    with_dependents: bool = False,
    asked: Asked = NOTHING,
) -> tuple[Plan, Source, str]:
    """Plan the comparison; gives the plan, what it compares with, and the scratch directory's name.

    table: as a manual names tables; where: a condition in SQL; source: latest, a backup's id, a moment, a database,
    audit, or nearest; asked: what else bounds a question to the audit log. Raises BadUsage (no such table, backup or
    database), NotAllowed, or Refused where the log is not installed. Nothing is changed.
    """
    where, source = _bounded(where, source, asked)
    root = relation_named(table)
    with workspace.connect("restore") as live:
        target = catalog.identity(live)
        if shape_of(live, root) is None:
            hint = f"restore the table itself: tabsync restore tables {root}"
            raise BadUsage(f"there is no table {root} in {catalog.quoted(target['database'])}", hint)
        found = nearest(workspace, root, where, asked, live) if source == NEAREST else None
        found = found or source_named(workspace, source, root, live)
        links = as_deleted_along(links_of(live)) if found.log else links_of(live)
        tables = wanted(live, links, root, with_dependents=with_dependents)
        scratch = f"rows-{compact(now())}-{secrets.token_hex(2)}"
        if found.log:
            hiding = hiding_tables(live, tables) if asked.secrets_from else []
            beside = _beside(workspace, asked.secrets_from, hiding[0], live) if hiding else None
            step = _log_step(root, where, asked, scratch, found, target, beside, with_dependents=with_dependents)
            steps = _around(workspace, beside, hiding, scratch, step) if beside else [step]
        else:
            steps = _copy_steps(workspace, root, where, scratch, found, target, tables, with_dependents=with_dependents)
    plan = Plan("restore rows", f"Compare rows of {root} with {found}", tuple(steps), target)
    return plan, found, scratch


def _bounded(where: str, source: str, asked: Asked) -> tuple[str, str]:
    """The condition and the source of a question that has all it needs. Raises BadUsage."""
    if asked.given:
        if source not in (AUDIT, NEAREST):
            raise BadUsage(
                f"{' '.join(asked.words()[:1])} asks the audit log, not --from {source}", "give --from audit"
            )
        source = AUDIT
    if not where.strip() and not asked.bounded:
        raise BadUsage("--where is missing: the condition that chooses the rows", "for all rows: --where true")
    if where.strip() and (why := why_not(where)):
        raise BadUsage(
            f"the condition can't be read: {why}", "write it in quotes for the shell: --where \"name = 'Ann'\""
        )
    return where, source


def _beside(workspace: Workspace, named: str, relation: Relation, live: Connection) -> Source:
    """The backup that has what the log hides. Raises BadUsage when it isn't one."""
    if named == AUDIT:
        raise BadUsage("the audit log does not have its secrets", "name a backup: --secrets-from latest")
    return source_named(workspace, named, relation, live)


def _log_step(
    root: Relation,
    where: str,
    asked: Asked,
    scratch: str,
    found: Source,
    target: Facts,
    beside: Source | None,
    *,
    with_dependents: bool,
) -> Step:
    chosen = f" where ({where})" if where else ""
    return Step(
        "compare",
        f"Compare rows of {root}",
        call(
            compare_with_log,
            scratch=scratch,
            target=target,
            table=asdict(root),
            where=where,
            with_dependents=with_dependents,
            asked=asked.to_json(),
            beside=_place(beside, scratch) if beside else None,
        ),
        f"make rows of {root}{chosen} {asked.state} from {found.log}, in temporary tables; look these rows up by"
        f" primary key in {target['database']}",
    )


def _copy_steps(
    workspace: Workspace,
    root: Relation,
    where: str,
    scratch: str,
    found: Source,
    target: Facts,
    tables: Sequence[Relation],
    *,
    with_dependents: bool,
) -> list[Step]:
    place = _place(found, scratch)
    comparing = Step(
        "compare",
        f"Compare rows of {root}",
        call(
            compare,
            place=place["place"],
            database=place["database"],
            scratch=scratch,
            target=target,
            table=asdict(root),
            where=where,
            with_dependents=with_dependents,
        ),
        f"select from {root} where ({where}) in the copy; look these rows up by primary key in {target['database']}",
    )
    return _around(workspace, found, tables, scratch, comparing)


def _around(workspace: Workspace, found: Source, tables: Sequence[Relation], scratch: str, step: Step) -> list[Step]:
    """A step, between those that make tables of a backup readable and the one that takes them away."""
    last = stop_step(found.warm) if found.warm else close_step(scratch)
    return [*copy_steps(workspace, found, tables, scratch), step, last]


def _place(found: Source, scratch: str) -> Facts:
    """Where these tables are then. place: the server's directory, below servers/."""
    place = f"warm/{found.warm.backup}" if found.warm else f"scratch/{scratch}"
    return {"place": place, "database": found.warm.database if found.warm else DATABASE, "told": str(found)}

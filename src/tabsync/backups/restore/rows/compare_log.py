"""The comparison with the audit log: the rows as they were are made in the database itself, in temporary tables.

No server is started and no dump is read; what is compared, shown, written and undone is the same as with a backup.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.restore.rows.asked import Asked
from tabsync.backups.restore.rows.compare import LIMITS, found_by, guard, make_picked, pick_all
from tabsync.backups.restore.rows.comparison import DIFF, Comparison, Member
from tabsync.backups.restore.rows.logged import Audited, AuditLog, Logged, check_since, reading_log
from tabsync.backups.restore.rows.logged_rows import taken
from tabsync.backups.restore.rows.logged_told import lacking, nothing_found
from tabsync.backups.restore.rows.roles import guarded_of
from tabsync.backups.restore.rows.secret import add_secrets
from tabsync.backups.restore.rows.shape import Shape, as_deleted_along, family, links_of, make_uniform, shape_of, wanted
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, prove_target
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Context

_BACKUP = "use a backup: --from latest"


def compare_with_log(
    context: Context,
    *,
    scratch: str,
    target: Facts,
    table: Facts,
    where: str,
    with_dependents: bool,
    asked: Facts,
    beside: Facts | None = None,
) -> Facts:
    """Compare with the rows as the audit log has them, and keep what differs in the scratch directory.

    asked: see asked.Asked; where: "" for all that it chooses; beside: the copy of a backup that has the columns which
    the log hides. Raises BadUsage when the condition doesn't work or finds
    nothing, Refused when the log can't tell the rows, NotAllowed. The database is only read.
    """
    workspace = context.workspace
    directory = workspace.scratch(scratch)
    workspace.hold(directory)
    diff = directory / DIFF
    diff.mkdir(mode=0o700)
    root = Relation(**table)
    with reading_log(workspace, Asked(**asked)) as log, workspace.connect("restore", LIMITS) as live:
        prove_target(log.connection, target)
        live.execute("begin isolation level repeatable read read only")
        make_uniform(live, local=True)
        keys = links_of(live)
        links = as_deleted_along(keys)
        tables = wanted(live, links, root, with_dependents=with_dependents)
        shapes = [_shape(live, one) for one in tables]
        found = _taken(log, shapes, family(keys, root), where)
        if beside is not None:
            add_secrets(log, found, shapes, workspace.servers(), beside)
        members = _members(shapes, found, diff)
        guard(members, guarded_of(workspace))
        work = Comparison(log.connection, live, members, links, with_dependents)
        make_picked(work)
        pick_all(work, root)
        log.connection.execute("set transaction read only")
        facts = found_by(work, root, diff)
        if not sum(members[root].counts.values()):
            raise nothing_found(log, root)
        notes = list(lacking(log, {one: logged.names for one, logged in found.items()}))
        facts["log"] = {"state": log.asked.state, "begins": log.begins, "last": found[root].last, "notes": notes}
    for one in facts["tables"]:
        one["masked"] = found[Relation(one["schema"], one["name"])].masked
    return facts


def audited_of(log: AuditLog, here: Shape) -> Audited:
    """How a table is recorded. Raises Refused when the log can't tell its rows apart."""
    audited = log.audited(here.relation)
    if audited is None:
        raise Refused(f"{here.relation} is not audited: the log has none of its rows", _BACKUP)
    if not here.key or set(here.key) != set(audited.keys):
        raise Refused(f"the log does not name the rows of {here.relation} by its primary key", _BACKUP)
    if audited.since:
        check_since(log, audited.since, f"{here.relation} is recorded without a break only since")
    return audited


def _taken(log: AuditLog, shapes: Sequence[Shape], cut: Sequence[Relation], where: str) -> dict[Relation, Logged]:
    """The rows of the first table by what was asked, and what their transactions did to the others.

    cut: the tables whose rows a DELETE takes along or cuts off: that one of these is not in the log must be told.
    """
    root = shapes[0]
    found = {root.relation: taken(log, root, audited_of(log, root), where)}
    for here in shapes[1:]:
        try:
            found[here.relation] = taken(log, here, audited_of(log, here), "", found[root.relation])
        except Refused as error:
            if here.relation in cut:
                found[root.relation].notes.append(f"{error.fact}: its rows come back from a backup only")
    return found


def _shape(live: Connection, relation: Relation) -> Shape:
    here = shape_of(live, relation)
    if here is None:
        raise BadUsage(
            f"there is no table {relation} in the database", f"restore it: tabsync restore tables {relation}"
        )
    return here


def _members(shapes: Sequence[Shape], found: dict[Relation, Logged], diff: Path) -> dict[Relation, Member]:
    members: dict[Relation, Member] = {}
    for here in shapes:
        if (logged := found.get(here.relation)) is None:
            continue
        path = diff / f"{len(members)}.jsonl"
        path.touch(mode=0o600)
        there = {one.name for one in logged.shape.columns}
        names = tuple(one.name for one in here.columns if not one.generated and one.name in there)
        members[here.relation] = Member(len(members), here, logged.shape, names, logged.notes, path)
    return members

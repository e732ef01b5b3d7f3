"""Comparisons of rows with a copy that is there already: only the steps that make the copy are left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tabsync.backups.restore.rows.compare import compare
from tabsync.backups.restore.rows.restore import Difference
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Context, Facts, resolve
from tabsync.postgres import catalog, embedded
from tabsync.postgres.catalog import relation_named
from tabsync.workspace import Workspace

RUN = "run-of-test"


@contextmanager
def compared_with(
    workspace: Workspace, server: embedded.Server, copy: str, table: Facts, where: str, *, with_dependents: bool = False
) -> Iterator[Difference]:
    """What the comparison's own step finds. copy: a database of the server; table: schema and name."""
    scratch = "rows-test"
    with workspace.connect("restore") as live:
        target = catalog.identity(live)
    try:
        facts = compare(
            _context(workspace),
            place=str(server.directory),
            database=copy,
            scratch=scratch,
            target=target,
            table=table,
            where=where,
            with_dependents=with_dependents,
        )
        yield Difference(scratch, "backup x", "", target, facts, 0, RUN)
    finally:
        workspace.delete(workspace.scratch(scratch))


def carry_out(workspace: Workspace, plan: Plan) -> Facts:
    """Carry a plan of one step out, as the run RUN; raises what stops it."""
    (step,) = plan.steps
    return resolve(step)(_context(workspace), **step.arguments)


def named(table: str) -> Facts:
    """A table as the steps take it."""
    relation = relation_named(table)
    return {"schema": relation.schema, "name": relation.name}


def _context(workspace: Workspace) -> Context[Workspace]:
    return Context(workspace, RUN, {}, lambda done, total, unit: None)

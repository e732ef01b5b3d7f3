"""Two databases that are compared by restore diff, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tabsync.backups.procedures.diff import Diff, plan_diff, show_diff
from tabsync.backups.restore.diff.compare import DETAILS
from tabsync.kernel.page import Page
from tabsync.kernel.procedure import Done
from tabsync.kernel.runner import run
from tabsync.workspace import Workspace
from tests.conftest import Databases

Facts = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """A workspace, and two databases: NEW and OLD."""

    workspace: Workspace
    new: str
    old: str

    def do(self, new: str = "", old: str = "") -> None:
        """Run SQL in either."""
        for conninfo, script in ((self.new, new), (self.old, old)):
            if script:
                fill(conninfo, script)

    def diff(self, **asked: Any) -> Result:
        """Compare them. asked: options of the request."""
        return compared(self.workspace, Diff(database(self.new), database(self.old), **asked))


@dataclass(frozen=True)
class Result:
    """What came of it: what is on record, what isn't, and the page."""

    facts: Facts
    details: Facts
    page: Page

    def table(self, name: str) -> Facts:
        """What was found of a table."""
        return next(one for one in self.details["tables"] if one["table"] == name)

    def counts(self, name: str) -> tuple[int, int, int, int]:
        """Its rows: only in NEW, only in OLD, different, the same."""
        found = self.table(name)
        assert "reason" not in found, found["reason"]
        return found["only_new"], found["only_old"], found["different"], found["same"]

    @property
    def objects(self) -> dict[tuple[str, str], str]:
        """The objects that differ: where they are."""
        return {(one["kind"], one["name"]): one["state"] for one in self.details["objects"]}

    @property
    def text(self) -> str:
        """All that the page says."""
        lines = [getattr(one, "text", "") for one in self.page.blocks]
        return "\n".join(lines)


def compared(workspace: Workspace, request: Diff) -> Result:
    """Plan, run and show it, as a person's command does."""
    planned = plan_diff(workspace, request)
    where = planned.workspace or workspace
    try:
        outcome = run(planned.plan, where, where.journal())
        outcome.raise_if_failed()
        details = json.loads((where.scratch(planned.about) / DETAILS).read_text())
        return Result(outcome.results["diff"], details, show_diff(Done(where, request, planned, outcome)))
    finally:
        assert planned.done is not None
        planned.done()


def site(databases: Databases, workspaces: Callable[..., Workspace], script: str, major: int = 17) -> Site:
    """Two databases of one server that the same script fills; the workspace looks after OLD."""
    new, old = databases(major), databases(major)
    for conninfo in (new, old):
        fill(conninfo, script)
    return Site(workspaces(old), new, old)


def fill(conninfo: str, script: str) -> None:
    """Run a script as the application would."""
    with psycopg.connect(conninfo, autocommit=False) as connection:
        connection.execute(script.encode())


def database(conninfo: str) -> str:
    """The name of the database in a connection string."""
    return str(conninfo_to_dict(conninfo)["dbname"])

"""The quarterly drill's exercise: a table and a row are restored on the recovered copy, by the commands for it.

It works in a home and a store of its own inside the copy's directory, so nothing of it is left or counted elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import sql

from tabsync.backups.pitr.clusters import own_conninfo
from tabsync.backups.restore.rows.restore import compared, plan_write_rows
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.backups.take import plan_take
from tabsync.kernel.errors import ProblemFound
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, run
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.stores.keys import Keys
from tabsync.stores.manifest import Manifest

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_SQL = named(__package__, "drill.sql")


def exercise(context: Context, *, backup: str, directory: str, key_tables: list[Facts]) -> Facts:
    """Back up the first key table of the copy, restore it beside, delete one of its rows and bring it back.

    Raises ProblemFound when any of it doesn't come back; what can't be tried is told under "not_done".
    """
    if not key_tables:
        return {"table": None, "row": None, "not_done": ["a table and a row: the manual names no key tables"]}
    workspace = _own(context.workspace, backup, Path(directory))
    try:
        return _exercise(workspace, Relation(**key_tables[0]))
    finally:
        workspace.close()


def _exercise(workspace: Workspace, relation: Relation) -> Facts:
    taken = _run(workspace, plan_take(workspace, "tables", "drill", [str(relation)]))
    backup = taken.results["commit"]["backup"]
    plan, _selection = plan_restore_tables(workspace, [str(relation)], backup)
    restored = _run(workspace, plan).results["verify"]
    facts: Facts = {"table": str(relation), "database": restored["database"], "row": None, "not_done": []}
    with workspace.connect("drill") as connection:
        where = _delete_one(connection, relation)
        if where is None:
            return facts | {"not_done": [f"a row: {relation} is empty or has no primary key"]}
        text = where.as_string(connection)
        with compared(workspace, str(relation), text, backup) as found:
            _run(workspace, plan_write_rows(workspace, found))
        query = sql.SQL("select count(*) from {} where {}").format(relation.identifier(), where)
        if connection.execute(query).fetchall() != [(1,)]:
            raise ProblemFound(f"a deleted row of {relation} was not restored", "tabsync restore rows")
    return facts | {"row": text}


def _delete_one(connection: Connection, relation: Relation) -> sql.Composed | None:
    """Delete a row, whatever refers to it (this is a copy); the condition that finds it by its primary key."""
    names = [row[0] for row in connection.execute(_SQL["primary_key"], {"table": str(relation)}).fetchall()]
    columns = [sql.Identifier(name) for name in names]
    if not columns:
        return None
    asked = sql.SQL("select {} from only {} limit 1").format(sql.SQL(", ").join(columns), relation.identifier())
    row = connection.execute(asked).fetchone()
    if row is None:
        return None
    pairs = [sql.SQL("{} = {}").format(column, sql.Literal(value)) for column, value in zip(columns, row, strict=True)]
    where = sql.SQL(" and ").join(pairs)
    connection.execute("set session_replication_role = replica")
    connection.execute(sql.SQL("delete from {} where {}").format(relation.identifier(), where))
    connection.execute("reset session_replication_role")
    return where


def _own(workspace: Workspace, backup: str, directory: Path) -> Workspace:
    manifest: Manifest = workspace.store().manifest(backup)
    home = directory / "exercise"
    home.mkdir(exist_ok=True)
    conninfo = own_conninfo(directory, manifest.physical["superuser"], manifest.source["database"])
    ledger = f"sqlite:///{home / 'ledger.sqlite'}"
    inside = replace(workspace, home=home, store_root=home / "store", ledger_url=ledger, keys=Keys())
    return replace(inside, conninfo=conninfo, store_url="", stores=(), _open={})


def _run(workspace: Workspace, plan: Plan) -> Outcome:
    outcome = run(plan, workspace, workspace.journal(), approval="on a copy")
    outcome.raise_if_failed()
    return outcome

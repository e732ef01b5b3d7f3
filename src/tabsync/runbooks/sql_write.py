"""A block marked `sql write`: one transaction, shown word by word, approved with the database's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres.connect import Connection, resolve_as_application
from tabsync.postgres.readonly_text import check_sql
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_LIMITS = Limits(lock_timeout=5_000, statement_timeout=60_000)
_UNDO = "no undo: what it changes is kept nowhere"


def plan_sql(workspace: Workspace, sql: str) -> Planned[Workspace]:
    """Plan to run some SQL that changes data. Raises Refused for what PostgreSQL could not read."""
    if told := check_sql(sql):
        raise Refused(f"this SQL can't be read: {'; '.join(told)}", "correct it in the manual, or on the command line")
    step = Step("apply", "Run it in one transaction", call(apply, sql=sql), sql, risk=Risk.DESTRUCTIVE, undo=_UNDO)
    with workspace.connect("runbook", _LIMITS) as connection:
        name = connection.info.dbname
    target: Facts = {"database": name, "host": conninfo_to_dict(workspace.conninfo).get("host")}
    return Planned(Plan("runbook sql", "Run SQL that changes data", (step,), target, confirm=name))


def apply(context: Context, *, sql: str) -> Facts:
    """Run statements in one transaction, each name as the application means it."""
    with context.workspace.connect("runbook", _LIMITS) as connection, connection.transaction():
        resolve_as_application(connection, local=True)
        began = _transaction(connection)
        cursor = connection.execute(sql.encode())
        counts = [cursor.rowcount]
        while cursor.nextset():
            counts.append(cursor.rowcount)
        if _transaction(connection) != began:  # check_sql() has looked, but a procedure may do it too
            fact = "the SQL has ended the transaction that it was run in: what of it was kept is unknown"
            raise FailedPartway(fact, "look at the data, and take COMMIT and ROLLBACK out of the SQL")
    return {"rows": [one for one in counts if one >= 0]}


def _transaction(connection: Connection) -> object:
    row = connection.execute("select pg_catalog.pg_current_xact_id()::text").fetchone()
    return row[0] if row else None


def show_sql(done: Done[Workspace, Any]) -> Page:
    """How many rows were changed."""
    rows = done.results["apply"]["rows"]
    page = Page("sql write", {"rows": rows})
    page.line(f"Done: {', '.join(str(one) for one in rows) or 'no'} rows.", style="strong good")
    return page

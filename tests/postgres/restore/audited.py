"""Databases whose changes are recorded by the audit log, and what tests ask of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from tabsync.audit.install import install_for_tests
from tabsync.backups.restore.rows.asked import AUDIT, Asked, asked_of
from tabsync.backups.restore.rows.restore import Difference, compared, plan_write_rows
from tabsync.backups.restore.rows.undo import plan_undo_rows
from tabsync.kernel.runner import Outcome, run
from tabsync.kernel.step import Facts
from tabsync.manual.load import load
from tabsync.manual.model import Hierarchy
from tabsync.manual.wiring import Audit, AuditedTable
from tabsync.postgres.connect import connect
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import clients_for
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import Workspace

LOG = "audit_logs"


def install(conninfo: str, *names: str, secret: dict[str, tuple[str, ...]] | None = None) -> None:
    """Install the log for some tables; without names, as the profile's manual says."""
    manual = load(PROFILE_MANUAL)
    audit, users, hierarchy = manual.audit, manual.users, manual.hierarchy
    if names:
        tables = [
            AuditedTable(name=one, must=True, secret=(secret or {}).get(one, ()), line=number)
            for number, one in enumerate(names, start=1)
        ]
        audit, users, hierarchy = Audit(log=LOG, tables=tuple(tables), line=1), None, Hierarchy()
    assert audit is not None
    with connect(conninfo, "audit") as connection:
        install_for_tests(connection, audit, users, hierarchy)


def do(conninfo: str, *statements: str) -> str:
    """Run statements in one transaction, as psql does; gives its number."""
    with psycopg.connect(conninfo, application_name="psql") as session:
        for one in statements:
            session.execute(one.replace("%", "%%"), ())
        row = session.execute("select pg_current_xact_id()::text").fetchone()
    assert row is not None
    return str(row[0])


@contextmanager
def from_log(
    workspace: Workspace, table: str, where: str = "", *, with_dependents: bool = False, **bounds: str
) -> Iterator[Difference]:
    """What a comparison with the log finds. bounds: as asked_of() takes them."""
    asked: Asked = asked_of(**bounds)
    with compared(workspace, table, where, AUDIT, with_dependents=with_dependents, asked=asked) as found:
        yield found


def written(workspace: Workspace, found: Difference, **options: bool) -> Outcome:
    """Write what a comparison found."""
    outcome = run(plan_write_rows(workspace, found, **options), workspace, workspace.journal())
    outcome.raise_if_failed()
    return outcome


def undone(workspace: Workspace, outcome: Outcome, **options: bool) -> Facts:
    """Take it back."""
    undo = run(plan_undo_rows(workspace, outcome.run_id, **options), workspace, workspace.journal())
    undo.raise_if_failed()
    return dict(undo.results["undo"])


def contents(conninfo: str, *but: str) -> dict[str, list[str]]:
    """Every row of every table that people have, as pg_dump would write it. but: columns to leave out."""
    found = {}
    with psycopg.connect(conninfo, options="-c bytea_output=hex -c extra_float_digits=3") as connection:
        query = (
            "select c.oid::regclass::text, array(select quote_ident(attname) from pg_attribute where attrelid = c.oid"
            " and attnum > 0 and not attisdropped and attname <> all (%s) order by attnum) from pg_class c"
            " where relkind in ('r', 'p') and not relispartition and relnamespace not in"
            " ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
            " and relnamespace::regnamespace::text not in ('tabsync_audit', 'pg_toast') and relname <> %s"
        )
        for table, columns in connection.execute(query, [list(but), LOG]).fetchall():
            statement = f"select row({', '.join(columns)})::text from {table}"
            found[table] = sorted(row[0] for row in connection.execute(sql.SQL(statement)).fetchall())
    return found


def dumped(conninfo: str, *tables: str) -> bytes:
    """What pg_dump writes of the rows of some tables, in the order of its lines: a row that came back is elsewhere."""
    with psycopg.connect(conninfo) as connection:
        program = clients_for(connection.info.server_version // 10_000).program("pg_dump")
    only = [f"--table=public.{one}" for one in tables]
    command = [str(program), "--data-only", "--column-inserts", *only]
    environment = os.environ | libpq_environment(conninfo)
    lines = subprocess.run(command, env=environment, check=True, capture_output=True).stdout.splitlines()
    return b"\n".join(sorted(one for one in lines if not one.startswith(b"\\")))  # \\restrict has a new key each time

"""What the log does not have is told: times before a table was recorded, changes behind its back, a TRUNCATE."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts
from tabsync.workspace import Workspace
from tests.postgres.restore.audited import do, from_log, install

_TABLES = (
    "create table early (id int primary key, x text)",
    "create table late (id int primary key, x text)",
    "insert into late values (1, 'v1'), (2, 'v1')",
)


@pytest.fixture
def workspace(databases: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    conninfo = databases()
    do(conninfo, *_TABLES)
    install(conninfo, "early")
    do(conninfo, "insert into early values (1, 'a')")
    return workspaces(conninfo)


def now(workspace: Workspace) -> str:
    with psycopg.connect(workspace.conninfo, options="-c timezone=UTC") as session:
        row = session.execute("select to_char(clock_timestamp(), 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF:00')").fetchone()
    return str(row[0]) if row else ""


def notes(found: Facts) -> str:
    return " ".join(found["log"]["notes"])


def test_a_table_that_is_recorded_later_than_the_log_begins(workspace: Workspace) -> None:
    before = now(workspace)
    do(workspace.conninfo, "update late set x = 'v2'", "delete from late where id = 2")
    install(workspace.conninfo, "early", "late")
    since = now(workspace)
    do(workspace.conninfo, "update late set x = 'v3'")
    told = "late is recorded without a break only since"
    with pytest.raises(Refused, match=told), from_log(workspace, "late", "true", as_of=before):
        pass
    with from_log(workspace, "late", "true", as_of=since) as found:
        assert notes(found.facts) == ""
    install(workspace.conninfo, "early", "late")  # again, and nothing was wrong: the time stays
    with from_log(workspace, "late", "true", as_of=since):
        pass


def test_a_change_behind_the_back_of_the_log(workspace: Workspace) -> None:
    install(workspace.conninfo, "early", "late")
    do(workspace.conninfo, "update late set x = 'v2'")
    since = now(workspace)
    do(workspace.conninfo, "update late set x = 'v3' where id = 2")
    do(
        workspace.conninfo,
        "set session_replication_role = origin",
        "alter table late disable trigger tabsync_audit_update",
        "update late set x = 'hidden' where id = 1",
        "alter table late enable always trigger tabsync_audit_update",
    )
    do(workspace.conninfo, "update late set x = 'v5'")
    with from_log(workspace, "late", "true", as_of=since) as found:
        assert "1 rows of public.late were changed meanwhile by what was not recorded" in notes(found.facts)


def test_triggers_that_were_off_until_a_repair_begin_anew(workspace: Workspace) -> None:
    install(workspace.conninfo, "early", "late")
    since = now(workspace)
    do(workspace.conninfo, "alter table late disable trigger tabsync_audit_update", "update late set x = 'hidden'")
    install(workspace.conninfo, "early", "late")
    do(workspace.conninfo, "update late set x = 'v5'")
    told = "recorded without a break only since"
    with pytest.raises(Refused, match=told), from_log(workspace, "late", "true", as_of=since):
        pass


def test_rows_that_a_truncate_took_beyond_its_bound_are_told_also_when_others_are_found(workspace: Workspace) -> None:
    install(workspace.conninfo, "early", "late")
    do(workspace.conninfo, "insert into late select n, 'x' from generate_series(10, 10100) n")
    do(workspace.conninfo, "truncate late")
    do(workspace.conninfo, "insert into late values (1, 'y')")
    do(workspace.conninfo, "truncate late")
    with from_log(workspace, "late", "true") as found:
        assert "rows that the log does not have" in notes(found.facts)


def test_rows_that_came_in_since_or_got_another_key_are_told(workspace: Workspace) -> None:
    install(workspace.conninfo, "early", "late")
    since = now(workspace)
    do(workspace.conninfo, "update late set id = 7 where id = 2", "insert into late values (9, 'z')")
    with from_log(workspace, "late", "true", as_of=since) as found:
        assert "2 rows of public.late came in since, or got another key: they stay" in notes(found.facts)

"""Who holds the lock of a tool, who waits for it, and whether the deployment behind it still lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tabsync.kernel.page import Page
from tabsync.migrations.histories import lock
from tabsync.migrations.status import Status, look_status
from tabsync.migrations.tools.flyway import java_hash
from tabsync.migrations.tools.prisma import LOCK
from tabsync.workspace import Workspace
from tests.postgres.migrations.test_histories import TABLES, made

_RAILS = "create table ar_internal_metadata (key text primary key)"


def numbers(database: str) -> dict[str, int]:
    """What each tool locks, computed as its own source does, for a table in the schema public."""
    flyway = 0x466C79776179 + java_hash('"public"."flyway_schema_history"')
    golang = zlib.crc32(f"public\0schema_migrations\0/{database}".encode()) * 1486364155 % 2**32
    return {"flyway": flyway, "dirty": golang, "rails": 2053462845 * zlib.crc32(database.encode())}


@contextmanager
def holding(conninfo: str, number: int, name: str = "deploy 7") -> Iterator[psycopg.Connection]:
    with psycopg.connect(conninfo, application_name=name, autocommit=True) as session:
        session.execute("select pg_advisory_lock(%s)", [number])
        yield session


def wait_for(session: psycopg.Connection, query: str) -> None:
    """Wait until a query finds something; a minute is more than any machine needs."""
    for _ in range(600):
        if session.execute(query.encode()).fetchone() is not None:
            return
        time.sleep(0.1)
    pytest.fail(f"nothing is found by {query}")


def lines(page: Page) -> str:
    return "\n".join(str(block) for block in page.blocks)


@pytest.mark.parametrize(
    ("text", "hashed"), [("", 0), ("hello", 99162322), ("polygenelubricants", -(2**31)), ("\U0001f600", 1772899)]
)
def test_javas_hash_is_of_16_bits_a_letter_and_has_a_sign(text: str, hashed: int) -> None:
    assert java_hash(text) == hashed


@pytest.mark.parametrize(("tool", "name"), [("flyway", "Flyway"), ("dirty", "golang-migrate"), ("rails", "Rails")])
def test_the_lock_of_each_tool_is_known(
    tool: str, name: str, databases: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo = made(databases, f"{TABLES['plain']}; {_RAILS}" if tool == "rails" else TABLES[tool])
    with psycopg.connect(conninfo) as session:
        number = numbers(str(session.info.dbname))[tool]
    with holding(conninfo, number) as session:
        page = look_status(workspaces(conninfo), Status())
        (one,) = page.data["locks"]
        assert (one["tool"], one["pid"], one["granted"]) == (name, session.info.backend_pid, True)
        assert (one["verdict"], "between two statements" in one["says"]) == ("pauses", True)
    assert not look_status(workspaces(conninfo), Status()).data["locks"]


def test_a_deployment_that_is_gone_and_one_that_waits_for_it(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    conninfo = databases()
    workspace = workspaces(conninfo)
    monkeypatch.setattr(lock, "GONE", 0.0)
    wait = f"import psycopg; psycopg.connect({conninfo!r}).execute('select pg_advisory_lock({LOCK})')"
    with holding(conninfo, LOCK) as session, subprocess.Popen([sys.executable, "-c", wait]) as waiter:
        try:
            wait_for(session, "select from pg_locks where locktype = 'advisory' and not granted")
            page = look_status(workspace, Status())
        finally:
            waiter.kill()
        gone, waits = page.data["locks"]
        assert (gone["verdict"], gone["pid"]) == ("gone", session.info.backend_pid)
        assert (waits["verdict"], waits["granted"]) == ("waits", False)
        assert page.exit_code == 1
        assert page.headline == "LOCKED: Prisma, for a deployment that is probably gone"
        assert "its deployment is probably gone" in lines(page)
        assert 'P1002, "make sure your database server is running", which it is' in lines(page)
        assert f"tabsync connections terminate {session.info.backend_pid}" in lines(page)
        assert f"terminate {waits['pid']}" not in lines(page)


def test_a_deployment_whose_process_was_stopped_is_told_with_the_command_that_ends_it(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that does nothing any more and whose connection stands, as behind a pooler or a dead network."""
    from tabsync.kernel.runner import run
    from tabsync.sessions.terminate import Terminate, plan_terminate

    conninfo = databases()
    workspace = workspaces(conninfo)
    monkeypatch.setattr(lock, "GONE", 0.0)
    script = (
        f"import psycopg, sys; c = psycopg.connect({conninfo!r}, autocommit=True);"
        f" c.execute('select pg_advisory_lock({LOCK})'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        os.kill(process.pid, signal.SIGSTOP)
        try:
            (gone,) = look_status(workspace, Status()).data["locks"]
            assert gone["verdict"] == "gone"
            plan = plan_terminate(workspace, Terminate((gone["pid"],))).plan
            run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()
            assert not look_status(workspace, Status()).data["locks"]
        finally:
            process.kill()


def test_a_tool_that_migrates_in_another_session_than_it_locks_in_is_not_taken_for_dead(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    conninfo = made(databases, TABLES["flyway"])
    monkeypatch.setattr(lock, "GONE", 0.0)
    work = f"import psycopg; psycopg.connect({conninfo!r}, application_name='jdbc').execute('select pg_sleep(60)')"
    number = numbers("")["flyway"]
    with holding(conninfo, number, "jdbc") as session, subprocess.Popen([sys.executable, "-c", work]) as migrates:
        try:
            wait_for(session, "select from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'")
            (one,) = look_status(workspaces(conninfo), Status()).data["locks"]
            assert one["verdict"] == "works"
        finally:
            migrates.kill()


@pytest.mark.parametrize("tool", ["alembic", "django", "supabase", "plain"])
def test_of_a_tool_without_a_lock_it_is_said_and_who_writes_its_table_is_seen(
    tool: str, databases: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo = made(databases, TABLES[tool])
    workspace = workspaces(conninfo)
    page = look_status(workspace, Status())
    assert page.data["lockless"]
    assert ("no lock is known" if tool == "plain" else "takes no lock") in lines(page)
    (table,) = (one["table"] for one in page.data["histories"])
    with psycopg.connect(conninfo, application_name="deploy 8") as session:
        session.execute(f"delete from {table}".encode())
        (one,) = look_status(workspace, Status()).data["locks"]
        assert (one["application"], one["kind"], one["verdict"]) == ("deploy 8", "table", "pauses")


def test_what_a_role_may_not_see_is_unknown(
    databases: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    from psycopg.conninfo import make_conninfo

    conninfo = databases()
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute("drop role if exists looks_only")
        session.execute("create role looks_only login password 'x'")
    with holding(conninfo, LOCK):
        page = look_status(workspaces(make_conninfo(conninfo, user="looks_only", password="x")), Status())
        (one,) = page.data["locks"]
        assert one["verdict"] == "unknown"
        assert "pg_monitor" in lines(page)

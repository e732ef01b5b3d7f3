"""Half a migration of other tools than Prisma, one that is killed while it is undone, and hostile names."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.errors import Refused
from tabsync.kernel.procedure import Done
from tabsync.kernel.runner import run
from tabsync.migrations.histories.script import statements
from tabsync.migrations.undo.undo import Undo, plan_undo, show_undo
from tabsync.workspace import Workspace
from tests.postgres.migrations.history import History, half_done
from tests.postgres.migrations.test_undo import undone


def test_killed_between_its_statements_it_goes_on_from_what_is_there(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", "create table plate (id int primary key); create table other (id int primary key)")
    script = "alter table other add column c int; create index concurrently plate_i on plate (id); select 1/0;"
    half_done(history, "2_broken", script)
    words = ["migration", "undo", "2_broken", "--folder", str(history.folder), "--yes", "--database", history.conninfo]
    with psycopg.connect(history.conninfo) as session:
        session.execute("lock table other in access share mode")
        environment = {**os.environ, "TABSYNC_HOME": str(directory / "killed")}
        child = subprocess.Popen([sys.executable, "-m", "tabsync", *words], env=environment, stdout=subprocess.DEVNULL)
        with psycopg.connect(history.conninfo, autocommit=True) as watch:
            while watch.execute("select to_regclass('plate_i')").fetchone() != (None,):
                assert child.poll() is None
                time.sleep(0.05)
        child.kill()
        child.wait()
    workspace = workspaces(history.conninfo)
    (planned,) = plan_undo(workspace, Undo("2_broken", history.folder)).plan.steps
    assert planned.preview == 'alter table "public"."other" drop column "c";  -- line 1, loses nothing: no values'
    assert undone(workspace, history.folder)["left"] == ""


def test_names_and_sql_of_others_do_nothing_to_a_shell_or_a_terminal(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history, name = History(databases(), directory), "2_$(touch pwned);`id`"
    history.applied("1_first", "create table plate (id int primary key, name text)")
    pwned = str(directory / "pwned")
    script = f"""
        create table "x\n\\! touch {pwned}\n--" (a text, "\x1b]0;pwned\x07" text);
        insert into "x\n\\! touch {pwned}\n--" values (E'\\\\.\n\\\\! touch {pwned}', 'postgres://a:hunter2@b/c');
        select 1/0;"""
    half_done(history, name, script)
    workspace = workspaces(history.conninfo)
    planned = plan_undo(workspace, Undo(name, history.folder))
    assert "\x1b" not in planned.plan.steps[0].preview
    assert len(planned.plan.steps[0].preview.splitlines()) == 1
    done = undone(workspace, history.folder, name)
    assert "hunter2" not in str(done)
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        session.execute(statements(script)[0].text.encode())
    history.psql("-v", "ON_ERROR_STOP=1", "-f", done["kept"])
    with psycopg.connect(history.conninfo) as session:
        (values,) = session.execute(f'select a from "x\n\\! touch {pwned}\n--"'.encode()).fetchall()
    assert values == (f"\\.\n\\! touch {pwned}",)
    assert not Path(pwned).exists()


FLYWAY = (
    "create table flyway_schema_history (installed_rank int primary key, version varchar(50), description varchar(200),"
    " type varchar(20), script varchar(1000), checksum int, installed_by varchar(100), installed_on timestamp default"
    " now(), execution_time int, success boolean); insert into flyway_schema_history values"
    " (1, '1', 'a', 'SQL', 'V1__a.sql', null,"
    " 'x', now(), 1, true)"
)
ROWS = "create table schema_migrations (version varchar(255) primary key); insert into schema_migrations values ('001')"
TOOLS: dict[str, tuple[str, str, str, str, str, str]] = {
    "Flyway": (
        *("V1__a.sql", "V2__b.sql", "V2__b.sql", FLYWAY),
        "insert into flyway_schema_history values (2, '2', 'b', 'SQL', 'V2__b.sql', null, 'x', now(), 1, false)",
        "flyway repair",
    ),
    "golang-migrate": (
        *("001_a.up.sql", "002_b.up.sql", "002"),
        "create table schema_migrations (version bigint primary key, dirty boolean not null); insert into"
        " schema_migrations values (2, true)",
        "select 1",
        "migrate force",
    ),
    "dbmate": ("001_a.sql", "002_b.sql", "002", ROWS, "select 1", "deploy again"),
    "Supabase": (
        *("001_a.sql", "002_b.sql", "002"),
        "create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text"
        " primary key, statements text[], name text); insert into supabase_migrations.schema_migrations values ('001')",
        "select 1",
        "deploy again",
    ),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_other_tools(
    tool: str, databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    first, second, name, table, noted, next_step = TOOLS[tool]
    conninfo, folder = databases(), directory / "sql"
    folder.mkdir()
    made = "create table plate (id int primary key)"
    broken = "alter table plate add column a int; create table t (id int); select 1 / 0"
    (folder / first).write_text(made)
    (folder / second).write_text(broken)
    with psycopg.connect(conninfo, autocommit=True) as session:
        for one in (made, *table.split("; "), *broken.split("; ")[:2], noted):
            session.execute(one.encode())
    workspace = workspaces(conninfo)
    request = Undo(name, folder)
    planned = plan_undo(workspace, request)
    outcome = run(planned.plan, workspace, workspace.journal(), approval="--yes")
    outcome.raise_if_failed()
    page = show_undo(Done(workspace, request, planned, outcome))
    assert page.data["left"] == ""
    assert next_step in str(page.blocks)
    with psycopg.connect(conninfo) as session:
        assert session.execute(
            "select to_regclass('t'), count(*) from pg_attribute where attname = 'a'"
        ).fetchone() == (None, 0)


def test_programs_are_not_read(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases()
    with psycopg.connect(conninfo) as session:
        session.execute(
            "create table alembic_version (version_num varchar(32)); insert into alembic_version values ('a1')"
        )
    (directory / "a1_first.py").write_text("revision = 'a1'\ndown_revision = None\n")
    with pytest.raises(Refused, match="the migrations of Alembic are programs"):
        plan_undo(workspaces(conninfo), Undo("a1", directory))

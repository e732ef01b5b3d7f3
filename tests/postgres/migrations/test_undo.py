"""Half a migration is taken away: what is there afterwards is what was there before, and the real Prisma goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.procedure import Done
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts, Risk
from tabsync.migrations.resolve import Resolve, plan_resolve
from tabsync.migrations.status import Status, look_status
from tabsync.migrations.tools.prisma import LOCK
from tabsync.migrations.undo.undo import Undo, plan_undo, show_undo
from tabsync.workspace import Workspace
from tests.postgres.migrations import truth
from tests.postgres.migrations.history import History, half_done
from tests.prisma import Prisma


def undone(workspace: Workspace, folder: Path, name: str = "2_broken", *, only: bool = False) -> Facts:
    """Plan, do, show."""
    request = Undo(name, folder, only)
    planned = plan_undo(workspace, request)
    outcome = run(planned.plan, workspace, workspace.journal(), approval="--yes")
    outcome.raise_if_failed()
    page = show_undo(Done(workspace, request, planned, outcome))
    return dict(page.data)


def before_and_after(conninfo: str) -> dict[str, str]:
    with psycopg.connect(conninfo) as session:
        return truth.catalog(session) | truth.rows(session)


_BROKEN = """
create type state as enum ('new', 'old');
create table orders (id int primary key, state state, "odd;name" text);
insert into orders values (1, 'new', E'tab\\there'), (2, 'old', null);
alter table plate add column size int, add column "a b" text;
update plate set size = id * 10, "a b" = 'x' || id;
create index plate_size on plate (size);
alter table plate rename column name to title;
alter table plate add constraint size_positive check (size > 0);
create function twice(int, state) returns int language sql as 'select $1';
create view sizes as select size from plate;
alter table orders add constraint plate_fkey foreign key (id) references plate (id);
alter table plate add z int default (1 / 0);
create table never (id int);
"""


def test_the_real_prisma_fails_in_the_middle_and_goes_on_with_the_mended_file(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    conninfo, folder = databases(), directory / "migrations"
    first = "create table plate (id int primary key, name text);\ninsert into plate values (1, 'a'), (2, 'b');\n"
    for name, script in (("1_first", first), ("2_broken", _BROKEN)):
        (folder / name).mkdir(parents=True)
        (folder / name / "migration.sql").write_text(script.replace("odd;", "odd "))  # it splits at each ;
    (folder / "migration_lock.toml").write_text('provider = "postgresql"\n')
    prisma, workspace = Prisma(directory, conninfo, "model plate {\n  id Int @id\n}\n"), workspaces(conninfo)
    assert prisma.migrate("deploy")[0] == 1
    with pytest.raises(Refused, match="can't be noted"):
        plan_resolve(workspace, Resolve("2_broken", folder, rolled_back=True))
    plan = plan_undo(workspace, Undo("2_broken", folder)).plan
    assert plan.risk is Risk.DESTRUCTIVE
    done = undone(workspace, folder)
    assert (done["left"], done["rows"]) == ("", 6)
    resolved = plan_resolve(workspace, Resolve("2_broken", folder, rolled_back=True))
    run(resolved.plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()
    (folder / "2_broken" / "migration.sql").write_text(_BROKEN.replace("(1 / 0)", "1").replace("odd;", "odd "))
    code, printed = prisma.migrate("deploy")
    assert code == 0, printed
    assert look_status(workspace, Status(folder)).exit_code == 0


def test_what_was_there_is_there_again_and_what_was_taken_away_comes_back(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied(
        "1_first", "create table plate (id int primary key, name text); insert into plate values (1, 'a'), (2, 'b')"
    )
    before = before_and_after(history.conninfo)
    half_done(history, "2_broken", _BROKEN.partition("alter table plate add z")[0] + "select 1/0;")
    workspace = workspaces(history.conninfo)
    done = undone(workspace, history.folder)
    assert done["left"] == ""
    after = before_and_after(history.conninfo)
    assert {one for one in after if after[one] != before.get(one)} <= {"public._prisma_migrations"}
    kept = Path(done["kept"])
    assert kept.stat().st_mode & 0o777 == 0o600
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        for one in (
            "create type state as enum ('new', 'old')",
            'create table orders (id int, state state, "odd;name" text)',
        ):
            session.execute(one.encode())
        session.execute('alter table plate add column size int, add column "a b" text')
    history.psql("-v", "ON_ERROR_STOP=1", "-f", str(kept))
    with psycopg.connect(history.conninfo) as session:
        assert session.execute("select * from orders order by 1").fetchall() == [
            (1, "new", "tab\there"),
            (2, "old", None),
        ]
        assert session.execute('select size, "a b" from plate').fetchall() == [(10, "x1"), (20, "x2")]


REFUSED = {
    "update plate set name = 'x'; create table t (id int)": "it may have changed rows",
    "alter table plate drop column name": "only in a backup",
    "alter type course add value 'main'": "can't drop a label",
    "alter table plate alter column id set default 7": "the default that it had before",
    "do $$ begin execute 'create table by_do ()'; end $$; create table t (id int)": "can do anything",
    "alter table plate alter column name type varchar(3)": "the type that it had before",
    "grant select on plate to public": "how it was before is not known",
    "create or replace function f() returns int language sql as 'select 2'": "may have been there before",
    "alter table plate enable row level security": "may have been so before",
}


def test_rows_that_stay_changed_keep_it_from_being_resolved_though_no_catalog_shows_them(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", "create table plate (id int primary key, name text); insert into plate values (1, 'a')")
    half_done(history, "2_broken", "create table t (id int);\nupdate plate set name = 'x'; select 1/0;")
    workspace = workspaces(history.conninfo)
    planned = plan_undo(workspace, Undo("2_broken", history.folder, True))
    assert "line 2 stays: it may have changed rows" in planned.notes
    done = undone(workspace, history.folder, only=True)
    assert (done["left"], done["may_have_changed"]) == ("", [2])
    with pytest.raises(Refused, match="left what line 2 may have done"):
        plan_resolve(workspace, Resolve("2_broken", history.folder, rolled_back=True))
    with psycopg.connect(history.conninfo, autocommit=True) as session:  # resolved by force, deployed, failed at once
        session.execute("update _prisma_migrations set started_at = clock_timestamp() where finished_at is null")
    plan_resolve(workspace, Resolve("2_broken", history.folder, rolled_back=True))


@pytest.mark.parametrize("statements", REFUSED)
def test_what_no_statement_takes_away_is_named(
    statements: str, databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied(
        "1_first",
        "create table plate (id int primary key, name text); create type course as enum ('a');"
        "create function f() returns int language sql as 'select 1'; insert into plate values (1, 'a')",
    )
    half_done(history, "2_broken", f"{statements}; create table last (id int); select 1/0;")
    workspace = workspaces(history.conninfo)
    with pytest.raises(Refused, match=REFUSED[statements]):
        plan_undo(workspace, Undo("2_broken", history.folder))
    done = undone(workspace, history.folder, only=True)
    assert "drop table" in str(done["statements"])
    with psycopg.connect(history.conninfo) as session:
        assert session.execute("select to_regclass('last')").fetchone() == (None,)


def test_what_was_there_before_the_migration_stays_whatever_the_tool_notes(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    by_hand = "create table orders (id int); insert into orders values (1); create type course as enum ('a');"
    history.applied("1_first", f"create table plate (id int primary key); {by_hand}")
    script = "create table orders (id int); create table t (id int);"
    half_done(history, "2_broken", script, fails="already exists")
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        session.execute("update _prisma_migrations set logs = 'unbekannter Fehler' where finished_at is null")
    workspace = workspaces(history.conninfo)
    with pytest.raises(Refused, match="what is there was there before it"):
        plan_undo(workspace, Undo("2_broken", history.folder))
    half_done(history, "3_broken", "create table t (id int); create type course as enum ('a');", fails="already")
    planned = plan_undo(workspace, Undo("3_broken", history.folder))
    assert [one for one in planned.notes if "line 1" in one] != []
    assert planned.plan.steps[0].preview == 'drop table "public"."t";  -- line 1, loses nothing: no rows'


def test_what_was_made_by_hand_since_the_last_migration_stays(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", "create table plate (id int primary key)")
    with psycopg.connect(history.conninfo) as session:
        session.execute("create table orders (id int); insert into orders values (1)")
    script = "create table t (id int); create table orders (id int); create table never (id int);"
    half_done(history, "2_broken", script, fails="already exists")
    workspace = workspaces(history.conninfo)
    planned = plan_undo(workspace, Undo("2_broken", history.folder))
    assert "orders" not in planned.plan.steps[0].preview
    run(planned.plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        assert session.execute("select to_regclass('t'), count(*) from orders").fetchone() == (None, 1)
        session.execute("update _prisma_migrations set logs = 'unbekannter Fehler' where finished_at is null")
    with pytest.raises(Refused, match="what comes before it is not: somebody made it by hand"):
        plan_undo(workspace, Undo("2_broken", history.folder))


def test_a_partition_that_others_attached_and_what_an_extension_has_are_not_lost_in_silence(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", "create table old (id int); insert into old values (100)")
    script = """
        create extension citext; create table logs (id int) partition by range (id);
        create table logs_1 partition of logs for values from (0) to (9); insert into logs values (1); select 1/0;"""
    half_done(history, "2_broken", script)
    workspace = workspaces(history.conninfo)
    plan = plan_undo(workspace, Undo("2_broken", history.folder)).plan
    assert plan.steps[0].preview.splitlines() == [
        'drop table "public"."logs_1";  -- line 3, loses 1 rows',
        'drop table "public"."logs";  -- line 2',
        'drop extension "citext";  -- line 2, loses what is in tables of its own',
    ]
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        session.execute("alter table logs attach partition old default")
    with pytest.raises(Refused, match="partitions that the migration has not made"):
        plan_undo(workspace, Undo("2_broken", history.folder))


def test_an_index_that_was_left_invalid_goes_and_a_lock_of_others_is_waited_for(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied(
        "1_first", "create table plate (id int primary key, s int); insert into plate values (1, 1), (2, 1)"
    )
    script = "alter table plate add column t int; create unique index concurrently plate_s on plate (s);"
    half_done(history, "2_broken", script, fails="could not create unique index")
    workspace = workspaces(history.conninfo)
    plan = plan_undo(workspace, Undo("2_broken", history.folder)).plan
    assert plan.steps[0].preview.splitlines()[0] == 'drop index concurrently "public"."plate_s";  -- line 1'
    with psycopg.connect(history.conninfo) as session:
        session.execute("lock table plate in row exclusive mode")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tabsync.migrations.undo.apply._TRIES", 1)
            with pytest.raises(Refused, match="another session holds a lock"):
                undone(workspace, history.folder)
    assert undone(workspace, history.folder)["left"] == ""


def test_a_deployment_that_runs_is_not_disturbed_and_a_plan_is_about_what_it_saw(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", "create table plate (id int primary key)")
    half_done(history, "2_broken", "create table t (id int); create table u (id int); select 1/0;")
    workspace = workspaces(history.conninfo)
    with psycopg.connect(history.conninfo) as session:
        session.execute("select pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(Refused, match="holds the migration lock"):
            plan_undo(workspace, Undo("2_broken", history.folder))
    plan = plan_undo(workspace, Undo("2_broken", history.folder)).plan
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        session.execute("drop table t; create table t (id int)")
    with pytest.raises(Refused, match="not as it was when this was planned"):
        run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        session.execute("create view of_others as select * from u")
    with pytest.raises(Refused, match=r"something else depends on it: view .*of_others depends on"):
        undone(workspace, history.folder)
    with pytest.raises(BadUsage, match="no history has a migration"):
        plan_undo(workspace, Undo("3_absent", history.folder))
    with pytest.raises(Refused, match="is applied: only what failed is undone"):
        plan_undo(workspace, Undo("1_first", history.folder))


@pytest.mark.parametrize("major", [15, 18])
def test_other_versions(
    major: int, databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(major), directory)
    history.applied(
        "1_first", "create table plate (id int primary key, name text); insert into plate values (1, 'a'), (2, 'b')"
    )
    before = before_and_after(history.conninfo)
    half_done(history, "2_broken", _BROKEN)
    assert undone(workspaces(history.conninfo), history.folder)["left"] == ""
    after = before_and_after(history.conninfo)
    assert {one for one in after if after[one] != before.get(one)} <= {"public._prisma_migrations"}

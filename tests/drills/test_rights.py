"""What a user may not back up or restore is known before anything starts, and the hint is one that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.take import plan_take
from tabsync.backups.take_file import plan_take_file
from tabsync.kernel.errors import Exit, FailedPartway, NotAllowed
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import Gone, asked, backed_up, carried_out, gone
from tests.mixed import mix_messages

__all__ = ["gone"]

User = Callable[..., str]


@pytest.fixture
def user(databases: Databases) -> Iterator[User]:
    """Makes a role that may log in; gives the connection string of it."""
    made: list[tuple[str, str]] = []

    def make(conninfo: str, attributes: str = "", name: str = "rights bk") -> str:
        run_sql(conninfo, "create role {} login password 'x' " + attributes, name)
        made.append((conninfo, name))
        return make_conninfo(conninfo, user=name, password="x")

    yield make
    for conninfo, name in made:
        with psycopg.connect(make_conninfo(conninfo, dbname="postgres"), autocommit=True) as connection:
            query = "select datname from pg_database d where pg_get_userbyid(datdba) = %s"
            for (one,) in connection.execute(query, [name]).fetchall():
                run_sql(conninfo, "reassign owned by {} to current_user", name)
                run_sql(make_conninfo(conninfo, dbname="postgres"), "alter database {} owner to current_user", one)
        for statement in ("reassign owned by {} to current_user", "drop owned by {} cascade", "drop role {}"):
            run_sql(conninfo, statement, name)


def name_in(conninfo: str) -> str:
    return str(conninfo_to_dict(conninfo)["dbname"])


@pytest.mark.parametrize("major", [15, 17, 18])
def test_large_objects_that_may_not_be_read(
    major: int, databases: Databases, user: User, workspaces: Callable[..., Workspace], tmp_path: Path
) -> None:
    conninfo = databases(major)
    fill(conninfo, "create table t as select 1 as a; select lo_from_bytea(4711, '\\xdeadbeef')")
    workspace = workspaces(user(conninfo))
    fill(conninfo, 'grant pg_read_all_data to "rights bk"')
    with pytest.raises(NotAllowed, match="may not read 1 large objects, the first being 4711") as told:
        plan_take(workspace, "full", "manual")
    assert 'grant select on large object 4711 to "rights bk"' in told.value.hint
    with pytest.raises(NotAllowed, match="may not read 1 large objects"):
        plan_take_file(workspace, "full", [], "custom", tmp_path / "one.dump")
    carried_out(workspace, plan_take(workspace, "schema", "manual")).raise_if_failed()
    outcome = carried_out(workspace, plan_take(workspace, "full", "manual", exclude_unreadable=True))
    outcome.raise_if_failed()
    manifest = workspace.store().manifest(outcome.results["commit"]["backup"])
    assert any("large objects" in one for one in manifest.excluded)
    fill(conninfo, 'grant select on large object 4711 to "rights bk"')
    backed_up(workspace)


def test_rows_that_policies_hide_from_their_own_owner(
    databases: Databases, user: User, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases(17)
    theirs = user(conninfo)
    fill(conninfo, 'grant create on schema public to "rights bk"')
    fill(theirs, GUARDED)
    workspace = workspaces(theirs)
    with pytest.raises(NotAllowed, match=r"row-level security hides rows of public\.acc from user rights bk") as told:
        plan_take(workspace, "full", "manual")
    assert 'alter role "rights bk" bypassrls' in told.value.hint
    run_sql(conninfo, "alter role {} bypassrls", "rights bk")
    backed_up(workspace)


GUARDED = """
    create table acc (id int primary key, who text);
    insert into acc values (1, 'bk');
    alter table acc enable row level security, force row level security;
    create policy p on acc using (who = current_user);
"""

MANY = """
    create extension dblink;
    create publication p for all tables;
    create publication q;
    create function ev() returns event_trigger language plpgsql as 'begin end';
    create event trigger evt on ddl_command_end execute function ev();
    create table plain as select generate_series(1, 3) as a;
    create function in_c(text) returns int language internal strict as 'textlen';
    create function whole(int) returns int language sql leakproof as 'select 1';
    create function not_whole(int) returns int language sql as $$ select 1 -- LANGUAGE c LEAKPROOF $$;
    create function sets() returns int language sql set session_replication_role = replica as 'select 1';
    create text search template tpl (lexize = dsimple_lexize);
    create operator family fam using btree;
    create cast (timestamptz as int8) without function;
    create foreign data wrapper wrap;
    create access method mine type index handler bthandler;
"""

ONLY_SUPERUSER = (
    "extension dblink",
    "publication p",
    "event trigger evt",
    "function public.in_c(text)",
    "function public.whole(integer)",
    "function public.sets()",
    "text search template public.tpl",
    "operator family public.fam",
    "cast CAST (timestamp with time zone AS bigint)",
    "foreign data wrapper wrap",
    "access method mine",
)


def test_a_restore_whose_rows_policies_would_hide_is_refused_before(
    databases: Databases, user: User, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases(17)
    fill(conninfo, GUARDED)
    backup = backed_up(workspaces(conninfo))
    workspace = workspaces(user(conninfo, "createdb"))
    with pytest.raises(NotAllowed, match=r"row-level security would hide rows of public\.acc") as told:
        plan_restore_new(workspace, backup, "rights_new", no_owner=True)
    assert "bypassrls" in told.value.hint
    run_sql(conninfo, "alter role {} bypassrls", "rights bk")
    plan_restore_new(workspace, backup, "rights_new", no_owner=True)


@pytest.mark.parametrize(("major", "mixed"), [(15, False), (17, True), (18, False)])
def test_what_only_a_superuser_can_make_is_named_before(
    major: int,
    mixed: bool,
    databases: Databases,
    user: User,
    workspaces: Callable[..., Workspace],
    gone: Gone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """mixed: the message on a comment can't be read, and it is found out all the same what failed."""
    conninfo = databases(major)
    fill(conninfo, MANY)
    backup = backed_up(workspaces(conninfo))
    workspace = workspaces(user(conninfo, "createdb"))
    with pytest.raises(NotAllowed, match="only a superuser can create ") as told:
        plan_restore_new(workspace, backup, "rights_new", no_owner=True)
    assert "--keep-what-came" in told.value.hint
    plan = plan_restore_new(workspace, backup, "rights_new", no_owner=True, keep_what_came=True)
    gone.append((workspaces(conninfo), "rights_new"))
    lines = mix_messages(monkeypatch, 'extension "dblink" does not exist') if mixed else []
    outcome = carried_out(workspace, plan)
    assert bool(lines) is mixed
    assert isinstance(outcome.error, FailedPartway)
    assert outcome.error.exit_code == Exit.FAILED_PARTWAY
    # What the plan foretold is what failed, no more and no less.
    failed = {one["what"] for one in outcome.results["settle"]["missing"]}
    assert failed == {*ONLY_SUPERUSER, "comment EXTENSION dblink"}
    assert asked(workspaces(conninfo), "rights_new", "select count(*) from plain") == [(3,)]


def test_where_a_service_may_allow_more_the_plan_warns(
    databases: Databases, user: User, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases(17)
    fill(conninfo, "create extension dblink; create publication p for all tables")
    backup = backed_up(workspaces(conninfo))
    workspace = workspaces(user(conninfo, "createdb"))
    run_sql(conninfo, "create role {}", "rds_superuser")
    try:
        run_sql(conninfo, "grant rds_superuser to {}", "rights bk")
        plan = plan_restore_new(workspace, backup, "rights_new", no_owner=True)
        restore = next(step for step in plan.steps if step.key == "restore")
        assert "this user may lack the privilege to create extension dblink, publication p" in restore.preview
    finally:
        run_sql(conninfo, "drop role {}", "rds_superuser")

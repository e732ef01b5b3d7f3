"""Rows come back as the application would write them: its search_path, its triggers, the owner's rights, not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.backups.restore.rows.restore import compared, plan_write_rows
from tabsync.backups.restore.rows.undo import plan_undo_rows
from tabsync.kernel.errors import Refused
from tabsync.kernel.runner import run
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import backed_up
from tests.drills.test_restore_rows import ask

_ITEMS = """
create table item (id int primary key, name text, slug text);
create function slugify(v text) returns text language sql immutable as 'select lower(v)';
create function item_slug() returns trigger language plpgsql as 'begin new.slug := slugify(new.name); return new; end';
create trigger slug before insert or update on item for each row execute function item_slug();
insert into item values (1, 'X'), (2, 'Y');
"""

_SPIES = """
create table seen (what text, superuser boolean, who text);
create function spy(what text) returns boolean language plpgsql as $$
begin
  begin execute 'reset role'; exception when others then null; end;
  begin execute 'reset session authorization'; exception when others then null; end;
  begin execute 'alter role {owner} superuser'; exception when others then null; end;
  insert into public.seen select what, rolsuper, current_user from pg_catalog.pg_roles where rolname = current_user;
  return true;
end $$;
create domain watched as int check (spy('domain'));
create table parents (id watched primary key);
create table thing (id int primary key, n watched check (spy('check')), p int references parents deferrable);
create function tell() returns trigger language plpgsql as $$ begin perform spy(tg_name); return new; end $$;
create trigger before_row before insert or update on thing for each row execute function tell();
create trigger after_statement after insert or update or delete on thing execute function tell();
create constraint trigger at_the_end after insert or update on thing deferrable initially deferred
  for each row execute function tell();
insert into parents values (1);
insert into thing values (1, 1, 1), (2, 2, 1);
"""


@pytest.fixture(params=[15, 17, 18], ids=str)
def owned(request: pytest.FixtureRequest, databases: Databases) -> Iterator[tuple[str, str]]:
    """A database that an unprivileged role owns: where it is for a superuser, and for that role."""
    conninfo = databases(request.param)
    database = str(conninfo_to_dict(conninfo)["dbname"])
    owner = f"owner_{database}"
    run_sql(conninfo, "create role {} login password 'x'", owner)
    run_sql(conninfo, "alter database {} owner to {}", database, owner)
    yield conninfo, make_conninfo(conninfo, user=owner, password="x")
    run_sql(conninfo, "drop owned by {} cascade", owner)
    run_sql(conninfo, "alter database {} owner to postgres", database)
    run_sql(conninfo, "drop role {}", owner)


def written(workspace: Workspace, table: str, **options: bool) -> str:
    """Bring back what is missing, and what differs; gives the run."""
    with compared(workspace, table, "true") as found:
        outcome = run(plan_write_rows(workspace, found, **options), workspace, workspace.journal())
    outcome.raise_if_failed()
    return outcome.run_id


def test_triggers_find_what_the_application_finds(owned: tuple[str, str], workspaces: Callable[..., Workspace]) -> None:
    conninfo, owner = owned
    fill(owner, _ITEMS)
    workspace = workspaces(conninfo)
    backed_up(workspace)
    fill(owner, "delete from item where id = 1")
    fill(owner, "update item set name = 'Z' where id = 2")
    written(workspace, "item", replace=True)
    assert ask(workspace, "select string_agg(slug, ',' order by id) from item") == "x,y"


def test_the_search_path_is_the_one_that_the_database_presets(
    owned: tuple[str, str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo, owner = owned
    database = str(conninfo_to_dict(conninfo)["dbname"])
    fill(owner, f"create schema shop; alter database {database} set search_path = shop, pg_catalog")
    fill(owner, _ITEMS)
    workspace = workspaces(conninfo)
    backed_up(workspace)
    fill(owner, "delete from item where id = 1")
    written(workspace, "shop.item")
    assert ask(workspace, "select slug from shop.item where id = 1") == "x"


def test_an_event_trigger_that_forbids_ddl_is_in_nobodys_way(
    owned: tuple[str, str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo, owner = owned
    fill(owner, _ITEMS)
    fill(
        conninfo,
        "create function no_ddl() returns event_trigger language plpgsql as $$begin raise 'no DDL here'; end$$;"
        "create event trigger no_ddl on ddl_command_start execute function no_ddl()",
    )
    workspace = workspaces(conninfo)
    backed_up(workspace)
    fill(owner, "delete from item where id = 1")
    run_id = written(workspace, "item", without_triggers=True)
    assert ask(workspace, "select slug from item where id = 1") == "x"
    run(plan_undo_rows(workspace, run_id), workspace, workspace.journal()).raise_if_failed()
    assert ask(workspace, "select count(*) from item") == 1
    fill(conninfo, "drop event trigger no_ddl")


def test_no_code_of_the_owner_runs_as_a_superuser(owned: tuple[str, str], workspaces: Callable[..., Workspace]) -> None:
    """Triggers, a check, a domain, and what fires at the end: each tries to become superuser."""
    conninfo, owner = owned
    name = str(conninfo_to_dict(owner)["user"])
    fill(owner, _SPIES.replace("{owner}", name))
    workspace = workspaces(conninfo)
    backed_up(workspace)
    fill(owner, "delete from thing where id = 1")
    fill(owner, "update thing set n = 5 where id = 2")
    fill(owner, "truncate seen")
    run_id = written(workspace, "thing", replace=True)
    run(plan_undo_rows(workspace, run_id), workspace, workspace.journal()).raise_if_failed()
    with psycopg.connect(conninfo) as session:
        seen = set(session.execute("select what, superuser, who from seen").fetchall())
        (rank,) = session.execute("select rolsuper from pg_roles where rolname = %s", [name]).fetchone() or (None,)
    assert rank is False
    assert {what for what, _, _ in seen} == {"domain", "check", "before_row", "after_statement", "at_the_end"}
    assert {(superuser, who) for _, superuser, who in seen} == {(False, name)}


def test_a_column_that_came_after_the_backup_is_looked_at_before_rows_are_taken_back(
    owned: tuple[str, str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo, owner = owned
    fill(owner, _ITEMS)
    workspace = workspaces(conninfo)
    backed_up(workspace)
    fill(owner, "alter table item add later text; delete from item")
    run_id = written(workspace, "item")
    fill(owner, "update item set later = 'by hand' where id = 2")
    outcome = run(plan_undo_rows(workspace, run_id), workspace, workspace.journal())
    assert isinstance(outcome.error, Refused)
    assert "1 rows of public.item were changed since" in outcome.error.fact
    fill(owner, "update item set later = null")
    run(plan_undo_rows(workspace, run_id), workspace, workspace.journal()).raise_if_failed()
    assert ask(workspace, "select count(*) from item") == 0

"""A copy acts on nobody, and what acts in it decides no verdict: event triggers, jobs, views of other servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from soak.through import plain_manual, through

from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.verify import plan_verify_deep
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import backed_up, carried_out
from tests.whole import whole

_LOGINS = (
    "create table logins (n bigserial primary key, who name default session_user);"
    " create function on_login() returns event_trigger language plpgsql security definer"
    " set search_path = pg_catalog, public as $$ begin insert into public.logins default values; end $$;"
    " create event trigger counting on login execute function on_login();"
    " alter event trigger counting enable always"
)
_AUDIT = (
    "create table audit (what text); create function seen() returns event_trigger language plpgsql"
    " as $$ begin insert into public.audit values (tg_tag); end $$;"
    " create table part (a int, b int) partition by list (a); create table part_1 partition of part default;"
    " create index on part (b); create materialized view own as select 1 as one; create index on own (one);"
    " create event trigger seeing on ddl_command_end execute function seen();"
    " alter event trigger seeing enable always"
)
_ELSEWHERE = (
    "create extension dblink; create extension postgres_fdw;"
    " create server away foreign data wrapper postgres_fdw options (host '192.0.2.1', connect_timeout '2');"
    " create user mapping for public server away; create foreign table far (a int) server away;"
    " create materialized view direct as select * from far with no data;"
    " create materialized view above as select * from direct with no data; create index on above (a);"
    " create function asking() returns int language sql as $$ select a from dblink('host=192.0.2.1', 'x') d(a int) $$;"
    " create function asking_too() returns int language plpgsql as $$ begin return public.asking(); end $$;"
    " create materialized view hidden as select asking_too() with no data;"
    " create table near (a int); insert into near values (1); create materialized view here as select * from near;"
    " set allow_system_table_mods = on;"  # as if the server had answered then
    " update pg_class set relispopulated = true where relname in ('direct', 'above', 'hidden');"
    " create schema cron; create table cron.job (jobid bigserial primary key, command text, active boolean);"
    " insert into cron.job (command, active) values ('a', true), ('b', false), ('c', true)"
)


@pytest.fixture
def made(databases: Databases, workspaces: Callable[..., Workspace]) -> Callable[[str, int], Workspace]:
    """Makes a database from a script, and gives its workspace."""

    def make(script: str, major: int) -> Workspace:
        conninfo = databases(major)
        fill(conninfo, script)
        workspace = workspaces(conninfo)
        object.__setattr__(workspace, "manual_path", plain_manual(workspace.home / "manual.md"))
        return workspace

    return make


@contextmanager
def restored(workspace: Workspace, name: str) -> Iterator[tuple[list[str], str]]:
    """The notes of a restore into a new database, and where that is."""
    backed_up(workspace)
    try:
        outcome = carried_out(workspace, plan_restore_new(workspace, "latest", name))
        outcome.raise_if_failed()
        yield outcome.results["verify"]["notes"], make_conninfo(workspace.conninfo, dbname=name)
    finally:
        run_sql(workspace.conninfo, "drop database if exists {} with (force)", name)


@pytest.mark.parametrize("major", [17, 18])
def test_a_trigger_on_login_fires_for_none_of_our_sessions(major: int, made: Callable[[str, int], Workspace]) -> None:
    workspace = made(_LOGINS, major)
    told = through(workspace)
    assert {name: one.verdict for name, one in told.items()} == dict.fromkeys(told, "same")
    assert "event trigger counting was disabled in the copy" in told["drill"].notes
    with restored(workspace, "counted_again") as (notes, there):
        assert notes == [
            "event triggers are off in counted_again: counting;"
            " to turn them on: alter database counted_again reset event_triggers"
        ]
        for _ in range(2):
            with psycopg.connect(there) as connection:
                (kept,) = connection.execute("select count(*) from logins").fetchall()
        run_sql(workspace.conninfo, "alter database {} reset event_triggers", "counted_again")
        with psycopg.connect(there) as connection:
            assert connection.execute("select count(*) from logins").fetchall() == [(kept[0] + 1,)]


@pytest.mark.parametrize("major", [15, 17])
@whole
def test_an_event_trigger_decides_no_verdict(major: int, made: Callable[[str, int], Workspace]) -> None:
    """It would write into a table of the copy when what comes behind it is restored, or when amcheck is installed."""
    workspace = made(_AUDIT, major)
    told = through(workspace, ("drill", "new", "in-place"))
    assert {name: one.verdict for name, one in told.items()} == dict.fromkeys(told, "same")
    outcome = carried_out(workspace, plan_verify_deep(workspace, backed_up(workspace)))
    outcome.raise_if_failed()
    assert outcome.results["record"]["content"] == "identical"


@pytest.mark.parametrize("major", [15, 17])
def test_what_reaches_another_server_or_runs_by_itself_is_off_and_named(
    major: int, made: Callable[[str, int], Workspace]
) -> None:
    workspace = made(_ELSEWHERE, major)
    unfilled = {f"materialized view public.{name} has no data" for name in ("direct", "above", "hidden")}
    with restored(workspace, "held_back") as (notes, there):
        assert {note.split(":")[0] for note in notes[:3]} == unfilled
        assert notes[3:] == [
            "2 jobs of pg_cron are off; to turn them on:"
            ' update "cron"."job" set "active" = true where "jobid" in (1, 3)'
        ]
        with psycopg.connect(there) as connection:
            assert connection.execute("select count(*) from cron.job where active").fetchall() == [(0,)]
            assert connection.execute("select * from here").fetchall() == [(1,)]
    told = through(workspace, ("drill",))["drill"]
    assert told.ok
    assert unfilled <= {note.split(":")[0] for note in told.notes}

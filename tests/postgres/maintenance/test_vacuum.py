"""VACUUM and ANALYZE on a real server: what they did, what holds them back, and that nobody's code runs as us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import BadUsage, FailedPartway, NotAllowed, Refused
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.runner import run
from tabsync.maintenance.horizon import in_vain, is_long, told
from tabsync.maintenance.indexes import Indexes, plan_indexes, show_indexes
from tabsync.maintenance.vacuum import Analyze, Vacuum, plan_analyze, plan_vacuum, show_tables
from tabsync.workspace import Workspace
from tests.conftest import Databases, Servers, run_sql

Workspaces = Callable[..., Workspace]


@pytest.fixture
def workspace(databases: Databases, workspaces: Workspaces) -> Workspace:
    conninfo = databases()
    with psycopg.connect(conninfo, autocommit=True) as making:
        making.execute("create table t (a int primary key, b int) with (autovacuum_enabled = false)")
        making.execute("insert into t select n, n from generate_series(1, 2000) n")
        making.execute('create table "odd ""name" (a int)')
    return workspaces(conninfo)


def does(workspace: Workspace, request: Any, plan: Any = plan_vacuum, show: Any = show_tables) -> Any:
    made: Planned[Workspace] = plan(workspace, request)
    outcome = run(made.plan, workspace, workspace.journal()) if made.plan.steps else None
    if outcome:
        outcome.raise_if_failed()
    return show(Done(workspace, request, made, outcome))


def kill(workspace: Workspace, rows: int = 1000) -> None:
    """Leave dead rows, and wait until the statistics know."""
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        session.execute(f"update t set b = b + 1 where a <= {rows}")
        session.execute("select pg_stat_force_next_flush()")
        session.execute("select 1")


def test_dead_rows_are_removed_and_counted(workspace: Workspace) -> None:
    kill(workspace)
    page = does(workspace, Vacuum("t", analyze=True))
    (one,) = page.data["tables"]
    assert (one["table"], one["dead_before"], one["dead_after"]) == ("public.t", 1000, 0)
    assert page.headline.startswith("VACUUMED 1 TABLE")
    with workspace.connect("tests") as connection:
        assert connection.execute("select count(*) from pg_stats where tablename = 't'").fetchone() == (2,)


def test_all_tables_and_those_with_odd_names(workspace: Workspace) -> None:
    page = does(workspace, Analyze(), plan_analyze)
    names = {one["table"] for one in page.data["tables"]}
    assert {"public.t", 'public."odd ""name"', "pg_catalog.pg_class"} <= names
    assert not page.data["failed"]


def test_what_holds_it_back_is_told_and_where_it_is_useless_it_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabsync.maintenance.horizon._SHORT", 0.0)
    with psycopg.connect(workspace.conninfo) as holder:
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select 1 from t")
        does(workspace, Vacuum("t", anyway=True))  # it comes after the holder's snapshot
        kill(workspace)
        with pytest.raises(Refused, match=f"next to nothing: session {holder.info.backend_pid}") as refused:
            plan_vacuum(workspace, Vacuum("t"))
        assert f"tabsync connections terminate {holder.info.backend_pid}" in refused.value.hint
        page = does(workspace, Vacuum("t", anyway=True))
        assert page.data["tables"][0]["dead_after"] == 1000
        notes = plan_vacuum(workspace, Vacuum()).notes
        assert any(f"session {holder.info.backend_pid}" in note for note in notes)
        holder.rollback()
    assert does(workspace, Vacuum("t")).data["tables"][0]["dead_after"] == 0


def test_holders_in_words() -> None:
    slot = {"kind": "replication slot", "name": "s", "transactions": 200_000, "seconds": None, "since": None}
    assert told(slot) == "the replication slot s is 200,000 transactions behind"
    assert is_long(slot)
    assert not is_long(slot | {"transactions": 5})
    assert in_vain([slot], "2026-11-29 08:00:00+00") is None
    held = slot | {"since": "2026-11-29 07:00:00+00"}
    assert in_vain([held], "2026-11-29 08:00:00+00") is held
    assert in_vain([held], "2026-11-29 06:00:00+00") is None
    assert in_vain([held], None) is None


def test_a_locked_table_is_told_and_the_others_are_done(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from tabsync.maintenance import vacuum
    from tabsync.postgres.settings import Limits

    monkeypatch.setattr(vacuum, "WORKING", Limits(lock_timeout=50, statement_timeout=0))
    with psycopg.connect(workspace.conninfo) as holder:
        holder.execute("lock table t")
        page = does(workspace, Vacuum())
        assert [one["table"] for one in page.data["failed"]] == ["public.t"]
        assert "another session holds the lock" in page.data["failed"][0]["why"]
        assert page.exit_code == 1
        with pytest.raises(FailedPartway, match="another session holds the lock"):
            does(workspace, Vacuum("t"))


def test_what_is_not_there_and_what_is_not_ours(workspace: Workspace, workspaces: Workspaces) -> None:
    with pytest.raises(BadUsage, match="there is no table"):
        plan_vacuum(workspace, Vacuum("nothing"))
    for empty in ("", " "):  # a variable of a script that is not set: not all tables
        with pytest.raises(BadUsage, match="name of the table is empty"):
            plan_vacuum(workspace, Vacuum(empty))
        with pytest.raises(BadUsage, match="name of the table is empty"):
            plan_analyze(workspace, Analyze(empty))
        with pytest.raises(BadUsage, match="name of the index is empty"):
            plan_indexes(workspace, Indexes(empty, rebuild=True))
    run_sql(workspace.conninfo, "create role vacuum_guest login password 'secret'")
    try:
        guest = make_conninfo(workspace.conninfo, user="vacuum_guest", password="secret", passfile="")
        with pytest.raises(NotAllowed, match="may not work on"):
            plan_vacuum(workspaces(guest), Vacuum("public.t"))
    finally:
        run_sql(workspace.conninfo, "drop role vacuum_guest")


TRAPS = """
create schema shop;
create function shop.harm() returns void language plpgsql as $b$
begin
  begin
    perform set_config('role', 'none', false);
  exception when others then null;
  end;
  copy (select 'sprung') to program 'cat >> PROOF';
exception when others then null;
end $b$;
create function shop.spring(x int) returns int immutable language plpgsql
  as 'begin perform shop.harm(); return x; end';
create table shop.t (a int, b int generated always as (shop.spring(a)) stored, check (a > shop.spring(0)));
insert into shop.t select n from generate_series(1, 50) n;
create index expressed on shop.t (shop.spring(a));
create index predicated on shop.t (a) where a > shop.spring(1);
create statistics shop.s on (shop.spring(a)), a from shop.t;
create materialized view shop.m as select shop.spring(1) as a;
create index on shop.m (shop.spring(a));
delete from shop.t where a > 25;
"""


@pytest.fixture(params=[15, 17, 18])
def trapped(
    request: pytest.FixtureRequest, databases: Databases, servers: Servers, place: Path
) -> Iterator[tuple[str, Path]]:
    """A database of an owner without rights, whose indexes call a function that does harm to whoever has some."""
    conninfo = databases(request.param)
    proof = place / f"vacuum-proof-{request.param}"
    proof.touch()
    proof.chmod(0o666)
    run_sql(conninfo, "create role mallory_v login password 'secret'")
    name = ""
    try:
        with psycopg.connect(conninfo, autocommit=True) as making:
            (name,) = making.execute("select current_database()").fetchone() or ("",)
            making.execute(f"alter database {name} owner to mallory_v")
            mallory = make_conninfo(conninfo, user="mallory_v", password="secret", passfile="")
            with psycopg.connect(mallory, autocommit=True) as planting:
                planting.execute(TRAPS.replace("PROOF", str(proof)))
            making.execute(
                "update pg_index set indisvalid = false"
                " where indexrelid in ('shop.expressed'::regclass, 'shop.predicated'::regclass)"
            )
        assert proof.read_text() == ""
        yield conninfo, proof
    finally:
        with psycopg.connect(conninfo, autocommit=True) as ending:
            ending.execute("drop owned by mallory_v cascade")
            ending.execute(f"alter database {name} owner to postgres")
            ending.execute("drop role mallory_v")


def test_an_owners_functions_never_run_as_us(trapped: tuple[str, Path], workspaces: Workspaces) -> None:
    conninfo, proof = trapped
    workspace = workspaces(conninfo)
    assert not does(workspace, Vacuum("shop.t", analyze=True)).data["failed"]
    assert not does(workspace, Analyze("shop.m"), plan_analyze).data["failed"]
    assert not does(workspace, Vacuum("shop.m")).data["failed"]
    assert proof.read_text() == ""
    page = does(workspace, Indexes(), plan_indexes, show_indexes)
    assert [one["name"] for one in page.data["indexes"]] == ["expressed", "predicated"]
    page = does(workspace, Indexes(rebuild=True), plan_indexes, show_indexes)
    assert [one["state"] for one in page.data["indexes"]] == ["rebuilt", "rebuilt"]
    assert proof.read_text() == ""
    with psycopg.connect(conninfo, autocommit=True) as careless:  # the trap is a real one
        careless.execute("select shop.spring(1)")
    assert proof.read_text() == "sprung\n"

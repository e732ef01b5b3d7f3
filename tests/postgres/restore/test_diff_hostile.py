"""restore diff of databases whose owners are hostile, or whose tables can't be read: nothing of theirs runs as us."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.backups.procedures.diff import Diff
from tabsync.kernel.errors import Exit
from tabsync.postgres.embedded import Server
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.pooler import pgbouncer
from tests.postgres.restore.compared import Site, compared, database, fill, site
from tests.servers import running_server, standby_of
from tests.traps import plant

_TRAPS = """
create function public.boom() returns boolean language plpgsql as $$ begin raise exception 'owner code ran'; end $$;
create type public.mood as enum ('good', 'bad');
create function public.spoken(public.mood) returns text language plpgsql as
  $$ begin raise exception 'owner code ran'; end $$;
create cast (public.mood as text) with function public.spoken(public.mood) as implicit;
create domain public.code as text check (value = 'x' or public.boom());
create type public.place as (street public.code, n int);
create table public.t (id public.mood primary key, m public.mood, p public.place, c public.code);
insert into public.t values ('good', 'bad', row('x', 1), 'x');
create function public.rowed(public.t) returns text language plpgsql as
  $$ begin raise exception 'owner code ran'; end $$;
create cast (public.t as text) with function public.rowed(public.t) as implicit;
create table public.k (p public.place primary key, v int);
insert into public.k values (row('x', 1), 1), (row('x', 2), 2);
create view public.v as select public.boom();
create table public.watched (id int primary key, v int default length(public.boom()::text));
insert into public.watched values (1, 1);
"""


def test_nothing_that_an_owner_wrote_is_run(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    two = site(databases, workspaces, _TRAPS)
    assert two.diff().page.exit_code is Exit.DONE
    two.do(
        new="update t set m = 'good'; update k set v = 9 where (p).n = 1; delete from k where (p).n = 2",
        old="set session_replication_role = replica; insert into k values (row('x', 3), 3)",
    )
    result = two.diff()
    assert result.counts("public.t") == (0, 0, 1, 0)
    assert result.counts("public.k") == (0, 2, 1, 0)
    assert "owner code ran" not in result.text + str(result.details)
    two.do(new="insert into k values (row('x', 4), 3)")
    notes = str(two.diff().table("public.k")["notes"])
    assert "keys were only compared as text: reading a value of their type could run the owner's code" in notes


def test_postgresqls_names_in_other_schemas_are_not_called(
    databases: Databases, workspaces: Callable[..., Workspace], directory: Path
) -> None:
    directory.chmod(0o777)
    two = site(
        databases, workspaces, "create table public.t (id int primary key, v numeric); insert into t values (1, 1)"
    )
    for conninfo in (two.new, two.old):
        assert plant(conninfo, directory / "proof") > 100
        fill(conninfo, f"alter database {database(conninfo)} set search_path = hostile, public, pg_catalog")
    two.do(new="update public.t set v = 1.0")
    result = two.diff(tables=("t",))
    assert result.counts("public.t") == (0, 0, 1, 0)
    assert two.diff(no_rows=True).details["objects"] == []
    assert not (directory / "proof").exists()


def test_what_may_not_be_read_is_unknown(
    server: Server, databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    two = site(
        databases,
        workspaces,
        "create table hidden (id int primary key); create table guarded (id int primary key); create table t (id int"
        " primary key); alter table guarded enable row level security; create policy p on guarded using (id > 1);",
    )
    role = f"reader_{database(two.new)}"
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("create role {} login password 'r'").format(sql.Identifier(role)))
    for conninfo in (two.new, two.old):
        fill(conninfo, f"grant select on t, guarded to {role}; create schema s; create table s.t (id int);")
    where = workspaces(make_conninfo(two.old, user=role, password="r"))
    result = Site(where, two.new, two.old).diff()
    assert result.page.headline == "3 TABLES UNKNOWN"
    assert result.page.exit_code is Exit.PROBLEM_FOUND
    reasons = {one["table"]: one.get("reason", "") for one in result.details["tables"]}
    assert "needs pg_read_all_data" in reasons["public.hidden"]
    assert "policies would hide rows" in reasons["public.guarded"]
    assert "needs pg_read_all_data" in reasons["s.t"]
    assert reasons["public.t"] == ""
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        for conninfo in (two.new, two.old):
            connection.execute(sql.SQL("drop database {}").format(sql.Identifier(database(conninfo))))
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_a_table_that_is_emptied_meanwhile_is_unknown(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    """TRUNCATE is seen by older snapshots: the table would look as if all its rows were gone."""
    two = site(
        databases,
        workspaces,
        "create table a (id int primary key); create table z (id int primary key); insert into z values (1)",
    )
    planned = Diff(database(two.new), database(two.old))
    with psycopg.connect(two.old) as blocking:
        blocking.execute("lock table a in access exclusive mode")
        found = []
        thread = threading.Thread(target=lambda: found.append(compared(two.workspace, planned)))
        thread.start()
        with psycopg.connect(two.old, autocommit=True) as other:
            waiting = "select count(*) from pg_locks where not granted and relation = 'a'::regclass"
            while other.execute(waiting).fetchone() != (1,):
                thread.join(0.02)
            other.execute("truncate z")
        blocking.rollback()
        thread.join()
    table = found[0].table("public.z")
    assert table["state"] == "unknown"
    assert "was truncated or rewritten in OLD meanwhile" in table["reason"]


def test_a_view_that_takes_a_tables_name_meanwhile_is_not_read(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    """Its functions would run as us."""
    made = (
        "create table a (id int primary key); create table z (id int primary key); create sequence s;"
        "create function boom() returns int language plpgsql as $$ begin raise exception 'owner code ran'; end $$"
    )
    two = site(databases, workspaces, made)
    two.do(old="create table y (id int)")
    planned = Diff(database(two.new), database(two.old))
    with psycopg.connect(two.old) as blocking:
        blocking.execute("lock table a in access exclusive mode")
        found = []
        thread = threading.Thread(target=lambda: found.append(compared(two.workspace, planned)))
        thread.start()
        with psycopg.connect(two.old, autocommit=True) as other:
            waiting = "select count(*) from pg_locks where not granted and relation = 'a'::regclass"
            while other.execute(waiting).fetchone() != (1,):
                thread.join(0.02)
            for name in ("y", "z"):
                other.execute(f"drop table {name}; create view {name} as select boom() as id".encode())
            other.execute("drop sequence s; create view s as select boom() as last_value, true as is_called")
        blocking.rollback()
        thread.join()
    assert "owner code ran" not in str(found[0].details)
    assert found[0].table("public.z")["state"] == "unknown"
    assert "its rows were not counted" in found[0].table("public.y")["notes"][0]
    assert [one["state"] for one in found[0].facts["sequences"]] == ["unknown"]


def test_foreign_tables_and_large_objects_are_named(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    two = site(databases, workspaces, "create table t (id int primary key); select lo_create(0)")
    result = two.diff()
    assert result.page.headline == (
        f"LARGE OBJECTS UNKNOWN, they are not compared: 1 in {database(two.new)}, 1 in {database(two.old)}"
    )
    assert result.page.exit_code is Exit.PROBLEM_FOUND


def test_a_standby(workspaces: Callable[..., Workspace]) -> None:
    with running_server("diff", wal_level="replica", max_wal_senders="4") as primary:
        fill(primary.conninfo(), "create table t (id int primary key); insert into t select generate_series(1, 9)")
        with psycopg.connect(primary.conninfo(), autocommit=True) as connection:
            connection.execute("create database copy template postgres")
        where = workspaces(primary.conninfo())
        with standby_of(primary, "standby") as standby:
            fill(primary.conninfo(), "delete from t where id = 4")
            request = Diff("postgres", "copy", old_server=standby.conninfo())
            assert compared(where, request).counts("public.t") == (0, 1, 0, 8)


def test_through_a_pooler_in_transaction_mode(
    databases: Databases, workspaces: Callable[..., Workspace], directory: Path
) -> None:
    made = "create table t (id int primary key, at timestamptz); insert into t values (1, now())"
    two = site(databases, workspaces, made)
    (directory / "pooler").mkdir()
    with pgbouncer(directory / "pooler", two.old, "transaction") as through:
        result = Site(workspaces(through), make_conninfo(through, dbname=database(two.new)), through).diff()
        assert result.facts["tables"][0]["different"] == 1
        two.do(new="alter database " + database(two.new) + " set timezone = 'Asia/Tokyo'; delete from t")
        result = Site(workspaces(through), make_conninfo(through, dbname=database(two.new)), through).diff()
        assert result.counts("public.t") == (0, 1, 0, 0)

"""restore diff: rows and objects of two databases, as a person asks for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.backups.procedures.diff import Diff
from tabsync.kernel.errors import BadUsage, Exit, Refused
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.postgres.restore.compared import Site, compared, database, site

_SHOP = """
create table users (id int primary key, email text not null, password_hash text, seen timestamptz);
create table orders (
  id bigint generated always as identity primary key, user_id int references users, total numeric(9,2));
create table log (at timestamptz, line text);
create view totals as select user_id, sum(total) as total from orders group by 1;
insert into users select n, 'user' || n || '@example.com', 'hash' || n from generate_series(1, 50) n;
insert into orders (user_id, total) select 1 + n % 50, n from generate_series(1, 200) n;
insert into log select timestamptz '2026-01-01', 'line ' || n % 7 from generate_series(1, 30) n;
"""


@pytest.fixture
def shop(databases: Databases, workspaces: Callable[..., Workspace]) -> Site:
    return site(databases, workspaces, _SHOP)


def test_two_copies_are_the_same(shop: Site) -> None:
    result = shop.diff()
    assert result.page.headline == "SAME: 3 tables, 280 rows, all objects"
    assert result.page.exit_code is Exit.DONE
    assert result.counts("public.log") == (0, 0, 0, 30)


def test_what_was_written_since_is_counted_and_shown(shop: Site) -> None:
    shop.do(
        old="insert into users values (51, 'late@example.com', 'x'); delete from users where id = 40 and false;"
        "update users set email = 'other@example.com', password_hash = 'changed' where id = 7;"
        "insert into orders (user_id, total) values (51, 5), (51, 6)",
        new="insert into log values (null, 'line 1'), ('2026-01-01', 'line 1'), ('2026-01-01', 'line 1')",
    )
    result = shop.diff()
    assert result.counts("public.users") == (0, 1, 1, 49)
    assert result.counts("public.orders") == (0, 2, 0, 200)
    assert result.counts("public.log") == (3, 0, 0, 30)
    old, new = database(shop.old), database(shop.new)
    headline = f"3 TABLES DIFFER: 3 rows only in {new}, 3 rows only in {old}, 1 row different; 1 SEQUENCE DIFFERS"
    assert result.page.headline == headline
    assert result.page.exit_code is Exit.PROBLEM_FOUND
    kinds = {one["kind"]: one for one in result.table("public.users")["samples"]}
    assert kinds["old"]["values"]["email"] == "late@example.com"
    assert kinds["old"]["values"]["password_hash"] == "(secret)"
    assert kinds["different"]["columns"] == ["email", "password_hash"]
    assert kinds["different"]["was"] == {"email": "other@example.com", "password_hash": "(secret)"}
    assert "changed" not in json.dumps(result.details)
    assert f"email: other@example.com in {old}, user7@example.com in {new}" in result.text
    assert result.facts["sequences"] == [
        {
            "sequence": "public.orders_id_seq",
            "state": "different",
            "new": {"value": 200, "used": True},
            "old": {"value": 202, "used": True},
        }
    ]


def test_no_value_is_put_on_record(shop: Site) -> None:
    shop.do(
        old="insert into users values (51, 'late@example.com', 'x'); create view secret_view as select 'v4lue' as v"
    )
    result = shop.diff()
    assert "late@example.com" in json.dumps(result.details)
    assert "v4lue" in json.dumps(result.details)
    assert "late@" not in json.dumps(result.facts)
    assert "v4lue" not in json.dumps(result.facts)
    assert not list(Path(shop.workspace.scratch()).glob("diff-*"))


def test_objects_differ(shop: Site) -> None:
    shop.do(
        new="alter table users add phone text; alter table users alter email drop not null;"
        "create index on orders (total); drop view totals; create view totals as select user_id from orders;"
        "create type mood as enum ('good'); create function f(int) returns int language sql as 'select 1';"
        "grant select on log to public; create table fresh (id int primary key, a text); insert into fresh values (1);"
        "alter table orders drop constraint orders_user_id_fkey; comment on table log is 'lines'",
        old="create function f(int) returns int language sql as $$ select\n 2 $$; create table gone (id int)",
    )
    result = shop.diff()
    assert result.objects == {
        ("column", "public.totals.total"): "old",
        ("column", "public.users.email"): "different",
        ("column", "public.users.phone"): "new",
        ("comment", "table public.log"): "new",
        ("constraint", "public.orders.orders_user_id_fkey"): "old",
        ("enum", "public.mood"): "new",
        ("function", "public.f(integer)"): "different",
        ("index", "public.orders_total_idx"): "new",
        ("privileges", "table public.log"): "different",
        ("privileges", "type public.mood"): "new",
        ("table", "public.fresh"): "new",
        ("table", "public.gone"): "old",
        ("view", "public.totals"): "different",
    }
    assert result.table("public.fresh")["only_new"] == 1
    assert result.counts("public.users") == (0, 0, 0, 50)
    assert result.table("public.users")["notes"] == ["column phone is only in NEW: not compared"]
    assert "column public.users.email: different" in result.text


def test_only_some_tables(shop: Site) -> None:
    shop.do(old='delete from orders; create table more (); create table "order" (id int)')
    result = shop.diff(tables=("users", "public.log"))
    assert [one["table"] for one in result.details["tables"]] == ["public.log", "public.users"]
    assert result.page.exit_code is Exit.DONE
    result = shop.diff(without=("orders", "more", "order"))
    assert result.objects == {("table", "public.more"): "old", ("table", 'public."order"'): "old"}
    assert [one["table"] for one in result.details["tables"]] == ["public.log", "public.users"]
    result = shop.diff(no_rows=True)
    assert result.details["tables"] == []
    with pytest.raises(BadUsage, match=r"neither database has a table public\.none"):
        shop.diff(tables=("none",))


def test_a_column_that_only_one_has_is_a_difference(shop: Site) -> None:
    """Its values are compared with nothing."""
    shop.do(old="alter table users add phone text default '5', add fax text")
    result = shop.diff(tables=("users",))
    assert result.page.headline == f"1 TABLE DIFFERS: 2 columns only in {database(shop.old)}"
    assert result.page.exit_code is Exit.PROBLEM_FOUND
    assert result.counts("public.users") == (0, 0, 0, 50)
    shop.do(new="alter table users add phone text, add fax text")
    assert shop.diff(tables=("users",)).counts("public.users") == (0, 0, 50, 0)


def test_a_table_is_compared_with_those_that_inherit_from_it(shop: Site) -> None:
    shop.do(*["create table old_log () inherits (log); create table oldest () inherits (old_log)"] * 2)
    shop.do(new="insert into oldest values (null, 'x')")
    result = shop.diff(tables=("log",))
    assert [one["table"] for one in result.details["tables"]] == ["public.log", "public.old_log", "public.oldest"]
    assert result.counts("public.oldest") == (1, 0, 0, 0)
    assert [one["table"] for one in shop.diff(tables=("log",), without=("oldest",)).details["tables"]] == [
        "public.log",
        "public.old_log",
    ]


def test_what_cannot_be_named(shop: Site) -> None:
    with pytest.raises(BadUsage, match="there is no database nowhere"):
        compared(shop.workspace, Diff("nowhere", database(shop.old)))
    with pytest.raises(BadUsage, match="the same database"):
        compared(shop.workspace, Diff(database(shop.old), database(shop.old)))


def test_another_server(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    """From 15 to 18: the same rows, whatever the versions hash and spell otherwise."""
    new, old = databases(18), databases(15)
    for conninfo in (new, old):
        with psycopg.connect(conninfo) as connection:
            connection.execute(_SHOP.encode())
    there = workspaces(old)
    result = compared(there, Diff(database(new), database(old), new_server=new))
    assert result.page.headline == "1 OBJECT DIFFERS"  # 15 qualifies every column of a view
    assert result.objects == {("view", "public.totals"): "different"}
    assert "PostgreSQL 18 and 15 write some definitions in other words" in result.text
    with psycopg.connect(new) as connection:
        connection.execute("delete from orders where id > 190")
    result = compared(there, Diff(database(new), database(old), new_server=new))
    assert result.counts("public.orders") == (0, 10, 0, 190)


def test_too_little_time_is_unknown_and_not_the_same(shop: Site) -> None:
    shop.do(new="create table big as select n, repeat('x', 100) as t from generate_series(1, 200000) n")
    shop.do(old="create table big as select n, repeat('x', 100) as t from generate_series(1, 200000) n")
    result = shop.diff(tables=("big",), timeout=1e-9)
    assert result.table("public.big")["state"] == "unknown"
    assert "allow more, --timeout SECONDS" in result.table("public.big")["reason"]
    assert result.page.exit_code is Exit.PROBLEM_FOUND
    assert result.page.headline == "1 TABLE UNKNOWN"
    with pytest.raises(Refused, match="the time was over"):
        shop.diff(timeout=1e-9)

"""What of a migration is there, in a real catalog: before it, in its middle, and after it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tabsync.migrations.changes.judging import Found
from tabsync.migrations.there import search_path, what_is_there
from tabsync.workspace import Workspace

_BEFORE = """
create table plates (id int primary key, name text, size int not null default 1);
create table "Old Menu" (id int);
create type course as enum ('starter', 'main');
create view big as select * from plates where size > 3;
create sequence numbers;
"""
EACH = (
    "create table t (id int)",
    "create table if not exists other.t (id int)",
    'create unlogged table "Odd;Name" (id int)',
    "create index plates_name on plates (name)",
    "create unique index concurrently if not exists plates_size on public.plates (size, (lower(name)))",
    "create view small as select 1",
    "create materialized view m as select 1",
    "create sequence s",
    "create type state as enum ('a', 'b''c')",
    "create domain positive as int check (value > 0)",
    "create schema extra",
    "create extension citext",
    "create trigger tr before insert or update of name on plates for each row execute function f()",
    "create policy p on plates for select using (true)",
    "alter type course add value 'dessert'",
    "alter type course rename value 'main' to 'second course'",
    "alter type course rename to courses",
    "alter table plates add column price numeric(10, 2), add column if not exists tax int default 3",
    "alter table plates add price2 int",
    "alter table only plates drop column name cascade",
    'alter table "Old Menu" rename to menu',
    "alter table plates rename column name to title",
    "alter table plates rename size to width",
    "alter table plates add constraint positive_size check (size > 0) not valid",
    "alter table plates alter column name set not null",
    "alter table plates alter size drop not null, alter column size drop default",
    "alter table plates enable row level security",
    "create index on plates (name)",
    "comment on table plates is 'drop table plates'",
    "drop view big",
    "drop sequence if exists numbers",
    'drop table "Old Menu"',
)
UNTOLD = (
    "insert into plates values (1, 'a;b', 2)",
    "update plates set name = 'x'",
    "create or replace view big as select 1",
    "do $$ begin perform 1; end $$",
)


@pytest.fixture
def workspace(databases: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    conninfo = databases()
    run(conninfo, _BEFORE)
    run(
        conninfo, "create schema other; create function f() returns trigger language plpgsql as 'begin return new; end'"
    )
    return workspaces(conninfo)


def run(conninfo: str, *statements: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as session:
        for one in statements:
            session.execute(one.encode())


def found(workspace: Workspace, script: str) -> list[Found]:
    path = search_path(workspace)
    with workspace.connect("tests") as connection:
        return [one.found for one in what_is_there(connection, script, path)]


@pytest.mark.parametrize("statement", EACH)
def test_each_kind_of_statement_before_and_after(workspace: Workspace, statement: str) -> None:
    assert found(workspace, statement) == [Found.ABSENT]
    run(workspace.conninfo, statement)
    assert found(workspace, f"-- a comment; with a semicolon\n{statement};\n/* nothing /* more */ ; */") == [
        Found.THERE
    ]


@pytest.mark.parametrize("statement", UNTOLD)
def test_what_the_catalog_does_not_tell_is_not_told(workspace: Workspace, statement: str) -> None:
    assert found(workspace, statement) == [Found.UNKNOWN]


def test_in_the_middle(workspace: Workspace) -> None:
    script = """
        alter table plates add column price int;
        update plates set price = 1;
        create table orders (id int);
        insert into orders values (1);
        alter table plates add column tax int, add column tip int;
        create function total() returns int language sql begin atomic select case when true then 1 end; select 2; end;
        drop view big;
    """
    assert found(workspace, script)[0] is Found.ABSENT
    assert set(found(workspace, script)) == {Found.ABSENT}  # data, too: nothing before it was done
    run(workspace.conninfo, "alter table plates add column price int", "alter table plates add column tip int")
    assert found(workspace, script) == [
        *(Found.THERE, Found.UNKNOWN, Found.ABSENT, Found.UNKNOWN, Found.PARTLY, Found.ABSENT, Found.ABSENT)
    ]


def test_what_a_later_statement_takes_back_is_not_told_by_its_absence(workspace: Workspace) -> None:
    script = "create type course_new as enum ('a'); drop type course; alter type course_new rename to course"
    assert set(found(workspace, script)) == {Found.ABSENT}  # by its labels
    run(workspace.conninfo, *script.split(";"))
    assert Found.ABSENT not in found(workspace, script)
    assert Found.ABSENT not in found(workspace, "create table tmp (id int); drop table tmp")


def test_an_index_that_was_left_invalid_is_partly_there(workspace: Workspace) -> None:
    statement = "create unique index concurrently plates_size on plates (size)"
    run(workspace.conninfo, "insert into plates values (1, 'a', 2), (2, 'b', 2)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(workspace.conninfo, statement)
    assert found(workspace, statement) == [Found.PARTLY]


def test_names_are_looked_for_where_the_application_looks(workspace: Workspace) -> None:
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        session.execute(f"alter database {session.info.dbname} set search_path = other".encode())
    run(workspace.conninfo, "create table here (id int)")
    assert found(workspace, "create table here (id int)") == [Found.THERE]
    assert found(workspace, "create table public.here (id int)") == [Found.ABSENT]

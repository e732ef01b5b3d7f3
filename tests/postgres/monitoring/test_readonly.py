"""Statements that only read, against a superuser's session and planted traps: nothing gets around the check."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tabsync.kernel.errors import Refused
from tabsync.postgres import readonly_proof
from tabsync.postgres.pipe import Pipe
from tabsync.postgres.readonly import run_readonly

Connection = psycopg.Connection[tuple[Any, ...]]

TRAPS = """
create schema traps;
set search_path = traps, public;
create table victim (a int);
insert into victim values (1);
-- Every trap ends in spring(), which takes a lock of the session: a READ ONLY transaction lets it, and a rollback
-- doesn't give it back.
create function spring() returns int volatile language sql as 'select 1 from pg_advisory_lock(4711)';
create function stable_liar() returns int stable language plpgsql as 'begin return traps.spring(); end';
create function immutable_liar(x int) returns int immutable language plpgsql as 'begin return traps.spring(); end';
create function now(text) returns int volatile language sql as 'select traps.spring()';
create function lower(victim) returns int volatile language sql as 'select traps.spring()';
create function column_like(victim) returns int volatile language sql as 'select traps.spring()';
create function "Mixed Case"() returns int volatile language sql as 'select traps.spring()';
create function plus(int, int) returns int immutable language plpgsql as 'begin return traps.spring(); end';
create operator <#> (leftarg = int, rightarg = int, function = plus);
create view view_of_spring as select spring() as a;
create view view_of_view as select a from view_of_spring;
create view view_of_kill as select pg_terminate_backend(0) as a;
create view view_of_xml as select schema_to_xml('traps', true, true, '') as a;
create view view_of_operator as select 1 <#> 2 as a;
create view harmless as select count(*) as value, now() as at from victim;
create function check_it(int) returns bool immutable language plpgsql
  as 'begin perform traps.spring(); return true; end';
create domain trap_domain as int check (traps.check_it(value));
create type trap_row as (a trap_domain);
create view view_of_domain as select a::trap_domain as a from victim;
create type colour as enum ('red');
create function to_colour(int) returns colour immutable language plpgsql
  as 'begin perform traps.spring(); return ''red''; end';
create aggregate trap_sum(int) (sfunc = plus, stype = int, initcond = '0');
create table parent (a int) partition by range (a);
create table predicated (a int);
create index on predicated (a) where a > traps.immutable_liar(1);
create table expressed (a int);
create index on expressed ((a + traps.immutable_liar(1)));
create view over_predicated as select a from predicated;
create table counted (a int);
create statistics many on (a + traps.immutable_liar(1)), a from counted;
create table keyed (a int) partition by range ((a + traps.immutable_liar(1)));
create table part_of_keyed partition of keyed for values from (1) to (2);
create table checked (a int check (a > traps.immutable_liar(0)));
create table checked_child () inherits (checked);
create extension file_fdw;
create server files foreign data wrapper file_fdw;
create foreign table programs (line text) server files options (program 'false');
create foreign table leaf partition of parent for values from (0) to (9) server files options (program 'false');
"""
"""What somebody who owns a schema could lay in the way of who reads it."""

REFUSED = [
    "select spring()",
    "select traps.spring()",
    'select "spring"()',
    "select TRAPS.Spring ()",
    'select "Mixed Case"()',
    "select stable_liar()",
    "select immutable_liar(a) from victim",
    "select now('x')",
    "select v.column_like from victim v",
    "select (v).column_like from victim v",
    "select (v)./**/column_like from victim v",
    "select v.lower from victim v",
    "select 1 <#> 2",
    "select 1 operator(traps.<#>) 2",
    "select trap_sum(a) from victim",
    "select trap_sum(a) over () from victim",
    "select * from view_of_spring",
    "table view_of_spring",
    "select * from traps.view_of_view",
    'select * from "view_of_view"',
    "select count(*) from view_of_kill",
    "select * from view_of_operator",
    "select * from view_of_xml",
    "select * from view_of_domain",
    "select 1::trap_domain",
    "select 1::traps.trap_domain",
    "select cast(1 as traps.trap_domain)",
    "select trap_domain '1'",
    "select '{1}'::trap_domain[]",
    "select '(1)'::trap_row",
    "select * from predicated where a < 5",
    "select count(*) from expressed",
    "select * from over_predicated where a < 5",
    "select a from counted group by a",
    "select * from keyed where a = 1",
    "select * from part_of_keyed where a = 1",
    "select * from programs",
    "select * from parent",
    "select * from victim, lateral spring() s",
    "select a from victim order by spring()",
    "explain select immutable_liar(1)",
    "select nowhere_to_be_found(1)",
    "select * from rows from (spring()) as r",
    "select pg_stat_file('/')",
    "select currval('sprung')",
    "select pg_log_backend_memory_contexts(1)",
    "select random_normal()",
    "select * from crosstab('select 1')",
]

READING = [
    "select count(*) as value, max(a) as of from victim",
    "select a from checked where a = 3",
    "select value from harmless",
    "select coalesce(nullif(a, 1), 2), greatest(a, 3), extract(epoch from clock_timestamp()) from victim",
    "with x(a, b) as (select 1, 2) select a, b from x",
    "select t.a from (values (1), (2)) t(a)",
    "select u.role, cast(1.5 as numeric(10, 2)), 'CUSTOMER'::\"UserRole\" from public.users u",
    "select sum(a) filter (where a in (1, 2)) over (partition by a) from victim",
    "select pg_database_size(current_database())",
    "select label from (select 'a' as label) x where exists (select from victim)",
    "select * from pg_stat_activity",
    "select pg_stat_get_numscans(0), pg_current_wal_lsn(), random()",
    "select * from public.session_bills",
    "explain select a from victim",
    "show max_connections",
    "select row_to_json(v), array_agg(v.a) from victim v group by v.*",
    "select date_trunc('hour', created_at at time zone 'UTC') from public.orders",
]


@pytest.fixture(scope="module")
def trapped(monitoring_server: Any) -> Iterator[Connection]:
    with psycopg.connect(monitoring_server.conninfo(), autocommit=True) as conn:
        conn.execute("create database trapped template template0")
    from tabsync.profiles.tabsync.migrate import apply_schema

    with psycopg.connect(monitoring_server.conninfo("trapped"), autocommit=True) as conn:
        apply_schema(conn)
        conn.execute(TRAPS.encode())
        conn.execute("alter database trapped set search_path = traps, public")
    with psycopg.connect(monitoring_server.conninfo("trapped"), autocommit=True) as conn:
        yield conn


REFUSALS = (Refused, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedObject)
"""What names no relation of the database's own runs where only PostgreSQL's own names are known."""


def could_act(conn: Connection, sql: str) -> list[str]:
    schemas = ["pg_catalog", "traps", "public"]
    catalog = readonly_proof.look_up(Pipe(conn, time.monotonic() + 30), [sql], schemas)
    return readonly_proof.could_act(sql, catalog, schemas)


def is_sprung(conn: Connection) -> bool:
    held = "select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
    sprung = conn.execute(held).rowcount > 0
    conn.execute("select pg_advisory_unlock_all()")
    return sprung


SPRINGING = [
    "select spring()",
    "select immutable_liar(1)",
    "select v.column_like from victim v",
    "select (v).lower from victim v",
    "select 1 <#> 2",
    "select trap_sum(a) from victim",
    "select * from view_of_view",
    "select * from view_of_domain",
    "select 1::trap_domain",
    "select '(1)'::trap_row",
    "select * from predicated where a < 5",
    "select count(*) from expressed",
    "select a from counted group by a",
    "select * from keyed where a = 1",
    "select * from programs",
    "select * from parent",
]


@pytest.mark.parametrize("sql", SPRINGING)
def test_the_traps_work(trapped: Connection, sql: str) -> None:
    """Without the check they go off in a READ ONLY transaction. (A program's failure shows that it was run.)"""
    with trapped.transaction(force_rollback=True):
        trapped.execute("set transaction read only")
        try:
            trapped.execute(sql.encode())
        except psycopg.errors.ExternalRoutineException:
            return
    assert is_sprung(trapped)


def test_a_read_only_transaction_alone_lets_a_backend_be_terminated(trapped: Connection) -> None:
    with psycopg.connect(trapped.info.dsn, autocommit=True, password=trapped.info.password) as other:
        with trapped.transaction():
            trapped.execute("set transaction read only")
            trapped.execute("select pg_terminate_backend(%s)", [other.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            other.execute("select 1")


@pytest.mark.parametrize("sql", REFUSED)
def test_traps_are_refused(trapped: Connection, sql: str) -> None:
    with pytest.raises(REFUSALS):
        run_readonly(trapped, sql)
    assert not is_sprung(trapped)


@pytest.mark.parametrize("sql", READING)
def test_what_reads_is_run(trapped: Connection, sql: str) -> None:
    run_readonly(trapped, sql)


def test_a_cast_that_calls_a_function_is_refused_once_it_is_implicit(trapped: Connection) -> None:
    with trapped.transaction(force_rollback=True):
        trapped.execute("create cast (int as colour) with function to_colour(int)")
        assert could_act(trapped, "select a from victim") == []
        assert could_act(trapped, "select a::colour from victim") != []
        trapped.execute(
            "drop cast (int as colour); create cast (int as colour) with function to_colour(int) as implicit"
        )
        assert could_act(trapped, "select a from victim") != []


def test_an_extension_s_function_is_refused_unless_it_is_known_to_look_only(trapped: Connection) -> None:
    with trapped.transaction(force_rollback=True):
        trapped.execute("create extension pg_stat_statements; create extension tablefunc")
        assert could_act(trapped, "select queryid from pg_stat_statements(false)") == []
        assert could_act(trapped, "select calls from pg_stat_statements") == []
        assert could_act(trapped, "select pg_stat_statements_reset()") != []
        assert could_act(trapped, "select * from crosstab('select 1') as t(a int)") != []


def test_rows_hidden_by_a_policy_are_an_error_and_not_a_smaller_number(trapped: Connection) -> None:
    trapped.execute(
        "create role reader; grant usage on schema traps to reader; create table secrets (a int);"
        "grant select on secrets to reader; alter table secrets enable row level security"
    )
    trapped.execute("set role reader")
    try:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            run_readonly(trapped, "select count(*) from secrets")
    finally:
        trapped.execute("reset role")


def test_columns_rows_and_the_cut(connection: Connection) -> None:
    found = run_readonly(connection, "select g as a, g * 2 as b from generate_series(1, 10) g", max_rows=3)
    assert (found.columns, found.rows, found.cut) == (("a", "b"), ((1, 2), (2, 4), (3, 6)), True)
    found = run_readonly(connection, "select 1 as a where false; ")
    assert (found.columns, found.rows, found.cut) == (("a",), (), False)
    assert run_readonly(connection, "show lock_timeout").rows == (("50ms",),)
    assert run_readonly(connection, "explain select 1").columns == ("QUERY PLAN",)


def test_percent_signs_are_left_alone(connection: Connection) -> None:
    assert run_readonly(connection, "select 'a' like '%a%', 5 % 3").rows == ((True, 2),)


def test_the_bounds_hold_and_are_gone_afterwards(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        run_readonly(connection, "select count(*) from generate_series(1, 1e9::bigint)", statement_timeout="100ms")
    row = connection.execute("select current_setting('statement_timeout'), current_setting('row_security')").fetchone()
    assert row == ("0", "on")


def test_a_lock_is_not_waited_for(connection: Connection, monitoring_conninfo: str) -> None:
    with psycopg.connect(monitoring_conninfo) as other:
        other.execute("lock table users in access exclusive mode")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run_readonly(connection, "select count(*) from users")


def test_it_opens_its_own_transaction_only(connection: Connection) -> None:
    with connection.transaction(), pytest.raises(ValueError, match="inside another"):
        run_readonly(connection, "select 1")

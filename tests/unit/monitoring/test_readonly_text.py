"""What can be told of a statement from its text: only one that reads gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.postgres.readonly_text import check_readonly, check_sql
from tabsync.postgres.scan import names_in, scan

READING = [
    "select 1",
    "SELECT count(*) FROM users;",
    "with x as materialized (select 1 as a) select a from x",
    "values (1), (2)",
    "table users",
    "(select 1) union all (select 2)",
    "show max_connections",
    "show all;",
    "SHOW time zone",
    "explain select 1",
    "explain (analyze, buffers off) select 1",
    "EXPLAIN ANALYZE VERBOSE select 1",
    "-- a remark\nselect 1 /* another */",
    "select 'pg_terminate_backend; delete', \"update\" from t",
    "select * from orders where notes = 'it''s; drop table x' order by 1 limit 3",
    "select count(*) filter (where state = 'idle') as value, max(x) as of from pg_stat_activity",
]

WRITING = [
    "",
    "  -- nothing but a remark",
    "insert into t values (1)",
    "update t set a = 1",
    "delete from t",
    "merge into t using s on t.a = s.a when matched then delete",
    "truncate t",
    "create table t ()",
    "drop table t",
    "alter system set x = 1",
    "vacuum",
    "analyze t",
    "call f()",
    "do 'begin end'",
    "copy t to program 'x'",
    "set x = 1",
    "begin",
    "commit; select 1",
    "lock t",
    "notify x",
    "refresh materialized view v",
    "explain analyze delete from t",
    "explain (analyze) update t set a = 1",
    "explain create table x as select 1",
    "select 1; select 2",
    "select 1;; drop table t",
    "select * into x from t",
    "with d as (delete from t returning *) select * from d",
    "with u as (update t set a = 1 returning *), s as (select 1) select * from s",
    "select * from t for update",
    "select * from t for no key update skip locked",
    "select * from (select * from t for share) x",
    "select 1 union all (select a from t for update)",
]

SIDE_EFFECTS = [
    "select pg_terminate_backend(1)",
    "select PG_Terminate_Backend (1)",
    'select "pg_terminate_backend"(1)',
    "select pg_catalog.pg_terminate_backend(1)",
    'select pg_catalog . "pg_cancel_backend" /* here */ (1)',
    "select pg_terminate_backend\n-- a remark\n(1)",
    "select * from pg_stat_activity, lateral pg_terminate_backend(pid)",
    "select case when false then nextval('s') end",
    "select set_config('transaction_read_only', 'off', false)",
    "select pg_advisory_lock(1)",
    "select query_to_xml('delete from t', true, true, '')",
    "select database_to_xml(true, true, '')",
    "select dblink_exec('x', 'y')",
    "select lo_unlink(1)",
    "select pg_sleep_for('1 day')",
    "explain select pg_reload_conf()",
    "select txid_current()",
]

# Where two lexers may part ways: each of these would hide a call from one of them.
HIDDEN = [
    "select $$ $$, pg_terminate_backend(1), $$ $$",
    "select 1 as x$$, pg_terminate_backend(1), 2 as y$$",
    r"select E'\' , pg_terminate_backend(1) , '",
    r"select e'\'', 1",
    r'select U&"pg\005fterminate_backend"(1)',
    r"select u&'\0041'",
    "select /* /* */ ' */ pg_terminate_backend(1) /* ' */",
    "select 1 -- \r , pg_terminate_backend(1)",
    "select 1 --\x0b\x0c, 2\x0c",
    "select pg_terminate_backend\u00a0(1)",
    "select pg_termin\u0430te_backend(1)",
    "select '",
    'select "a',
    "select 1 /* never closed",
    "select " + "a" * 64 + "(1)",
    "select $1",
    "select \\g",
    "select 1\x00",
]


@pytest.mark.parametrize("sql", READING)
def test_what_reads_gets_through(sql: str) -> None:
    assert check_readonly(sql) == []


@pytest.mark.parametrize("sql", [*WRITING, *SIDE_EFFECTS, *HIDDEN])
def test_what_may_do_more_does_not(sql: str) -> None:
    assert check_readonly(sql) != []


@given(st.text(max_size=60))
def test_any_text_is_judged_without_an_error(sql: str) -> None:
    assert isinstance(check_readonly(sql), list)


@given(st.sampled_from(WRITING[2:]), st.sampled_from(["", " ", "\n", "-- x\n", "/* x */ ", "("]))
def test_nothing_in_front_makes_writing_read(sql: str, before: str) -> None:
    assert check_readonly(before + sql) != []


def test_a_writing_block_only_has_to_be_sql() -> None:
    assert check_sql("update t set a = 1; update t set b = 2;") == []
    assert "BEGIN may not stand in it" in check_sql("begin; update t set a = 1; commit;")[0]
    assert check_sql("do 'begin end'") == []
    assert check_sql("") == ["there is no statement"]
    (told,) = check_sql("update t\nset where")
    assert "can't be parsed" in told
    assert "\x1b" not in told


def test_names_are_sorted_by_what_they_could_be() -> None:
    names = names_in(scan("select f (1), \"G\"(2), a.h, x::app.money, date '2020-01-01' from public.users"))
    assert names.called == {"f", "G"}
    assert names.attributes == {"h", "money", "users"}
    assert names.types >= {"money", "date"}
    assert "users" not in names.types
    assert {"public", "app", "a", "x"} <= names.words

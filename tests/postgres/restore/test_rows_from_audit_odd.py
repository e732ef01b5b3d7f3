"""Rows of odd tables from the audit log: their types, names, columns that came and went, whose code runs."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.backups.restore.rows.restore import plan_write_rows, samples
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.postgres.conninfo import check_conninfo
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.drills.test_restore import backed_up
from tests.drills.test_restore_rows import counts
from tests.postgres.restore.audited import contents, do, from_log, install, undone, written

_TYPES = """
create type mood as enum ('good', 'o''k', 'very "happy"');
create domain code as varchar(5) check (value <> '');
create type place as (street text, number int, since date);
create table every (
  id int, "Key 2" timestamptz,
  a smallint, b bigint, c numeric, d numeric(9, 3), e real, f float8, g money, h text, i varchar(5), j char(4), k bytea,
  l timestamp, m timestamptz, n date, o time, p timetz, q interval, r boolean, s mood, t point, u box, v inet,
  w cidr, x macaddr, y bit(3), z varbit, aa tsvector, ab uuid, ac macaddr8, ad jsonb, ae int[], af text[], ag mood[],
  ah int4range, ai tstzrange, aj datemultirange, ak code, al code[], am place, an oid, ao pg_lsn, ap "char", aq name,
  ar json, "100% %s" text generated always as (coalesce(h, '') || 'x') stored, at bigint generated always as identity,
  primary key ("Key 2", id));
insert into every overriding system value values
 (1, '2026-01-02 03:04:05.678901+09', -1, 9223372036854775807, 1.50, 2.500, 0.1, 1e-300, '-12.50', E'a\\tb\\\\c\\n"é''',
  'abcde', 'ab', '\\x00ff', '0044-03-15 BC', 'infinity', '2026-02-03', '24:00', '12:00+05:45', '-1 mon +2 days -03:00',
  true, 'very "happy"', '(1.5,-2)', '(1,1),(0,0)', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '101', '1',
  '''it'' is:1A', '00000000-0000-0000-0000-000000000001', '08:00:2b:01:02:03:04:05', '{"a": [1.0, null], "b": "x"}',
  '{1,NULL,3}', '{"x,y",NULL,"\\"q\\"",""}', '{good,"o''k"}', '[1,5)', '["2026-01-01 00:00+00",)',
  '{[2026-01-01,2026-02-01)}', 'abc', '{ab,c}', '("a ""street",5,2026-01-01)', 4294967295, 'FF/FF', 'x', 'n',
  '{"b":1,"a":2}', default, 7),
 (2, '-infinity', null, null, 'NaN', null, 'NaN', '-Infinity', null, '', null, null, '', '-infinity', null, 'infinity',
  null, null, '0', false, null, null, null, '::1', null, null, null, '', null, null, null, 'null', '{}', '{}', null,
  'empty', null, '{}', null, null, null, 0, null, '', null, null, default, 8),
 (3, '2026-01-02 03:04:05.678901+00', default, default, default, default, default, default, default, default, default,
  default, default, default, default, default, default, default, default, default, default, default, default, default,
  default, default, default, default, default, default, default, default, default, default, default, default, default,
  default, default, default, default, default, default, default, default, default, default, 9);
"""


@pytest.fixture
def made(databases: Databases, workspaces: Callable[..., Workspace]) -> Callable[..., Workspace]:
    """Makes a workspace on a database that a script fills, with some of its tables recorded."""

    def make(script: str, *tables: str, major: int = 17, **options: dict[str, tuple[str, ...]]) -> Workspace:
        conninfo = databases(major)
        with psycopg.connect(conninfo) as session:
            session.execute(script)
        install(conninfo, *tables, **options)
        return workspaces(conninfo)

    return make


@pytest.mark.parametrize("major", [15, 18])
def test_every_type_comes_back_whatever_the_sessions_say(made: Callable[..., Workspace], major: int) -> None:
    workspace = made(_TYPES, "every", major=major)
    before = contents(workspace.conninfo)
    settings = "-c datestyle=German -c intervalstyle=iso_8601 -c timezone=Asia/Kathmandu -c extra_float_digits=-15"
    other = make_conninfo(workspace.conninfo, options=f"{settings} -c bytea_output=escape -c xmlbinary=hex")
    do(other, "update every set c = 7.00, ae = '{9}', q = '1 year', e = 1", "delete from every")
    after = contents(workspace.conninfo)
    with from_log(workspace, "every", "id in (1, 2) or \"Key 2\" > now() - interval '200 years'") as found:
        assert counts(found) == {"every": (3, 0, 0, 0)}
        assert found.tables[0]["notes"] == [
            "column ad: 2 rows get NULL, which may have been JSON's null",
            "column ar: 2 rows get NULL, which may have been JSON's null",
            "equal, but perhaps written otherwise than before: ae (lower bounds), af (lower bounds), ag (lower bounds),"
            " al (lower bounds), ar (spacing, order, doubled keys)",
        ]
        outcome = written(workspace, found)
    with psycopg.connect(workspace.conninfo) as session:
        row = session.execute("select ar::jsonb::text from every where id = 1").fetchone()
    assert row == ('{"a": 2, "b": 1}',)
    do(workspace.conninfo, 'update every set ar = \'{"b":1,"a":2}\' where id = 1')
    do(workspace.conninfo, "update every set ad = 'null' where id = 2")
    for one, other in zip(contents(workspace.conninfo)["every"], before["every"], strict=True):
        assert one.split(",") == other.split(",")
    do(workspace.conninfo, "update every set ad = null where id = 2")
    do(workspace.conninfo, 'update every set ar = \'{"a": 2, "b": 1}\' where id = 1')
    undone(workspace, outcome)
    assert contents(workspace.conninfo) == after


def test_names_of_all_kinds_and_partitions(made: Callable[..., Workspace]) -> None:
    script = """
    create schema "Odd Shop";
    create table "Odd Shop"."100% odd %s" ("a%b" int, "select" char(3), "line\nbreak" text,
      primary key ("select", "a%b")) partition by list ("a%b");
    create table "Odd Shop".p1 partition of "Odd Shop"."100% odd %s" for values in (1);
    create table "Odd Shop".p2 partition of "Odd Shop"."100% odd %s" default;
    create table c (of_a int, of_s char(3), n int primary key,
      foreign key (of_s, of_a) references "Odd Shop"."100% odd %s" on delete set null);
    insert into "Odd Shop"."100% odd %s" values (1, 'x', 'one'), (1, 'y', 'two'), (2, 'x', E'a\\nb');
    insert into c values (1, 'x', 1), (2, 'x', 2), (2, 'x', 3), (null, null, 4);
    """
    name = '"Odd Shop"."100% odd %s"'
    workspace = made(script, name, "c")
    before = contents(workspace.conninfo)
    do(workspace.conninfo, 'delete from "Odd Shop".p1 where "select" = \'y\'', f"delete from {name}")
    after = contents(workspace.conninfo)
    with from_log(
        workspace, name, '"a%b" < 3 and "100% odd %s"."select" in (\'x\', \'y\')', with_dependents=True
    ) as found:
        assert counts(found) == {"100% odd %s": (3, 0, 0, 0), "c": (0, 0, 3, 0)}
        outcome = written(workspace, found)
    assert contents(workspace.conninfo) == before
    undone(workspace, outcome)
    assert contents(workspace.conninfo) == after


def test_columns_that_came_and_went(made: Callable[..., Workspace]) -> None:
    script = (
        "create table t (id int primary key, old text, name text); insert into t values (1, 'o', 'a'), (2, 'o', 'b')"
    )
    workspace = made(script, "t")
    do(workspace.conninfo, "delete from t where id = 1")
    do(
        workspace.conninfo,
        "alter table t drop column old, add column phone text not null default '-', add e int default 7",
    )
    with from_log(workspace, "t", "id = 1") as found:
        told = " ".join(found.tables[0]["notes"])
        written(workspace, found)
    assert "old is only in the log" in told
    assert "phone was added since" in told
    assert contents(workspace.conninfo) == {"t": ["(1,a,-,7)", "(2,b,-,7)"]}
    do(workspace.conninfo, "update t set phone = '5'", "delete from t")
    with from_log(workspace, "t", "true") as found:
        written(workspace, found)
    assert contents(workspace.conninfo) == {"t": ["(1,a,-,7)", "(2,b,-,7)"]}
    do(workspace.conninfo, "delete from t where id = 1")
    do(workspace.conninfo, "alter table t add column late text default 'l'", "update t set late = 'own'")
    do(workspace.conninfo, "delete from t where id = 2")
    with from_log(workspace, "t", "true") as found:
        assert "late was added in between: 1 rows are from before" in " ".join(found.tables[0]["notes"])
        written(workspace, found)
    assert contents(workspace.conninfo) == {"t": ["(1,a,-,7,l)", "(2,b,-,7,own)"]}


def test_a_key_that_was_changed_and_rows_that_came_and_went_at_once(made: Callable[..., Workspace]) -> None:
    workspace = made("create table t (id int primary key, name text); insert into t values (1, 'a'), (2, 'b')", "t")
    do(workspace.conninfo, "update t set id = 9 where id = 1")
    with from_log(workspace, "t", "true") as found:
        assert counts(found) == {"t": (1, 0, 0, 0)}  # the row of the old key; the new one is there
    do(workspace.conninfo, "insert into t values (3, 'c')", "delete from t where id = 3")
    xid = do(workspace.conninfo, "delete from t where id = 2", "insert into t values (2, 'z')", "delete from t")
    with from_log(workspace, "t", "id in (2, 3)") as found:
        assert counts(found) == {"t": (1, 0, 0, 0)}  # 3 was never there for anybody else
        written(workspace, found)
    assert contents(workspace.conninfo) == {"t": ["(2,b)"]}
    with from_log(workspace, "t", transaction=xid) as found:
        assert counts(found) == {"t": (1, 0, 0, 1)}


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("id = 1); drop table t; select (1", "give a condition, not a statement"),
        ("pg_read_file('/etc/passwd') is not null", "calls pg_read_file()"),
        ("set_config('role', 'postgres', true) is not null", "calls set_config()"),
        ("exists (select 1)", "calls exists()"),
        ("id = (select 1)", "'select', which is no column"),
        ("t.lower(name) = 'a'", "calls lower()"),
        ("t.name::regclass is not null", "'regclass', which is no column"),
        ("name operator(pg_catalog.=) 'a'", "calls operator()"),
        ('"evil"(name)', "calls evil()"),
        ("name = $1", "contains '$'"),
        ("secret = 'x'", "'secret', which is no column"),
        ("other.name = 'x'", "'other'"),
        ("nothing = 1", "'nothing', which is no column of t"),
        ("name = 7", "the rows can't be read"),
        ("", "--where is missing"),
    ],
)
def test_a_condition_can_only_compute(made: Callable[..., Workspace], condition: str, told: str) -> None:
    script = "create table t (id int primary key, name text, secret text); insert into t values (1, 'a', 'x')"
    workspace = made(script, "t", secret={"t": ("secret",)})
    do(workspace.conninfo, "delete from t")
    with pytest.raises(BadUsage, match=re.escape(told)), from_log(workspace, "t", condition):
        pytest.fail("it found something")


_HOSTILE = """
create table seen (what text, who text);
create function spy(what text) returns boolean language plpgsql as $$
begin
  begin insert into public.seen values (what, current_user); exception when others then null; end;
  if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then raise 'as a superuser'; end if;
  return true;
end $$;
create domain watched as int check (public.spy('domain'));
create type mood as enum ('good', 'bad');
create function told(mood) returns text language sql as $$ select case when public.spy('cast') then 'good' end $$;
create cast (mood as text) with function told(mood) as implicit;
create table t (id int primary key, w watched, many watched[], m mood);
insert into t values (1, 1, '{1,2}', 'good'), (2, 2, '{3}', 'bad');
"""


@pytest.mark.parametrize("major", [15, 18])
def test_no_code_of_the_owner_runs_as_a_superuser(
    databases: Databases, workspaces: Callable[..., Workspace], major: int
) -> None:
    conninfo = databases(major)
    database = str(check_conninfo(conninfo)["dbname"])
    owner = f"owner_{database}"
    run_sql(conninfo, "create role {} login password 'x'", owner)
    run_sql(conninfo, "grant create on schema public to {}", owner)
    try:
        do(make_conninfo(conninfo, user=owner, password="x"), _HOSTILE)
        install(conninfo, "t")
        before = contents(conninfo)["t"]
        do(conninfo, "alter table t enable row level security", "delete from t")
        workspace = workspaces(conninfo)
        with from_log(workspace, "t", "m like 'g%' and 1 = any (many)") as found:
            assert found.total("missing") == 1
        with from_log(workspace, "t", "true") as found:
            written(workspace, found)
        assert contents(conninfo)["t"] == before
        with psycopg.connect(conninfo) as session:
            whose = session.execute("select distinct who from seen").fetchall()
        assert whose == [(owner,)]
        within = "create type pair as (a int, w watched); create table u (id int primary key, p pair)"
        do(make_conninfo(conninfo, user=owner, password="x"), f"{within}; insert into u values (1, (1, 2))")
        install(conninfo, "t", "u")
        do(conninfo, "delete from u")
        with from_log(workspace, "u", "true") as found, pytest.raises(Refused, match="has a domain within"):
            written(workspace, found)
    finally:
        run_sql(conninfo, "drop owned by {} cascade", owner)
        run_sql(conninfo, "drop role {}", owner)


def test_a_table_that_is_not_recorded_or_has_no_key_is_refused(made: Callable[..., Workspace]) -> None:
    workspace = made("create table t (id int); create table u (id int primary key)", "t", "u")
    do(workspace.conninfo, "create table v (id int primary key)", "insert into t values (1)", "delete from t")
    for table, told in (("t", "by its primary key"), ("v", "is not audited")):
        with pytest.raises(Refused, match=told), from_log(workspace, table, "true"):
            pytest.fail("it found something")


def test_a_transaction_of_an_earlier_history_is_another_one(made: Callable[..., Workspace]) -> None:
    workspace = made("create table t (id int primary key, name text); insert into t values (1, 'a'), (2, 'b')", "t")
    xid = do(workspace.conninfo, "delete from t where id = 1")
    with psycopg.connect(workspace.conninfo) as session:  # a number that the cluster of before had given too
        session.execute(
            "insert into audit_logs (id, action, entity_type, entity_id, old_value, xid, origin, table_name)"
            " values (-1, 'UPDATE', 't', '1', '{\"name\": \"wrong\"}', %s::text::xid8, 'trigger', 'public.t')",
            [xid],
        )
        session.execute(
            "insert into tabsync_audit.seals select 1, '0', 0, 0, '', '', '', 'other', 1, 1,"
            " (select min(id) - 1 from audit_logs where id > 0), 'restored', now()"
        )
    for transaction in ("", xid):
        with from_log(workspace, "t", "id = 1", transaction=transaction) as found:
            assert found.total("missing") == 1
            assert "wrong" not in str(samples(workspace, found, found.tables[0]))


def test_what_was_erased_of_some_rows_is_empty_in_these_alone(made: Callable[..., Workspace]) -> None:
    rows = "insert into t values (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z')"
    script = f"create table t (id int primary key, name text, secret text); {rows}"
    workspace = made(script, "t", secret={"t": ("secret",)})
    do(workspace.conninfo, "update t set secret = 'new' where id = 3", "delete from t where id < 3")
    with psycopg.connect(workspace.conninfo) as session:
        session.execute("set tabsync.audit_change = 'erased'")
        session.execute(
            'update audit_logs set old_value = old_value || \'{"name": "(erased)"}\''
            " where action = 'DELETE' and entity_id = '1'"
        )
    with from_log(workspace, "t", "true") as found:
        assert found.tables[0]["notes"] == [
            "column name was erased in the log, or could not be recorded: the log does not have its values of 1 rows",
            "column secret is secret: the log does not have its values",
        ]
        with pytest.raises(Refused, match="without name, secret"):
            plan_write_rows(workspace, found)
        written(workspace, found, without_secrets=True)
    assert contents(workspace.conninfo) == {"t": ["(1,,)", "(2,b,)", "(3,c,new)"]}


def test_a_type_with_a_cast_to_json_is_named_before(made: Callable[..., Workspace]) -> None:
    workspace = made(
        "create extension hstore; create table h (id int primary key, x text, hs hstore, more hstore[]);"
        "insert into h values (1, 'a', 'k=>v', null), (2, 'b', null, null), (3, 'c', 'k=>w', null)",
        "h",
    )
    backed_up(workspace)
    before = contents(workspace.conninfo)
    do(workspace.conninfo, "delete from h where id < 3")
    with from_log(workspace, "h", "id < 3", secrets_from="latest") as found:
        assert "hs: as in backup" in found.tables[0]["notes"][0]
        back = written(workspace, found)
    assert contents(workspace.conninfo) == before
    undone(workspace, back)
    with from_log(workspace, "h", "id < 3") as found:
        assert found.tables[0]["masked"] == ["hs"]
        assert found.tables[0]["notes"] == [
            "column hs has a type that does not read what the log has: the log does not have its values of 1 rows"
        ]
        with pytest.raises(Refused, match="would come back without hs"):
            plan_write_rows(workspace, found)
        undone(workspace, written(workspace, found, without_secrets=True))
    xid = do(workspace.conninfo, "update h set x = 'd', hs = 'k=>z' where id = 3")
    with from_log(workspace, "h", "id = 3", transaction=xid) as found:
        assert found.tables[0]["notes"] == [
            "column hs was changed too; the log does not have it in a form to read, so it stays as it is"
        ]
        written(workspace, found, replace=True)
    assert contents(workspace.conninfo)["h"] == ['(3,c,"""k""=>""z""",)']


def test_a_column_that_is_not_read_back_is_named(made: Callable[..., Workspace]) -> None:
    workspace = made("create table t (id int primary key, x text); insert into t values (1, 'no number')", "t")
    do(workspace.conninfo, "delete from t", "alter table t alter x type int using x::int")
    match = r"column x can't be read from the audit log as integer"
    with pytest.raises(BadUsage, match=match) as told, from_log(workspace, "t", "id = 1"):
        pass
    assert "--from latest" in told.value.hint


def test_nulls_within_arrays_of_json_and_doubled_keys_are_told(made: Callable[..., Workspace]) -> None:
    workspace = made(
        "create table t (id int primary key, a json[], b jsonb[], c jsonb[], d json);"
        "insert into t values (1, '{NULL,\"null\"}', '{\"null\"}', '{1}', '{\"a\":1,\"a\":2}')",
        "t",
    )
    do(workspace.conninfo, "delete from t")
    with from_log(workspace, "t", "id = 1") as found:
        assert found.tables[0]["notes"] == [
            "column a: 1 rows have NULL in the array, which may have been JSON's null",
            "column b: 1 rows have NULL in the array, which may have been JSON's null",
            "equal, but perhaps written otherwise than before: a (lower bounds, spacing, order, doubled keys),"
            " b (lower bounds), c (lower bounds), d (spacing, order, doubled keys)",
        ]


def test_a_value_that_could_not_be_recorded_is_not_taken_for_one(made: Callable[..., Workspace]) -> None:
    """Jsonb takes no zero byte, so the log has a note in the place of this value."""
    script = """create table t (id int primary key, j json); insert into t values (1, '"\\\\u0000"'), (2, '[5]')"""
    workspace = made(script.replace("\\\\", "\\"), "t")
    do(workspace.conninfo, "delete from t")
    with from_log(workspace, "t", "true") as found:
        assert found.tables[0]["notes"][0].startswith("column j was erased in the log, or could not be recorded")
        with pytest.raises(Refused, match="without j"):
            plan_write_rows(workspace, found)
        written(workspace, found, without_secrets=True)
    assert contents(workspace.conninfo) == {"t": ["(1,)", "(2,[5])"]}

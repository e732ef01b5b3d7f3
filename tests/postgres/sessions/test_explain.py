"""Plans are shown without running the statement, nor anything that the owner wrote: it would run in our rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.postgres.explain import explain
from tabsync.sessions.explain import Explain, look_explain
from tabsync.sessions.statements import LIMITS
from tabsync.workspace import Workspace
from tests.conftest import Databases, Servers, run_sql
from tests.sessions import connect

PLANTED = """
create schema shop;
create table shop.plain (a int primary key, b text default 'x', c timestamptz default now());
create table shop.items (a int primary key, b text);
insert into shop.plain (a, b) select n, n::text from generate_series(1, 500) n;
create function shop.spring() returns int language plpgsql as $b$
begin
  begin
    perform set_config('role', 'none', false);
  exception when others then null;
  end;
  if current_setting('is_superuser') = 'on' then
    copy (select 'sprung') to program 'cat >> PROOF';
  end if;
  return 1;
end $b$;
create function shop.sure(x int) returns int immutable language plpgsql as 'begin return shop.spring(); end';
create function shop.stable() returns int stable language plpgsql as 'begin return shop.spring(); end';
create function shop.inlined(x int) returns int immutable language sql as 'select shop.sure(1)';
create function shop.volatile() returns int language sql as 'select shop.sure(1)';
create function shop.eq(int, int) returns boolean immutable language plpgsql
  as 'begin return shop.spring() = 1; end';
create operator shop.=== (leftarg = int, rightarg = int, function = shop.eq);
create domain shop.odd as int check (shop.sure(value) = 1);
create view shop.seen as select a from shop.items where a = shop.sure(1);
create view shop.above as select * from shop.seen;
create table shop.indexed (a int);
create index on shop.indexed (a) where shop.sure(1) > a;
create table shop.expressed (a int);
create index on shop.expressed (shop.sure(a));
create table shop.defaulted (a int, b int default shop.sure(1));
create table shop.generated (a int, b int generated always as (shop.sure(a)) stored);
create table shop.checked (a int check (a > shop.sure(1)));
create table shop.guarded (a int);
alter table shop.guarded enable row level security;
create policy p on shop.guarded using (a = shop.stable());
create table shop.ruled (a int);
create rule r as on update to shop.ruled do also insert into shop.items values (shop.sure(1));
create table shop.parted (a int) partition by range (shop.sure(a));
create table shop.part partition of shop.parted for values from (1) to (2);
create table shop.counted (a int);
create statistics shop.many on (shop.sure(a)), a from shop.counted;
create table shop.fair (a int, tenant text);
alter table shop.fair enable row level security;
alter table shop.fair force row level security;
create policy p on shop.fair using (tenant = current_setting('app.tenant', true));
create table shop.holder (a shop.odd);
create view shop.clean as select a, b from shop.plain where a > 3;
"""

REFUSED = [
    "select shop.sure(1)",
    "select sure(1)",
    "select * from plain where a = stable()",
    "select inlined(1)",
    "select volatile()",
    "select 1 where 1 === 2",
    "select 1 where 1 operator(shop.===) 2",
    "select '1'::odd",
    "select cast($1 as shop.odd)",
    "select * from seen",
    "select * from above where a = $1",
    "select * from indexed",
    "select * from expressed where a = 1",
    "insert into defaulted (a) values (1)",
    "update generated set a = 1",
    "select * from checked where a = 3",
    "select * from guarded",
    "update ruled set a = 2",
    "select * from parted where a = 1",
    "select * from part where a = 1",
    "select a from counted group by a",
    "with x as (select sure(1)) delete from plain where a in (select * from x)",
    "insert into holder (a) select ('(1)'::holder).a",
    "insert into plain (a) select sure(1)",
    "select sure/* ( */(1)",
    'select "sure"(1)',
    "select (p).sure from plain p",
    "explain analyze select 1",
    "select 1; select shop.sure(1)",
    "select 1 into newtable",
    "create table x as select 1",
    "copy plain to stdout",
    "call something()",
    "vacuum plain",
    "select $$ $$ || sure(1)",
    "select e'\\'' , sure(1)",
    "select E'\\\\' , sure(1), E'\\''",
    "select e'a'\n'\\' , sure(1) --'",
    "select x'1'\n'f'",
    "select U&'!0061' uescape '!'",
    'select U&"\\0073ure"(1)',
    "select n'a'",
    "select shop.odd E'1'",
    "select odd U&'1'",
    "select E'a' || sure(1)",
    "select e'a",
    "",
    "select query_to_xml('select shop.sure(1)', true, true, '')",
]

EXPLAINED = [
    ("select * from plain where a = 1", "Index"),
    ("select * from shop.plain where b = $1 and a = any($2)", "$2"),
    ("select count(*) from plain p join items i using (a) where p.c < now() - interval '1 day'", "Aggregate"),
    ("insert into plain (a, b) values ($1, $2) on conflict (a) do update set b = excluded.b", "Insert on plain"),
    ("insert into shop.plain values (1, 'a')", "Insert on plain"),
    ("update plain set b = upper(b) where a = $1 returning a", "Update on plain"),
    ("delete from plain where a < 3;", "Delete on plain"),
    ("select a from plain where a = $1 for update skip locked", "LockRows"),
    ("select * from fair limit $1", "app.tenant"),
    ("select * from clean where b like 'x%' -- and more", "Scan on plain"),
    ("select pg_sleep(100), lo_create(4711), a from plain", "Scan on plain"),
    ("values (1), (2)", "Values Scan"),
    ("select 1", "Result"),
    ("select E'\\'' , 1", "Result"),
    (
        "select E'\\\\', b'01', X'fF', u&'\\0041' from plain where b = E'it''s \\'; drop table plain; --'",
        "Scan on plain",
    ),
    ("select 1 from plain where b = E'\\n' and a = $1", "$1"),
]


@pytest.fixture(scope="module")
def proof(place: Path) -> Path:
    """Where a trap that was sprung leaves a line."""
    path = place / "explain-proof"
    path.touch()
    path.chmod(0o666)
    return path


@pytest.fixture(params=[15, 17])
def conninfo(request: pytest.FixtureRequest, databases: Databases, servers: Servers, proof: Path) -> Iterator[str]:
    """A database of a hostile owner, whose login role also is the application's."""
    conninfo = databases(request.param)
    run_sql(conninfo, "create role mallory login password 'secret'")
    try:
        with psycopg.connect(conninfo, autocommit=True) as making:
            (name,) = making.execute("select current_database()").fetchone() or ("",)
            making.execute(f"alter database {name} owner to mallory")
            mallory = make_conninfo(conninfo, user="mallory", password="secret", passfile="")
            with psycopg.connect(mallory, autocommit=True) as planting:
                planting.execute(PLANTED.replace("PROOF", str(proof)))
            making.execute(f'alter role mallory in database {name} set search_path to shop, "$user", public')
            making.execute("analyze shop.plain")
        yield conninfo
    finally:
        with psycopg.connect(conninfo, autocommit=True) as ending:
            ending.execute("drop owned by mallory cascade")
            ending.execute(f"alter database {name} owner to postgres")
            ending.execute("drop role mallory")


def test_what_could_call_the_owners_functions_is_refused(conninfo: str, proof: Path) -> None:
    with connect(conninfo, "tests", limits=LIMITS) as connection:
        for text in REFUSED:
            with pytest.raises(Refused):
                explain(connection, text, "mallory")
                pytest.fail(f"explained: {text}")
            connection.execute("select 1")  # no transaction is left open
    assert proof.read_text() == ""


def test_the_traps_are_real(conninfo: str, proof: Path) -> None:
    """Explained without looking, as the role and read-only, they run as the superuser that we are."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("begin read only")
        connection.execute("set local role mallory")
        connection.execute("set local search_path to shop")
        connection.execute("explain select * from indexed where a < 5")
        connection.rollback()
    assert "sprung" in proof.read_text()
    proof.write_text("")


def test_what_is_postgresqls_own_is_explained_and_not_run(conninfo: str, proof: Path) -> None:
    with connect(conninfo, "tests", limits=LIMITS) as connection:
        for text, words in EXPLAINED:
            found = explain(connection, text, "mallory")
            assert any(words in line for line in found.lines), (text, found.lines)
        assert connection.execute("select count(*), max(b) from shop.plain").fetchone() == (500, "99")
        assert connection.execute("select count(*) from pg_largeobject_metadata").fetchone() == (0,)
        assert connection.execute("select current_user::text").fetchone() == ("postgres",)
    assert proof.read_text() == ""


def test_of_a_session(conninfo: str, workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces(conninfo)
    app = make_conninfo(conninfo, user="mallory", password="secret", passfile="")
    with psycopg.connect(app, autocommit=True) as session:
        session.execute("select b from plain where a = %s", [3])
        pid = session.info.backend_pid
        page = look_explain(workspace, Explain(pid))
        assert any("plain" in line for line in page.data["plan"])
        assert page.data["search_path"][0] == "shop"
        assert page.data["user"] == "mallory"
        session.execute("select 1 /* " + "x" * 2000 + " */")
        with pytest.raises(Refused, match="longer than the server keeps"):
            look_explain(workspace, Explain(pid))
    with pytest.raises(Refused, match="no session"):
        look_explain(workspace, Explain(1))


def test_whoever_may_not_act_as_that_role(conninfo: str) -> None:
    run_sql(conninfo, "create role another login password 'secret'")
    try:
        given = make_conninfo(conninfo, user="another", password="secret", passfile="")
        with connect(given, "tests") as ours, pytest.raises(NotAllowed) as refused:
            explain(ours, "select 1", "mallory")
        assert refused.value.hint == 'grant "mallory" to "another"'
    finally:
        run_sql(conninfo, "drop role another")

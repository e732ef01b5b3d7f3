"""A verdict is true both ways: what PostgreSQL makes otherwise in every copy is no loss, and what is lost is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from soak.through import Told, content, plain_manual, through

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.copies.restores.different import NotWhole
from tabsync.kernel.errors import Exit
from tabsync.manual.load import load
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.stores.manifest import Manifest
from tabsync.workspace import Workspace
from tests.conftest import Databases, missing, run_sql
from tests.drills.test_odd_databases import fill
from tests.drills.test_proof import Tamper
from tests.drills.test_restore import Then, asked, backed_up, carried_out
from tests.extension import extended_server
from tests.whole import OLDEST, whole

Made = Callable[..., Workspace]


@pytest.fixture
def made(databases: Databases, workspaces: Callable[..., Workspace]) -> Made:
    """Makes a database from a script, and gives its workspace."""

    def make(script: str, major: int = 17) -> Workspace:
        workspace = workspaces(databases(major))
        fill(workspace.conninfo, script)
        return _with_plain_manual(workspace)

    return make


def _with_plain_manual(workspace: Workspace) -> Workspace:
    object.__setattr__(workspace, "manual_path", plain_manual(workspace.home / "manual.md"))
    return workspace


def verdicts(told: dict[str, Told]) -> dict[str, str]:
    return {name: one.verdict for name, one in told.items()}


def all_same(told: dict[str, Told]) -> None:
    assert verdicts(told) == dict.fromkeys(told, "same")


_INHERITED = (
    'create table "P, q" (a int primary key, "x,y" text default \'z\');'
    " create table c (b int, g int generated always as (b * 2) stored, \"x,y\" text default 'mine', k text)"
    ' inherits ("P, q"); create table d (e int, z int) inherits (c); create table o (u int);'
    " create table several (w int) inherits (d, o);"
    ' alter table "P, q" add column z int default 7; alter table "P, q" add column k text;'
    " alter table c add column late int; alter table o add column v int;"
    " alter table c alter z set statistics 50, alter b set storage plain, alter z set default 9;"
    " insert into c (a, b, z, \"x,y\") select i, i + 1, i + 2, E'ta\\tb\\nx\\\\' from generate_series(1, 20) i;"
    " insert into d (a, b, e, z) values (1, 2, 3, 4); insert into several (a, w, v) values (5, 6, 7);"
    " create statistics st on b, z from c; create publication pu for table c (a, b, z);"
    " grant select (a, z), update (b) on c to public; create index on c (z, b);"
    " create view seen as select * from c; create table empty_rows (x c); insert into empty_rows values (null)"
)


@pytest.mark.parametrize("major", OLDEST)
@whole
def test_inherited_columns_in_another_order_are_named_and_are_no_loss(major: int, made: Made) -> None:
    told = through(made(_INHERITED, major))
    all_same(told)
    for name in ("drill", "new", "in-place", "tables"):
        moved = sorted(note.split(":")[0] for note in told[name].notes if "order of the columns differs" in note)
        assert moved == ["table public.c", "table public.d", "table public.several"]


_PARENT = (
    "create table p (a int primary key); create table c (b int) inherits (p); alter table p add column z int;"
    " insert into c values (1, 2, 3);"
)


_REWORDED = (
    "create table p (kind varchar(9) check (kind in ('a', 'b')), many varchar[] default array['x', 'y']::varchar[],"
    " c char(2), n int, constraint either_one check (c in ('x', 'y') or (n in (1, 2) and kind <> 'z')));"
    " create table c (more text) inherits (p); alter table p add column late varchar default 'z';"
    " alter table c add constraint kinds check (late in ('z', 'zz'));"
    " create index on p (n) where kind in ('a', 'c'); create domain d as varchar check (value in ('q', 'r'));"
    " create view v with (security_barrier) as select * from p where kind in ('a', 'b') and c not in ('q', 'r');"
    " create statistics s on (kind in ('a', 'b')), n from p; alter table p enable row level security;"
    " create policy o on p using (kind in ('a', 'b')); create publication pu for table p where (n in (1, 2));"
    " create function f() returns trigger language plpgsql as 'begin return new; end';"
    " create trigger t before insert on p for each row when (new.kind in ('a', 'b')) execute function f();"
    " create rule r as on delete to v where old.kind in ('a', 'b') do instead nothing;"
    " create function g(k varchar) returns boolean begin atomic select k in ('a', 'b'); end;"
    " create table q (kind varchar, w boolean generated always as (kind in ('a', 'b')) stored)"
    " partition by list (kind); create table q1 partition of q for values in ('a', 'b');"
    " insert into p values ('a', default, 'x', 1); insert into c values ('b', default, 'y', 2);"
    " insert into q values ('a');"
    " create materialized view m as select n from p where kind in ('a', 'b');"
    " create table z (i int not null); create table a_like (like z including all)"
)


@pytest.mark.parametrize("major", OLDEST)
@whole
def test_what_postgresql_writes_in_other_words_after_each_restore_is_no_loss(major: int, made: Made) -> None:
    """kind in ('a', 'b') of a varchar is kept with a cast of the list, and is read as a cast of each element."""
    told = through(made(_REWORDED, major))
    all_same(told)
    reworded = {note.split(":")[0] for note in told["drill"].notes if "in other words" in note}
    assert reworded >= {"table public.p", "table public.c", "index public.p_n_idx", "domain public.d", "view public.v"}
    assert len(reworded) >= 11
    assert ("table public.z" in reworded) == (major >= 18)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ("alter table p alter n set not null", ("table", "p")),
        (
            "alter table p drop constraint either_one; alter table p add constraint either_one check (c in ('x', 'y'))",
            ("table", "p"),
        ),
        ("drop index p_n_idx; create index p_n_idx on p (n) where kind in ('a', 'd')", ("index", "p_n_idx")),
        ("drop index p_n_idx; create index p_n_idx on p (n) where kind::text in ('a', 'c')", ("index", "p_n_idx")),
        ("create or replace view v with (security_barrier) as select * from p where kind in ('b')", ("view", "v")),
        ("alter view v reset (security_barrier)", ("view", "v")),
        ("alter policy o on p using (kind in ('a', 'b', 'c'))", ("policy", "p o")),
    ],
)
def test_a_change_does_not_hide_behind_other_words(changed: str, named: tuple[str, str], made: Made) -> None:
    report = _drilled(made(_REWORDED), changed)
    assert [(one["kind"], one["name"]) for one in report["different"]] == [named]


def test_rows_kept_in_a_column_are_read_in_the_new_order_and_are_lost(made: Made) -> None:
    """pg_dump writes (1,2,3) and no names: it comes back without an error, and says something else."""
    workspace = made(
        _PARENT
        + "create domain deep as c[]; create type wrapped as (n int, d deep); create table t (n int, w wrapped);"
        " insert into t values (1, row(1, array[row(1, 2, 3)::c])::wrapped); create table untouched (x int)"
    )
    told = through(workspace, ("drill", "new", "in-place", "tables"))
    for one in told.values():
        assert "rows of table public.t differ: column w contains rows of public.c" in one.verdict
    report = told["drill"].facts
    assert [(one["kind"], one["schema"], one["name"]) for one in report["different"]] == [("rows", "public", "t")]
    identical = {one["name"]: one["identical"] for one in report["tables"]}
    assert identical == {"p": True, "c": True, "t": False, "untouched": True}


def test_a_value_that_changed_columns_is_found_though_the_order_is_another(made: Made) -> None:
    """The same bytes in every line would hide it: column by name, each has its own."""
    workspace = made(_PARENT + "update c set a = 1, b = 2, z = 2")
    report = _drilled(workspace, "update c set b = 3, z = 2, a = 1")
    assert report["different"] == [{"kind": "rows", "schema": "public", "name": "c", "what": ""}]


def _drilled(workspace: Workspace, tampered: str) -> dict[str, Any]:
    plan = plan_drill(workspace, load(workspace.manual_path))
    report = run_drill(workspace, plan, Tamper(workspace, tampered))
    assert report.exit_code == Exit.PROBLEM_FOUND
    return report.data


def test_the_report_names_every_object_that_differs_and_marks_only_those(made: Made) -> None:
    tables = "".join(f"create table t{n} (x int primary key); insert into t{n} values ({n});" for n in range(9))
    workspace = made(tables)
    wrong = "".join(f"delete from t{n};" for n in range(7))
    report = _drilled(workspace, wrong + "drop table t8; create index extra on t7 (x)")
    found = {(one["kind"], one["name"]) for one in report["different"]}
    assert found == {
        *(("rows", f"t{n}") for n in range(7)),
        ("rows", "t8"),
        ("table", "t8"),
        ("constraint", "t8 t8_pkey"),
        ("index", "extra"),
    }
    identical = {one["name"]: one["identical"] for one in report["tables"]}
    assert identical == {f"t{n}": n == 7 for n in range(9)}
    assert "and 6 more" in report["error"]["fact"]


_INVALID = (
    "create table q (a int not null, b int not null) partition by range (a);"
    " create table q1 partition of q for values from (0) to (9) partition by range (b);"
    " create table q11 partition of q1 default; create table q2 partition of q for values from (10) to (20);"
    " create index qi on only q (a); create index whole on q (b); create index lower_part on only q1 (a);"
    " alter index qi attach partition lower_part; insert into q select i, i from generate_series(1, 8) i;"
    " create table unchecked (a int); insert into unchecked values (-1);"
    " alter table unchecked add constraint positive check (a > 0) not valid;"
    " create table parent (i int primary key);"
    " alter table unchecked add constraint pointing foreign key (a) references parent not valid;"
    " create table twice (a int); insert into twice values (1), (1)"
)


@pytest.mark.parametrize("major", OLDEST)
@whole
def test_what_was_not_valid_in_the_source_is_named_and_is_no_loss(major: int, made: Made) -> None:
    workspace = made(_INVALID, major)
    with psycopg.connect(workspace.conninfo, autocommit=True) as connection, pytest.raises(psycopg.Error):
        connection.execute("create unique index concurrently failed on twice (a)")
    told = through(workspace)
    all_same(told)
    for name in ("drill", "new", "in-place", "tables"):
        invalid = sorted(note.split(" is not valid")[0] for note in told[name].notes if "is not valid:" in note)
        assert invalid == ["index public.lower_part", "index public.qi"]
    assert "index public.failed is not in the backup: it was not valid in the source" in told["drill"].notes
    (left,) = [one for one in _newest(workspace).not_in_this_backup or () if "index" in one["kind"]]
    assert left["statement"] == "CREATE UNIQUE INDEX failed ON public.twice USING btree (a);"
    assert any("pointing of public.unchecked is not validated: 1 rows" in note for note in told["drill"].notes)


def _newest(workspace: Workspace) -> Manifest:
    return [one for one in workspace.store().manifests()[0] if one.reason == "manual"][-1]


def test_an_index_that_should_be_valid_and_is_not_is_a_loss(made: Made) -> None:
    workspace = made("create table t (a int); create index t_a on t (a)")
    backed_up(workspace)

    def break_it() -> None:
        with connect(workspace.conninfo.replace(_name(workspace), "copy_of_it"), "tests") as connection:
            connection.execute(
                "update pg_catalog.pg_index set indisvalid = false where indexrelid = 'public.t_a'::regclass"
            )

    outcome = carried_out(workspace, plan_restore_new(workspace, "latest", "copy_of_it"), Then("verify", break_it))
    assert "index public.t_a is not valid" in str(outcome.error)


_GONE = {
    "drop index t_a": ("index", "t_a"),
    "drop trigger g on u": ("trigger", "u g"),
    "drop rule r on u": ("rule", "u r"),
    "drop statistics st": ("statistics", "st"),
    "drop publication pu": ("publication", "pu"),
    "drop policy p on t": ("policy", "t p"),
    "alter table t disable row level security": ("row security", "t"),
    "drop aggregate ag (int)": ("aggregate", "ag(integer)"),
    "drop schema z": ("schema", "z"),
    "drop domain dom": ("domain", "dom"),
    "alter table w drop constraint positive": ("check constraint", "w positive"),
    "alter table t drop constraint t_pkey": ("constraint", "t t_pkey"),
    "alter table n drop constraint n_u": ("fk constraint", "n n_u"),
    "drop view v": ("view", "v"),
    "select setval('s', 9)": ("sequence", "s"),
}


@pytest.mark.parametrize("major", OLDEST)
def test_a_restore_names_what_is_not_there(major: int, made: Made) -> None:
    """pg_restore may say that all went well: what it made is looked for."""
    workspace = made(_OF_EACH, major)
    backed_up(workspace)
    copy = workspace.conninfo.replace(_name(workspace), "copy_of_it")
    lose = Then("verify", lambda: fill(copy, ";".join(_GONE)))
    error = carried_out(workspace, plan_restore_new(workspace, "latest", "copy_of_it"), lose).error
    assert isinstance(error, NotWhole)
    assert {(one.kind, one.name) for one in error.differences} == set(_GONE.values())


_OF_EACH = (
    "create table t (id int primary key, a text default 'x', b text, c int, d int) ; create table u (id int "
    "primary key); create index t_a on t (a); create unique index t_c on t (c); cluster t using t_a; alter table "
    "t alter c set not null; alter table t replica identity using index t_c; alter table t set (fillfactor = 70), "
    "alter b set storage external, alter b set compression pglz, alter b set statistics 55, alter b set "
    "(n_distinct = 5); alter table t enable row level security, force row level security; create policy p on t "
    "using (true); create table n (u int); insert into n values (7); alter table n add constraint n_u foreign key "
    "(u) references u not valid; create table w (x int); alter table w add constraint positive check (x > 0) not "
    "valid; insert into u values (1); create function f() returns trigger language plpgsql as 'begin return new; "
    "end'; create trigger g before insert on u for each row execute function f(); create trigger h before insert "
    "on t for each row execute function f(); create rule r as on delete to u do instead nothing; create "
    "statistics st on a, c from t; create sequence s; select nextval('s'); create publication pu for table t; "
    "alter default privileges grant select on tables to public; grant select on u to public; grant update (a) on "
    "t to public; comment on table u is 'said'; comment on column t.a is 'a'; create type e as enum ('one', "
    "'two'); create view v as select * from u; create sequence owned owned by u.id; create table parted (k int) "
    "partition by list (k); create table part partition of parted for values in (1); create table unlog (i int); "
    "create aggregate ag (int) (sfunc = int4pl, stype = int); create schema z; insert into t (id, c) values (1, "
    "1); create domain dom as int check (value > 0)"
)
_LOST = {
    "drop index t_a": ("index", "t_a"),
    "drop trigger g on u": ("trigger", "u g"),
    "alter table t disable trigger h": ("trigger", "t h"),
    "drop rule r on u": ("rule", "u r"),
    "drop statistics st": ("statistics", "st"),
    "select setval('s', 9)": ("sequence set", "s"),
    "drop publication pu": ("publication", "pu"),
    "alter default privileges revoke select on tables from public": ("default acl", "DEFAULT PRIVILEGES FOR TABLES"),
    "revoke select on u from public": ("acl", "TABLE u"),
    "revoke update (a) on t from public": ("acl", "COLUMN t.a"),
    "comment on table u is null": ("comment", "TABLE u"),
    "comment on column t.a is null": ("comment", "COLUMN t.a"),
    "drop policy p on t": ("policy", "t p"),
    "alter table t disable row level security": ("row security", "t"),
    "alter table t no force row level security": ("table", "t"),
    "alter table w validate constraint positive": ("check constraint", "w positive"),
    "alter table parted detach partition part": ("table attach", "part"),
    "alter table unlog set unlogged": ("table", "unlog"),
    "drop aggregate ag (int)": ("aggregate", "ag(integer)"),
    "drop schema z": ("schema", "z"),
    "alter type e add value 'three'": ("type", "e"),
    "alter sequence owned owned by none": ("sequence owned by", "owned"),
    "alter domain dom set not null": ("domain", "dom"),
    "alter view v owner to pg_read_all_data": ("view", "v"),
    "delete from u": ("rows", "u"),
}


@pytest.mark.parametrize("major", OLDEST)
def test_each_thing_that_is_lost_is_named(major: int, made: Made) -> None:
    """All of it at once; nothing hides behind something else."""
    workspace = made(_OF_EACH, major)
    report = _drilled(workspace, ";".join(_LOST))
    found = {(one["kind"], one["name"]) for one in report["different"]}
    assert set(_LOST.values()) - found == set()
    assert {name for kind, name in found if kind == "rows"} == {"u"}


@pytest.mark.parametrize(
    "changed",
    [
        "alter table t set without cluster",
        "alter table t replica identity default",
        "alter table t reset (fillfactor)",
        "alter table t alter b set storage extended",
        "alter table t alter b set compression default",
        "alter table t alter b set statistics -1",
        "alter table t alter b reset (n_distinct)",
        "alter table t alter a drop default",
        "alter table t owner to pg_read_all_data",
    ],
)
def test_what_a_table_has_beside_its_columns_is_missed(changed: str, made: Made) -> None:
    report = _drilled(made(_OF_EACH), changed)
    assert {one["name"] for one in report["different"]} & {"t", "t_a", "t_c"}


def _name(workspace: Workspace) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(workspace.conninfo)["dbname"])


@pytest.mark.parametrize("major", OLDEST)
def test_keys_are_compared_as_postgresql_compares_them(major: int, made: Made) -> None:
    """Rows that inherit aren't in a key, citext has an operator of its own, a range is covered by several."""
    script = (
        "create schema elsewhere; create extension citext schema elsewhere;"
        " create table word (k elsewhere.citext primary key); create table said (k elsewhere.citext references word);"
        " insert into word values ('Word'); insert into said values ('wORD');"
        " create table parent (i int primary key); create table child (i int references parent);"
        " create table below () inherits (child); insert into parent values (1); insert into child values (1);"
        " insert into below values (99); create table small (a int2 primary key);"
        " create table large (a int8 references small); insert into small values (3);"
        " insert into large values (3), (null);"
    )
    if major >= 18:
        script += (
            "create extension btree_gist;"
            " create table stay (id int, at daterange, primary key (id, at without overlaps));"
            " create table bill (id int, at daterange, foreign key (id, period at) references stay (id, period at));"
            " insert into stay values (1, '[2025-01-01,2025-02-01)'), (1, '[2025-02-01,2025-03-01)');"
            " insert into bill values (1, '[2025-01-15,2025-02-15)')"
        )
    all_same(through(made(script, major), ("drill", "new")))


def test_what_inherits_from_a_table_comes_with_it(made: Made) -> None:
    workspace = made(
        'create table a (x int); create table b (y int) inherits (a); create table "c d" (z int) inherits (b);'
        ' create table o (m int primary key); create table e () inherits ("c d", o); insert into a values (1);'
        ' insert into b select g, g from generate_series(1, 42) g; insert into "c d" values (1, 2, 3);'
        " insert into e values (4, 5, 6, 7)"
    )
    backed_up(workspace)
    plan, selection = plan_restore_tables(workspace, ["a"], into="rescue_of_a")
    try:
        carried_out(workspace, plan).raise_if_failed()
        assert asked(workspace, "rescue_of_a", "select count(*) from a") == [(45,)]
        assert [str(one) for one in selection.tables] == ["public.a", "public.b", 'public."c d"', "public.e"]
        assert [str(one) for one in selection.brought] == ["public.o"]
    finally:
        run_sql(workspace.conninfo, "drop database if exists {} with (force)", "rescue_of_a")


@pytest.fixture
def extended(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[embedded.Server]:
    """A server that has the extensions of tests/extension.py, as all that are started meanwhile."""
    with extended_server(place, monkeypatch) as server:
        yield server


_OF_EXTENSIONS = (
    "create schema partly; create extension partly; create schema wholly; create extension wholly;"
    " create schema again; create extension again; insert into again.word values ('mine');"
    " insert into partly.setting values ('mine', false), ('ours', false); insert into wholly.job values ('x'), ('y');"
    " select nextval('partly.counter'), nextval('partly.counter');"
    " create table own (id int primary key, s text references partly.setting, w text references again.word);"
    " insert into own values (1, 'mine', 'made')"
)


@whole
def test_rows_that_create_extension_makes_are_not_held_against_the_dump(
    extended: embedded.Server, workspaces: Callable[..., Workspace]
) -> None:
    run_sql(extended.conninfo(), "create database {}", "extensions")
    workspace = _with_plain_manual(workspaces(extended.conninfo("extensions")))
    fill(workspace.conninfo, _OF_EXTENSIONS)
    before = content(workspace.conninfo)
    assert before["partly.setting"][0] == 4
    told = through(workspace)
    all_same(told)
    rows = {(one["schema"], one["name"]): one["rows"] for one in told["new"].facts["verify"]["tables"]}
    assert (rows["partly", "setting"], rows["wholly", "job"], rows["again", "word"]) == (2, 2, 2)


def test_rows_of_an_extension_that_are_missing_are_a_loss(
    extended: embedded.Server, workspaces: Callable[..., Workspace]
) -> None:
    run_sql(extended.conninfo(), "create database {}", "extensions")
    workspace = workspaces(extended.conninfo("extensions"))
    fill(workspace.conninfo, _OF_EXTENSIONS)
    backed_up(workspace)
    there = extended.conninfo("extensions_back")
    plan = plan_restore_new(workspace, "latest", "extensions_back")
    lose = Then("verify", lambda: fill(there, "delete from partly.setting where name = 'ours'"))
    assert "table partly.setting has 1 rows instead of 2" in str(carried_out(workspace, plan, lose).error)


@whole
def test_postgis_comes_back(made: Made, servers: Callable[[int], embedded.Server]) -> None:
    with connect(servers(15).conninfo(), "tests") as connection:
        there = connection.execute("select from pg_catalog.pg_available_extensions where name = 'postgis'").fetchone()
    if there is None:
        missing("postgresql-15-postgis-3")
    workspace = made(
        "create extension postgis; create table place (id int primary key, at geometry(Point, 4326));"
        " insert into place select i, st_setsrid(st_makepoint(i, i), 4326) from generate_series(1, 50) i;"
        " create index on place using gist (at); insert into spatial_ref_sys values (990001, 'us', 1, 'x', 'y')",
        15,
    )
    told = through(workspace)
    all_same(told)
    counted = {one["name"]: one["rows"] for one in told["new"].facts["verify"]["tables"]}
    assert counted == {"place": 50, "spatial_ref_sys": 1}


def test_an_extension_that_a_scratch_server_can_not_make_is_unproven_and_no_loss(
    extended: embedded.Server, workspaces: Callable[..., Workspace]
) -> None:
    run_sql(extended.conninfo(), "create database {}", "extensions")
    workspace = _with_plain_manual(workspaces(extended.conninfo("extensions")))
    fill(
        workspace.conninfo,
        "set tests.alone = 'on'; create schema alone; create extension alone; insert into alone.task values ('x');"
        " create table own (x int); insert into own values (1); create view seen as select * from alone.task",
    )
    told = through(workspace, ("drill",))["drill"]
    assert told.facts["error"] is None
    assert told.facts["verdict"]["content"] == "partial"
    assert (
        "extension alone: it can't be created in a scratch server: alone can only be made where it is preloaded"
        in told.verdict
    )
    assert "view public.seen: needs alone" in told.verdict


def test_every_entry_that_does_not_restore_is_in_the_report(made: Made) -> None:
    """Two keys with orphans: both are named."""
    workspace = made(
        "create table p (id int primary key); create table c (p int references p); create table d (p int references p);"
        " insert into p values (1), (2); insert into c values (2); insert into d values (2);"
        " set session_replication_role = replica; delete from p where id = 2"
    )
    report = through(workspace, ("drill",))["drill"].facts
    assert {(one["kind"], one["name"]) for one in report["different"]} == {
        ("fk constraint", "c c_p_fkey"),
        ("fk constraint", "d d_p_fkey"),
    }
    assert all("violates foreign key constraint" in one["what"] for one in report["different"])


def test_what_the_rows_of_a_table_name_comes_with_it(made: Made) -> None:
    """Values of regproc, regclass and the like are names, which COPY looks up; no dependency in a dump says so."""
    workspace = made(
        "create schema s; create function s.f() returns int language sql as 'select 1'; create type s.e as enum ('x');"
        " create operator s.=== (leftarg = int, rightarg = int, function = int4eq); create table s.other (i int);"
        ' create text search configuration s.words (copy = simple); create collation s.c from "C";'
        " create domain called as regprocedure; create sequence s.q;"
        " create table t (f regproc, a called[], o regoper, c regclass[], e regtype, w regconfig, l regcollation);"
        " insert into t values ('s.f', array['s.f()']::called[], 's.===', array['s.other', 's.q']::regclass[], 's.e',"
        " 's.words', 's.c'); insert into s.other values (1); create table untouched (x int default 1);"
        " create table plain (x regnamespace); insert into plain values ('pg_catalog')"
    )
    told = through(workspace, ("tables", "rows"))
    all_same(told)
    backed_up(workspace)
    plan, selection = plan_restore_tables(workspace, ["t"], into="rescue_of_t")
    try:
        carried_out(workspace, plan).raise_if_failed()
        assert asked(workspace, "rescue_of_t", "select f::text, c[1]::text, a::text from t") == [
            ("s.f", "s.other", "{s.f()}")
        ]
        assert asked(workspace, "rescue_of_t", "select count(*) from s.other") == [(0,)]
        assert [str(one) for one in selection.tables] == ["public.t"]
        assert "s.other" in [str(one) for one in selection.brought]
        _, other = plan_restore_tables(workspace, ["plain"])
        assert not other.brought
    finally:
        run_sql(workspace.conninfo, "drop database if exists {} with (force)", "rescue_of_t")


_GIVEN_AWAY = (
    "create extension pg_trgm; create extension hstore; alter function pg_catalog.lo_export(oid, text) owner to {role};"
    " alter schema pg_catalog owner to {role}; alter view pg_catalog.pg_stats owner to {role};"
    " grant execute on function pg_catalog.lo_import(text) to {role};"
    " alter function similarity(text, text) owner to {role};"
    " revoke execute on function similarity(text, text) from public; alter type hstore owner to {role};"
    " revoke execute on function pg_catalog.pg_sleep(float8) from public"
)


@pytest.mark.parametrize("major", OLDEST)
@whole
def test_owners_of_postgresqls_own_objects_are_told_and_their_grants_come(major: int, made: Made) -> None:
    """A provider gives some of them to a role of its own; a dump has the grants on them, and never the owner."""
    workspace = made("select", major)
    role = _name(workspace) + " admin"
    run_sql(workspace.conninfo, "create role {}", role)
    try:
        fill(workspace.conninfo, _GIVEN_AWAY.replace("{role}", f'"{role}"'))
        told = through(workspace, ("drill", "new", "in-place"))
        all_same(told)
        owners = [one for one in _newest(workspace).not_in_this_backup or () if one["kind"] == "owner"]
        statements = {one["statement"] for one in owners}
        assert f'ALTER FUNCTION pg_catalog.lo_export(pg_catalog.oid,pg_catalog.text) OWNER TO "{role}";' in statements
        assert f'ALTER TYPE public.hstore OWNER TO "{role}";' in statements
        assert any("the owner of view pg_catalog.pg_stats" in note for note in told["drill"].notes)
        report = _drilled(workspace, "grant execute on function pg_catalog.pg_sleep(float8) to public")
        assert [one["name"] for one in report["different"]] == ["FUNCTION pg_sleep(double precision)"]
        report = _drilled(workspace, "revoke usage on schema pg_catalog from public")
        assert [one["name"] for one in report["different"]] == ["SCHEMA pg_catalog"]
    finally:
        fill(workspace.conninfo, f'reassign owned by "{role}" to current_user; drop owned by "{role}"')
        run_sql(workspace.conninfo, "drop role {}", role)

"""restore diff on odd tables: keys that are written in two ways, types without an order, partitions, no key."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.backups.procedures.diff import Diff
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.postgres.restore.compared import Site, compared, database, fill, site
from tests.postgres.restore.test_rows_from_audit_odd import _TYPES

_ICU = "create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
_GERMAN = "create collation german (provider = icu, locale = 'de');"


@pytest.mark.parametrize(
    ("script", "new", "old", "counts"),
    [
        pytest.param(
            "create table t (k numeric primary key, v int); insert into t values (1.0, 1), (2, 2), (3, 3), (4.50, 4)",
            "update t set k = 4.5 where k = 4.5; insert into t values (9, 9)",
            "update t set k = 1.00 where k = 1; update t set v = 0 where k = 2; insert into t values (8.0, 8), (7, 7)",
            (1, 2, 3, 1),
            id="numeric",
        ),
        pytest.param(
            "create table t (k float8, v int, primary key (v, k)); insert into t values (0, 1), ('NaN', 2), (1e300, 3)",
            "update t set k = '-0' where v = 1",
            "delete from t where v = 3; insert into t values (1, 3)",
            (1, 1, 1, 1),
            id="float8",
        ),
        pytest.param(
            _ICU + "create table t (k text collate anycase primary key, v int);insert into t values ('a', 1), ('B', 2)",
            "update t set k = 'A' where v = 1",
            "insert into t values ('c', 3)",
            (0, 1, 1, 1),
            id="a collation that is not deterministic",
        ),
        pytest.param(
            _GERMAN + "create table t (k text collate german primary key, v int);"
            "insert into t select chr(224 + n) || n, n from generate_series(1, 30) n",
            "alter table t alter k type text collate \"C\"; update t set v = 0 where k like chr(230) || '%'",
            "delete from t where v in (1, 30)",
            (2, 0, 1, 27),
            id="other collations on both sides",
        ),
        pytest.param(
            "create extension citext; create table t (k citext primary key, v int); insert into t values ('Ann', 1)",
            "update t set k = 'ANN'; insert into t values ('new', 2)",
            "insert into t values ('old', 3)",
            (1, 1, 1, 0),
            id="citext",
        ),
        pytest.param(
            "create table t (k char(5) primary key, v int); insert into t values ('a', 1), ('b', 2)",
            "alter table t alter k type char(9)",
            "update t set v = 9 where k = 'b'",
            (0, 0, 2, 0),
            id="char of two lengths",
        ),
        pytest.param(
            "create table t (k interval primary key, v int); insert into t values ('1 month', 1), ('1 day', 2)",
            "update t set k = '30 days' where v = 1",
            "",
            (0, 0, 1, 1),
            id="interval",
        ),
        pytest.param(
            "create table t (a text, b text, v int, primary key (a, b));"
            r"insert into t values ('x,y', '(z', 1), (E'a\nb', E'tab\t', 2), ('', '\', 3)"
            r""", ('""', '\N', 4), ('ü', '€', 5)""",
            "update t set v = v + 10 where v > 2",
            "delete from t where v = 2; delete from t where v = 5",
            (2, 0, 2, 1),
            id="a key of two columns with odd characters",
        ),
        pytest.param(
            "create table t (id int unique not null, up int, n text); insert into t values (1, null, null), (2, 1, '')",
            "update t set n = '' where id = 1",
            "update t set up = null where id = 2",
            (0, 0, 2, 0),
            id="NULL is not the empty string, and a unique index is a key",
        ),
        pytest.param(
            "create table t (a int, b json, c point, d xml); insert into t select 1, '{\"a\":1}', '(1,2)', '<a/>'"
            " from generate_series(1, 3)",
            "insert into t values (null, null, null, null), (1, '{\"a\": 1}', '(1,2)', '<a/>')",
            "delete from t where ctid = '(0,1)'",
            (3, 0, 0, 2),
            id="no key, and types without an order",
        ),
        pytest.param(
            "create table t (a int); insert into t values (1), (1), (2), (2), (3)",
            "delete from t; insert into t values (1), (1), (1), (1), (3)",
            "",
            (2, 2, 0, 3),  # of which each is shown once
            id="no key: rows that are there several times",
        ),
        pytest.param(
            "create table t (id int, v int, primary key (id)) partition by range (id);"
            "create table t1 partition of t for values from (0) to (10);"
            "create table t2 partition of t for values from (10) to (90);"
            "insert into t select n, n from generate_series(0, 49) n",
            "update t set v = 0 where id = 20",
            "alter table t detach partition t2; create table t3 partition of t for values from (10) to (20);"
            "create table t4 partition of t for values from (20) to (90); insert into t select * from t2 where id < 45;"
            "drop table t2",
            (5, 0, 1, 44),
            id="other partitions",
        ),
        pytest.param(
            "create table t (id int primary key, v int); create table child (extra int) inherits (t);"
            "insert into t values (1, 1); insert into child values (2, 2, 2)",
            "insert into child values (3, 3, 3)",
            "update t set v = 5 where id = 1",
            (0, 0, 1, 0),
            id="a table that others inherit from: its own rows only",
        ),
        pytest.param(
            "create domain code as varchar(5) check (value <> 'boom'); create table t (k code primary key, v int);"
            "insert into t values ('a', 1), ('b', 2)",
            "update t set v = 3 where k = 'a'",
            "delete from t where k = 'b'",
            (1, 0, 1, 0),
            id="a domain as the key",
        ),
        pytest.param(
            "create type mood as enum ('good', 'bad'); create table t (k mood primary key, v mood[]);"
            "insert into t values ('good', '{good,bad}'), ('bad', null)",
            "update t set v = '{good}' where k = 'good'",
            "",
            (0, 0, 1, 1),
            id="an enum as the key",
        ),
        pytest.param(
            "create table t (id int primary key, n int, twice int generated always as (n * 2) stored);"
            "insert into t values (1, 1), (2, 2)",
            "update t set n = 5 where id = 1",
            "",
            (0, 0, 1, 1),
            id="a generated column",
        ),
        pytest.param(
            "create table t (id bigint primary key, n int, x text); insert into t values (1, 1, 'a'), (2, 2, 'b')",
            "alter table t alter n type bigint, alter id type int, alter x type varchar(9)",
            "update t set n = 7 where id = 2",
            (0, 0, 1, 1),
            id="other types on both sides",
        ),
        pytest.param(
            'create table "od.d ""t"" " ("Key %s" int primary key, "b" text, "h" text);'
            """insert into "od.d ""t"" " values (1, 'x', '%'), (2, 'y', '{}')""",
            """update "od.d ""t"" " set b = '%s' where "Key %s" = 1""",
            "",
            (0, 0, 1, 1),
            id="odd names",
        ),
        pytest.param(
            "create table t (id int primary key, v float8); insert into t values (1, 'NaN'), (2, 0)",
            "",
            "update t set v = 'inf'::float8 - 'inf' where id = 1; update t set v = '-0' where id = 2",
            (0, 0, 1, 1),
            id="a NaN that is stored otherwise, and -0, which is written otherwise",
        ),
        pytest.param(
            "create table t (); insert into t default values; insert into t default values",
            "",
            "",
            None,
            id="a table without columns",
        ),
        pytest.param(
            "create table base (a int); insert into base values (1); create materialized view t as select * from base",
            "insert into base values (2); refresh materialized view t",
            "",
            (1, 0, 0, 1),
            id="a materialized view",
        ),
    ],
)
def test_counts(
    databases: Databases,
    workspaces: Callable[..., Workspace],
    script: str,
    new: str,
    old: str,
    counts: tuple[int, int, int, int] | None,
) -> None:
    two = site(databases, workspaces, script, 15 if "icu" in script else 17)  # the embedded ones are built without ICU
    name = 'public."od.d ""t"" "' if "od.d" in script else "public.t"
    if counts is not None:
        assert two.diff(tables=(name,)).table(name)["state"] == "same"
    two.do(new=new, old=old)
    result = two.diff(tables=(name,), samples=50)
    if counts is None:
        assert result.table(name)["reason"] == "the two have no column in common"
        return
    assert result.counts(name) == counts
    assert "samples" in result.table(name), result.table(name)
    kinds = [one["kind"] for one in result.table(name)["samples"]]
    shown = tuple(kinds.count(one) for one in ("new", "old", "different"))
    assert shown == (counts[:3] if "(2), (2)" not in script else (1, 1, 0))


def test_every_type_from_15_to_18(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    """A value of each type is the same on both, and each column's change is seen."""
    new, old = databases(18), databases(15)
    for conninfo in (new, old):
        fill(conninfo, _TYPES)
    where = workspaces(old)
    request = Diff(database(new), database(old), new_server=new, samples=5)
    result = compared(where, request)
    assert result.counts("public.every") == (0, 0, 0, 3), result.text
    with psycopg.connect(new) as connection:
        names = [
            row[0]
            for row in connection.execute(
                "select attname from pg_attribute where attrelid = 'every'::regclass and attnum > 0"
                " and attgenerated = '' and attidentity = '' and attname not in ('id', 'Key 2') order by attnum"
            )
        ]
        for name in names:
            connection.execute(f'update every set "{name}" = null where id = 1')
    table = compared(where, request).table("public.every")
    assert table["different"] == 1
    assert "samples" in table, table
    assert set(names) <= set(table["samples"][0]["columns"])


def test_a_large_value_stays_on_the_server(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    two = site(databases, workspaces, "create table t (id int primary key, v text);")
    two.do(*["insert into t values (1, repeat('x', 4000000)), (2, repeat('y', 4000000))"] * 2)
    two.do(new="update t set v = v || 'z' where id = 2")
    result = two.diff()
    assert result.counts("public.t") == (0, 0, 1, 1)
    sample = result.table("public.t")["samples"][0]
    assert sample["columns"] == ["v"]
    assert len(sample["values"]["v"]) < 300


def test_other_encodings(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    new, old = databases(17), databases(17)
    name = database(old)
    with psycopg.connect(new, autocommit=True) as connection:
        connection.execute(f"drop database {name}")
        connection.execute(f"create database {name} template template0 encoding 'LATIN1' locale 'C'")
    for conninfo in (new, old):
        fill(
            make_conninfo(conninfo, client_encoding="utf8"),
            "create table t (k text primary key, v text); insert into t select chr(200 + n), 'é' || n"
            " from generate_series(1, 20) n; create table w as select * from t",
        )
    fill(make_conninfo(new, client_encoding="utf8"), "update t set v = 'è' where k = chr(210)")
    result = Site(workspaces(old), new, old).diff()
    assert result.counts("public.t") == (0, 0, 1, 19)
    assert result.counts("public.w") == (0, 0, 0, 20)

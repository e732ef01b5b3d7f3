"""Reads of the catalog, the same on every version: odd names, partitions, what a user may not read, keys in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg.conninfo import make_conninfo

from tabsync.postgres import catalog
from tabsync.postgres.catalog import ForeignKey, Relation
from tabsync.postgres.connect import Connection
from tests.conftest import Databases, Servers, run_sql
from tests.sessions import connect

_THINGS = """
create schema "Sales 2025";
create table "Sales 2025"."Order ""Items"" x" (id int primary key);
create table parent (region int, number int, "Capital" text, primary key (number, region), unique ("Capital", region));
create table child (a int, b int, c text,
  constraint two_columns foreign key (b, a) references parent (region, number));
alter table child
  add constraint matched_full foreign key (c, b) references parent ("Capital", region) match full not valid;
create table events (at int not null, parent int, region int) partition by range (at);
create table events_1 partition of events for values from (0) to (10);
create table events_2 partition of events for values from (10) to (20);
alter table events add constraint inherited foreign key (parent, region) references parent;
create materialized view totals as select count(*) from parent;
create view looked_at as select 1;
create unlogged table scratch_pad (x int);
create temporary table gone (x int);
create type "Mood" as enum ('sad', 'ok', 'it''s, "fine"');
alter type "Mood" add value 'angry' before 'sad';
create extension hstore;
analyze parent;
"""


@pytest.fixture(params=[15, 17, 18])
def conninfo(request: pytest.FixtureRequest, databases: Databases) -> str:
    conninfo = databases(request.param)
    run_sql(conninfo, _THINGS.replace("{", "{{").replace("}", "}}"))
    return conninfo


@pytest.fixture
def connection(conninfo: str) -> Iterator[Connection]:
    with connect(conninfo, "tests") as connection:
        yield connection


def test_what_there_is(connection: Connection) -> None:
    tables = {str(one.relation): one for one in catalog.tables(connection)}
    assert list(tables) == [
        '"Sales 2025"."Order ""Items"" x"',
        "public.child",
        "public.events_1",
        "public.events_2",
        "public.parent",
        "public.scratch_pad",
        "public.totals",
    ]
    assert (tables["public.totals"].kind, tables["public.parent"].kind) == ("m", "r")
    assert tables["public.child"].estimated_rows == -1  # never analyzed is not empty
    assert tables["public.parent"].estimated_rows == 0
    assert catalog.unreadable(connection) == []
    # In the order of the labels, not of their making.
    (mood,) = [one for one in catalog.enums(connection) if one["name"] == "Mood"]
    assert mood["labels"] == ["angry", "sad", "ok", 'it\'s, "fine"']
    assert [one["name"] for one in catalog.extensions(connection)] == ["hstore"]
    assert "hstore" in catalog.available_extensions(connection)
    assert catalog.key_tables(connection, 1) == [Relation("public", "parent")]
    assert "postgres" in catalog.roles(connection)
    assert not [name for name in catalog.roles(connection) if name.startswith("pg_")]
    assert catalog.tablespaces(connection) == []
    assert catalog.provider(connection) == "self-hosted"


def test_foreign_keys_pair_their_columns_in_the_order_of_the_key(connection: Connection) -> None:
    public = {name: Relation("public", name) for name in ("parent", "child", "events")}
    assert catalog.foreign_keys(connection) == [
        ForeignKey("matched_full", public["child"], ("c", "b"), public["parent"], ("Capital", "region"), False, "f"),
        ForeignKey("two_columns", public["child"], ("b", "a"), public["parent"], ("region", "number"), True, "s"),
        ForeignKey(
            "inherited", public["events"], ("parent", "region"), public["parent"], ("number", "region"), True, "s"
        ),
    ]


def test_who_the_server_is(connection: Connection, conninfo: str) -> None:
    identity = catalog.identity(connection)
    assert identity["database"] == connection.info.dbname
    assert (identity["role"], identity["user"]) == ("primary", "postgres")
    assert catalog.server_major(identity) == connection.info.server_version // 10000
    assert identity["system_identifier"].isdigit()
    facts = catalog.database_facts(connection)
    assert (facts["encoding"], facts["provider"]) == ("UTF8", "c")
    assert facts["bytes"] > 1_000_000


def test_positions_grow_with_what_is_written(connection: Connection) -> None:
    before = catalog.position(connection)
    connection.execute("insert into child select generate_series(1, 1000)")
    after = catalog.position(connection)
    assert catalog.wal_between(connection, before["lsn"], after["lsn"]) > 10_000
    assert catalog.wal_between(connection, after["lsn"], after["lsn"]) == 0
    assert after["time"] > before["time"]


def test_what_an_ordinary_user_may_not_read_is_named(conninfo: str) -> None:
    run_sql(conninfo, "create role plain login password 'plain'")
    try:
        run_sql(conninfo, "grant select on child, events_1 to plain")
        run_sql(conninfo, "create sequence counter")
        with connect(make_conninfo(conninfo, user="plain", password="plain"), "tests") as connection:
            hidden = [str(one) for one in catalog.unreadable(connection)]
            assert hidden == [
                '"Sales 2025"."Order ""Items"" x"',
                "public.counter",
                "public.events",
                "public.events_2",
                "public.parent",
                "public.scratch_pad",
                "public.totals",
            ]
            identity = catalog.identity(connection)
            assert identity["user"] == "plain"
            assert identity["system_identifier"].isdigit()
            assert catalog.key_tables(connection) == [Relation("public", "child")]
    finally:
        run_sql(conninfo, "drop owned by plain")
        run_sql(conninfo, "drop role plain")


_PROVIDERS = [
    ("supabase_admin", "Supabase"),
    ("rdsadmin", "Amazon RDS"),
    ("cloudsqladmin", "Google Cloud SQL"),
    ("azuresu", "Azure Database for PostgreSQL"),
    ("cloud_admin", "Neon"),
]


@pytest.mark.parametrize(("role", "provider"), [*_PROVIDERS, ("rds_superuser", ""), ("neon_superuser", "")])
def test_a_provider_is_known_by_its_superuser_and_not_by_a_name(role: str, provider: str, servers: Servers) -> None:
    conninfo = servers(17).conninfo()
    run_sql(conninfo, "create role {}", role)
    try:
        with connect(conninfo, "tests") as connection:
            assert catalog.provider(connection) == "self-hosted"
            if provider:
                run_sql(conninfo, "alter role {} superuser", role)
                assert catalog.provider(connection) == provider
    finally:
        run_sql(conninfo, "drop role {}", role)


def test_names_that_look_like_system_ones_are_not_lost(databases: Callable[..., str]) -> None:
    # Only a real pg_ prefix is PostgreSQL's own; the underscore is no wildcard here.
    conninfo = databases()
    run_sql(conninfo, "create schema pgx")
    run_sql(conninfo, "create table pgx.t (x int)")
    run_sql(conninfo, "create role pgrole")
    try:
        with connect(conninfo, "tests") as connection:
            assert [one.relation for one in catalog.tables(connection)] == [Relation("pgx", "t")]
            assert "pgrole" in catalog.roles(connection)
    finally:
        run_sql(conninfo, "drop role pgrole")

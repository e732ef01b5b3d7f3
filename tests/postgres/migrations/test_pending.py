"""A migration that its tool calls pending, and of which something is there: most tools note no failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.page import Page
from tabsync.migrations.status import Status, look_status
from tabsync.workspace import Workspace
from tests.postgres.migrations.test_histories import PRISMA, TABLES, made
from tests.postgres.migrations.test_python import shown

_SUPABASE = "20260401000000_new.sql"
_NEW = """
create table plates (id int primary key);
create index concurrently plates_id on plates (id);
alter table plates add column size int, add column colour text;
insert into plates values (1);
create policy p on plates for select using (true);
"""
_HALF = ("create table plates (id int primary key)", "create index plates_id on plates (id)")


@pytest.fixture
def look(databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path) -> Callable[..., Page]:
    """Looks at a history of Supabase with one pending migration, after some statements were run."""

    def looked(script: str, *before: str, names: tuple[str, ...] = (_SUPABASE,)) -> Page:
        conninfo = made(databases, TABLES["supabase"])
        for one in (*names, "20260101000000_a.sql", "20260301000000_b.sql"):
            (directory / one).write_text(script)
        with psycopg.connect(conninfo, autocommit=True) as session:
            for statement in before:
                session.execute(statement.encode())
        return look_status(workspaces(conninfo), Status(directory))

    return looked


def test_half_of_a_pending_one_is_there(look: Callable[..., Page]) -> None:
    page = look(_NEW, *_HALF, "alter table plates add column size int")
    (pending,) = (one for one in page.data["histories"][0]["migrations"] if one["state"] == "pending")
    assert (pending["begun"], page.exit_code) == (True, 1)
    assert page.headline == "1 TO LOOK AT: Supabase, supabase_migrations.schema_migrations"
    assert [one["found"] for one in page.data["begun"]["20260401000000"]] == [
        *("there", "there", "partly there", "can't tell", "absent")
    ]
    assert "2 of 5 statements are there, and 1 partly, though the tool calls it pending" in shown(page)
    assert "run no other migration" in shown(page)


def test_all_of_a_pending_one_is_there(look: Callable[..., Page]) -> None:
    page = look("create table plates (id int); create index plates_id on plates (id);", *_HALF)
    assert page.exit_code == 1
    assert "all of it is there, and the tool has not noted it" in shown(page)


@pytest.mark.parametrize(
    ("script", "before"),
    [
        (_NEW, ()),
        ("create table if not exists plates (id int); create index on plates (id)", _HALF),
        ("create or replace view v as select 1; insert into plates values (2)", (*_HALF, "create view v as select 1")),
        ("drop table if exists plates; create table plates (id int, x int)", _HALF),
        ("drop table if exists gone cascade; alter table plates enable row level security", _HALF),
        ("alter table plates alter column id set not null", _HALF),
        ("alter table plates add column if not exists id int", _HALF),
        ("alter table plates rename to dishes; create table plates (id int)", _HALF),
        ("select 1", ()),
        ("", ()),
    ],
)
def test_what_was_so_before_is_no_sign_of_it(script: str, before: tuple[str, ...], look: Callable[..., Page]) -> None:
    page = look(script, *before)
    assert page.data["begun"] == {}
    assert page.exit_code == 0


def test_what_an_earlier_pending_one_takes_away_first_is_no_sign_of_a_later_one(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = made(databases, f"{TABLES['plain']}; {_HALF[0]}")
    (directory / "001_a.sql").write_text("select 1")
    (directory / "002_b.sql").write_text("drop table plates")
    (directory / "003_c.sql").write_text("create table plates (id int, name text)")
    assert look_status(workspaces(conninfo), Status(directory)).data["begun"] == {}


def test_of_a_file_with_both_ways_only_the_way_there_counts(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = made(databases, f"{TABLES['plain']}; {_HALF[0]}")
    (directory / "001_a.sql").write_text("select 1")
    up = "-- migrate:up\ncreate table plates (id int);\n\n-- migrate:down\ndrop table plates;\n"
    (directory / "002_b.sql").write_text(up)
    page = look_status(workspaces(conninfo), Status(directory))
    assert [one["found"] for one in page.data["begun"]["002"]] == ["there"]


def test_a_migration_is_asked_for_by_name_or_by_its_sql(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    workspace = workspaces(made(databases, f"{TABLES['plain']}; {_HALF[0]}"))
    (directory / "001_a.sql").write_text("create table plates (id int)")
    page = look_status(workspace, Status(directory, name="001"))
    assert [one["found"] for one in page.data["asked"]["001"]] == ["there"]
    assert page.exit_code == 0
    for wrong in (
        Status(directory, name="002"),
        Status(name="001"),
        Status(sql=directory / "absent.sql"),
    ):
        with pytest.raises(BadUsage):
            look_status(workspace, wrong)


def test_one_that_was_noted_as_rolled_back_and_is_half_there(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    """As `prisma migrate resolve --rolled-back` does it, which looks at nothing."""
    conninfo = made(databases, f"{PRISMA}; {_HALF[0]}")
    with psycopg.connect(conninfo) as session:
        row = "insert into _prisma_migrations (migration_name, started_at, rolled_back_at) values ('1_a', now(), now())"
        session.execute(row.encode())
    (directory / "1_a").mkdir()
    (directory / "1_a" / "migration.sql").write_text(_NEW)
    page = look_status(workspaces(conninfo), Status(directory))
    assert page.exit_code == 1
    assert "1 of 5 statements are there, though the tool calls it rolled back" in shown(page)


@pytest.mark.parametrize("schema", ["_prisma", "prisma_contract"])
def test_prisma_8_is_recognised_and_not_read(
    schema: str, databases: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo = made(
        databases,
        f"create schema {schema}; create table {schema}.marker (space text primary key, core_hash text not null,"
        f" updated_at timestamptz default now()); create table {schema}.ledger (id bigint primary key)",
    )
    page = look_status(workspaces(conninfo), Status())
    assert page.headline.startswith("NOT SUPPORTED: Prisma 8")
    assert page.data["unsupported"] == [{"tool": "Prisma 8", "table": f"{schema}.marker"}]
    assert page.exit_code == 6
    assert "NO HISTORY" not in shown(page)

"""Histories that somebody has written to do harm: nothing is executed, nothing is leaked, nothing fills our memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.errors import Refused
from tabsync.migrations.histories import table
from tabsync.migrations.resolve import Resolve, plan_resolve
from tabsync.migrations.status import Status, look_status
from tabsync.migrations.there import search_path
from tabsync.workspace import Workspace
from tests.postgres.cli.program import tabsync
from tests.postgres.migrations.test_histories import PRISMA, TABLES, made
from tests.postgres.migrations.test_python import shown

_INSERT = "insert into _prisma_migrations (migration_name, logs, checksum, started_at) values (%s, %s, '', now())"
_OBEYED = (
    "\x1b]0;pwned\x07",
    "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x9b2J",
    "\u202egnorw\u2066",
    "$(touch pwned)`touch pwned`;touch pwned",
    "../../../../etc/passwd",
    "a\nUP TO DATE: Prisma\r\x08",
)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_names_and_logs_on_a_terminal(form: tuple[str, ...], databases: Callable[..., str], directory: Path) -> None:
    conninfo = made(databases, PRISMA)
    with psycopg.connect(conninfo) as session:
        for text in _OBEYED:
            session.execute(_INSERT, [text, f"{text} postgresql://app:hunter2@db/shop"])
    (directory / "tabsync.toml").write_text(f"database = {json.dumps(conninfo)}\n")
    done = tabsync(directory, "migration", "status", "--folder", ".", *form)
    assert done.code == 1, done.err
    printed = done.out + done.err
    assert "click" in printed
    assert not [one for one in "\x1b\x07\x08\r\x9b\u202e\u2066" if one in printed], printed
    assert "hunter2" not in printed
    assert not [line for line in printed.splitlines() if line.startswith("UP TO DATE")]
    assert not list(directory.rglob("pwned"))


def test_logs_of_a_megabyte_and_statements_with_passwords(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = made(databases, PRISMA)
    with psycopg.connect(conninfo) as session:
        session.execute(_INSERT, ["1_a", "x" * 990 + " postgresql://u:hunter2@db/x " * 40_000])
    (directory / "1_a").mkdir()
    (directory / "1_a" / "migration.sql").write_text("create role app password 'hunter2';\n" + "select 1;\n" * 400)
    page = look_status(workspaces(conninfo), Status(directory))
    assert len(page.data["failed"]["1_a"]) == 401
    assert len(json.dumps(page.data["histories"])) < 10_000
    assert "hunter2" not in json.dumps(page.data) + shown(page)


def test_a_hundred_thousand_rows(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = made(databases, TABLES["django"])
    (directory / "shop" / "migrations").mkdir(parents=True)
    (directory / "shop" / "migrations" / "0001_initial.py").write_text("class Migration: pass\n")
    with psycopg.connect(conninfo) as session:
        rows = "select 'shop', 'n' || i, now() from generate_series(1, 100000) i"
        session.execute(f"insert into django_migrations (app, name, applied) {rows}".encode())
    page = look_status(workspaces(conninfo), Status(directory))
    assert len(page.data["histories"][0]["migrations"]) >= 100_000
    assert "more are not shown" in shown(page)


def test_what_is_too_much_is_not_read(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    conninfo = made(databases, f"{TABLES['plain']}, (repeat('x', 200)), ('3')")
    for name, most in (("_ROWS", 2), ("_SIZE", 100)):
        with monkeypatch.context() as patch:
            patch.setattr(table, name, most)
            page = look_status(workspaces(conninfo), Status())
        assert (page.data["histories"], page.exit_code) == ([], 1)
        assert "no tool wrote that" in shown(page)
    assert len(look_status(workspaces(conninfo), Status()).data["histories"][0]["migrations"]) == 3


@pytest.mark.parametrize(
    "planted",
    [
        "create table schema_migrations (version text, x int) partition by list (x)",
        "create table schema_migrations (version int[])",
        "create type mood as enum ('a'); create table schema_migrations (version text, mood mood)",
        "create table schema_migrations (version text, dirty text[]); insert into schema_migrations values ('x', '{}')",
        "create materialized view schema_migrations as select 'a'::text as version",
        "create table schema_migrations (version text, at timestamptz); insert into schema_migrations values (null)",
        "create table schema_migrations (version bytea); insert into schema_migrations values ('\\xff00')",
    ],
)
def test_columns_of_odd_types_and_tables_of_odd_kinds(
    planted: str, databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    (directory / "1_a.sql").write_text("select 1")
    look_status(workspaces(made(databases, planted)), Status(directory))


def test_the_rows_of_a_table_that_inherits_are_no_history(
    databases: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    """Such a table may be of another server: reading it would go there as us."""
    conninfo = made(
        databases,
        f"{TABLES['plain']}; create table child () inherits (schema_migrations); insert into child values ('666')",
    )
    assert "666" not in json.dumps(look_status(workspaces(conninfo), Status()).data)


def test_a_domain_of_the_databases_owner_does_not_run_as_us(
    databases: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases()
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute("create schema evil; create sequence evil.proof")
        body = "begin perform nextval('evil.proof'); return true; end"
        returns = "create function evil.note(pg_catalog.text) returns bool language plpgsql as"
        session.execute(f"{returns} $$ {body} $$")
        session.execute("create domain evil.text as pg_catalog.text check (evil.note(value))")
        session.execute(f"alter database {session.info.dbname} set search_path = evil, pg_catalog, public")
        assert search_path(workspaces(conninfo)) == ["evil", "pg_catalog", "public"]
        assert session.execute("select is_called from evil.proof").fetchone() == (False,)


def test_a_table_that_inherits_from_the_history_brings_no_trigger_of_its_own(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = databases()
    (directory / "1_bad").mkdir()
    (directory / "1_bad" / "migration.sql").write_text("create table plates (id int);\n")
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute(PRISMA)
        session.execute(
            "insert into _prisma_migrations (id, checksum, migration_name, started_at, applied_steps_count)"
            " values ('a', 'x', '1_bad', now(), 0)"
        )
        session.execute("create table child () inherits (_prisma_migrations)")
        with pytest.raises(Refused, match="a table that inherits from it"):
            plan_resolve(workspaces(conninfo), Resolve("1_bad", directory, rolled_back=True, force=True, reason="x"))

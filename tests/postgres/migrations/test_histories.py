"""Histories as the tools' documentation has them, against files; and tables that only have the name of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.step import Facts
from tabsync.migrations.status import Status, look_status
from tabsync.migrations.tools.flyway import checksum
from tabsync.workspace import Workspace

_MIGRATION = "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    operations = []\n"
_CREATE = b"create table t (\n  id int\n);\n"
PRISMA = (
    "create table _prisma_migrations (id text, checksum text, finished_at timestamptz, migration_name text, logs text,"
    " rolled_back_at timestamptz, started_at timestamptz, applied_steps_count int)"
)
TABLES = {
    "alembic": "create table alembic_version (version_num varchar(32) primary key);"
    " insert into alembic_version values ('b2')",
    "django": "create table django_migrations (id bigint generated always as identity primary key, app varchar(255),"
    " name varchar(255), applied timestamptz); insert into django_migrations (app, name, applied) values"
    " ('auth', '0001_initial', now()), ('shop', '0001_initial', now()), ('shop', '0003_gone', now()),"
    " ('cart', 'first', now()), ('cart', 'gone', now())",
    "flyway": "create table flyway_schema_history (installed_rank int primary key, version varchar(50), description"
    " varchar(200), type varchar(20), script varchar(1000), checksum int, installed_by varchar(100), installed_on"
    " timestamp default now(), execution_time int, success boolean);"
    " insert into flyway_schema_history values"
    f" (1, '1', 'a', 'SQL', 'V1__a.sql', {checksum(_CREATE)}, 'x', now(), 1, true),"
    " (2, '1.2', 'b', 'SQL', 'V1.2__b.sql', 5, 'x', now(), 1, true),"
    " (3, '10', 'c', 'SQL', 'V10__c.sql', 6, 'x', now(), 1, false)",
    "supabase": "create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text"
    " primary key, statements text[], name text); insert into supabase_migrations.schema_migrations (version) values"
    " ('20260101000000'), ('20260301000000')",
    "plain": "create table schema_migrations (version varchar(255) primary key); insert into schema_migrations values"
    " ('001')",
    "dirty": "create table schema_migrations (version bigint primary key, dirty boolean not null); insert into"
    " schema_migrations values (2, true)",
}
FILES = {
    "alembic": {
        "a1_first.py": "revision = 'a1'\ndown_revision = None\n",
        "b2_second.py": "revision: str = 'b2'\ndown_revision = ('a1',)\nraise SystemExit('not run')\n",
        "c3_third.py": "revision = 'c3'\ndown_revision = 'b2'\n",
        "odd.py": "revision = (\n",
    },
    "django": {
        "shop/migrations/0001_initial.py": _MIGRATION,
        "shop/migrations/0002_more.py": _MIGRATION,
        "shop/migrations/__init__.py": "",
        "shop/migrations/helpers.py": "raise SystemExit('not run')\n",
        "lib/site-packages/sites/migrations/0001_initial.py": _MIGRATION,
        "cart/migrations/first.py": _MIGRATION,
        "cart/migrations/first_squashed.py": _MIGRATION + "    replaces = [('cart', 'first'), ('cart', 'gone')]\n",
    },
    "flyway": {
        "V1__a.sql": _CREATE.decode(),
        "V1.2__b.sql": "select 1",
        "V1.1__late.sql": "",
        "V10__c.sql": "",
        "R__v.sql": "",
    },
    "supabase": {"20260101000000_a.sql": "", "20260201000000_late.sql": "", "20260401000000_new.sql": ""},
    "plain": {"001_a.up.sql": "", "001_a.down.sql": "", "002_b.sql": "", "README.md": ""},
    "dirty": {"000001_a.up.sql": "", "000002_b.up.sql": "", "000002_b.down.sql": "", "000003_c.up.sql": ""},
}
SAID: dict[str, dict[str, str]] = {
    "alembic": {"a1": "applied", "b2": "applied", "c3": "pending"},
    "django": {
        "auth.0001_initial": "applied",
        "cart.first": "applied",
        "cart.gone": "applied",
        "cart.first_squashed": "applied",
        "shop.0001_initial": "applied",
        "shop.0002_more": "pending",
        "shop.0003_gone": "applied, not in the folder",
    },
    "flyway": {
        "V1__a.sql": "applied",
        "V1.2__b.sql": "applied, edited",
        "V1.1__late.sql": "pending, late",
        "V10__c.sql": "failed, edited",
        "R__v.sql": "pending",
    },
    "supabase": {
        "20260101000000": "applied",
        "20260201000000": "pending, late",
        "20260301000000": "applied, not in the folder",
        "20260401000000": "pending",
    },
    "plain": {"001": "applied", "002": "pending"},
    "dirty": {"000001": "applied", "000002": "failed", "000003": "pending"},
}


def said(one: Facts) -> str:
    """A migration in a few words."""
    odd = (
        ["edited"] * bool(one["edited"]) + ["not in the folder"] * (one["in_folder"] is False) + ["late"] * one["late"]
    )
    return ", ".join([one["state"], *odd])


def made(databases: Callable[..., str], statements: str) -> str:
    conninfo = databases()
    with psycopg.connect(conninfo) as session:
        session.execute(statements.encode())
    return conninfo


@pytest.mark.parametrize("tool", TABLES)
def test_a_history_is_told_as_it_is(
    tool: str, databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    folder = directory / "files"
    for name, content in FILES[tool].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    workspace = workspaces(made(databases, TABLES[tool]))
    (found,) = look_status(workspace, Status(folder)).data["histories"]
    assert {one["name"]: said(one) for one in found["migrations"]} == SAID[tool]
    (without,) = look_status(workspace, Status()).data["histories"]
    assert all(one["in_folder"] is None or not one["in_folder"] for one in without["migrations"])
    with pytest.raises(BadUsage, match="is no directory"):
        look_status(workspace, Status(directory / "absent"))


@pytest.mark.parametrize(
    "planted",
    [
        "create view _prisma_migrations as select public.pwn()::text as migration_name, '' as checksum,"
        " now() as started_at, now() as finished_at, now() as rolled_back_at, '' as logs",
        "create domain odd as text; create table _prisma_migrations (migration_name odd, checksum text, started_at"
        " timestamptz, finished_at timestamptz, rolled_back_at timestamptz, logs text)",
        "create table _prisma_migrations (x int)",
    ],
)
def test_what_only_has_the_name_is_not_read(
    planted: str, databases: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    pwn = (
        "create table pwned (who text); create function public.pwn() returns int language plpgsql as"
        " $$ begin insert into public.pwned values (current_user); return 1; end $$; "
    )
    conninfo = made(databases, pwn + planted)
    page = look_status(workspaces(conninfo), Status())
    assert page.data["odd"]
    assert page.exit_code == 1
    with psycopg.connect(conninfo) as session:
        assert session.execute("select count(*) from pwned").fetchone() == (0,)


def test_names_and_logs_of_a_tool_can_do_nothing_to_a_terminal(
    databases: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    escape = "\x1b]0;pwned\x07\n\nIN ORDER"
    conninfo = made(databases, PRISMA)
    values: list[Any] = [escape, escape]
    with psycopg.connect(conninfo) as session:
        insert = (
            "insert into _prisma_migrations (migration_name, logs, checksum, started_at) values (%s, %s, '', now())"
        )
        session.execute(insert, values)
    page = look_status(workspaces(conninfo), Status())
    shown = [part for block in page.blocks for part in str(block).splitlines()]
    assert not any("\x1b" in one and "\\x1b" not in one for one in shown)

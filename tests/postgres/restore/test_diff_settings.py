"""restore diff of what is easily overlooked: settings of the database, options, how values are stored."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg import sql

from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.postgres.restore.compared import database, site

_MADE = """
create table t (v text);
create extension postgres_fdw;
create server there foreign data wrapper postgres_fdw;
create foreign table f (v text options (column_name 'v')) server there options (table_name 'x');
"""


def test_what_is_easily_overlooked(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    two = site(databases, workspaces, _MADE)
    assert two.diff().details["objects"] == []
    two.do(
        new="alter foreign table f options (set table_name 'y');"
        "alter foreign table f alter v options (set column_name 'w');"
        "alter table t alter v set storage external; comment on schema public is 'mine';"
        "create user mapping for public server there options (password 's3cret')"
    )
    with psycopg.connect(two.new, autocommit=True) as connection:
        for setting in ("default_transaction_read_only = on", "app.token = 's3cret'"):
            text = sql.SQL("alter database {} set " + setting)
            connection.execute(text.format(sql.Identifier(database(two.new))))
    result = two.diff()
    assert result.objects == {
        ("column", "public.f.v"): "different",
        ("column", "public.t.v"): "different",
        ("comment", "schema public"): "new",
        ("setting", "app.token"): "new",
        ("setting", "default_transaction_read_only"): "new",
        ("foreign table", "public.f"): "different",
        ("user mapping", "of public for server there"): "new",
    }
    assert "s3cret" not in str(result.details) + result.text

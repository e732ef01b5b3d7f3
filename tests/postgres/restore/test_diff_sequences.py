"""restore diff of sequences: how far they are, where they would begin, and what may not be known."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import Exit
from tabsync.postgres.embedded import Server
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.postgres.restore.compared import Site, database, fill, site


def test_where_an_unused_one_begins(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    two = site(databases, workspaces, 'create sequence a; create sequence "B %s"; create sequence c')
    assert two.diff().page.exit_code is Exit.DONE
    two.do(
        "select setval('a', 1000, false), setval('c', 7, false)",
        "select setval('a', 500000, false), setval('c', 7, true)",
    )
    result = two.diff()
    assert result.page.headline == "2 SEQUENCES DIFFER"
    assert result.page.exit_code is Exit.PROBLEM_FOUND
    new, old = database(two.new), database(two.old)
    assert f"sequence public.a: never used, begins with 1,000 in {new}, never used, begins with 500,000 in {old}" in (
        result.text
    )
    assert f"sequence public.c: never used, begins with 7 in {new}, 7 in {old}" in result.text


def test_one_that_may_not_be_read_is_unknown(
    server: Server, databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    made = "create sequence hidden; create sequence counted; create table t (id int primary key)"
    two = site(databases, workspaces, made)
    role = f"reader_{database(two.new)}"
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("create role {} login password 'r'").format(sql.Identifier(role)))
    for conninfo in (two.new, two.old):
        fill(conninfo, f"grant select on t to {role}; grant usage on sequence counted to {role}")
    where = Site(workspaces(make_conninfo(two.old, user=role, password="r")), two.new, two.old)
    result = where.diff()  # USAGE alone says how far it is, and not where it would begin
    assert result.page.headline == "2 SEQUENCES UNKNOWN"
    two.do("select nextval('hidden'), nextval('counted')", "select nextval('counted')")
    result = where.diff()
    assert result.page.headline == "1 SEQUENCE UNKNOWN"
    assert result.page.exit_code is Exit.PROBLEM_FOUND
    assert "unknown: sequence public.hidden: not known in" in result.text
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        for conninfo in (two.new, two.old):
            connection.execute(sql.SQL("drop database {}").format(sql.Identifier(database(conninfo))))
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))

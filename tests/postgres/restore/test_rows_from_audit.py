"""Rows back from the audit log: as they were, with all that went with them, undone and back again."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tabsync.workspace import Workspace
from tests.conftest import Databases, Servers, run_sql
from tests.postgres.restore.audited import contents, do, from_log, install, undone, written

_GUEST = "g@example.com"


@pytest.fixture(scope="session")
def recorded(servers: Servers, restaurant: Callable[[int], str]) -> Callable[[int], str]:
    """The name of a template database: the profile's, with its changes recorded."""
    made: set[int] = set()

    def of(major: int) -> str:
        if major not in made:
            server = servers(major)
            run_sql(server.conninfo(), "create database {} template {}", "recorded", restaurant(major))
            install(server.conninfo("recorded"))
            made.add(major)
        return "recorded"

    return of


@pytest.fixture
def shop(
    databases: Databases, workspaces: Callable[..., Workspace], recorded: Callable[[int], str]
) -> Callable[..., Workspace]:
    """Makes a workspace on such a database."""
    return lambda major=17: workspaces(databases(major, template=recorded(major)))


@pytest.mark.parametrize("major", [15, 17, 18])
def test_an_order_whose_items_were_deleted_first_comes_back_with_its_total(
    shop: Callable[..., Workspace], major: int
) -> None:
    workspace = shop(major)
    before = contents(workspace.conninfo)
    one = "(select order_id from order_items group by 1 order by count(*) desc, 1 limit 1)"
    with psycopg.connect(workspace.conninfo) as session:
        row = session.execute(f"select id::text from orders where id = {one}").fetchone()
    assert row is not None
    order = row[0]
    do(
        workspace.conninfo,
        f"delete from order_items where order_id = '{order}'",
        f"delete from orders where id = '{order}'",
    )
    after = contents(workspace.conninfo)
    with from_log(workspace, "orders", f"id = '{order}'", with_dependents=True) as found:
        assert found.total("missing") > 1
        assert found.tables[0]["notes"] == []
        outcome = written(workspace, found)
    assert contents(workspace.conninfo) == before
    undone(workspace, outcome)
    assert contents(workspace.conninfo) == after
    with from_log(workspace, "orders", f"id = '{order}'", with_dependents=True) as found:
        written(workspace, found)
    assert contents(workspace.conninfo) == before

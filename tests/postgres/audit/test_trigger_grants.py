"""Nobody but their owner puts a trigger on the audited tables: it would run as whoever changes a role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tabsync.audit.claims_key import write_key
from tabsync.audit.install import Install, plan_install
from tabsync.postgres.connect import connect
from tabsync.workspace import Workspace
from tests.postgres.audit.steps import installs, removes, repairs, status

APP = "app_with_trigger"


@pytest.fixture
def workspace(audited_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(audited_database(17))


@pytest.fixture
def session(workspace: Workspace) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(workspace.conninfo, autocommit=True) as opened:
        opened.execute(f"create role {APP}")
        opened.execute(f"create schema own authorization {APP}")
        try:
            yield opened
        finally:
            opened.execute("reset role")
            opened.execute(f"drop owned by {APP} cascade")
            opened.execute(f"drop role {APP}")


def may(session: psycopg.Connection[tuple[Any, ...]], table: str) -> bool:
    row = session.execute("select has_table_privilege(%s, %s, 'TRIGGER')", [APP, table]).fetchone()
    return bool(row and row[0])


def test_trigger_is_revoked_and_comes_back(workspace: Workspace, session: psycopg.Connection[tuple[Any, ...]]) -> None:
    removes(workspace)
    session.execute(f"grant all on all tables in schema public to {APP}")  # as Supabase does
    session.execute(f"set role {APP}")
    session.execute(
        "create function own.evil() returns trigger language plpgsql as $$ begin"
        f" if current_user <> '{APP}' and pg_trigger_depth() < 2 then"
        " update public.users set role = 'SUPER_ADMIN' where email = 'user@example.com'; end if; return new; end $$"
    )
    session.execute("create trigger zz before update on users for each row execute function own.evil()")
    session.execute("reset role")
    notes = plan_install(workspace, Install()).notes
    assert any(one.startswith(f"{APP} may create no triggers any more on public.") for one in notes)
    stranger = f"the trigger zz on public.users calls a function of {APP}"
    assert any(one.startswith(stranger) for one in notes)
    installs(workspace)
    assert not may(session, "users")
    assert not may(session, "orders")
    (one,) = status(workspace).data["drift"]
    assert one["told"].startswith(stranger)
    assert not one["weak"]
    session.execute("drop trigger zz on users")
    session.execute(f"grant trigger on users, orders to {APP}")
    told = {one["told"] for one in status(workspace).data["drift"]}
    assert told == {f"{APP} may create triggers on public.{table}" for table in ("users", "orders")}
    repairs(workspace)
    assert status(workspace).data["drift"] == []
    assert not may(session, "users")
    session.execute(f"set role {APP}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("create trigger zz before update on users for each row execute function own.evil()")
    session.execute("reset role")
    removes(workspace)
    assert may(session, "users")
    assert may(session, "orders")


def test_who_reads_or_writes_all_data_is_named(
    workspace: Workspace, session: psycopg.Connection[tuple[Any, ...]]
) -> None:
    session.execute(f"grant pg_write_all_data, pg_read_all_data to {APP}")
    page = status(workspace)
    # The server has the roles of other tests, too.
    (one,) = [one for one in page.data["drift"] if one["told"].startswith(APP)]
    assert one["told"].startswith(f"{APP} is a member of pg_write_all_data: it can write entries")
    assert (one["weak"], page.exit_code) == (True, 0)
    assert one["told"] in plan_install(workspace, Install()).notes
    with connect(workspace.conninfo, "tests") as connection:
        write_key(connection, b"k" * 32)
    told = [one["told"].split(":")[0] for one in status(workspace).data["drift"] if one["weak"]]
    wanted = [f"{APP} is a member of pg_{word}_all_data" for word in ("write", "read")]
    assert [one for one in told if one.startswith(APP)] == wanted

"""Tables that are changed under our hands, by whoever may: nothing of theirs runs with a superuser's rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Context
from tabsync.profiles.tabsync.orders.database import session
from tabsync.profiles.tabsync.orders.drain import drain
from tabsync.profiles.tabsync.orders.write import writing
from tabsync.workspace import Workspace
from tests.postgres.orders.shop import SPY, Conn, client, run, target_of
from tests.whole import WHOLE

Workspaces = Callable[..., Workspace]
MAJORS = (15, 17, 18) if WHOLE else (17,)
PEEK = """
create function peek() returns boolean language plpgsql volatile as $$
begin insert into public.spied values (current_user, session_user); return true; end $$
"""
SCHEMA = "alter schema public rename to before; create schema public"


@pytest.fixture
def mallory(owned: str, admin: Conn) -> Iterator[Conn]:
    """A session of the role that owns the tables, and may create more."""
    admin.execute(SPY)
    with closing(psycopg.connect(owned, autocommit=True)) as session_of_hers:
        session_of_hers.execute("set session authorization mallory")
        session_of_hers.execute(PEEK)
        yield session_of_hers


def spied(admin: Conn) -> set[str]:
    """As whom her code has run."""
    return {name for (name,) in admin.execute("select who::text from spied").fetchall()}


@pytest.mark.parametrize("name", ["order_gate", "restaurants"])
def test_a_view_that_comes_while_we_wait(
    owned: str, admin: Conn, mallory: Conn, workspaces: Workspaces, name: str
) -> None:
    table, real = sql.Identifier(name), sql.Identifier(f"real_{name}")
    mallory.execute("begin")
    mallory.execute(sql.SQL("select from {} for update").format(table))

    def swap(*_: object) -> None:
        if mallory.info.transaction_status is mallory.info.transaction_status.INTRANS:
            mallory.execute(sql.SQL("alter table {} rename to {}").format(table, real))
            mallory.execute(sql.SQL("create view {} as select * from {} where peek()").format(table, real))
            mallory.execute("commit")

    with client(owned) as kitchen:
        kitchen.execute("update orders set status = 'PREPARING'")
        context = Context(workspaces(owned), "x", {}, swap)
        with pytest.raises(Refused, match=f"no plain table: public.{name}"):
            drain(context, target=target_of(owned), restaurant=None, wait=60.0)
    assert spied(admin) == set()


SWAPS = {
    "drop": "drop table order_pauses",
    "rename": "alter table order_pauses rename to before",
    "trigger": "create trigger t before insert on order_pauses for each row execute function spy()",
    "rule": "create rule r as on insert to order_pauses do also select peek()",
    "schema": SCHEMA,
}


@pytest.mark.parametrize("what", SWAPS)
def test_nothing_changes_between_the_look_and_the_write(
    owned: str, admin: Conn, mallory: Conn, workspaces: Workspaces, what: str
) -> None:
    admin.execute("alter schema public owner to mallory")
    row = admin.execute("select current_database()").fetchone()
    assert row is not None
    admin.execute(sql.SQL("grant create on database {} to mallory").format(sql.Identifier(row[0])))
    mallory.execute("set lock_timeout = '50ms'")
    with session(workspaces(owned)) as ours, writing(ours, "order_pauses", "not paused"):
        with pytest.raises(psycopg.errors.LockNotAvailable):
            mallory.execute(SWAPS[what])
        mallory.execute("grant usage on schema public to public")  # holds nobody up
    mallory.execute(SWAPS[what])


def test_a_trigger_of_somebody_else_on_a_table_of_a_superuser(
    owned: str, admin: Conn, mallory: Conn, workspaces: Workspaces
) -> None:
    admin.execute("alter table order_pauses owner to current_user")
    admin.execute("grant all on order_pauses to mallory; alter function spy() owner to mallory")
    mallory.execute("create trigger t before insert on order_pauses for each row execute function spy()")
    with pytest.raises(Refused, match="the trigger t of order_pauses is not a superuser's"):
        run(workspaces(owned), "orders pause", wait="0s")
    assert spied(admin) == set()


LATE = """
create table later (a int);
create function again() returns trigger language plpgsql as $$
begin set constraints {} deferred; insert into public.later values (1); return null; end $$;
create constraint trigger first after insert on order_pauses deferrable initially deferred
  for each row execute function again();
create constraint trigger last after insert on later deferrable initially deferred
  for each row execute function spy();
"""


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("which", ["all", "last"])
def test_what_a_trigger_puts_off_once_more(
    shops: Callable[..., str], workspaces: Workspaces, major: int, which: str
) -> None:
    conninfo = shops(major)
    with psycopg.connect(conninfo, autocommit=True) as admin:
        admin.execute("drop role if exists mallory")
        admin.execute("create role mallory")
        try:
            admin.execute(SPY)
            admin.execute("grant create on schema public to mallory; alter table order_pauses owner to mallory")
            admin.execute("set role mallory")
            admin.execute(LATE.format(which).encode())
            admin.execute("reset role")
            values: dict[str, Any] = {"seconds": 600, "reason": "x", "who": "ana", "restaurant": None, "run": "x"}
            with session(workspaces(conninfo)) as ours:
                if major < 18:
                    with pytest.raises(Refused, match=r"a trigger of public.later would run at the end"):
                        paused(ours, values)
                else:
                    paused(ours, values)
            assert spied(admin) == (set() if major < 18 else {"mallory"})
            admin.execute("drop trigger first on order_pauses")
            with session(workspaces(conninfo)) as ours:
                paused(ours, values | {"run": "y"})
        finally:
            admin.execute("drop owned by mallory cascade; drop role mallory")


def paused(ours: Any, values: dict[str, Any]) -> None:
    """Write a pause."""
    with writing(ours, "order_pauses", "orders were not paused") as write:
        assert write("pause", **values) == 1

"""Who may create a schema may make one of our name before us, with code in it: none of it runs as us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest

from tabsync.audit.install import Install, plan_install
from tabsync.audit.reading.list import List, look_list
from tabsync.audit.remove import plan_remove
from tabsync.audit.repair import plan_repair
from tabsync.audit.status import look_status
from tabsync.kernel.errors import Refused, TabsyncError
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Planned
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.users.change import Promote, plan_change
from tabsync.users.show import ListUsers
from tabsync.users.show import look_list as look_users
from tabsync.workspace import Workspace

_PWN = """
create schema tabsync_audit;
create table public.pwned (who text);
grant insert on public.pwned to public;
create function public.pwn() returns int language plpgsql as
  $$ begin insert into public.pwned values (current_user); return 1; end $$;
"""
_SETTINGS = "create table tabsync_audit.settings (name text primary key, value jsonb not null"
PLANTED = {
    "a view": "create view tabsync_audit.settings as"
    " select 'log' as name, to_jsonb('public.orders'::text) as value where public.pwn() = 1",
    "a default": f"{_SETTINGS}, z int default public.pwn())",
    "a check": f"{_SETTINGS}, check (public.pwn() = 1))",
    "a domain": f"create domain public.odd as int check (public.pwn() = 1); {_SETTINGS}, z public.odd default 1)",
    "an index": "create function public.same(text) returns text immutable language plpgsql as $$ begin"
    f" perform public.pwn(); return $1; end $$; {_SETTINGS}); create index on tabsync_audit.settings"
    " (public.same(name))",
    "a trigger": f"{_SETTINGS}); create function public.fires() returns trigger language plpgsql as $$ begin perform"
    " public.pwn(); return new; end $$; create trigger t before insert on tabsync_audit.settings for each row"
    " execute function public.fires()",
    "a policy": f"{_SETTINGS}); alter table tabsync_audit.settings enable row level security;"
    " create policy p on tabsync_audit.settings using (public.pwn() = 1)",
    "a schema alone": "select 1",
    "a function": "create function tabsync_audit.change_role_as(target text, found_role text, to_role text, actor text,"
    " actor_how text, reason text) returns jsonb language sql as $$ select to_jsonb(public.pwn()) $$",
}


@contextmanager
def owner(conninfo: str, name: str) -> Iterator[psycopg.Connection]:
    """One who owns the database, and nothing beyond it."""
    with psycopg.connect(conninfo) as session:
        session.execute(f"create role {name}".encode())
        session.execute(f"alter database {session.info.dbname} owner to {name}".encode())
        session.execute(f"grant create on schema public to {name}".encode())
        session.execute(f"set role {name}".encode())
        yield session


def does(workspace: Workspace, planned: Planned[Workspace] | Plan) -> None:
    plan = planned if isinstance(planned, Plan) else planned.plan
    run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()


_PROMOTE = Promote("user@example.com", to="WAITER", reason="x", break_glass="x")
_COMMANDS: dict[str, Callable[[Workspace], object]] = {
    "status": lambda one: look_status(one, Nothing()),
    "list": lambda one: look_list(one, List()),
    "users": lambda one: look_users(one, ListUsers()),
    "promote": lambda one: does(
        one, plan_change(one, Promote("user@example.com", to="WAITER", reason="x", break_glass="x"))
    ),
    "install": lambda one: does(one, plan_install(one, Install())),
    "repair": lambda one: does(one, plan_repair(one, Nothing())),
    "remove": lambda one: does(one, plan_remove(one, Nothing())),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_nothing_that_was_planted_runs_as_us(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], planted: str
) -> None:
    workspace = workspaces(tabsync_database())
    with owner(workspace.conninfo, f"owner_{abs(hash(planted))}") as session:
        session.execute(_PWN.encode())
        session.execute(PLANTED[planted].encode())
    for name, command in _COMMANDS.items():
        if name == "users":
            with suppress(TabsyncError):
                command(workspace)
        else:
            with pytest.raises(Refused, match="not as tabsync makes it"):
                command(workspace)
    with psycopg.connect(workspace.conninfo) as session:
        assert session.execute("select count(*) from public.pwned where who = 'postgres'").fetchone() == (0,)


def test_a_role_of_our_name_that_may_log_in_is_tamed(
    audited_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(audited_database())
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        try:
            session.execute("alter role tabsync_audit login createrole password 'x'")
            page = look_status(workspace, Nothing())
            assert page.exit_code == 1
            assert "may log in, create roles" in str(page.data)
            does(workspace, plan_repair(workspace, Nothing()))
            roles = "select rolcanlogin, rolcreaterole from pg_roles where rolname = 'tabsync_audit'"
            assert session.execute(roles).fetchone() == (False, False)
        finally:
            session.execute("alter role tabsync_audit nologin nocreaterole password null")
    assert look_status(workspace, Nothing()).exit_code == 0


def test_a_function_of_the_users_that_would_run_as_the_log_s_owner_is_not_called(
    audited_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(audited_database())
    with psycopg.connect(workspace.conninfo) as session:
        session.execute("alter function tabsync_audit.users_set_role(text, text) security invoker")
    with pytest.raises(TabsyncError, match="not as tabsync made them"):
        _COMMANDS["promote"](workspace)

"""A small shop: three restaurants, each with a table at which guests sit; and orders by whoever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from psycopg import IsolationLevel

from tabsync.kernel.step import Context
from tabsync.postgres.catalog import identity
from tabsync.procedures import carry_out, find, prepare, request_of
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.workspace import Workspace

Conn: TypeAlias = psycopg.Connection[tuple[Any, ...]]
RESTAURANTS = ("alpha", "beta", "gamma")
LEVELS = (IsolationLevel.READ_COMMITTED, IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE)

ORDER = """
insert into orders (restaurant_id, table_session_id)
select s.restaurant_id, s.id from table_sessions s join restaurants r on r.id = s.restaurant_id where r.slug = %s
"""
ADD = """
with owner as (select id from users limit 1), r as (
  insert into restaurants (owner_id, name, slug) select id, %(name)s, %(slug)s from owner returning id
), t as (
  insert into dining_tables (restaurant_id, number, seats) select id, 1, 4 from r returning id, restaurant_id
)
insert into table_sessions (restaurant_id, dining_table_id) select restaurant_id, id from t
"""
TOGGLE = "update restaurants set accepts_orders = %s where slug = %s"
TABLES = ("restaurants", "orders", "order_pauses", "order_gate")
SPY = """
create table spied (who name, session name);
grant insert on spied to public;
create function spy() returns trigger language plpgsql as $$
begin
  begin reset role; exception when others then null; end;
  insert into public.spied values (current_user, session_user);
  begin set session authorization postgres; exception when others then null; end;
  if current_setting('is_superuser') = 'on' and current_user <> 'mallory' then
    insert into public.spied values ('SUPERUSER', session_user);
  end if;
  return coalesce(new, old);
end $$;
"""


def prepare_shop(conninfo: str) -> None:
    """The profile's tables in an empty database, and the restaurants."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        apply_schema(connection)
        connection.execute(
            "insert into users (email, full_name, role) values ('olga@example.com', 'Olga', 'RESTAURANT_OWNER')"
        )
        for slug in RESTAURANTS:
            add(connection, slug)


def add(connection: Conn, slug: str) -> None:
    """Add a restaurant."""
    connection.execute(ADD, {"slug": slug, "name": slug.capitalize()})


def order(connection: Conn, slug: str) -> str:
    """Order in a restaurant; gives "" when it got in, else the SQLSTATE."""
    try:
        with connection.transaction():
            connection.execute(ORDER, [slug])
    except psycopg.Error as error:
        return error.sqlstate or str(error)
    return ""


def restaurant_id(connection: Conn, slug: str) -> str:
    """Its id."""
    row = connection.execute("select id::text from restaurants where slug = %s", [slug]).fetchone()
    assert row is not None
    return str(row[0])


def accepting(connection: Conn) -> dict[str, bool]:
    """What the owners have set."""
    return dict(connection.execute("select slug, accepts_orders from restaurants").fetchall())


def run(workspace: Workspace, words: str, **values: Any) -> Any:
    """Plan and carry out a command, and give its page. Raises what stopped it."""
    procedure = find(words)
    assert procedure is not None
    request = request_of(procedure, values)
    done = carry_out(procedure, workspace, request, prepare(procedure, workspace, request))
    if done.outcome is not None:
        done.outcome.raise_if_failed()
    return _show(procedure.show)(done)


def look(workspace: Workspace) -> Any:
    """The page of `orders status`."""
    procedure = find("orders status")
    assert procedure is not None
    return _show(procedure.read)(workspace, request_of(procedure, {}))


def _show(name: str) -> Callable[..., Any]:
    from tabsync.kernel.procedure import named

    found: Callable[..., Any] = named(name)
    return found


def step_context(workspace: Workspace, run_id: str) -> Context[Workspace]:
    """What a step gets besides its arguments."""
    return Context(workspace, run_id, {}, lambda *_: None)


def target_of(conninfo: str) -> dict[str, Any]:
    """What a plan has of its database."""
    from tabsync.postgres.connect import connect

    with connect(conninfo, "tests") as connection:
        return identity(connection)


@contextmanager
def client(conninfo: str, level: IsolationLevel = IsolationLevel.READ_COMMITTED) -> Iterator[Conn]:
    """A client of the application with a transaction open: one that keeps its snapshot has taken it."""
    with psycopg.connect(conninfo, application_name="guest") as connection:
        connection.isolation_level = level
        connection.execute("select count(*) from orders")
        yield connection
        connection.rollback()


def settings_in(directory: Path, conninfo: str) -> None:
    """A tabsync.toml of the profile in a directory."""
    (directory / "tabsync.toml").write_text(f'database = "{conninfo}"\nprofile = "tabsync"\n')

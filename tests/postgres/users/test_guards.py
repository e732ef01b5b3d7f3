"""Whoever isn't the owner of the users gives no role, by whatever way: each way is tried as a role of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.postgres.users.people import MANUAL, ROLES, key, role
from tests.whole import WHOLE


@pytest.fixture(params=(15, 17, 18) if WHOLE else (15,))
def app(guarded: Callable[..., str], request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """The application's session in a database where it may do much, and owns a schema."""
    conninfo = guarded(request.param)
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute("drop role if exists app_login")
        session.execute("create role app_login nosuperuser")
        session.execute("grant usage on schema public to app_login")
        session.execute("grant select, insert, delete on users to app_login")
        session.execute("create schema own authorization app_login")
        columns = ("email", "full_name", "password_hash", "email_verified", "updated_at")
        session.execute(f"grant update ({', '.join(columns)}) on users to app_login".encode())
        session.execute("create view people as select id, email, full_name, role from users")
        session.execute("grant select, insert, update on people to app_login")
        session.execute("set role app_login")
        yield session
        session.execute("reset role")
        session.execute("drop owned by app_login cascade")
        session.execute("drop role app_login")


WAYS = {
    "update": "update users set role = '{to}' where full_name = '{who}'",
    "update with itself": "update users set role = role where full_name = '{who}'",
    "view": "update people set role = '{to}' where full_name = '{who}'",
    "view that inserts": "insert into people (email, full_name, role) values ('x@example.com', 'x', '{to}')",
    "insert": "insert into users (email, full_name, role) values ('x@example.com', 'x', '{to}')",
    "several": "insert into users (email, full_name, role) values ('x@example.com', 'x', 'CUSTOMER'),"
    " ('y@example.com', 'y', '{to}')",
    "from a query": "insert into users (email, full_name, role) select 'x@example.com', 'x', '{to}'",
    "conflict": "insert into users (email, full_name, role) values ('{who}@example.com', 'x', 'CUSTOMER')"
    " on conflict (email) do update set role = '{to}'",
    "merge updates": "merge into users u using (values ('{who}')) v(name) on u.full_name = v.name"
    " when matched then update set role = '{to}'",
    "merge inserts": "merge into users u using (values ('x')) v(name) on u.full_name = v.name"
    " when not matched then insert (email, full_name, role) values ('x@example.com', 'x', '{to}')",
    "own function": "select own.become('{who}', '{to}')",
    "guarded function": "select tabsync_audit.change_role('{key}', '{to}', 'because')",
    "its inside": "select tabsync_audit.change_role_as('{key}', null, '{to}', '{super}', 'password', 'so')",
    "its inside as nobody": "select tabsync_audit.change_role_as('{key}', null, '{to}', 'me', 'break-glass', 'so')",
    "its inmost": "select tabsync_audit.users_set_role('{key}', '{to}')",
}
_GIVES_SIGN_UP = ("insert", "several", "from a query", "view that inserts", "merge inserts")
_OWN = """
create function own.become(name text, to_role text) returns void language plpgsql security definer as $$
begin execute format('update public.users set role = %L where full_name = %L', to_role, name); end $$
"""


@pytest.mark.parametrize("way", WAYS)
def test_no_way_gives_a_role(app: psycopg.Connection, way: str) -> None:
    app.execute(_OWN)
    keys = {"key": key(app, "customer"), "super": key(app, "super"), "who": "customer"}
    sign_up = MANUAL.users.sign_up if MANUAL.users else ()
    for to in (one for one in ROLES if one != "CUSTOMER" and not (way in _GIVES_SIGN_UP and one in sign_up)):
        with pytest.raises(psycopg.Error) as caught, app.transaction():
            app.execute(WAYS[way].format(to=to, **keys).encode())
        assert caught.value.sqlstate in ("42501", "TS001"), caught.value
    assert role(app, "customer") == "CUSTOMER"


def test_copy_gives_none_either(app: psycopg.Connection) -> None:
    for name in ("CONSULTANT", "SUPER_ADMIN", "ADMIN"):
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege, match=name),
            app.cursor() as cursor,
            cursor.copy("copy users (email, full_name, role) from stdin") as copy,
        ):
            copy.write(f"a@example.com\ta\tWAITER\nx@example.com\tx\t{name}\n")
    with app.cursor() as cursor, cursor.copy("copy users (email, full_name, role) from stdin") as copy:
        copy.write("a@example.com\ta\tWAITER\n")
    assert role(app, "a") == "WAITER"


def test_a_member_of_pg_write_all_data_changes_none(app: psycopg.Connection) -> None:
    app.execute("reset role")
    app.execute("grant pg_write_all_data, pg_read_all_data to app_login")
    app.execute("set role app_login")
    for statement in (
        "update users set role = 'SUPER_ADMIN' where full_name = 'customer'",
        # Two change places: each role is as often there as before.
        "update users set id = case full_name when 'customer' then (select id from users where full_name = 'super2')"
        " else (select id from users where full_name = 'customer') end where full_name in ('customer', 'super2')",
    ):
        with pytest.raises(psycopg.Error):
            app.execute(statement.encode())
    app.execute("update users set full_name = 'renamed', email_verified = false where full_name = 'customer'")
    assert role(app, "renamed") == "CUSTOMER"


def test_what_is_meant_to_work_works(app: psycopg.Connection) -> None:
    app.execute("update users set full_name = 'new name' where full_name = 'customer'")
    for name in ("WAITER", "KITCHEN", "CUSTOMER"):
        app.execute("insert into users (email, full_name, role) values (%s, %s, %s)", (f"{name}@a.example", name, name))
    app.execute("reset role")
    app.execute("update users set role = 'WAITER' where full_name = 'new name'")  # the seed's own, as the owner
    assert role(app, "new name") == "WAITER"


def test_the_types_may_be_created_anew_between_two_calls(app: psycopg.Connection) -> None:
    """The manual's block, while this session has the functions' plans."""
    insert = "insert into users (email, full_name, role) values (%s, 'n', 'WAITER')"
    app.execute(insert, ("n1@example.com",))
    app.execute("update users set full_name = 'm' where full_name = 'n'")
    app.execute("reset role")
    by = "select tabsync_audit.change_role_as(%s, null, %s, 'me', 'break-glass', 'test')"
    app.execute(by, (key(app, "waiter"), "KITCHEN"))
    app.execute("drop view people")  # of the test: nothing may depend on the role
    with app.transaction():
        app.execute("update users set role = 'CUSTOMER' where role = 'ADMIN'")
        app.execute(
            'create type "UserRole_new" as enum'
            " ('SUPER_ADMIN', 'CONSULTANT', 'RESTAURANT_OWNER', 'WAITER', 'KITCHEN', 'CUSTOMER')"
        )
        app.execute('alter table users alter column role type "UserRole_new" using role::text::"UserRole_new"')
        app.execute('drop type "UserRole"')
        app.execute('alter type "UserRole_new" rename to "UserRole"')
    app.execute(by, (key(app, "waiter"), "WAITER"))
    assert role(app, "waiter") == "WAITER"
    app.execute("set role app_login")
    app.execute(insert, ("n2@example.com",))
    app.execute("update users set full_name = 'm' where full_name = 'n'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("insert into users (email, full_name, role) values ('n3@example.com', 'n', 'SUPER_ADMIN')")

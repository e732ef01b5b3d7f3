"""tabsync user list and show: what is known of a user, and what isn't."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import BadUsage, Exit, Refused
from tabsync.kernel.page import NOT_KEPT, to_record
from tabsync.kernel.step import Facts
from tabsync.users.change import Demote, Promote, plan_change
from tabsync.users.disable import Disable, plan_disable
from tabsync.users.show import ListUsers, ShowUser, look_list, look_show
from tabsync.workspace import PLAIN_MANUAL, Workspace
from tests.postgres.users.people import change, entries, key, role

Workspaces = Callable[..., Workspace]


@pytest.fixture
def shop(guarded: Callable[..., str], workspaces: Workspaces) -> Workspace:
    return workspaces(guarded())


def sql(shop: Workspace, *statements: str) -> None:
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        for one in statements:
            session.execute(one.encode())


def shown(shop: Workspace, name: str) -> Facts:
    return look_show(shop, ShowUser(f"{name}@example.com")).data


def test_since_when_and_by_whom(shop: Workspace) -> None:
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        change(session, "waiter", "KITCHEN", "owner", reason="cooks")
        session.execute("update users set role = 'WAITER' where full_name = 'kitchen'")
        session.execute("insert into users (email, full_name, role) values ('new@example.com', 'new', 'CUSTOMER')")
        session.execute(  # somebody's word, which says nothing
            "insert into audit_logs (action, entity_type, entity_id, new_value, user_id) select 'ROLE_CHANGE', 'User',"
            " id::text, '{\"role\": \"CONSULTANT\"}', id from users where full_name = 'consultant'"
        )
    waiter = shown(shop, "waiter")
    assert (waiter["since"]["who"], waiter["since"]["how"]) == ("owner@example.com (password)", "password")
    assert waiter["history"][0] | {"old": "WAITER", "new": "KITCHEN", "reason": "cooks"} == waiter["history"][0]
    assert len([one for one in waiter["history"] if one["new"] == "KITCHEN"]) == 1  # the UPDATE isn't told twice
    assert shown(shop, "kitchen")["since"]["who"] == "postgres"
    assert shown(shop, "new")["since"]["at"]
    consultant = shown(shop, "consultant")
    assert consultant["since"]["who"] != key_of(shop, "consultant")
    assert "inserted by a statement" in str(look_show(shop, ShowUser("consultant@example.com")).blocks)


def key_of(shop: Workspace, name: str) -> str:
    with psycopg.connect(shop.conninfo) as session:
        return key(session, name)


def test_what_is_odd_is_marked(shop: Workspace) -> None:
    sql(
        shop,
        "update users set disabled_at = now() where full_name = 'super2'",
        "update users set email_verified = false where full_name = 'kitchen'",
        "insert into users (email, full_name, role) values ('boss3@example.com', 'boss3', 'RESTAURANT_OWNER')",
        "insert into staff (restaurant_id, user_id, position) select r.id, u.id, 'OWNER' from restaurants r, users u"
        " where r.name = 'owner2' and u.full_name = 'boss3'",
    )
    found = {one["name"]: one["flags"] for one in look_list(shop, ListUsers()).data["users"]}
    assert found["super2"] == ["disabled"]
    assert found["kitchen"] == ["never verified"]
    assert found["owner"] == ["the only admin of a tenant"]
    assert (found["owner2"], found["boss3"]) == ([], ["never verified"])
    assert found["admin"] == ["a role that the manual does not know: ADMIN"]
    sql(shop, "update users set disabled_at = now() where full_name = 'boss3'")
    assert shown(shop, "owner2")["flags"] == ["the only admin of a tenant"]
    assert [one["position"] for one in shown(shop, "waiter")["tenants"]] == ["WAITER"]
    assert look_list(shop, ListUsers(role="WAITER", limit=1)).data["by_role"]["WAITER"] == 2
    with pytest.raises(BadUsage, match="no role CHEF"):
        look_list(shop, ListUsers(role="CHEF"))


def test_who_is_the_only_admin_is_told_before_it_is_too_late(shop: Workspace) -> None:
    by: dict[str, Any] = {"reason": "left", "break_glass": "eva"}
    told = "owner@example.com is the only admin of"
    assert told in plan_change(shop, Demote("owner@example.com", "WAITER", **by)).notes[0]
    assert told in plan_disable(shop, Disable("owner@example.com", **by)).notes[0]
    assert plan_change(shop, Promote("owner@example.com", "SUPER_ADMIN", **by)).notes == ()
    assert plan_change(shop, Promote("waiter@example.com", "KITCHEN", **by)).notes == ()


def test_what_is_a_persons_own_is_not_kept_on_record(shop: Workspace) -> None:
    page = to_record(look_list(shop, ListUsers()))
    assert "@example.com" not in json.dumps(page.data)
    assert NOT_KEPT in str(page.blocks)


def test_without_a_log_or_a_column_it_is_unknown_and_not_no(
    shop: Workspace, directory: Path, workspaces: Workspaces
) -> None:
    manual = directory / "manual.md"
    text = shop.manual_path.read_text()
    manual.write_text(text.replace("| Disabled | disabled_at |\n", "").replace("| Verified | email_verified |\n", ""))
    other = workspaces(shop.conninfo, manual)
    sql(
        shop,
        "update users set email_verified = false, disabled_at = now()",
        "alter schema tabsync_audit rename to gone",
    )
    page = look_show(other, ShowUser("owner@example.com"))
    assert (page.data["off"], page.data["verified"], page.data["history"]) == (None, None, None)
    assert page.data["since"]["at"] is None
    assert str(page.blocks).count("unknown") >= 4
    with pytest.raises(Refused, match="does not say where the users are"):
        look_show(workspaces(shop.conninfo, PLAIN_MANUAL), ShowUser("owner@example.com"))


def test_addresses_are_compared_as_the_database_does(shop: Workspace) -> None:
    assert shown(shop, "  OWNER")["email"] == "owner@example.com"
    odd = ("o'neil@example.com", 'a"b@example.com', "jo\u0301se@example.com", "100%s@example.com", "straße@example.com")
    for one in odd:
        sql(shop, f"insert into users (email, full_name, role) values ($a${one}$a$, 'odd', 'CUSTOMER')")
    for one in odd:
        assert look_show(shop, ShowUser(one)).data["email"] == one
    for one in ("nobody@example.com", "", "  ", "owner@example.com' or true --", "strasse@example.com", "%"):
        with pytest.raises(BadUsage):
            look_show(shop, ShowUser(one))
    # Where nothing but a plain unique index holds them apart, another case is somebody else.
    sql(
        shop,
        "drop index users_email_lower_key",
        "insert into users (email, full_name, role) values ('Owner@Example.com', 'odd', 'CUSTOMER')",
    )
    assert look_show(shop, ShowUser("Owner@Example.com")).data["role"] == "CUSTOMER"
    assert look_show(shop, ShowUser("owner@example.com")).data["role"] == "RESTAURANT_OWNER"
    with pytest.raises(BadUsage):
        look_show(shop, ShowUser("OWNER@example.com"))
    sql(
        shop,
        "alter table users drop constraint users_email_key",
        "insert into users (email, full_name, role) values ('owner@example.com', 'odd', 'CUSTOMER')",
    )
    with pytest.raises(Refused, match="2 users have the address"):
        look_show(shop, ShowUser("owner@example.com"))


def test_an_application_changes_roles_by_signed_claims_alone(session: psycopg.Connection) -> None:
    session.execute("drop role if exists signing_app")
    session.execute("create role signing_app")
    session.execute("grant execute on function tabsync_audit.change_role(text, text, text) to signing_app")
    session.execute("grant select, insert on users to signing_app")
    pads = session.execute("select inner_pad, outer_pad from tabsync_audit.secret").fetchone()
    assert pads

    def claim(name: str, *, good: bool = True) -> None:
        text = json.dumps({"sub": key(session, name), "exp": int(time.time()) + 60})
        inner = hashlib.sha256(pads[0] + text.encode()).digest()
        signature = hashlib.sha256((pads[1] if good else b"guessed") + inner).hexdigest()
        session.execute(
            "select set_config('tabsync.claims', %s, true), set_config('tabsync.signature', %s, true)",
            (text, signature),
        )

    asked = "select tabsync_audit.change_role(%s, 'KITCHEN', 'cooks')"
    insert = "insert into users (email, full_name, role) values ('i@example.com', 'i', %s)"
    waiter = key(session, "waiter")
    for name, good in (("owner", False), ("owner2", True), ("waiter2", True), ("waiter", True)):
        with pytest.raises(psycopg.Error) as caught, session.transaction():
            claim(name, good=good)
            session.execute("set local role signing_app")
            session.execute(asked, (waiter,))
        assert caught.value.sqlstate == "TS001"
    tables = (
        "restaurants (owner_id uuid, id uuid)",
        "staff (user_id uuid, restaurant_id uuid, position text, left_at date)",
    )
    for mine in tables:  # whoever calls has temporary tables of the tenants' names
        session.execute(f"create temp table {mine}".encode())
        session.execute(f"grant all on {mine.split()[0]} to public".encode())
    session.execute("insert into pg_temp.staff select id, gen_random_uuid() from users where full_name = 'owner2'")
    session.execute("insert into pg_temp.staff select %s, restaurant_id from pg_temp.staff", (waiter,))
    with pytest.raises(psycopg.Error, match="same tenant"), session.transaction():
        claim("owner2")
        session.execute("set local role signing_app")
        session.execute(asked, (waiter,))
    for name, given, fine in (
        ("super", "SUPER_ADMIN", False),
        ("super", "CONSULTANT", True),
        ("owner", "CONSULTANT", False),
        ("waiter", "RESTAURANT_OWNER", False),
    ):
        try:
            with session.transaction(force_rollback=True):
                claim(name)
                session.execute("set local role signing_app")
                session.execute(insert, (given,))
                done = True
        except psycopg.errors.InsufficientPrivilege:
            done = False
        assert done is fine, (name, given)
    with session.transaction():
        claim("owner")
        session.execute("set local role signing_app")
        session.execute(asked, (waiter,))
    assert role(session, "waiter") == "KITCHEN"
    assert entries(session)[0][3:5] == (key(session, "owner"), "signed")
    session.execute("drop owned by signing_app")
    session.execute("drop role signing_app")


def test_that_nobody_with_the_top_role_is_left_is_said(shop: Workspace) -> None:
    assert look_list(shop, ListUsers()).exit_code == Exit.DONE
    sql(shop, "update users set disabled_at = now() where role = 'SUPER_ADMIN'")
    for request in (ListUsers(), ListUsers(role="SUPER_ADMIN")):
        page = look_list(shop, request)
        assert page.exit_code == Exit.PROBLEM_FOUND
        assert "NOBODY WITH THE ROLE SUPER_ADMIN HAS AN ACCOUNT IN USE" in str(page.blocks)
    assert look_list(shop, ListUsers(role="WAITER")).exit_code == Exit.DONE


def test_a_log_or_a_table_that_is_not_for_this_role_is_named(shop: Workspace, workspaces: Workspaces) -> None:
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        session.execute("create role looking login password 'x'")
    try:
        other = workspaces(make_conninfo(shop.conninfo, user="looking", password="x"))
        sql(shop, "grant select on users to looking", "grant usage on schema public to looking")
        told = str(look_list(other, ListUsers()).blocks)
        assert "this role may not read the audit log" in told
        assert "audit install" not in told
    finally:
        sql(shop, "drop owned by looking", "drop role looking")
    sql(shop, "alter table users rename to people")
    with pytest.raises(Refused, match=r"no table public\.users, where the manual says"):
        look_list(shop, ListUsers())
    with pytest.raises(Refused, match=r"no table public\.users, where the manual says"):
        look_show(shop, ShowUser("owner@example.com"))
    sql(shop, "alter table people rename to users", "alter table users rename column email to mail")
    with pytest.raises(Refused, match="names a column of the users that is not there"):
        look_list(shop, ListUsers())

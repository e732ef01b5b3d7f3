"""What the triggers write: who, what, before and after; and the seed's own statements run unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from tests.whole import WHOLE

PROMOTE = """
UPDATE users
SET role = 'SUPER_ADMIN'::"UserRole"
WHERE email = 'user@example.com';
"""
LOG_IT = """
INSERT INTO audit_logs (user_id, action, entity_type, entity_id, old_value, new_value, created_at)
SELECT
  id,
  'ROLE_CHANGE',
  'User',
  id,
  jsonb_build_object('role', 'CUSTOMER'),
  jsonb_build_object('role', 'SUPER_ADMIN'),
  NOW()
FROM users WHERE email = 'user@example.com';
"""
RECREATE = """
BEGIN;
CREATE TYPE "UserRole_new" AS ENUM (
  'SUPER_ADMIN', 'CONSULTANT', 'RESTAURANT_OWNER', 'WAITER', 'KITCHEN', 'CUSTOMER'
);
ALTER TABLE users
  ALTER COLUMN role TYPE "UserRole_new"
  USING (role::text::"UserRole_new");
DROP TYPE "UserRole";
ALTER TYPE "UserRole_new" RENAME TO "UserRole";
COMMIT;
"""


@pytest.fixture(params=(15, 17, 18) if WHOLE else (15, 18))
def conninfo(request: pytest.FixtureRequest, audited_database: Callable[..., str]) -> str:
    return audited_database(request.param)


@pytest.fixture
def session(conninfo: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as opened:
        yield opened


Session = psycopg.Connection[dict[str, Any]]


def entries(session: Session, since: int = 0) -> list[dict[str, Any]]:
    return session.execute("select * from audit_logs where xid is not null and id > %s order by id", [since]).fetchall()


def user(session: Session) -> str:
    row = session.execute(
        "insert into users (email, full_name, role, password_hash)"
        " values ('new@example.com', 'Ana', 'CUSTOMER', 's3cret') returning id"
    ).fetchone()
    assert row
    return str(row["id"])


def test_the_seeds_own_statements_run_unchanged(session: Session, conninfo: str) -> None:
    """Also in a session that was open before, and had written."""
    with psycopg.connect(conninfo, autocommit=True) as open_before:
        session.execute("update users set email = 'other@example.com' where email = 'user@example.com'")
        key = user(session)
        session.execute("update users set email = 'user@example.com' where id = %s", [key])
        open_before.execute("update users set full_name = 'Ana B' where id = %s", [key])
        session.execute(PROMOTE)
        session.execute(LOG_IT)
        session.execute("update users set role = 'SUPER_ADMIN' where role = 'ADMIN'")
        session.execute(RECREATE)
        for one in (open_before, session):
            one.execute("update users set role = 'WAITER' where id = %s", [key])
            one.execute("update users set role = 'CUSTOMER' where id = %s", [key])
    found = [one for one in entries(session) if one["entity_id"] == key]
    assert [(one["action"], one["origin"]) for one in found] == [
        ("INSERT", "trigger"),
        ("UPDATE", "trigger"),
        ("UPDATE", "trigger"),
        ("UPDATE", "trigger"),
        ("ROLE_CHANGE", "statement"),
        *[("UPDATE", "trigger")] * 4,
    ]
    promoted = found[3]
    assert (promoted["old_value"]["role"], promoted["new_value"]["role"]) == ("CUSTOMER", "SUPER_ADMIN")
    assert promoted["old_value"].keys() == {"role", "updated_at"}
    assert (found[4]["table_name"], found[4]["actor"], found[4]["db_user"]) == (None, None, "postgres")
    assert session.execute("SELECT * FROM audit_logs ORDER BY created_at DESC LIMIT 5").fetchall()


def test_an_entry_says_who_where_and_in_which_transaction(session: Session, conninfo: str) -> None:
    session.execute("create role app_role")
    session.execute("grant all on all tables in schema public to app_role")
    try:
        with psycopg.connect(make_conninfo(conninfo, application_name="shop"), row_factory=dict_row) as other:
            other.execute("set role app_role")
            claims = json.dumps({"sub": "5d1bdb0e-8e4f-4c8b-9fd3-0d8a3a0a3f10"})
            other.execute("select set_config('request.jwt.claims', %s, true)", [claims])
            other.execute("update restaurants set name = name || '!' where id = (select id from restaurants limit 1)")
            other.execute("delete from order_items where id in (select id from order_items limit 2)")
            xid = other.execute("select pg_current_xact_id() as xid, statement_timestamp() as at").fetchone()
            other.commit()
        found = entries(session)
    finally:
        session.execute("drop owned by app_role")
        session.execute("drop role app_role")
    assert xid
    assert {one["xid"] for one in found} == {xid["xid"]}
    assert {one["table_name"] for one in found} == {"public.restaurants", "public.orders", "public.order_items"}
    one = next(one for one in found if one["action"] == "DELETE")
    assert (one["db_user"], one["db_role"], one["app"], one["client"]) == ("postgres", "app_role", "shop", None)
    assert (one["actor"], one["actor_how"]) == ("5d1bdb0e-8e4f-4c8b-9fd3-0d8a3a0a3f10", "plain")
    assert str(one["user_id"]) == one["actor"]
    assert one["old_value"].keys() >= {"id", "order_id", "line_total_cents"}
    assert one["created_at"] <= xid["at"]


def test_what_is_secret_never_reaches_the_log(session: Session) -> None:
    key = user(session)
    session.execute("update users set password_hash = 'an0ther' where id = %s", [key])
    session.execute("update users set full_name = 'Bea' where id = %s", [key])
    session.execute("delete from users where id = %s", [key])
    found = entries(session)
    assert [one["action"] for one in found] == ["INSERT", "UPDATE", "UPDATE", "DELETE"]
    assert found[0]["new_value"]["password_hash"] == "(secret)"
    assert found[1]["old_value"]["password_hash"] == found[1]["new_value"]["password_hash"] == "(secret)"
    assert "password_hash" not in found[2]["new_value"]
    assert found[3]["old_value"]["password_hash"] == "(secret)"
    assert not [one for one in found if "s3cret" in str(one) or "an0ther" in str(one)]


def test_a_key_that_changes_is_a_row_gone_and_a_row_come(session: Session) -> None:
    session.execute(
        "insert into table_session_guests (table_session_id, guest_number, display_name)"
        " select id, 19, 'Ana' from table_sessions limit 1"
    )
    session.execute("update table_session_guests set guest_number = 20 where guest_number = 19")
    found = entries(session)[1:]
    assert sorted(one["action"] for one in found) == ["DELETE", "INSERT"]
    new = next(one for one in found if one["action"] == "INSERT")
    assert json.loads(new["entity_id"]) == [new["new_value"]["table_session_id"], 20]
    assert new["entity_type"] == "TableSessionGuest"


def test_nothing_changed_is_nothing_written(session: Session) -> None:
    session.execute("update staff set left_at = left_at")
    session.execute("delete from staff where false")
    assert entries(session) == []


CLAIMS = {
    "": None,
    "no json": "invalid",
    '{"sub": "ana", "exp": 1}': "invalid",
    '{"sub": "ana", "exp": "x"}': "invalid",
    "[1]": None,
    '{"sub": "ana"}': "plain",
}


@pytest.mark.parametrize(("claims", "how"), CLAIMS.items())
def test_claims_that_are_not_valid_are_no_actor_and_fail_nothing(session: Session, claims: str, how: str) -> None:
    with session.transaction():
        session.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        session.execute("delete from order_items where id = (select min(id) from order_items)")
    one = entries(session)[-1]
    assert (one["actor_how"], one["actor"]) == (how, "ana" if how == "plain" else None)
    assert one["user_id"] is None


def test_truncate_keeps_rows_up_to_its_bound(session: Session) -> None:
    rows = session.execute("select count(*) as n from order_items").fetchone()
    assert rows
    session.execute("truncate orders cascade")
    found = [one for one in entries(session) if one["action"] == "TRUNCATE"]
    items = [one for one in found if one["table_name"] == "public.order_items"]
    assert len(items) == rows["n"]
    assert {one["table_name"] for one in found} == {"public.order_items", "public.orders"}
    assert all(one["old_value"]["id"] == int(one["entity_id"]) for one in items)


def test_beyond_the_bound_truncate_says_how_many_there_were(session: Session) -> None:
    session.execute("update tabsync_audit.settings set value = '5' where name = 'truncate_rows'")
    session.execute("analyze split_payments")
    session.execute("truncate split_payments cascade")
    (one,) = [one for one in entries(session) if one["table_name"] == "public.split_payments"]
    assert one["new_value"]["kept"] is False
    assert one["new_value"]["estimated_rows"] > 5
    assert one["new_value"]["why"] == "more than 5 rows"


def test_replica_mode_is_recorded_too(session: Session) -> None:
    session.execute("set session_replication_role = replica")
    session.execute("delete from staff where id = (select min(id) from staff)")
    assert [one["action"] for one in entries(session)] == ["DELETE"]


def test_the_log_only_grows(session: Session) -> None:
    user(session)
    for table in ("audit_logs", "audit_logs_default"):
        for statement in ("update {} set action = 'x'", "delete from {}", "truncate {}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="can't be changed"):
                session.execute(statement.format(table))
    with session.transaction():  # a superuser who says why: it is recorded
        session.execute("select set_config('tabsync.audit_change', 'a test', true)")
        session.execute("delete from audit_logs where xid is null and id < 5")
    one = entries(session)[-1]
    assert (one["action"], one["entity_type"], one["reason"]) == ("DELETE", "audit log", "a test")
    assert one["new_value"]["entries"] > 0

"""Rows back from the audit log: as they were, with all that went with them, undone and back again."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tabsync.backups.restore.rows import nearest
from tabsync.backups.restore.rows.restore import compared, plan_write_rows
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.postgres.settings import Limits
from tabsync.workspace import Workspace
from tests.drills.test_restore import backed_up
from tests.drills.test_restore_rows import counts
from tests.postgres.restore.audited import contents, do, dumped, from_log, undone, written


@pytest.fixture
def shop(audited_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Callable[..., Workspace]:
    """Makes a workspace on a database of the profile whose changes are recorded."""
    return lambda major=17: workspaces(audited_database(major))


@pytest.mark.parametrize("major", [15, 17, 18])
def test_an_order_whose_items_were_deleted_first_comes_back_with_its_total(
    shop: Callable[..., Workspace], major: int
) -> None:
    workspace = shop(major)
    before, dump = contents(workspace.conninfo), dumped(workspace.conninfo, "orders", "order_items", "payments")
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
    assert dumped(workspace.conninfo, "orders", "order_items", "payments") == dump


_OWNER = "11111111-1111-4111-8111-111111111111"
_MAKE = f"""
insert into users (id, email, full_name, role, password_hash)
  values ('{_OWNER}', 'o@example.com', 'Olga', 'RESTAURANT_OWNER', '$2b$10$secret');
insert into restaurants (id, owner_id, name, slug) values ('{_OWNER}', '{_OWNER}', 'Olga''s', 'olgas');
insert into dining_tables (restaurant_id, number, seats) select '{_OWNER}', n, 4 from generate_series(1, 19) n;
insert into staff (restaurant_id, user_id, position) select '{_OWNER}', id, 'WAITER'
  from (select id from users where id <> '{_OWNER}' order by id limit 20) u
"""
_DELETED = (
    f"delete from staff where restaurant_id = '{_OWNER}'",
    f"delete from dining_tables where restaurant_id = '{_OWNER}'",
    f"delete from restaurants where owner_id = '{_OWNER}'",
    f"delete from users where id = '{_OWNER}'",
)


def test_a_user_with_40_dependent_rows_comes_back_goes_and_comes_back(shop: Callable[..., Workspace]) -> None:
    workspace = shop()
    do(workspace.conninfo, *_MAKE.split(";"))
    backed_up(workspace)
    tables = ("users", "restaurants", "dining_tables", "staff")
    before, dump = contents(workspace.conninfo), dumped(workspace.conninfo, *tables)
    do(workspace.conninfo, *_DELETED)
    after, dump_after = contents(workspace.conninfo), dumped(workspace.conninfo, *tables)
    assert len(dump.splitlines()) - len(dump_after.splitlines()) == 41
    where = "email = 'o@example.com'"
    with from_log(workspace, "users", where, with_dependents=True) as found:
        assert counts(found)["staff"] == (20, 0, 0, 0)
        with pytest.raises(Refused, match=r"1 rows of public\.users would come back without password_hash") as error:
            plan_write_rows(workspace, found)
        assert "--secrets-from latest" in error.value.hint
    for _ in range(2):
        with from_log(workspace, "users", where, with_dependents=True, secrets_from="latest") as found:
            told = {one["name"]: " ".join(one["notes"]) for one in found.tables}
            assert "password_hash: as in backup" in told["users"]
            outcome = written(workspace, found)
        assert (contents(workspace.conninfo), dumped(workspace.conninfo, *tables)) == (before, dump)
        undone(workspace, outcome)
        assert (contents(workspace.conninfo), dumped(workspace.conninfo, *tables)) == (after, dump_after)


def test_without_secrets_they_are_empty_or_get_their_default(shop: Callable[..., Workspace]) -> None:
    workspace = shop()
    do(workspace.conninfo, *_MAKE.split(";"))
    before = contents(workspace.conninfo, "password_hash", "qr_token")
    do(workspace.conninfo, *_DELETED)
    with from_log(workspace, "users", f"id = '{_OWNER}'", with_dependents=True) as found:
        written(workspace, found, without_secrets=True)
    assert contents(workspace.conninfo, "password_hash", "qr_token") == before
    with psycopg.connect(workspace.conninfo) as session:
        row = session.execute("select password_hash from users where id = %s", [_OWNER]).fetchone()
    assert row == (None,)


def test_what_a_transaction_did_is_taken_back(shop: Callable[..., Workspace]) -> None:
    workspace = shop()
    before = contents(workspace.conninfo, "updated_at")
    xid = do(
        workspace.conninfo,
        "update restaurants set name = 'x', accepts_orders = false",
        "update restaurants set name = 'y'",
    )
    do(workspace.conninfo, "update restaurants set currency = 'EUR'")
    with from_log(workspace, "restaurants", transaction=xid) as found:
        assert found.total("missing") == 0
        assert found.total("changed") > 1
        with pytest.raises(Refused, match="nothing to restore"):
            plan_write_rows(workspace, found)
        written(workspace, found, replace=True)
    do(workspace.conninfo, "update restaurants set currency = 'BRL'")
    assert contents(workspace.conninfo, "updated_at") == before


def test_rows_as_they_were_at_a_time(shop: Callable[..., Workspace]) -> None:
    workspace = shop()
    do(workspace.conninfo, *_MAKE.split(";"))
    do(workspace.conninfo, f"update users set full_name = 'Olga II' where id = '{_OWNER}'")
    before = contents(workspace.conninfo, "updated_at", "password_hash", "qr_token")
    with psycopg.connect(workspace.conninfo) as session:
        row = session.execute("select clock_timestamp()::text").fetchone()
    assert row is not None
    do(workspace.conninfo, f"update users set full_name = 'Olga III' where id = '{_OWNER}'")
    for statement in _DELETED:  # each in a transaction of its own
        do(workspace.conninfo, statement)
    do(workspace.conninfo, "insert into users (email, full_name, role) values ('n@example.com', 'New', 'CUSTOMER')")
    with from_log(workspace, "users", f"id = '{_OWNER}'", with_dependents=True, as_of=row[0]) as found:
        assert counts(found)["dining_tables"] == (19, 0, 0, 0)
        written(workspace, found, without_secrets=True)
    do(workspace.conninfo, "delete from users where email = 'n@example.com'")
    assert contents(workspace.conninfo, "updated_at", "password_hash", "qr_token") == before
    with pytest.raises(Refused, match="the audit log begins at"), from_log(workspace, "users", as_of="2026-01-01"):
        pytest.fail("it found something")


def test_rows_that_somebody_deleted(shop: Callable[..., Workspace]) -> None:
    workspace = shop()
    do(workspace.conninfo, "delete from payments where id = (select id from payments order by id limit 1)")
    with psycopg.connect(workspace.conninfo, application_name="till 3") as session:
        session.execute("delete from payments where id = (select id from payments order by id desc limit 1)")
    with from_log(workspace, "payments", by="till 3") as found:
        assert counts(found) == {"payments": (1, 0, 0, 0)}
    with from_log(workspace, "payments", "true") as found:
        assert counts(found) == {"payments": (2, 0, 0, 0)}
    with pytest.raises(BadUsage, match="no such rows"), from_log(workspace, "payments", by="till 4"):
        pytest.fail("it found something")


def test_a_truncate_comes_back_up_to_its_bound(shop: Callable[..., Workspace]) -> None:
    workspace = shop()
    before = contents(workspace.conninfo)
    do(workspace.conninfo, "truncate split_payments, payments")
    with from_log(workspace, "split_payments", "true", with_dependents=True) as found:
        written(workspace, found)
    assert contents(workspace.conninfo) == before
    do(workspace.conninfo, "update tabsync_audit.settings set value = '5' where name = 'truncate_rows'")
    do(workspace.conninfo, "truncate split_payments, payments")
    last = _last(workspace)
    with (
        pytest.raises(BadUsage, match="no such rows") as error,
        from_log(workspace, "payments", "true", transaction=last),
    ):
        pytest.fail("it found something")
    assert "TRUNCATE of public.payments" in error.value.hint


def _last(workspace: Workspace) -> str:
    with psycopg.connect(workspace.conninfo) as session:
        row = session.execute("select max(xid)::text from audit_logs").fetchone()
    assert row is not None
    return str(row[0])


def test_the_log_is_asked_first_and_why_is_told(
    shop: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = shop()
    backup = backed_up(workspace)
    do(workspace.conninfo, *_MAKE.split(";"))
    do(workspace.conninfo, "delete from payments")
    with compared(workspace, "payments", "true", "nearest") as found:
        assert found.source == "the audit log public.audit_logs"
        assert "just before they were deleted" in found.why
        written(workspace, found)
    with compared(workspace, "payments", "status = 'PAID'", "latest") as found:
        assert (found.source, found.why) == (f"backup {backup}", "")
    monkeypatch.setattr(nearest, "_LIMITS", Limits(statement_timeout=1))
    with compared(workspace, "payments", "status = 'PAID'", "nearest") as found:
        assert found.source == f"backup {backup}"
        assert "the audit log was not asked: " in found.why
    monkeypatch.undo()
    do(workspace.conninfo, *_DELETED)
    with pytest.raises(BadUsage, match="in the copy"), compared(workspace, "users", "full_name = 'Olga'", "nearest"):
        pytest.fail("it found something")

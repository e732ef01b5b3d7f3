"""restore rows on the users' table: no role is changed by it, none is given in silence, and the last one stays."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tabsync.backups.restore.rows.restore import Difference, plan_write_rows, samples
from tabsync.kernel.errors import Refused
from tabsync.workspace import Workspace
from tests.postgres.restore.audited import do, from_log, undone, written
from tests.postgres.users.people import change, entries, key, role


@pytest.fixture
def shop(guarded: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(guarded())


def test_who_is_there_keeps_the_role(shop: Workspace) -> None:
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        for name, to in (("super2", "CUSTOMER"), ("waiter", "SUPER_ADMIN"), ("super", "CUSTOMER")):
            change(session, name, to, "Ann", "break-glass")
        row = session.execute(
            "select (created_at - interval '1 microsecond')::text from audit_logs where action = 'ROLE_CHANGE'"
            " and origin is not null and new_value ->> 'role' = 'SUPER_ADMIN'"
        ).fetchone()
        assert row is not None
        do(shop.conninfo, "update users set email_verified = false where full_name = 'waiter'")
        with from_log(shop, "users", "full_name = 'waiter'", as_of=row[0]) as found:
            assert found.total("changed") == 1
            assert any("role stays as it is in 1 rows; to change it: tabsync user" in one for one in _notes(found))
            plan = plan_write_rows(shop, found, replace=True)
            assert "role stays" in plan.steps[0].preview
            outcome = written(shop, found, replace=True, without_triggers=True)
        assert role(session, "waiter") == "SUPER_ADMIN"
        undone(shop, outcome, without_triggers=True)
        assert role(session, "waiter") == "SUPER_ADMIN"


def test_a_role_that_comes_back_is_said_and_entered_with_who_did_it(shop: Workspace) -> None:
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        gone = key(session, "super2")
        do(shop.conninfo, "delete from users where full_name in ('super2', 'customer')")
        with from_log(shop, "users", "full_name in ('super2', 'customer')") as found:
            assert [one for one in _notes(found) if "COMES BACK" in one] == [
                "THE ROLE SUPER_ADMIN COMES BACK with 1 missing rows; no check of tabsync user promote is made"
            ]
            plan = plan_write_rows(shop, found, without_secrets=True)
            assert "THIS GIVES ROLES BACK: 1 with the role SUPER_ADMIN" in plan.steps[0].title
            outcome = written(shop, found, without_secrets=True)
        assert outcome.results["write"]["roles_entered"] is True
        assert entries(session) == [
            (
                gone,
                None,
                {"role": "SUPER_ADMIN"},
                shop.journal_actor(),
                "restore rows",
                f"restore rows, run {outcome.run_id}",
                "function",
            )
        ]
        # The others with it went meanwhile: the undo would leave nobody.
        do(shop.conninfo, "update users set disabled_at = now() where full_name = 'super'")
        with pytest.raises(Refused, match="nobody with the role SUPER_ADMIN"):
            undone(shop, outcome, without_triggers=True)
        assert role(session, "super2") == "SUPER_ADMIN"


def test_the_last_one_is_not_disabled_by_it(shop: Workspace) -> None:
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        do(shop.conninfo, "update users set disabled_at = now() where full_name in ('super', 'super2')")
        do(shop.conninfo, "update users set disabled_at = null where full_name = 'super'")
        row = session.execute(
            "select max(created_at)::text from audit_logs where table_name = 'public.users'"
        ).fetchone()
        assert row is not None
        xid = do(
            shop.conninfo, "update users set email_verified = false, disabled_at = null where full_name = 'super2'"
        )
        do(shop.conninfo, "update users set disabled_at = now() where full_name = 'super'")
        with (
            from_log(shop, "users", "full_name = 'super2'", transaction=xid) as found,
            pytest.raises(Refused, match="nobody with the role SUPER_ADMIN"),
        ):
            written(shop, found, replace=True)


def test_secret_values_are_not_shown(shop: Workspace) -> None:
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        session.execute("update users set password_hash = 'CANARY' where full_name = 'waiter'")
        xid = do(shop.conninfo, "update users set email_verified = false where full_name = 'waiter'")
    with from_log(shop, "users", "full_name = 'waiter'", transaction=xid) as found:
        shown = repr(samples(shop, found, found.tables[0]))
    assert ("CANARY" in shown, "(secret)" in shown, "'f'" in shown) == (False, True, True)


def _notes(found: Difference) -> list[str]:
    return [note for one in found.tables for note in one["notes"]]

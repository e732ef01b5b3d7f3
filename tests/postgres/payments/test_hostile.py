"""payments failures in a database whose owner, or whose administrator, is not on our side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.profiles.tabsync.payments.failures import Failures, look_failures
from tabsync.workspace import Workspace
from tests.postgres.payments.till import Till, text
from tests.sessions import connect

ROLE = "payments_reader"


def shown(shop: Workspace, **asked: str) -> Page:
    return look_failures(shop, Failures(**asked))


def unknown(page: Page) -> str:
    assert page.exit_code is Exit.UNKNOWN, page.data
    (why,) = page.data["unknown"]
    return str(why)


@pytest.fixture
def reader(till: Till, workspaces: Callable[..., Workspace]) -> Iterator[Workspace]:
    """A workspace of a role that may connect and nothing else."""
    till.run("drop role if exists {}", ROLE)
    till.run("create role {} login password 'x'", ROLE)
    yield workspaces(make_conninfo(till.conninfo, user=ROLE, password="x"))
    till.run("drop owned by {}", ROLE)
    till.run("drop role {}", ROLE)


def test_a_role_without_privileges(till: Till, reader: Workspace) -> None:
    till.pay(30)
    assert unknown(shown(reader)) == "the payments: this role may not read them; use one with pg_read_all_data"


def test_a_role_that_may_read_the_payments_only(till: Till, reader: Workspace) -> None:
    till.week()
    till.pay(40, "stripe", "FAILED", metadata={"code": "card_declined"})
    till.run("grant select on payments to {}", ROLE)
    page = shown(reader)
    assert page.exit_code is Exit.PROBLEM_FOUND
    (group,) = page.data["groups"]
    assert (group["restaurant"], group["failed"]) == (None, 40)
    assert page.data["unknown"] == ["the restaurants: this role may not read them; use one with pg_read_all_data"]


def test_policies_that_hide_rows(till: Till, reader: Workspace) -> None:
    """The rows that are hidden would be missing from what is tried: it would look calm."""
    till.pay(40, "stripe", "FAILED")
    till.run("grant select on all tables in schema public to {}", ROLE)
    till.run("alter table payments enable row level security")
    assert "row-level security hides rows from this role" in unknown(shown(reader))


def test_there_is_no_such_table(till: Till, shop: Workspace) -> None:
    till.run("drop table payments cascade")
    assert "this database has no such table" in unknown(shown(shop))


def test_a_table_that_is_locked(till: Till, shop: Workspace) -> None:
    with closing(connect(till.conninfo, "tests")) as other, other.transaction():
        other.execute("lock table payments in access exclusive mode")
        assert "another session holds a lock" in unknown(shown(shop))


def test_a_view_by_that_name(till: Till, shop: Workspace) -> None:
    till.week()
    till.pay(58)
    till.pay(2, "stripe", "FAILED", metadata={"code": "card_declined"})
    till.run("alter table payments rename to real_payments")
    till.run("create view payments as select * from real_payments where status <> 'FAILED'")
    page = shown(shop)
    assert "payments is a view here: what it leaves out is not counted" in text(page)


def test_a_view_that_would_do_something(till: Till, shop: Workspace) -> None:
    """It is not run: what it calls is not PostgreSQL's own."""
    till.run("create table touched (n int)")
    till.run("create function touch() returns int language sql as 'insert into touched values (1) returning n'")
    till.run("alter table payments rename to real_payments")
    till.run("create view payments as select *, touch() from real_payments")
    assert "touch" in unknown(shown(shop))
    assert till.one("select count(*) from touched") == 0


def test_a_view_that_fails_with_a_value(till: Till, shop: Workspace) -> None:
    """PostgreSQL repeats values in its messages; we repeat none of them."""
    till.pay(1)
    till.run("alter table payments rename to real_payments")
    till.run("alter table real_payments add holder text default 'Zacarias 4242424242424242'")
    till.run("create view payments as select * from real_payments where holder::int > 0")
    assert unknown(shown(shop)) == ("the payments: PostgreSQL refused it: invalid text representation (SQLSTATE 22P02)")


def test_functions_and_operators_in_the_way(till: Till, shop: Workspace) -> None:
    till.week()
    till.pay(40, "stripe", "FAILED", metadata={"code": "processing_error"})
    till.run("create function touch(a text, b int) returns text language sql as $$ select 'TOUCHED' $$")
    till.run("create function public.left(a text, b int) returns text language sql as $$ select 'TOUCHED' $$")
    till.run("create schema trap")
    till.run("create function trap.count() returns bigint language sql as $$ select 0::bigint $$")
    till.run(
        "do $$ begin execute format('alter database %I set search_path = trap, public', current_database()); end $$"
    )
    page = shown(shop)
    assert "TOUCHED" not in text(page) + str(page.data)
    assert page.exit_code in (Exit.UNKNOWN, Exit.PROBLEM_FOUND)
    if page.exit_code is Exit.UNKNOWN:
        assert page.data["unknown"]


def test_columns_of_other_types(till: Till, shop: Workspace) -> None:
    """Prisma's: times without time zone, in UTC; texts where the profile has enums; a gateway that is a card."""
    till.week()
    till.pay(40, "stripe", "FAILED", metadata={"code": "processing_error"})
    till.pay(1, "stripe", "FAILED", metadata={"code": "processing_error"})
    till.run("alter table payments drop constraint payments_gateway")
    till.run("drop index payments_failed_idx")
    till.run("alter table payments alter status drop default")
    till.run("alter table payments alter status type text, alter gateway type text, alter method type text")
    till.run("alter table payments alter created_at type timestamp using created_at at time zone 'UTC'")
    till.run("update payments set gateway = '4242424242424242' where id = (select min(id::text)::uuid from payments)")
    page = shown(shop)
    assert page.exit_code is Exit.PROBLEM_FOUND, page.data
    assert "all processing_error (the gateway's side)" in page.data["line"]
    assert "4242424242424242" not in text(page) + str(page.data)
    assert [one["gateway"] for one in page.data["gateways"]] == [None, "stripe", "(another)"]


def test_metadata_of_another_type(till: Till, shop: Workspace) -> None:
    """The payments are counted all the same; only their codes are unknown."""
    till.week()
    till.pay(40, "stripe", "FAILED")
    till.run("alter table payments drop constraint payments_metadata_check, alter metadata drop default")
    till.run("alter table payments alter metadata type text")
    page = shown(shop)
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert page.data["gateways"][1]["failed"] == 40
    assert page.data["gateways"][1]["side"] == "unknown"
    assert page.data["unknown"][0].startswith("the codes of the gateways: the table is not as the application's")


def test_one_day_of_the_week_can_not_be_read(till: Till, shop: Workspace) -> None:
    """A history with a hole is still one, and the hole is said: that day's partition is locked."""
    till.week()
    till.pay(60)
    till.run("alter table payments rename to all_payments")
    till.run("create table payments (like all_payments) partition by range (created_at)")
    till.run("create table rest partition of payments default")
    day = till.one("select format('from (%%L) to (%%L)', now() - interval '3.5 days', now() - interval '2.5 days')")
    till.run(f"create table that_day partition of payments for values {day}")
    till.run("insert into payments select * from all_payments")
    with closing(connect(till.conninfo, "tests")) as other, other.transaction():
        other.execute("lock table that_day in access exclusive mode")
        page = shown(shop)
    assert page.exit_code is Exit.DONE
    (why,) = page.data["unknown"]
    assert why.startswith("1 of the 7 days before: another session holds a lock")


def test_metadata_that_is_huge(till: Till, shop: Workspace) -> None:
    """It is not unpacked, sixty times for each payment; that its code is unknown is said."""
    till.pay(30, "stripe", "FAILED", metadata={"code": "card_declined", "blob": os.urandom(20_000).hex()})
    page = shown(shop)
    assert page.data["gateways"][0]["failed"] == 30
    assert {one["code"] for one in page.data["groups"]} == {"(no code)"}
    assert page.data["unknown"] == ["the codes of 30 payments: their metadata is larger than 8 kB, or no object"]


def test_an_hour_with_more_failures_than_are_looked_at(till: Till, shop: Workspace) -> None:
    till.pay(2_100, "stripe", "FAILED", metadata={"code": "processing_error"})
    page = shown(shop)
    assert page.data["gateways"][0]["failed"] == 2_100, "all are counted"
    assert sum(one["failed"] for one in page.data["groups"]) == 2_000
    assert page.data["unknown"] == ["the codes of all but the newest 2,000 that failed: they were not looked at"]

"""The page of changes in the database: who sees what of it, and the way from a deleted row to the restored one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator

import psycopg
import pytest
from playwright.sync_api import expect

from tabsync.console.serve import start
from tabsync.postgres import embedded
from tests.conftest import run_sql
from tests.console.conftest import Pages, Site, Workspaces, enter
from tests.postgres.restore.audited import contents, do

_PAYMENT = "select id::text from payments order by id limit 1"


@pytest.fixture(scope="module")
def audited(
    server: embedded.Server, console_workspaces: Workspaces, audited_restaurant: Callable[[int], str]
) -> Iterator[Site]:
    """A console on a database whose changes are recorded."""
    run_sql(server.conninfo(), "create database {} template {}", "changes", audited_restaurant(17))
    workspace = console_workspaces("changes", server.conninfo("changes"))
    running = start(workspace)
    yield Site(running, workspace)
    running.stop()


def test_a_deleted_row_is_found_and_restored(audited: Site, pages: Pages) -> None:
    conninfo = audited.workspace.conninfo
    before = contents(conninfo)
    with psycopg.connect(conninfo, application_name="till 3") as session:
        row = session.execute(_PAYMENT).fetchone()
        assert row is not None
        session.execute("delete from payments where id = %s", row)
    watched = pages()
    page = watched.page
    enter(audited, page)
    page.goto(audited.url("/audit"))
    page.get_by_role("link", name="Changes in the database").click()
    page.get_by_label("Application").fill("till 3")
    page.get_by_label("Since", exact=True).fill("1 hour ago")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text(row[0])
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) <= 0
    page.locator("tbody a").click()
    expect(page.locator("main")).to_contain_text("amount_cents")
    page.get_by_role("button", name="Show the plan").click()
    page.get_by_role("button", name="Run").click()
    expect(page.locator("main")).to_contain_text("1 missing", timeout=20_000)
    expect(page.locator("main")).to_contain_text("From the audit log, as they were before transaction")
    page.get_by_role("button", name="Show the plan to write them").click()
    page.get_by_role("button", name="Run").click()
    expect(page.locator("main")).to_contain_text("Rows written, in one transaction", timeout=20_000)
    assert contents(conninfo) == before
    assert watched.complaints == []


def test_values_are_for_admins_and_never_on_record(audited: Site, pages: Pages) -> None:
    do(
        audited.workspace.conninfo,
        "update users set full_name = 'Wilhelmina' where id = (select id from users limit 1)",
    )
    for name, sees in (("ana", True), ("rob", False), ("vic", False)):
        page = pages().page
        enter(audited, page, name)
        answer = page.goto(audited.url("/audit/changes?table=users"))
        assert answer is not None
        assert answer.status == (403 if name == "vic" else 200)
        assert "Wilhelmina" not in page.content()
        assert page.locator("tbody a").count() == (1 if sees else 0)
        with psycopg.connect(audited.workspace.conninfo) as session:
            row = session.execute("select max(id) from audit_logs where table_name = 'public.users'").fetchone()
        assert row is not None
        answer = page.goto(audited.url(f"/audit/changes/{row[0]}"))
        assert answer is not None
        assert (answer.status == 200, "Wilhelmina" in page.content()) == (sees, sees)
    with sqlite3.connect(audited.workspace.home / "ledger.sqlite") as ledger:
        text = "\n".join(ledger.iterdump())
    ledger.close()
    assert "Wilhelmina" not in text


def test_what_cannot_be_asked_is_told_on_the_page(audited: Site, pages: Pages) -> None:
    page = pages().page
    enter(audited, page)
    page.goto(audited.url("/audit/changes?grep=x"))
    expect(page.get_by_role("alert")).to_contain_text("needs --since")
    answer = page.goto(audited.url("/audit/changes/99999999"))
    assert answer is not None
    assert answer.status == 404
    assert json.dumps("no entry 99999999")[1:-1] in page.content()

"""Runs side by side in a real browser: beside a backup that waits for a lock, and against one that uses the same."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from psycopg.conninfo import make_conninfo

from tabsync.backups.take import plan_take_full
from tabsync.console.serve import start
from tabsync.kernel.runner import run
from tabsync.ledger.runs import one_run
from tabsync.postgres import embedded
from tests.conftest import run_sql
from tests.console.conftest import Pages, Site, Workspaces, enter
from tests.sessions import connect


@pytest.fixture(scope="module")
def beside(
    console_workspaces: Workspaces, server: embedded.Server, restaurant: Callable[[int], str]
) -> Iterator[tuple[Site, str]]:
    """A console of a database of its own, with a backup."""
    run_sql(server.conninfo(), "create database {} template {}", "alongside", restaurant(17))
    workspace = console_workspaces("alongside", server.conninfo("alongside"))
    outcome = run(plan_take_full(workspace), workspace, workspace.journal())
    outcome.raise_if_failed()
    running = start(workspace)
    yield Site(running, workspace), str(outcome.results["commit"]["backup"])
    running.stop()


def planned(site: Site, page: Page, path: str, button: str) -> str:
    """Ask for a plan on a page; gives its address."""
    page.goto(site.url(path))
    page.get_by_role("button", name=button).first.click()
    page.wait_for_url("**/plans/*")
    return page.url


def begun(page: Page, button: str) -> str:
    """Run the plan that is shown; gives the run's id."""
    page.get_by_role("button", name=button).click()
    page.wait_for_url("**/runs/*")
    return page.url.rsplit("/", 1)[1]


def state(site: Site, run_id: str) -> str:
    found = one_run(site.workspace.ledger(), run_id)
    assert found is not None
    return str(found["state"])


def test_a_run_is_started_while_a_backup_waits(beside: tuple[Site, str], pages: Pages) -> None:
    site, backup = beside
    page = pages().page
    enter(site, page)
    planned(site, page, "/backups", "Take a full backup")
    with connect(site.workspace.conninfo, "tests") as connection:
        connection.execute("begin")
        connection.execute("lock table users")
        slow = begun(page, "Run these")
        waiting = "select count(*) from pg_locks where relation = 'users'::regclass and not granted"
        until = time.monotonic() + 30
        while connection.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < until
            time.sleep(0.05)
        planned(site, page, f"/backups/{backup}", "Verify")
        quick = begun(page, "Run these")
        expect(page.locator(".verdict-line")).to_be_visible(timeout=30_000)
        assert (state(site, quick), state(site, slow)) == ("done", "running")
        connection.execute("rollback")
    page.goto(site.url(f"/runs/{slow}"))
    expect(page.locator(".verdict-line")).to_be_visible(timeout=60_000)
    assert state(site, slow) == "done"


def test_one_that_clashes_says_with_what_and_since_when(
    beside: tuple[Site, str], pages: Pages, server: embedded.Server
) -> None:
    site, backup = beside
    first, second = pages().page, pages().page
    for page, name in ((first, "ana"), (second, "ana")):
        enter(site, page, name)
        page.goto(site.url(f"/backups/{backup}/restore"))
        page.locator("#place ~ form").get_by_role("button").click()
        page.wait_for_url("**/plans/*")
        page.get_by_label("Type alongside to confirm").fill("alongside")
    run_id = begun(first, "Run these")
    second.get_by_role("button", name="Run these").click()
    expect(second.locator("main")).to_contain_text(
        re.compile(r"restore in-place by ana uses database:alongside since \d\d:\d\d UTC")
    )
    assert f"tabsync run stop {run_id}" in second.inner_text("main")
    expect(first.locator(".verdict-line")).to_be_visible(timeout=60_000)
    assert state(site, run_id) == "done"
    with connect(make_conninfo(site.workspace.conninfo, dbname="postgres"), "tests") as connection:
        names = connection.execute("select datname from pg_database where datname ~ '^alongside_'").fetchall()
    for (name,) in names:
        run_sql(server.conninfo(), "drop database {} with (force)", str(name))

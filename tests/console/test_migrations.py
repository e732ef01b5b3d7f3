"""The page of migrations in a real browser: the histories, and what was deployed and rehearsed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tabsync.console.serve import start
from tabsync.kernel.clock import iso, now
from tabsync.ledger.tables import run
from tabsync.postgres import embedded
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.console.conftest import Pages, Site, Workspaces, enter

EVIL = "deploy <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def migrated(console_workspaces: Workspaces, server: embedded.Server, place: Path) -> Iterator[Site]:
    """A console whose database has a history of migrations, and whose tabsync.toml names their folder."""
    run_sql(server.conninfo(), "create database {}", "console_migrations")
    conninfo = server.conninfo("console_migrations")
    run_sql(conninfo, "create table schema_migrations (version text primary key)")
    run_sql(conninfo, "insert into schema_migrations values ('20260101000000')")
    folder = place / "console-migrations-folder"
    folder.mkdir()
    for name in ("20260101000000_one", "20260201000000_two"):
        (folder / f"{name}.sql").write_text("-- migrate:up\ncreate table made (id int);\n-- migrate:down\n")
    workspace = replace(console_workspaces("migrations", conninfo), migrations=folder)
    ran(workspace)
    running = start(workspace)
    yield Site(running, workspace)
    running.stop()
    workspace.close()


def ran(workspace: Workspace) -> None:
    """24 runs of three procedures, one of which is none of this page."""
    common: dict[str, Any] = {"host": "h", "approval": "", "actor": "ana", "pid": 1, "target": {}, "plan": {}}
    common |= {"plan_digest": "", "manual_digest": "", "home": ""}
    words = ("migration guard", "migration rehearse", "backup take full")
    with workspace.ledger().writing() as connection:
        for number in range(36):
            at = now() - timedelta(hours=number + 1)
            one = {"id": f"20261129T0000{number:02}Z-abcdef", "title": f"{EVIL} {number}"}
            one |= {"procedure": words[number % 3], "state": "failed" if number == 0 else "done"}
            one |= {"started_at": iso(at), "finished_at": iso(at)}
            connection.execute(run.insert(), [common | one])


@pytest.mark.parametrize("width", [1280, 390])
def test_a_viewer_sees_the_histories_and_the_newest_runs(migrated: Site, pages: Pages, width: int) -> None:
    watched = pages(width=width)
    enter(migrated, watched.page, "vic")
    page = watched.page
    page.goto(migrated.url("/"))
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Migrations").click()
    expect(page.get_by_role("heading", name="Migrations", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", level=2).first).to_contain_text("1 PENDING")
    expect(page.locator("main")).to_contain_text("20260201000000")
    rows = page.get_by_role("region", name="Deployments and rehearsals").locator("tbody tr")
    expect(rows).to_have_count(20)
    expect(rows.nth(0)).to_contain_text("failed")
    expect(rows.nth(0)).to_contain_text(f"guard {EVIL} 0")
    expect(rows.nth(1)).to_contain_text(f"rehearse {EVIL} 1")
    expect(rows.nth(2)).to_contain_text(f"guard {EVIL} 3")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert rows.nth(0).get_by_role("link").get_attribute("href") == "/runs/20261129T000000Z-abcdef"
    assert watched.complaints == []


def test_a_database_that_cannot_be_reached_is_said(console_workspaces: Workspaces, pages: Pages) -> None:
    workspace = console_workspaces("unmigrated", "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1")
    running = start(workspace)
    try:
        watched = pages()
        site = Site(running, workspace)
        enter(site, watched.page, "vic")
        answer = watched.page.goto(site.url("/migrations"))
        assert answer is not None and answer.status == 200
        expect(watched.page.get_by_role("alert")).to_contain_text("can't connect to nowhere")
        expect(watched.page.locator("main")).to_contain_text("There are none yet")
        expect(watched.page.locator("main")).to_contain_text("[migrations] folder in tabsync.toml")
    finally:
        running.stop()

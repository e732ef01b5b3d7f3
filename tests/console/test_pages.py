"""Every page in a real browser: what it says, how it fits, what the browser thinks of it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tabsync.console.serve import start
from tabsync.ledger.evidence import latest_evidence
from tabsync.ledger.runs import one_run
from tests.console.conftest import Pages, Site, Workspaces, enter

PATHS = ("/", "/manual", "/backups", "/schedule", "/runs", "/users", "/audit", "/login")


@pytest.fixture(scope="module")
def drilled(site: Site) -> str:
    """The id of a run that drilled a new backup, begun without a browser."""
    from tabsync.procedures import find, prepare

    drill = find("drill")
    assert drill
    worker = site.running.console.worker
    made = prepare(drill, site.workspace, drill.request_type())
    run = worker.start(worker.show(drill, drill.request_type(), made, "ana"), "ana")
    deadline = time.monotonic() + 60
    while worker.busy() and time.monotonic() < deadline:
        time.sleep(0.05)
    return run


def test_every_page_fits_and_pleases_the_browser(site: Site, pages: Pages, drilled: str) -> None:
    backup = latest_evidence(site.workspace.ledger(), "backup")
    assert backup is not None
    more = (f"/runs/{drilled}", f"/runs/{drilled}/report", f"/backups/{backup['facts']['backup']}", "/nothing")
    for scheme, width in (("light", 1280), ("dark", 360)):
        watched = pages(width, scheme)
        enter(site, watched.page)
        for path in PATHS + more:
            watched.page.goto(site.url(path))
            watched.page.wait_for_timeout(100)
            assert _overflow(watched.page) <= 0, (path, width)
            complaints = [one for one in watched.complaints if "404" not in one or path != "/nothing"]
            assert complaints == [], (path, width)
            watched.complaints.clear()


def test_dark_and_light(site: Site, pages: Pages) -> None:
    backgrounds = []
    for scheme in ("light", "dark"):
        page = pages(scheme=scheme).page
        page.goto(site.url("/login"))
        color = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        backgrounds.append(sum(int(part) for part in color.strip("rgb()").split(",")))
    assert backgrounds[0] > 600 and backgrounds[1] < 150


def test_focus_can_be_seen(site: Site, pages: Pages) -> None:
    page = pages().page
    enter(site, page)
    page.goto(site.url("/"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(3):
        page.keyboard.press("Tab")
        assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2


def test_status_says_what_is_proven(site: Site, pages: Pages, drilled: str) -> None:
    page = pages().page
    enter(site, page, "vic")
    page.goto(site.url("/"))
    expect(page.locator("main")).to_contain_text("PROVEN RESTORABLE", timeout=20_000)
    text = page.inner_text("main")
    assert "17 tables" in text and "measured, target 1 h" in text
    assert page.get_by_role("button", name="Show the plan").count() == 0  # vic only looks


def test_the_status_names_who_blocks_and_whom(site: Site, pages: Pages) -> None:
    page = pages(360).page
    enter(site, page)
    conninfo = site.workspace.conninfo
    with psycopg.connect(conninfo, application_name="menu-import") as root, psycopg.connect(conninfo) as victim:
        root.execute("lock table orders in exclusive mode")
        waiting = threading.Thread(target=_expect_cancel, args=(victim,))
        waiting.start()
        try:
            page.goto(site.url("/"))
            expect(page.locator("main")).to_contain_text("blocks 1 session", timeout=20_000)
            text = page.inner_text("main")
            assert f"Session {root.info.backend_pid} (postgres, menu-import, in a transaction for" in text
            assert str(victim.info.backend_pid) in text
            assert _overflow(page) <= 0
        finally:
            victim.cancel_safe()
            waiting.join(10)


def test_the_status_refreshes_itself_without_a_second_request_under_way(site: Site, pages: Pages) -> None:
    page = pages().page
    enter(site, page)
    page.goto(site.url("/"))
    assert page.get_attribute("#live", "hx-trigger") == "every 15s"
    assert page.get_attribute("#live", "hx-sync") == "this:drop"
    summary = page.get_by_text("All metrics")
    summary.click()
    with page.expect_response("**/status"):
        page.evaluate("htmx.ajax('GET', '/status', '#live')")
    page.wait_for_timeout(200)
    assert page.get_by_text("Active connections").first.is_visible()  # what was open stays open


def test_the_page_says_when_it_is_old(site: Site, pages: Pages) -> None:
    page = pages().page
    enter(site, page)
    page.goto(site.url("/"))
    assert not page.locator("#stale").is_visible()
    page.context.set_offline(True)
    page.evaluate("htmx.ajax('GET', '/status', '#live').catch(() => {})")
    page.locator("#stale").wait_for(state="visible")


def test_the_manual_with_live_values_beside_its_rows(site: Site, pages: Pages, drilled: str) -> None:
    page = pages().page
    enter(site, page, "vic")
    with page.expect_response("**/manual/values"):
        page.goto(site.url("/manual"))
    expect(page.locator("#now-metric-active-connections")).not_to_contain_text("…")
    connections = page.inner_text("#now-metric-active-connections")
    assert " connections (" in connections and connections.strip().startswith("✓") and "ok" in connections
    size = page.inner_text("#now-metric-database-size")
    assert " of " in size and size.strip().endswith("ok")  # of the disk of this machine
    assert "read in" in page.inner_text("#now-table-orders")
    assert "proven" in page.inner_text("#now-class-full")
    assert "kept by the provider: Supabase" in page.inner_text("#now-class-pitr")
    assert "overdue" in page.inner_text("#now-class-critical-tables")
    # What is seen may be a few seconds old: the values come again by themselves, here a little sooner.
    expect(page.locator("#now-target-rto")).to_contain_text("in the last drill", timeout=20_000)
    page.goto(site.url("/manual#runbook-connection-pool-exhausted"))
    assert page.get_by_text("See which sessions use the connections.").is_visible()


def test_the_manual_without_javascript(site: Site, pages: Pages) -> None:
    page = pages(javascript=False).page
    enter(site, page)
    page.goto(site.url("/manual"))
    page.get_by_role("link", name="Show the current values").click()
    assert " connections (" in page.inner_text("#now-metric-active-connections")


def test_from_the_button_to_the_verdict(site: Site, pages: Pages) -> None:
    watched = pages(360)
    page = watched.page
    enter(site, page)
    page.goto(site.url("/backups"))
    page.get_by_role("button", name="Run a drill").click()
    page.wait_for_url("**/plans/*")
    assert "Nothing has been changed" in page.inner_text("main")
    assert "pg_restore" in page.inner_text("main") and "the scratch server is deleted" in page.inner_text("main")
    digest = page.url.rsplit("/", 1)[1]
    page.get_by_role("button", name="Run these").click()
    page.wait_for_url("**/runs/*")
    states = set()
    while not page.locator(".verdict-line").count():
        states |= set(page.locator(".steps .level").all_inner_texts())
        page.wait_for_timeout(100)
    assert any("running" in state for state in states) and any("waiting" in state for state in states)
    assert "PROVEN RESTORABLE: identical, 17 tables" in page.inner_text(".verdict-line")
    assert _overflow(page) <= 0
    run = one_run(site.workspace.ledger(), page.url.rsplit("/", 1)[1])
    assert run is not None
    assert (run["plan_digest"], run["actor"], run["state"]) == (digest, "ana", "done")
    page.get_by_role("link", name="Report").click()
    page.wait_for_url("**/report")
    assert page.get_by_role("heading", name="Restore drill of console").is_visible()
    assert watched.complaints == []


def test_the_plan_that_runs_is_the_plan_that_was_shown_and_runs_once(site: Site, pages: Pages) -> None:
    page = pages().page
    enter(site, page)
    page.goto(site.url("/backups"))
    page.get_by_role("button", name="Take a full backup").click()
    page.wait_for_url("**/plans/*")
    plan_url = page.url
    page.get_by_role("button", name="Run these").click()
    page.wait_for_url("**/runs/*")
    page.goto(plan_url)
    assert "older than 10 minutes" in page.inner_text("main")
    page.goto(site.url("/runs"))
    page.get_by_role("link", name="Full backup of console").first.click()
    page.wait_for_selector(".verdict-line")
    assert "Not proven yet" in page.inner_text("main")


def test_a_run_is_started_while_another_one_is_under_way(site: Site, pages: Pages) -> None:
    page = pages().page
    enter(site, page)
    runs = []
    for word in ("Run a drill", "Take a full backup"):
        page.goto(site.url("/backups"))
        page.get_by_role("button", name=word).click()
        page.wait_for_url("**/plans/*")
        page.get_by_role("button", name="Run these").click()
        page.wait_for_url("**/runs/*")
        runs.append(page.url.rsplit("/", 1)[1])
    ledger = site.workspace.ledger()
    _until(lambda: not site.running.console.worker.busy())
    found = [one_run(ledger, run) for run in runs]
    assert [one and one["state"] for one in found] == ["done", "done"]
    drill, backup = found
    assert drill and backup and backup["started_at"] < drill["finished_at"]


def test_a_run_is_stopped_from_its_page_and_leaves_nothing(site: Site, pages: Pages) -> None:
    """A drill: the backup is being read, restored and compared, and each of these says how far it is."""
    page = pages().page
    enter(site, page)
    page.goto(site.url("/backups"))
    page.get_by_role("button", name="Run a drill").click()
    page.wait_for_url("**/plans/*")
    page.get_by_role("button", name="Run these").click()
    page.wait_for_url("**/runs/*")
    viewer = pages().page
    enter(site, viewer, "vic")
    viewer.goto(page.url)
    assert viewer.get_by_role("button", name="Stop this run").count() == 0
    page.get_by_role("button", name="Stop this run").click()
    expect(page.locator(".verdict-line")).to_be_visible(timeout=60_000)
    assert "stopped by ana" in page.inner_text("main")
    assert list((site.workspace.servers()).glob("drill-*")) == []


@pytest.fixture
def mute(console_workspaces: Workspaces) -> Iterator[Site]:
    """A console whose database takes connections and never says a word: worse than one that refuses them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        workspace = console_workspaces("mute", f"host=127.0.0.1 port={port} dbname=shop user=ops connect_timeout=10")
        running = start(workspace)
        yield Site(running, workspace)
        running.stop()


def test_pages_render_while_the_database_does_not_answer(mute: Site, pages: Pages) -> None:
    page = pages().page
    enter(mute, page)
    for path in ("/", "/backups", "/manual"):
        started = time.monotonic()
        page.goto(mute.url(path))
        assert time.monotonic() - started < 3, path
        assert path != "/" or "does not answer" in page.inner_text("main")
    expect(page.locator("#now-table-orders")).to_contain_text("unknown")
    assert "unknown" in page.inner_text("#now-metric-active-connections")


def test_pages_say_that_the_database_is_down(console_workspaces: Workspaces, pages: Pages) -> None:
    workspace = console_workspaces("refused", "host=127.0.0.1 port=1 dbname=shop user=ops")
    running = start(workspace)
    try:
        site = Site(running, workspace)
        page = pages().page
        enter(site, page)
        page.goto(site.url("/"))
        text = page.inner_text("main")
        assert "DOWN: shop on 127.0.0.1:1 does not answer" in text and "Connection refused" in text
        page.goto(site.url("/backups"))
        page.get_by_role("button", name="Run a drill").click()
        assert "can't connect to shop on 127.0.0.1:1" in page.inner_text("main")
    finally:
        running.stop()


def _expect_cancel(victim: psycopg.Connection[tuple[object, ...]]) -> None:
    with contextlib.suppress(psycopg.errors.QueryCanceled):
        victim.execute("update orders set notes = notes")


def _overflow(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


def _until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.1)

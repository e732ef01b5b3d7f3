"""The pages of what was measured, in a real browser, while the database is down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tabsync.console.serve import start
from tabsync.kernel.clock import iso, now
from tabsync.ledger.tables import manual_version, run
from tabsync.monitoring.history.logins import Counted
from tabsync.monitoring.history.place import history_of
from tabsync.workspace import Workspace
from tests.console.conftest import Pages, Site, Workspaces, enter

EVIL = "public.<img src=x onerror=alert(1)>\x1b[31m"
HIGHEST, GAP = 188.0, (timedelta(hours=3), timedelta(hours=5))


@pytest.fixture(scope="module")
def measured(console_workspaces: Workspaces) -> Iterator[Site]:
    """A console that looks after a database that doesn't exist, with a history of eight hours and a gap in it."""
    workspace = console_workspaces("metrics", "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1")
    fill(workspace)
    running = start(workspace)
    yield Site(running, workspace)
    running.stop()


def fill(workspace: Workspace) -> None:
    moment = now()
    with history_of(workspace, create=True) as history:
        at = moment - timedelta(hours=8)
        while at < moment:
            values = {("active connections", ""): HIGHEST if at < moment - GAP[1] else 24.0}
            values |= {("dead tuples", EVIL): 60_000.0, ("dead tuples", "public.orders"): 500.0}
            seen = not moment - GAP[1] <= at < moment - GAP[0]
            history.append(
                at,
                values if seen else {},
                {("active connections", ""): 200.0} if seen else {},
                {"active connections": "", "dead tuples": "", "blocked sessions": "permission denied <b>"},
            )
            at += timedelta(seconds=60)
        history.append(
            now(), values, {("active connections", ""): 200.0}, {"active connections": "", "dead tuples": ""}
        )
        history.tidy(now())
        history.happened(moment - timedelta(hours=1), "restart", "PostgreSQL was started")
        history.saw([("app", EVIL, "10.0.0.7"), ("app", "a" * 60, "2001:db8::1")], moment)
        for sessions, minutes in ((10, 9), (19, 0)):
            at = moment - timedelta(minutes=minutes)
            history.counted(Counted(sessions, "5 1", at, 2), at)
    ran: dict[str, Any] = {
        "id": "20261129T000000Z-abcdef",
        "procedure": "backup take full",
        "title": "t",
        "state": "done",
        "host": "h",
    }
    ran |= {"approval": "", "actor": "ana", "pid": 1, "target": {}, "plan": {}, "plan_digest": "", "manual_digest": ""}
    hour = timedelta(hours=1)
    with workspace.ledger().writing() as connection:
        spans = {"started_at": iso(moment - hour * 2), "finished_at": iso(moment - hour * 1.5), "home": ""}
        connection.execute(run.insert(), [ran | spans])
        version = {"at": iso(moment - hour * 6), "digest": "ab" * 32, "program": "1", "subject": "s", "items": []}
        connection.execute(manual_version.insert(), [version])


def opened(site: Site, pages: Pages, path: str, **options: Any) -> tuple[Page, list[str]]:
    watched = pages(**options)
    enter(site, watched.page, "vic")
    watched.page.goto(site.url(path))
    watched.page.wait_for_timeout(150)
    return watched.page, watched.complaints


def pixels(page: Page, variable: str) -> list[int]:
    """How many points of a colour each column of the chart has, from left to right."""
    found: list[int] = page.evaluate(
        """(name) => {
            const canvas = document.querySelector(".place canvas");
            const probe = document.createElement("canvas").getContext("2d");
            probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
            probe.fillRect(0, 0, 1, 1);
            const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
            const image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const columns = new Array(canvas.width).fill(0);
            for (let place = 0; place < image.data.length; place += 4) {
                const [x, y, z] = image.data.slice(place, place + 3);
                if (Math.abs(x - r) + Math.abs(y - g) + Math.abs(z - b) < 12) columns[(place / 4) % canvas.width] += 1;
            }
            return columns;
        }""",
        variable,
    )
    return found


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_pages_fit_and_please_the_browser(measured: Site, pages: Pages, scheme: str, width: int) -> None:
    for path in ("/metrics", "/metrics/active-connections", "/metrics/dead-tuples?range=30d", "/metrics/table-sizes"):
        page, complaints = opened(measured, pages, path, width=width, scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert complaints == [], path


def test_the_list_says_how_each_stands_and_why_one_is_unknown(measured: Site, pages: Pages) -> None:
    page, _ = opened(measured, pages, "/metrics")
    articles = {one.locator("h2").inner_text(): one for one in page.locator("article").all()}
    assert "24 of 200 connections (12 %), ok" in articles["Active connections"].inner_text()
    assert articles["Active connections"].locator("svg path").count() == 2, "a path on either side of the gap"
    dead = articles["Dead tuples"].inner_text()
    assert "60,000 row versions, critical" in dead
    assert "<img src=x onerror=alert(1)>\N{REPLACEMENT CHARACTER}[31m, of 2" in dead
    assert "permission denied <b>" in articles["Blocked sessions"].inner_text()
    assert "never measured: tabsync serve collects" in articles["Table sizes"].inner_text()
    for title, one in articles.items():
        if title not in ("Active connections", "Dead tuples"):
            assert "ok" not in one.inner_text().split(), f"{title} was not measured"
    who = page.locator("section", has=page.locator("#sessions")).inner_text()
    assert "<img src=x onerror=alert(1)>" in who and "10.0.0.7" in who
    assert "9 sessions began, and 7 of them ended between two looks" in who
    page.get_by_role("link", name="Dead tuples", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Dead tuples")


def test_the_chart_has_its_gap_its_bounds_and_its_marks(measured: Site, pages: Pages) -> None:
    page, complaints = opened(measured, pages, "/metrics/active-connections?range=6h")
    canvas = page.locator(".place canvas")
    assert canvas.count() == 1
    line = [number for number, count in enumerate(pixels(page, "--line-1")) if count]
    first, last = line[0], line[-1]
    widest = max(after - before for before, after in pairwise(line))
    assert 0.25 < widest / (last - first) < 0.42, "two of six hours are a gap"
    critical, warning = pixels(page, "--bad"), pixels(page, "--warn")
    assert sum(1 for one in critical if one) > 0.9 * (last - first)
    assert sum(1 for one in warning if one) > 0.4 * (last - first)
    listed = page.locator(".happened li").all_inner_texts()
    assert [one.partition(" UTC ")[2] for one in listed] == ["backup take full, done, by ana", "PostgreSQL was started"]
    box = canvas.bounding_box()
    assert box is not None
    assert [one for one in complaints if "getImageData" not in one] == []  # that one is about this test
    page.mouse.move(box["x"] + box["width"] - 30, box["y"] + box["height"] / 2)
    expect(page.locator(".told")).to_contain_text("UTC: 12 %")


def test_each_range_and_each_label_has_its_address(measured: Site, pages: Pages) -> None:
    page, _ = opened(measured, pages, "/metrics/dead-tuples?range=6h")
    assert page.locator(".line-keys li").first.inner_text().endswith("\N{REPLACEMENT CHARACTER}[31m")
    page.get_by_role("link", name="public.orders").click()
    chart = json.loads(page.get_attribute("[data-history]", "data-history") or "")
    assert [one["label"] for one in chart["lines"]] == ["public.orders"]
    page.get_by_role("link", name="24h").click()
    chart = json.loads(page.get_attribute("[data-history]", "data-history") or "")
    assert [one["label"] for one in chart["lines"]] == ["public.orders"]
    assert chart["until"] - chart["from"] == 24 * 3600
    assert [one["kind"] for one in chart["marks"]] == ["manual", "run", "restart"]
    page.get_by_role("link", name="show all").click()
    assert page.locator(".line-keys .line-2").count() == 1
    assert "select" in page.inner_text("pre")


def test_without_javascript_the_values_are_there(measured: Site, pages: Pages) -> None:
    page, _ = opened(measured, pages, "/metrics/dead-tuples", javascript=False)
    text = page.inner_text("main")
    assert "60,000 row versions" in text and "500 row versions" in text
    assert "tabsync metrics history dead-tuples --since 24h" in text
    assert not page.locator("figure").is_visible()


def test_a_name_that_is_none_is_answered_with_those_that_are_near(measured: Site, pages: Pages) -> None:
    page, _ = opened(measured, pages, "/metrics/dead-tupels")
    assert "did you mean Dead tuples?" in page.inner_text("main")
    page, _ = opened(measured, pages, "/metrics/dead-tuples?range=nonsense")
    assert page.locator(".ranges [aria-current]").inner_text() == "24h"


def test_a_history_that_cannot_be_read_is_said(console_workspaces: Workspaces, pages: Pages) -> None:
    workspace = console_workspaces("corrupt", "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1")
    (workspace.home / "history.sqlite").write_bytes(b"no database" * 1000)
    running = start(workspace)
    try:
        page, _ = opened(Site(running, workspace), pages, "/metrics")
        assert "the history can't be read" in page.inner_text("main")
    finally:
        running.stop()

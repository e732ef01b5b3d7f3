"""An incident in a real browser, on a telephone, with the database gone: from its first line to the checklist."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tabsync.console.serve import start
from tabsync.incidents.record import incidents
from tabsync.kernel.clock import now
from tabsync.ledger.evidence import add_evidence
from tabsync.monitoring.alerts.episode import Key, Seen, Severity
from tabsync.monitoring.alerts.keep import keep
from tests.console.conftest import Pages, Site, Workspaces, enter

EVIL = "payments fail <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def gone(console_workspaces: Workspaces) -> Iterator[Site]:
    """A console whose database does not answer."""
    workspace = console_workspaces("incidents", "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1")
    running = start(workspace)
    yield Site(running, workspace)
    running.stop()


def test_a_viewer_only_reads(gone: Site, pages: Pages) -> None:
    watched = pages()
    enter(gone, watched.page, "vic")
    watched.page.goto(gone.url("/incidents"))
    expect(watched.page.locator("main")).to_contain_text("None is known")
    expect(watched.page.get_by_role("button", name="Open an incident")).to_have_count(0)
    answer = watched.page.goto(gone.url("/incidents/20990101T000000Z-ffff"))
    assert answer is not None and answer.status == 404


def test_from_the_first_line_to_the_checklist(gone: Site, pages: Pages) -> None:
    watched = pages(width=390)
    page = watched.page
    enter(gone, page, "rob")
    page.goto(gone.url("/incidents"))
    page.get_by_label("What is wrong").fill(EVIL)
    page.get_by_role("button", name="Open an incident").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(EVIL)
    expect(page.locator("main")).to_contain_text("Nobody has it")
    expect(page.locator("main")).to_contain_text("dba@tabsync.com")
    vic = pages()
    enter(gone, vic.page, "vic")
    vic.page.goto(gone.url(f"/incidents/{incidents(gone.workspace)[0].id}"))
    expect(vic.page.locator("main")).not_to_contain_text("dba@tabsync.com")
    page.get_by_role("button", name="I take care of it").click()
    expect(page.locator("main")).to_contain_text("rob takes care of it")
    page.get_by_label("What you saw, did or decided").fill("the gateway is down")
    page.get_by_role("button", name="Write it down").click()
    expect(page.get_by_role("listitem").filter(has_text="the gateway is down")).to_be_visible()
    page.get_by_role("button", name="It hurts nobody any more").click()
    expect(page.locator("main")).to_contain_text("mitigated")
    expect(page.get_by_role("button", name="It is back")).to_be_visible()
    page.get_by_role("button", name="Its reason is gone").click()
    expect(page.get_by_role("heading", name="Checklist")).to_be_visible()
    page.get_by_label("What shows that it is so").first.fill("met on Tuesday")
    page.get_by_role("button", name="Tick it off").first.click()
    expect(page.locator("main")).to_contain_text("ticked off by rob: met on Tuesday")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    (one,) = incidents(gone.workspace)
    assert (one.state.value, one.has_it, one.subject) == ("resolved", "rob", "nowhere on 127.0.0.1:1")
    text = page.request.get(gone.url(f"/incidents/{one.id}/report")).text()
    assert text.startswith("# payments fail \\<img src=x")
    assert watched.complaints == []


def test_a_critical_alert_offers_one_and_a_second_one_joins_it(gone: Site, pages: Pages) -> None:
    levels: tuple[Severity, ...] = ("critical", "critical", "warning")
    names = [(f"Metric {number}", level) for number, level in enumerate(levels)]
    seen = [Seen(Key("threshold", name), level, now(), facts={"metric": name, "text": "9"}) for name, level in names]
    episodes = {one.key.rule: one.id for one in keep(gone.workspace.ledger(), "", seen)}
    page = pages(width=390).page
    enter(gone, page, "rob")
    for number in range(2):
        page.goto(gone.url(f"/alerts/{episodes[f'Metric {number}']}"))
        page.get_by_role("button", name="Keep an incident").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Metric 0")
    one = next(each for each in incidents(gone.workspace) if each.hurts)
    assert one.alerts == [episodes["Metric 0"], episodes["Metric 1"]]
    page.goto(gone.url(f"/alerts/{episodes['Metric 1']}"))
    expect(page.get_by_role("link", name="Metric 0")).to_be_visible()
    page.goto(gone.url(f"/alerts/{episodes['Metric 2']}"))
    expect(page.get_by_role("button", name="Keep an incident")).to_have_count(0)


def test_game_days_are_shown_with_their_times(gone: Site, pages: Pages) -> None:
    part = {"title": EVIL, "ok": True, "detect": 5.0, "diagnose": 9.0, "recover": 61.0, "missing": "", "wrong": []}
    facts = {"game_day": "payments", "began": "2026-11-03T03:00:00+00:00", "parts": [part]}
    add_evidence(gone.workspace.ledger(), "gameday", "", ok=True, facts=facts)
    page = pages(width=390).page
    enter(gone, page, "vic")
    page.goto(gone.url("/incidents"))
    page.get_by_role("link", name="game days").click()
    expect(page.get_by_role("heading", level=2)).to_have_text(f"payments: {EVIL}")
    expect(page.get_by_role("img")).to_have_count(1)
    expect(page.get_by_role("row").nth(1)).to_contain_text("1 min 1 s")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

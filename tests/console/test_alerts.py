"""The page of alerts in a real browser: what fires, what it means, and what a person can do there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import expect

from tabsync.console.serve import start
from tabsync.kernel.clock import now
from tabsync.monitoring.alerts.episode import Key, Seen
from tabsync.monitoring.alerts.keep import keep, open_episodes
from tabsync.monitoring.notify.link import link_for
from tests.console.conftest import Pages, Site, Workspaces, enter

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def site(console_workspaces: Workspaces, console_database: str) -> Iterator[Site]:
    """A console with one alert that fires, one that has ended, and one of a metric that went blind."""
    workspace = console_workspaces("alerts", console_database)
    moment = now() - timedelta(hours=2)
    facts = {
        "metric": "Active connections",
        "value": 96.0,
        "of": 97.0,
        "text": "96 of 97 connections (99 %)",
        "bound": "> 95 %",
    }
    facts |= {"meaning": "Client sessions.", "action": "Investigate, scale up", "runbook": "Connection pool exhausted"}
    fires = Seen(Key("threshold", "Active connections"), "critical", moment, facts=facts)
    other = Seen(Key("threshold", "Dead tuples", HOSTILE), "warning", moment, facts=facts | {"metric": "Dead tuples"})
    blind = Seen(Key("blind", "Query duration"), "warning", moment, facts={"text": "not measured", "why": HOSTILE})
    keep(workspace.ledger(), "", [fires, other, blind])
    keep(workspace.ledger(), "", [Seen(other.key, None, moment + timedelta(minutes=5), facts={"text": "1"})])
    running = start(workspace)
    yield Site(running, workspace)
    running.stop()


def test_it_says_what_fires_and_who_takes_care(site: Site, pages: Pages) -> None:
    watched = pages()
    page = watched.page
    enter(site, page, "ana")
    page.goto(site.url("/alerts"))
    expect(page.get_by_role("link", name="Active connections")).to_be_visible()
    expect(page.get_by_text("not measured: Query duration")).to_be_visible()
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    page.get_by_role("link", name="Active connections").click()
    expect(page.get_by_text("96 of 97 connections (99 %)").first).to_be_visible()
    expect(page.get_by_role("link", name="Connection pool exhausted")).to_be_visible()
    page.get_by_label("What you know of it").fill("I am on it")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("by ana")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.get_by_label("Why nothing is to be sent of it").fill("a load test")
    page.get_by_role("button", name="Silence").click()
    page.goto(site.url("/alerts"))
    expect(page.get_by_text("ana takes care; silenced")).to_be_visible()
    expect(page.get_by_text("a load test, by ana")).to_be_visible()
    assert watched.complaints == []
    (acked,) = [one for one in open_episodes(site.workspace.ledger()) if one.key.rule == "Active connections"]
    assert acked.acked_by == "ana"


def test_a_viewer_sees_and_changes_nothing(site: Site, pages: Pages) -> None:
    page = pages().page
    enter(site, page, "vic")
    page.goto(site.url("/alerts"))
    page.get_by_role("link", name="not measured: Query duration").click()
    expect(page.get_by_text("Nobody was told.")).to_be_visible()
    expect(page.get_by_role("button", name="Silence")).to_have_count(0)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_it_fits(site: Site, pages: Pages, width: int, scheme: str) -> None:
    page = pages(width=width, scheme=scheme).page
    enter(site, page, "ana")
    page.goto(site.url("/alerts"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_link_of_a_message_acknowledges_once_and_not_by_being_opened(site: Site, pages: Pages) -> None:
    ledger, home = site.workspace.ledger(), site.workspace.home
    key = Key("threshold", "Replication lag", "standby1")
    keep(ledger, "", [Seen(key, "critical", now(), facts={"text": "31 s", "bound": "> 30 s", "action": "Diagnose"})])
    (alert,) = [one.id for one in open_episodes(ledger) if one.key == key]
    link = link_for(home, site.running.url, alert, "Database Admin", now() + timedelta(days=1))
    page = pages().page
    page.goto(link)
    page.goto(link)
    expect(page.get_by_text("You are told as Database Admin.")).to_be_visible()
    assert [one.acked_by for one in open_episodes(ledger) if one.id == alert] == [""]
    page.get_by_role("button", name="I take care of it").click()
    expect(page.get_by_text("Database Admin takes care of it.")).to_be_visible()
    other = link_for(home, site.running.url, alert, "CTO", now() + timedelta(days=1))
    page.goto(other)
    expect(page.get_by_text("Database Admin takes care of it.")).to_be_visible()
    origin = {"origin": site.running.url.rstrip("/")}
    assert httpx.post(other, headers=origin, follow_redirects=True, trust_env=False).status_code == 200
    assert [one.acked_by for one in open_episodes(ledger) if one.id == alert] == ["Database Admin"]
    assert [one["action"] for one in ledger.read("audit", limit=1)] == ["alert ack"]


@pytest.mark.parametrize("what", ["old", "forged", "cut", "nonsense"])
def test_a_link_that_is_not_ours_or_too_old_opens_nothing(site: Site, what: str) -> None:
    until = now() + timedelta(days=-1 if what == "old" else 1)
    link = link_for(site.workspace.home, site.running.url, "0123456789ab", "CTO", until)
    links = {"old": link, "forged": f"{link[:-1]}{'A' if link[-1] != 'A' else 'B'}", "cut": link[:-9]}
    tried = links.get(what, f"{site.running.url.rstrip('/')}/acknowledge/%00%ff")
    answer = httpx.get(tried, trust_env=False)
    assert answer.status_code == 403
    assert "tabsync alert ack" in answer.text
    origin = {"origin": site.running.url.rstrip("/")}
    assert httpx.post(tried, headers=origin, trust_env=False).status_code == 403

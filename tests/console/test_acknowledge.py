"""The link of a message: opened it changes nothing; its button acknowledges, once, without a session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import expect

from tabsync.console.base.throttle import FREE_ADDRESS, LONGEST
from tabsync.console.serve import start
from tabsync.kernel.clock import now
from tabsync.monitoring.alerts.episode import Episode, Key, Seen
from tabsync.monitoring.alerts.keep import keep, one_episode
from tabsync.monitoring.notify.link import GOOD_FOR, key_of, token_for
from tests.console.conftest import Pages, Site, Workspaces

PUBLIC = "https://ops.example.org"


@pytest.fixture
def site(console_workspaces: Workspaces, request: pytest.FixtureRequest) -> Iterator[Site]:
    name = f"ack-{abs(hash(request.node.name))}"
    workspace = console_workspaces(name, "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1")
    workspace = replace(workspace, public_url=PUBLIC)
    running = start(workspace)
    yield Site(running, workspace)
    running.stop()


def fire(site: Site, rule: str = "Waiting", level: str = "warning") -> Episode:
    facts = {"metric": rule, "text": "60 of 100 orders", "meaning": "Nobody has taken them.", "action": "Take them"}
    keep(site.workspace.ledger(), "", [Seen(Key("threshold", rule), level, now(), facts=facts)])  # type: ignore[arg-type]
    return next(one for one in [*_all(site)] if one.key.rule == rule)


def _all(site: Site) -> list[Episode]:
    from tabsync.monitoring.alerts.keep import open_episodes

    return open_episodes(site.workspace.ledger())


def path(site: Site, episode: Episode, contact: str = "Köln, Nacht", good_for: timedelta = GOOD_FOR) -> str:
    token = token_for(key_of(site.workspace.home), episode.id, contact, now() + good_for)
    return f"/acknowledge/{token}"


def state(site: Site, episode: Episode) -> str:
    found = one_episode(site.workspace.ledger(), episode.id)
    assert found is not None
    return found.acked_by


def test_opened_it_changes_nothing_and_its_button_acknowledges_once(site: Site, pages: Pages) -> None:
    episode = fire(site)
    watched = pages(width=390)
    watched.page.goto(site.url(path(site, episode)))
    expect(watched.page.get_by_text("60 of 100 orders")).to_be_visible()
    assert state(site, episode) == ""
    watched.page.get_by_role("button", name="I take care of it").click()
    expect(watched.page.get_by_text("Köln, Nacht takes care of it.")).to_be_visible()
    assert (state(site, episode), watched.complaints) == ("Köln, Nacht", [])
    watched.page.goto(site.url(path(site, episode, "Admin")))
    expect(watched.page.get_by_text("Köln, Nacht takes care of it.")).to_be_visible()
    expect(watched.page.get_by_role("button", name="I take care of it")).to_have_count(0)
    rows = [one for one in site.workspace.ledger().read("audit", limit=10) if one["action"] == "alert ack"]
    assert [(one["actor"], one["target"]) for one in rows] == [("Köln, Nacht", episode.id)]


def test_it_works_behind_the_public_address(site: Site) -> None:
    episode = fire(site)
    headers = {"host": "ops.example.org", "origin": PUBLIC}
    with httpx.Client(base_url=site.running.url, trust_env=False, headers=headers) as client:
        assert client.get(path(site, episode)).status_code == 200
        assert state(site, episode) == ""
        assert client.post(path(site, episode)).status_code == 303
    assert state(site, episode) == "Köln, Nacht"


def test_what_is_not_good_is_said_in_words(site: Site) -> None:
    episode = fire(site)
    forged = path(site, episode)[:-4] + "AAAA"
    other = token_for(b"x" * 32, episode.id, "Admin", now() + GOOD_FOR)
    headers = {"origin": site.running.url.rstrip("/")}
    with httpx.Client(base_url=site.running.url, trust_env=False, headers=headers) as client:
        cases = (
            (forged, "is not valid"),
            (f"/acknowledge/{other}", "is not valid"),
            ("/acknowledge/%ff", "is not valid"),
            (path(site, episode, good_for=-timedelta(seconds=1)), "not good any more"),
        )
        for address, words in cases:
            for method in ("GET", "POST"):
                answer = client.request(method, address)
                assert (answer.status_code, words in answer.text) == (403, True), (address, answer.text)
        keep(site.workspace.ledger(), "", [Seen(episode.key, None, now())])
        answer = client.post(path(site, episode), follow_redirects=True)
        assert "It has ended" in answer.text
        for _ in range(FREE_ADDRESS):
            client.get(forged)
        assert client.get(forged).status_code == 429
    assert state(site, episode) == ""


def test_a_form_of_another_site_is_refused(site: Site) -> None:
    episode = fire(site)
    with httpx.Client(base_url=site.running.url, trust_env=False) as client:
        assert client.post(path(site, episode), headers={"origin": "https://evil.example"}).status_code == 403
    assert state(site, episode) == ""


def test_a_link_that_was_used_is_not_good_for_what_became_critical_since(site: Site) -> None:
    episode = fire(site)
    old = path(site, episode)
    headers = {"origin": site.running.url.rstrip("/")}
    with httpx.Client(base_url=site.running.url, trust_env=False, headers=headers, follow_redirects=True) as client:
        client.post(old)
        fire(site, level="critical")
        found = one_episode(site.workspace.ledger(), episode.id)
        assert found is not None and not found.is_acknowledged
        assert "use the link of the newer one" in client.post(old).text
        acked_at = found.acked_at
        client.post(path(site, episode, "Boss"))
        found = one_episode(site.workspace.ledger(), episode.id)
        assert found is not None and found.acked_at != acked_at and found.acked_by == "Boss"


def test_old_links_are_no_guesses_and_one_that_is_good_forgives_none(site: Site) -> None:
    episode, clock = fire(site), [1000.0]
    site.running.console.links.clock = lambda: clock[0]
    good, old = path(site, episode), path(site, episode, good_for=-timedelta(seconds=1))
    with httpx.Client(base_url=site.running.url, trust_env=False) as client:
        for _ in range(FREE_ADDRESS + 5):  # a scanner goes through all mails of a month
            assert client.get(old).status_code == 403
        assert client.get(good).status_code == 200
        for number in range(FREE_ADDRESS):
            assert client.get(f"/acknowledge/x{number}").status_code == 403
            assert number == FREE_ADDRESS - 1 or client.get(good).status_code == 200
        refused = client.get(good)
        assert (refused.status_code, 0 < int(refused.headers["retry-after"]) <= LONGEST) == (429, True)
        assert client.get("/login").status_code == 200
        clock[0] += LONGEST + 1
        assert client.get(good).status_code == 200
        client.get("/acknowledge/x")
        assert client.get("/acknowledge/x").status_code == 429


def test_whoever_opens_a_link_makes_no_key(site: Site) -> None:
    token = token_for(b"", fire(site).id, "Admin", now() + GOOD_FOR)
    answer = httpx.get(site.url(f"/acknowledge/{token}"), trust_env=False)
    assert (answer.status_code, [*site.workspace.home.glob("*acknowledge*")]) == (403, [])


@pytest.mark.parametrize("url", ["https://OPS.example.org:443", "http://ops.example.org:80"])
def test_browsers_leave_the_scheme_s_own_port_out(site: Site, url: str) -> None:
    episode, running = fire(site), start(replace(site.workspace, public_url=url))
    try:
        address = f"{running.url.rstrip('/')}{path(site, episode)}"
        assert httpx.get(address, headers={"host": "ops.example.org"}, trust_env=False).status_code == 200
    finally:
        running.stop()

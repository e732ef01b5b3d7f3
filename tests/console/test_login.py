"""Who gets in, who doesn't, and when a session ends."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select, update
from starlette.requests import Request
from starlette.responses import Response

from tabsync.console.base.access import cookie_name, set_cookie, unmasked
from tabsync.console.base.connections import Limits
from tabsync.console.base.device import checked_mark
from tabsync.console.base.throttle import FREE
from tabsync.console.serve import start
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.ledger.evidence import recent_audit
from tabsync.ledger.operators import find_session, one_operator, set_password, start_session
from tabsync.ledger.tables import session
from tests.console.conftest import PASSWORD, Pages, Site, Workspaces, enter, log_in


def test_a_cookie_that_no_script_can_read_and_no_other_site_can_send(site: Site, pages: Pages) -> None:
    page = pages().page
    log_in(site, page)
    page.wait_for_url(site.url("/"))
    kept = {cookie["name"]: cookie for cookie in page.context.cookies()}
    port = site.running.url.rsplit(":", 1)[1].strip("/")
    assert set(kept) == {f"tabsync-{port}", f"tabsync-{port}-device"}  # the form's own cookie is gone
    for cookie in kept.values():
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""


def test_a_browser_that_refuses_secure_cookies_over_plain_http_gets_in(site: Site) -> None:
    """As Safari does; Python's client too sends no Secure cookie over http."""
    with client_of(site) as client:
        assert attempt(client, "ana", PASSWORD).headers["location"] == "/"
        assert client.get("/").status_code == 200


def test_cookies_are_secure_behind_tls_and_never_plain_to_another_machine(site: Site) -> None:
    cases = {
        ("http", "127.0.0.1:8420"): "tabsync-8420",
        ("http", "localhost:8420"): "tabsync-8420",
        ("http", "[::1]:8420"): "tabsync-8420",
        ("https", "localhost:8420"): "__Host-tabsync-8420",
        ("http", "console.example.org"): "__Host-tabsync",
        ("http", "10.0.0.5:8420"): "__Host-tabsync-8420",
        ("http", "127.0.0.1.example.org"): "__Host-tabsync",
    }
    for (scheme, host), name in cases.items():
        headers = [(b"host", host.encode())]
        request = Request({"type": "http", "scheme": scheme, "headers": headers, "path": "/", "query_string": b""})
        answer = Response()
        set_cookie(request, answer, cookie_name(request), "x")
        assert cookie_name(request) == name, (scheme, host)
        assert ("Secure" in answer.headers["set-cookie"]) == name.startswith("__Host-")


def test_a_token_looks_different_in_each_form(site: Site) -> None:
    with client_of(site) as client:
        first, second = token_of(client), token_of(client)
        assert first != second
        [cookie] = client.cookies.values()
        assert unmasked(first) == unmasked(second) == cookie.encode()
        for wrong in ("", cookie, first[:-4], first + "AAAA", "é" * 43):
            form = {"name": "ana", "password": PASSWORD, "csrf": wrong}
            assert client.post("/login", data=form).status_code == 403
            assert "out of date" in client.post("/login", data=form).text


def test_wrong_password_and_unknown_name_are_told_the_same(site: Site, pages: Pages) -> None:
    told = []
    for name in ("vic", "nobody-of-that-name"):
        page = pages().page
        log_in(site, page, name, "not the password")
        told.append(page.get_by_role("alert").inner_text())
        assert page.url == site.url("/login")
    assert told[0] == told[1] == "Name and password don't match; or the code is missing, wrong or was used."
    actors = [entry["actor"] for entry in recent_audit(site.workspace.ledger(), 2)]
    assert actors == ["(unknown name)", "vic"]  # what isn't a name may have been a password


@pytest.fixture
def proxied(console_workspaces: Workspaces) -> Iterator[Site]:
    """A console behind a proxy on this machine, which it trusts."""
    workspace = console_workspaces(f"proxied-{secrets.token_hex(3)}", "host=127.0.0.1 port=1 dbname=nowhere")
    running = start(workspace, limits=Limits(proxies=("127.0.0.1/32",)))
    running.console.throttle.clock = lambda: 100.0  # it stands still, however slow the machine is
    yield Site(running, workspace)
    running.stop()


def test_guessing_is_slowed_down_for_this_name_and_address(proxied: Site) -> None:
    with client_of(proxied, "203.0.113.7") as stranger, client_of(proxied, "198.51.100.9") as ana:
        told = [attempt(stranger, "ana", f"guess number {number}").status_code for number in range(FREE + 1)]
        assert told == [403] * FREE + [429]
        assert attempt(stranger, "vic", PASSWORD).status_code == 303  # nobody else is held up there
        assert attempt(ana, "ana", PASSWORD).status_code == 303  # nor she elsewhere
    addresses = {one["detail"].get("address") for one in recent_audit(proxied.workspace.ledger(), 20)}
    assert {"203.0.113.7", "198.51.100.9"} <= addresses


def test_the_address_is_what_the_proxy_adds_and_not_what_the_client_says(proxied: Site) -> None:
    with client_of(proxied) as stranger:
        told = []
        for number in range(FREE + 1):
            stranger.headers["x-forwarded-for"] = f"198.51.100.{number}, 203.0.113.7"
            told.append(attempt(stranger, "ana", "not the password").status_code)
        assert told == [403] * FREE + [429]


def test_nobody_else_is_believed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.running.console.throttle, "clock", lambda: 100.0)
    with client_of(site) as stranger:
        told = []
        for number in range(FREE + 1):
            stranger.headers["x-forwarded-for"] = f"198.51.100.{number}"
            told.append(attempt(stranger, "xena", "not the password").status_code)
        assert told == [403] * FREE + [429]


def test_a_browser_that_is_known_goes_past_a_strangers_failures(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where all come from one address: a proxy that is not trusted, an office."""
    monkeypatch.setattr(site.running.console.throttle, "clock", lambda: 100.0)
    with client_of(site) as vic, client_of(site) as stranger:
        assert attempt(vic, "vic", PASSWORD).status_code == 303
        vic.cookies.delete(f"tabsync-{vic.base_url.port}")
        for number in range(FREE + 1):
            last = attempt(stranger, "vic", f"guess number {number}")
        assert last.status_code == 429
        assert attempt(vic, "vic", PASSWORD).status_code == 303
        mark = vic.cookies[f"tabsync-{vic.base_url.port}-device"]
        stranger.cookies.set(f"tabsync-{vic.base_url.port}-device", f"x{mark}", domain="127.0.0.1")
        assert attempt(stranger, "vic", PASSWORD).status_code == 429  # one that is made up is none
        ledger = site.workspace.ledger()
        assert checked_mark(ledger, "vic", mark) and not checked_mark(ledger, "ana", mark)
        set_password(ledger, "vic", PASSWORD, by="tests")
        assert not checked_mark(ledger, "vic", mark)  # a new password ends it
    site.running.console.throttle._failures.clear()


def test_comes_back_to_the_page_that_was_asked_for(site: Site, pages: Pages) -> None:
    page = pages().page
    page.goto(site.url("/runs"))
    assert page.url == site.url("/login?next=/runs")
    page.get_by_label("Name").fill("vic")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(site.url("/runs"))
    assert page.url == site.url("/runs")


def test_never_goes_to_another_host_after_the_login(site: Site, pages: Pages) -> None:
    page = pages().page
    page.goto(site.url("/login?next=//evil.example"))
    page.get_by_label("Name").fill("vic")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(site.url("/"))
    assert page.url == site.url("/")


def test_the_login_begins_a_new_session(site: Site, pages: Pages) -> None:
    page = pages().page
    log_in(site, page)
    page.wait_for_url(site.url("/"))
    name = f"tabsync-{site.running.url.rsplit(':', 1)[1].strip('/')}"
    first = next(one for one in page.context.cookies() if one["name"] == name)
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(site.url("/login"))
    assert find_session(site.workspace.ledger(), first["value"], touch=False) is None
    log_in(site, page)
    page.wait_for_url(site.url("/"))
    assert next(one for one in page.context.cookies() if one["name"] == name)["value"] != first["value"]


def test_a_page_that_refreshes_itself_does_not_keep_the_session_alive(site: Site, pages: Pages) -> None:
    page = pages().page
    enter(site, page)
    page.goto(site.url("/"))
    _set_seen(site, minutes=29)
    page.evaluate("htmx.ajax('GET', '/status', '#live')")
    page.wait_for_timeout(300)
    assert _seen_age(site) > timedelta(minutes=28)
    page.goto(site.url("/runs"))  # a person's doing
    assert _seen_age(site) < timedelta(minutes=1)


def test_an_idle_session_is_over_and_the_open_page_goes_to_the_login(site: Site, pages: Pages) -> None:
    page = pages().page
    enter(site, page)
    page.goto(site.url("/"))
    page.goto(site.url("/manual"), wait_until="networkidle")  # what it fetches itself must not be what is refused
    _set_seen(site, minutes=31)
    page.evaluate("() => { setTimeout(() => htmx.ajax('GET', '/manual/values', '#main')) }")  # the page goes away
    page.wait_for_url(site.url("/login?next=/manual"))


def test_a_session_ends_after_twelve_hours_whatever_happens(site: Site) -> None:
    ledger = site.workspace.ledger()
    began = now() - timedelta(hours=12, minutes=1)
    token, _ = start_session(ledger, one_operator(ledger, "vic"), at=began)
    later = began + timedelta(minutes=20)
    while later < began + timedelta(hours=12):
        assert find_session(ledger, token, touch=True, at=later) is not None
        later += timedelta(minutes=20)
    assert find_session(ledger, token, touch=True) is None


def test_a_new_password_ends_the_sessions_under_the_old_one(site: Site) -> None:
    ledger = site.workspace.ledger()
    token, _ = start_session(ledger, one_operator(ledger, "vic"))
    assert set_password(ledger, "vic", PASSWORD, by="tests") >= 1
    assert find_session(ledger, token, touch=False) is None


def test_a_link_from_another_site_reaches_a_logged_in_page(site: Site, pages: Pages) -> None:
    page = pages().page
    enter(site, page)
    page.goto(site.url("/"))
    # localhost and 127.0.0.1 are two sites: the browser holds the SameSite=Strict cookie back on this click.
    page.goto(site.url("/login").replace("127.0.0.1", "localhost"))
    page.evaluate("url => { location.href = url }", site.url("/runs"))
    page.wait_for_url(site.url("/runs"))
    assert page.url == site.url("/runs")


def _set_seen(site: Site, minutes: int) -> None:
    with site.workspace.ledger().engine.begin() as connection:
        connection.execute(update(session).values(seen_at=iso(now() - timedelta(minutes=minutes))))


def _seen_age(site: Site) -> timedelta:
    with site.workspace.ledger().engine.connect() as connection:
        newest = connection.execute(select(session.c.seen_at).order_by(session.c.created_at.desc())).scalars().first()
    assert newest is not None
    return now() - parse_iso(newest)


def client_of(site: Site, address: str = "") -> httpx.Client:
    """A browser's worth of cookies. address: what the proxy in front says."""
    headers = {"origin": site.running.url.rstrip("/")} | ({"x-forwarded-for": address} if address else {})
    return httpx.Client(base_url=site.running.url, headers=headers, trust_env=False)


def token_of(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)
    assert found is not None
    return found[1]


def attempt(client: httpx.Client, name: str, password: str, **more: str) -> httpx.Response:
    return client.post("/login", data={"name": name, "password": password, "csrf": token_of(client)} | more)

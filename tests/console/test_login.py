"""Who gets in, who doesn't, and when a session ends."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from tabsync.console.throttle import FREE
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.ledger.evidence import recent_audit
from tabsync.ledger.operators import find_session, one_operator, set_password, start_session
from tabsync.ledger.tables import session
from tests.console.conftest import PASSWORD, Pages, Site, enter, log_in


def test_a_cookie_that_no_script_can_read_and_no_other_site_can_send(site: Site, pages: Pages) -> None:
    page = pages().page
    log_in(site, page)
    page.wait_for_url(site.url("/"))
    kept = {cookie["name"]: cookie for cookie in page.context.cookies()}
    port = site.running.url.rsplit(":", 1)[1].strip("/")
    assert set(kept) == {f"__Host-tabsync-{port}"}  # the form's own cookie is gone
    cookie = kept[f"__Host-tabsync-{port}"]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    assert page.evaluate("document.cookie") == ""


def test_wrong_password_and_unknown_name_are_told_the_same(site: Site, pages: Pages) -> None:
    told = []
    for name in ("vic", "nobody-of-that-name"):
        page = pages().page
        log_in(site, page, name, "not the password")
        told.append(page.get_by_role("alert").inner_text())
        assert page.url == site.url("/login")
    assert told[0] == told[1] == "Name and password don't match."
    actors = [entry["actor"] for entry in recent_audit(site.workspace.ledger(), 2)]
    assert actors == ["(unknown name)", "vic"]  # what isn't a name may have been a password


def test_guessing_is_slowed_down_for_this_name_only(site: Site, pages: Pages) -> None:
    throttle = site.running.console.throttle
    throttle.succeeded(["name vic", "address 127.0.0.1"])
    for _ in range(FREE - 1):
        throttle.admit(["name vic"])
    page = pages().page
    log_in(site, page, "vic", "not the password")
    assert "don't match" in page.get_by_role("alert").inner_text()
    log_in(site, page, "vic", PASSWORD)
    assert "Too many attempts. Try again in" in page.get_by_role("alert").inner_text()
    log_in(site, page, "ana")  # the others are not held up
    page.wait_for_url(site.url("/"))
    throttle.succeeded(["name vic"])


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
    [first] = page.context.cookies()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(site.url("/login"))
    assert find_session(site.workspace.ledger(), first["value"], touch=False) is None
    log_in(site, page)
    page.wait_for_url(site.url("/"))
    assert page.context.cookies()[0]["value"] != first["value"]


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
    page.goto(site.url("/manual"))
    _set_seen(site, minutes=31)
    page.evaluate("() => { htmx.ajax('GET', '/manual/values', '#main') }")  # not awaited: the page goes away
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

"""The page Users: who an operator is decides what may be changed, and each change asks for the password again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import psycopg
import pyotp
import pytest
from playwright.sync_api import expect

from tabsync.console.base.access import masked
from tabsync.console.serve import start
from tabsync.ledger.evidence import recent_audit
from tabsync.ledger.operator_users import map_user, mapped
from tabsync.ledger.operators import one_operator, start_session
from tabsync.ledger.second_factor import begin, confirm
from tabsync.ledger.tokens import add_token
from tabsync.postgres import embedded
from tabsync.postgres.catalog import identity
from tabsync.stores.manifest import subject_of
from tests.conftest import run_sql
from tests.console.conftest import PASSWORD, Pages, Site, Workspaces, enter
from tests.postgres.users import people


@pytest.fixture(scope="module")
def shop(server: embedded.Server, console_workspaces: Workspaces) -> Iterator[Site]:
    """A console on a database with people; ana is "owner" among them, and rob nobody."""
    run_sql(server.conninfo(), "create database {}", "people")
    people.prepare(server.conninfo("people"))
    workspace = console_workspaces("people", server.conninfo("people"))
    site = Site(start(workspace), workspace)
    map_to(site, "owner")
    yield site
    site.running.stop()


def map_to(site: Site, name: str) -> None:
    with site.workspace.connect("tests") as connection:
        subject = subject_of(identity(connection))
    map_user(site.workspace.ledger(), "ana", subject, key(site, name) if name else "", by="tests")


def key(site: Site, name: str) -> str:
    with psycopg.connect(site.workspace.conninfo) as session:
        return people.key(session, name)


def role(site: Site, name: str) -> str:
    with psycopg.connect(site.workspace.conninfo) as session:
        return people.role(session, name)


class Visitor:
    """An operator with a session, who sends forms."""

    def __init__(self, site: Site, name: str) -> None:
        ledger = site.workspace.ledger()
        token, self.session = start_session(ledger, one_operator(ledger, name))
        port = site.running.url.rstrip("/").rpartition(":")[2]
        headers = {"cookie": f"tabsync-{port}={token}", "origin": site.running.url.rstrip("/")}
        self.client = httpx.Client(base_url=site.running.url, trust_env=False, headers=headers)

    def post(self, path: str, **form: str) -> httpx.Response:
        return self.client.post(path, data=form | {"csrf": masked(self.session.csrf_token)})

    def plan(self, who: str, to: str, reason: str = "hired") -> str:
        """Plan a change; gives the plan's path."""
        made = self.post(f"/users/{who}/role", to=to, reason=reason)
        assert made.status_code == 303, made.text
        return made.headers["location"]


Visitors = Callable[[str], Visitor]


@pytest.fixture
def visit(shop: Site) -> Iterator[Visitors]:
    """Logs operators in."""
    with ExitStack() as stack:

        def enters(name: str) -> Visitor:
            visitor = Visitor(shop, name)
            stack.enter_context(visitor.client)
            return visitor

        yield enters


def test_a_role_is_given_in_the_name_of_the_user_that_the_operator_is(shop: Site, visit: Visitors) -> None:
    ana, waiter = visit("ana"), key(shop, "waiter")
    path = ana.plan(waiter, "KITCHEN")
    shown = ana.client.get(path).text
    assert 'name="password"' in shown
    assert 'name="code"' not in shown
    for wrong in ("", "not the password", PASSWORD + "x"):
        assert ana.post(f"{path}/run", password=wrong).status_code == 403
    assert role(shop, "waiter") == "WAITER"
    assert "wrong password again" in str(recent_audit(shop.workspace.ledger()))
    done = ana.post(f"{path}/run", password=PASSWORD)
    assert done.status_code == 303, done.text
    shop.running.console.worker.wait(done.headers["location"].rpartition("/")[2], 20)
    assert role(shop, "waiter") == "KITCHEN"
    with psycopg.connect(shop.workspace.conninfo) as session:
        assert people.entries(session)[-1][3:6] == (key(shop, "owner"), "operator", "hired")
    page = ana.client.get(f"/users/{waiter}").text
    assert "owner@example.com (operator)" in page
    listed = ana.client.get("/users", params={"role": "KITCHEN"}).text
    assert "waiter@example.com" in listed
    assert "customer@example.com" not in listed


def test_what_the_manual_does_not_allow_is_refused(shop: Site, visit: Visitors) -> None:
    ana = visit("ana")
    for who, to in (("waiter2", "SUPER_ADMIN"), ("super", "WAITER"), ("owner", "CUSTOMER"), ("waiter2", "CHEF")):
        assert ana.post(f"/users/{key(shop, who)}/role", to=to, reason="x").status_code in (404, 409), (who, to)
    assert ana.post(f"/users/{key(shop, 'waiter2')}/role", to="KITCHEN", reason=" ").status_code == 404
    assert ana.post("/users/nobody/role", to="KITCHEN", reason="x").status_code == 404
    other_tenant = ana.plan(key(shop, "waiter2"), "KITCHEN")  # only the database knows that
    run = ana.post(f"{other_tenant}/run", password=PASSWORD).headers["location"].rpartition("/")[2]
    shop.running.console.worker.wait(run, 20)
    assert role(shop, "waiter2") == "WAITER"
    assert "same tenant" in ana.client.get(f"/runs/{run}").text


def test_who_is_no_user_changes_nothing_and_is_told_how(shop: Site, visit: Visitors) -> None:
    map_to(shop, "")
    ana = visit("ana")
    page = ana.client.get(f"/users/{key(shop, 'customer')}").text
    assert "tabsync operator map ana --user EMAIL" in page
    assert "Plan the change of role" not in page
    assert ana.post(f"/users/{key(shop, 'customer')}/role", to="WAITER", reason="x").status_code == 409
    map_to(shop, "owner")
    assert "owner" not in str(mapped(shop.workspace.ledger()))
    for name in ("rob", "vic"):
        visitor = visit(name)
        assert "Plan the change of role" not in visitor.client.get(f"/users/{key(shop, 'customer')}").text
        assert visitor.post(f"/users/{key(shop, 'customer')}/role", to="WAITER", reason="x").status_code == 403


def test_a_program_can_not_run_what_asks_for_a_password(shop: Site, visit: Visitors) -> None:
    ana = visit("ana")
    path = ana.plan(key(shop, "kitchen"), "WAITER", reason="by a program")
    token = add_token(shop.workspace.ledger(), "ana", by="tests")
    with httpx.Client(base_url=shop.running.url, trust_env=False) as client:
        headers = {"authorization": f"Bearer {token}"}
        answer = client.post(f"/api/v1{path}/run", headers=headers, json={})
        assert answer.status_code == 403, answer.text
        values = {"email": "kitchen@example.com", "to": "WAITER", "reason": "x", "break_glass": "me"}
        planned = client.post("/api/v1/plans", headers=headers, json={"procedure": "user promote", "values": values})
        assert planned.status_code == 400
    assert ana.post("/plans", procedure="user promote", **values).status_code == 404
    assert role(shop, "kitchen") == "KITCHEN"


def test_a_second_factor_is_asked_for_too_and_an_account_disabled(shop: Site, visit: Visitors) -> None:
    ledger = shop.workspace.ledger()
    made = begin(ledger, "ana", by="tests")
    totp = pyotp.TOTP(made.secret)
    recovery = confirm(ledger, "ana", totp.now(), by="tests")
    ana, kitchen = visit("ana"), key(shop, "kitchen")
    planned = ana.post(f"/users/{kitchen}/disabled", reason="left").headers["location"]
    assert 'name="code"' in ana.client.get(planned).text
    for code in ("", "000000", "x"):
        assert ana.post(f"{planned}/run", password=PASSWORD, code=code).status_code == 403
    done = ana.post(f"{planned}/run", password=PASSWORD, code=recovery[0])
    assert done.status_code == 303, done.text
    shop.running.console.worker.wait(done.headers["location"].rpartition("/")[2], 20)
    assert "Plan to enable the account" in ana.client.get(f"/users/{kitchen}").text
    again = ana.post(f"/users/{kitchen}/disabled", reason="back", enable="yes").headers["location"]
    assert ana.post(f"{again}/run", password=PASSWORD, code=recovery[0]).status_code == 403  # used
    assert re.search("disabled", ana.client.get("/users").text)


def test_in_a_browser(shop: Site, pages: Pages) -> None:
    for width in (1280, 360):
        watched = pages(width)
        enter(shop, watched.page, "vic")
        watched.page.goto(shop.url("/users"))
        watched.page.get_by_role("link", name="owner2@example.com").click()
        expect(watched.page.locator("h1")).to_have_text("owner2@example.com")
        assert watched.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert watched.complaints == []

"""A runbook on a phone: from the alert to the first action, who may do what, and who takes over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from playwright.sync_api import Page, expect
from psycopg.conninfo import conninfo_to_dict

from tabsync.console.serve import start
from tabsync.kernel.clock import now
from tabsync.ledger.runs import recent_runs
from tabsync.ledger.tokens import add_token
from tabsync.monitoring.alerts.episode import Key, Seen
from tabsync.monitoring.alerts.keep import keep, open_episodes
from tests.conftest import Databases, run_sql
from tests.console.conftest import Pages, Site, Workspaces, enter
from tests.postgres.runbooks.place import Place

METRIC = (
    "#### Open shops\n\nUnit: count of shops\nEvery: 1 s\n\n"
    "```sql\nselect count(*) as value from shops where is_open\n```\n\n"
)
HEAD = "#### Too many shops\n\nSymptoms: `the kitchen is on fire`\nRecovers: Open shops < 1 for 1 s\n\n"
STEPS = """1. See which are open.
   ```sql
   select id, is_open from shops order by id
   ```
2. Say that somebody is on it.
   ```tabsync
   alert silence "Open shops" --for 1h --reason "somebody is on it"
   ```
3. Look at the shop.
   ```tabsync
   metrics show "<metric>"
   ```
4. Call the owners.
5. Close them.
   ```sql write
   update shops set is_open = false
   ```
"""


@pytest.fixture
def site(
    console_workspaces: Workspaces, databases: Databases, directory: Path, request: pytest.FixtureRequest
) -> Iterator[Site]:
    ground = Place(directory, databases())
    ground.manual(STEPS, HEAD, METRIC)
    run_sql(ground.conninfo, "create table shops as select n as id, true as is_open from generate_series(1, 3) as n")
    workspace = console_workspaces(f"runbooks-{abs(hash(request.node.name))}", ground.conninfo)
    workspace = replace(workspace, manual_path=directory / "manual.md", name="shop")
    running = start(workspace)
    yield Site(running, workspace)
    running.stop()


def fire(site: Site) -> str:
    facts = {"metric": "Open shops", "text": "3 shops", "action": "Close them", "runbook": "Too many shops"}
    keep(site.workspace.ledger(), "", [Seen(Key("threshold", "Open shops"), "critical", now(), facts=facts)])
    (found,) = open_episodes(site.workspace.ledger())
    return found.id


def database_of(site: Site) -> str:
    return str(conninfo_to_dict(site.workspace.conninfo)["dbname"])


def row(page: Page, number: int) -> str:
    return f"ol.steps > li:nth-child({number})"


def test_from_the_alert_to_recovered_on_a_phone(site: Site, pages: Pages) -> None:
    """Two taps from the alert to the first action that changes something; then to the end."""
    watched = pages(width=390)
    page = watched.page
    enter(site, page)
    page.goto(site.url(f"/alerts/{fire(site)}"))
    page.get_by_role("button", name="Run: Too many shops").click()  # the first tap: what only looks is done at once
    expect(page.locator(row(page, 1))).to_contain_text("3 rows")
    expect(page.locator(row(page, 2))).to_contain_text("Send nothing of Open shops")
    page.get_by_role("button", name="Do it").click()  # the second
    expect(page.locator(row(page, 2))).to_contain_text("Silenced")
    expect(page.locator("main")).to_contain_text("Waiting until it has recovered")
    page.get_by_role("button", name="Don't wait").click()
    page.get_by_label("metric").fill("Open shops")
    page.get_by_role("button", name="Plan it").click()
    expect(page.locator(row(page, 3))).to_contain_text("count(*) as value")
    page.get_by_label("What was done").fill("called Bea")
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Don't wait").click()
    expect(page.locator(row(page, 5))).to_contain_text("Type")
    page.get_by_label("Type").fill("wrong")
    page.get_by_role("button", name="Do it").click()
    expect(page.locator("main")).to_contain_text("nothing was changed")
    page.go_back()
    page.get_by_label("Type").fill(database_of(site))
    page.get_by_role("button", name="Do it").click()
    expect(page.locator(".verdict-box .verdict-line")).to_have_text("Done", timeout=20_000)
    expect(page.locator("main")).to_contain_text("0 shops")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert watched.complaints == [] or all("40" in one for one in watched.complaints)
    (found,) = [one for one in recent_runs(site.workspace.ledger()) if one["procedure"] == "runbook run"]
    assert (found["state"], found["actor"]) == ("done", "ana")


def test_who_may_do_what(site: Site, pages: Pages) -> None:
    """A viewer watches; a responder does what can be taken back; what destroys something needs an admin."""
    viewer, responder, admin = (pages().page for _ in range(3))
    for page, name in ((viewer, "vic"), (responder, "rob"), (admin, "ana")):
        enter(site, page, name)
    viewer.goto(site.url("/runbooks/Too many shops"))
    expect(viewer.get_by_role("button", name="Run it")).to_have_count(0)
    responder.goto(site.url("/runbooks/Too many shops"))
    responder.get_by_role("button", name="Run it").click()
    for step in (2, 3):
        expect(responder.locator("#asked")).to_have_attribute("value", str(step))
        responder.get_by_role("button", name="Leave it out").click()
    expect(responder.locator(row(responder, 4))).to_contain_text("What was done")
    responder.get_by_role("button", name="Leave it out").click()
    expect(responder.locator(row(responder, 5))).to_contain_text("an admin must do it")
    expect(responder.get_by_role("button", name="Do it")).to_have_count(0)
    for what in ("do", "please", "done", "again", ""):
        assert _answered(responder, what) == 409, what
    with psycopg.connect(site.workspace.conninfo) as connection:
        assert connection.execute("select count(*) from shops where is_open").fetchone() != (0,)
    viewer.goto(responder.url)
    expect(viewer.locator("main")).to_contain_text("You are watching")
    expect(viewer.get_by_role("button", name="Leave it out")).to_have_count(0)
    admin.goto(responder.url)
    admin.get_by_role("button", name="Take it over").click()
    admin.get_by_label("Type").fill(database_of(site))
    admin.get_by_role("button", name="Do it").click()
    expect(admin.locator(".verdict-box .verdict-line")).to_have_text("Done", timeout=20_000)


def _answered(page: Page, what: str) -> int:
    """The status that a form gets which the page doesn't have: it answers the open question with any word."""
    hidden = {name: page.locator(f"#asked input[name={name}]").first.input_value() for name in ("csrf", "question")}
    form: dict[str, str | float | bool] = {**hidden, "what": what, "typed": ""}
    return page.request.post(f"{page.url}/answer", form=form, headers={"origin": page.url.split("/run")[0]}).status


def test_a_console_that_was_stopped_leaves_the_run_open(site: Site, pages: Pages) -> None:
    page = pages().page
    enter(site, page)
    page.goto(site.url("/runbooks/Too many shops"))
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_role("button", name="Do it")).to_be_visible()
    run = page.url.rpartition("/")[2]
    site.running.stop()
    again = start(site.workspace)
    try:
        second = Site(again, site.workspace)
        other = pages().page
        enter(second, other)
        other.goto(second.url(f"/runs/{run}"))
        expect(other.locator("main")).to_contain_text("nobody is carrying this out")
        other.get_by_role("button", name="Go on").click()
        other.get_by_role("button", name="Do it").click()
        expect(other.locator(row(other, 2))).to_contain_text("Silenced")
    finally:
        again.stop()


def test_a_pasted_message_leads_to_its_runbook(site: Site, pages: Pages) -> None:
    """From the first page: what the manual's own Symptoms say, and what nothing fits."""
    page = pages(width=390).page
    enter(site, page, "vic")
    page.goto(site.url("/"))
    page.get_by_label("An error message").fill("Error at kitchen.js:14: the kitchen is on fire")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Too many shops").click()
    expect(page.locator("h1")).to_have_text("Too many shops")
    page.goto(site.url("/runbooks"))
    page.get_by_label("An error message").fill("<b>all is well</b>")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("main")).to_contain_text("nothing in this text is known")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_sessions_are_seen_and_ended(site: Site, pages: Pages) -> None:
    """A responder ends one that idles; one in a transaction is an admin's; a viewer sees no statement."""
    with (
        psycopg.connect(site.workspace.conninfo, application_name="till", autocommit=True) as till,
        psycopg.connect(site.workspace.conninfo, application_name="kitchen") as kitchen,
    ):
        till_pid = till.info.backend_pid
        till.execute("select 'the till'")
        kitchen.execute("select 'the kitchen'")
        viewer, responder = pages(width=390).page, pages().page
        for page, name in ((viewer, "vic"), (responder, "rob")):
            enter(site, page, name)
            page.goto(site.url("/sessions"))
            expect(page.locator("main")).to_contain_text("connections are in use")
        expect(viewer.get_by_role("button", name="End")).to_have_count(0)
        assert viewer.evaluate("document.documentElement.scrollWidth") <= 390
        row = responder.get_by_role("row").filter(has_text="till")
        row.get_by_role("button", name="End").click()
        responder.get_by_role("button", name="Run this step").or_(
            responder.get_by_role("button", name="Run these")
        ).click()
        expect(responder.locator("main")).to_contain_text("ENDED 1 SESSION")
        with pytest.raises(psycopg.OperationalError):
            till.execute("select 1")
        responder.goto(site.url("/sessions"))
        responder.get_by_role("row").filter(has_text="kitchen").get_by_role("button", name="End").click()
        responder.get_by_label("Type").fill(database_of(site))
        responder.get_by_role("button", name="Run").click()
        expect(responder.locator("main")).to_contain_text("only an admin may have it done")
        assert _by_program(site, "rob", "connections terminate", pids=[till_pid]) == 409  # it is gone
        assert _by_program(site, "rob", "connections terminate", pids=[kitchen.info.backend_pid]) == 403
        assert _by_program(site, "rob", "backup take") == 403
        kitchen.execute("select 1")


def test_a_title_may_hold_anything(site: Site, pages: Pages) -> None:
    """A slash, a question mark: the page of such a runbook is found, and it can be run."""
    place = Place(site.workspace.manual_path.parent, site.workspace.conninfo)
    place.manual(STEPS, HEAD.replace("Too many shops", "Shops: 50 % & more / open?"), METRIC)
    page = pages().page
    enter(site, page, "rob")
    page.goto(site.url("/runbooks"))
    page.get_by_role("link", name="more / open?").click()
    page.get_by_role("button", name="Run it").click()
    expect(page.locator("#asked")).to_have_attribute("value", "2")


def _by_program(site: Site, operator: str, procedure: str, **values: object) -> int:
    """The status that a program gets which makes a plan in an operator's name and runs it."""
    token = add_token(site.workspace.ledger(), operator, by="tests")
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=site.running.url, headers=headers, trust_env=False, timeout=60) as client:
        made = client.post("/api/v1/plans", json={"procedure": procedure, "values": values})
        if made.status_code != 201:
            return made.status_code
        confirm = {"confirm": database_of(site)}
        return client.post(f"/api/v1/plans/{made.json()['digest']}/run", json=confirm).status_code

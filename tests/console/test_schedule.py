"""The page Schedule in a real browser: what it says, and what a person can do there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert, update

from tabsync.console.serve import start
from tabsync.kernel.clock import iso, now
from tabsync.ledger.open import Ledger
from tabsync.ledger.tables import evidence, occurrence, service
from tabsync.ledger.tokens import add_token
from tabsync.manual.load import read
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.schedule.items import Item
from tabsync.schedule.look import Look, look
from tabsync.schedule.record import ask_subject, put_in_force
from tests.console.conftest import Pages, Site, Workspaces, enter

HOUR = f"{now() - timedelta(hours=9):%H:00}"
"""When what is daily is due: so long ago that nothing waits any more, at whatever hour the tests run."""

SCHEDULE = f"""## Schedule

### Daily, {HOUR} UTC

- Say what is in the store: `tabsync backup list`
- Full backup: `tabsync backup take full`
- Check that it can be restored: `tabsync backup verify all`
- Review the error logs (owner Database Admin)
- Review the alarms
- Delete what has expired: `tabsync backup prune --apply`
- Back up the orders: `tabsync backup take tables orders`
- Somewhere else: `tabsync health` (on far-host)

### Every 10 minutes

- Copy the WAL: `tabsync wal copy`

### Weekly

- Review the slow queries: `tabsync queries slow`

### Before a production deployment

- List the backups: `tabsync backup list`
- Ask the owner

"""
DAYS = 6


@dataclass(frozen=True, slots=True)
class Kept:
    """A console whose schedule has been kept for some days."""

    site: Site

    @property
    def ledger(self) -> Ledger:
        """Its ledger."""
        return self.site.workspace.ledger()

    def look(self) -> Look:
        """Its schedule, as it stands."""
        return look(self.site.workspace)

    def item(self, name: str) -> Item:
        """One of its items."""
        return self.look().item(name)

    def client(self, name: str) -> httpx.Client:
        """A program with a token of an operator."""
        token = add_token(self.ledger, name, by="test")
        headers = {"authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.site.running.url, headers=headers, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def kept(console_workspaces: Workspaces, console_database: str) -> Iterator[Kept]:
    """A manual in force since six days: verified each night but one; a backup that failed; the rest never done."""
    workspace = console_workspaces("schedule", console_database)
    text = PROFILE_MANUAL.read_text(encoding="utf-8")
    begin = text.index("## Schedule")
    end = text.index("\n## ", begin) + 1
    path = workspace.home / "manual.md"
    path.write_text(text[:begin] + SCHEDULE + text[end:], encoding="utf-8")
    workspace = replace(workspace, manual_path=path)
    ledger = workspace.ledger()
    subject = ask_subject(workspace)
    put_in_force(ledger, read(path)[0], subject, now() - timedelta(days=DAYS))
    keys = {one.name: one.key for one in look(workspace).items}
    tonight = _last_night()
    for night in range(DAYS):
        due = tonight - timedelta(days=night)
        if night != 2:
            _proved(ledger, keys["backup-verify-all"], subject, due + timedelta(minutes=1))
    _failed(ledger, keys["backup-take-full"], tonight)
    _heard_of(ledger, now())
    running = start(workspace)
    running.console.report.fresh = running.console.status.fresh = 0.2
    yield Kept(Site(running, workspace))
    running.stop()


def _last_night() -> datetime:
    moment = now().astimezone(UTC).replace(hour=int(HOUR[:2]), minute=0, second=0, microsecond=0)
    return moment if moment <= now() else moment - timedelta(days=1)


def _proved(ledger: Ledger, key: str, subject: str, at: datetime) -> None:
    facts = {"item": key, "headline": "all are intact"}
    row = {"at": iso(at), "kind": f"output {key}", "subject": subject, "ok": True, "run_id": None, "facts": facts}
    with ledger.writing() as connection:
        connection.execute(insert(evidence), [row])


def _failed(ledger: Ledger, key: str, due: datetime) -> None:
    told = "can't connect to shop on db.example.org:5432: Connection refused"
    row = {"item": key, "due": iso(due), "state": "ended", "service": "here", "host": "here", "fence": 0, "tries": 1}
    row |= {"home": "", "directory": "", "started_at": iso(due), "limit_at": iso(due), "ended_at": iso(due), "exit": 4}
    with ledger.writing() as connection:
        connection.execute(insert(occurrence), [row | {"fact": told, "run_id": "", "retry_at": None, "output": ""}])


def _heard_of(ledger: Ledger, at: datetime, **facts: object) -> None:
    row = {"name": "backup-host", "host": "h", "pid": 1, "started_at": iso(at), "beat_at": iso(at), "facts": facts}
    with ledger.writing() as connection:
        if not connection.execute(update(service).values(**row)).rowcount:
            connection.execute(insert(service), [row])


def opened(kept: Kept, pages: Pages, name: str = "ana", **how: object) -> Page:
    page: Page = pages(**how).page
    enter(kept.site, page, name)
    page.goto(kept.site.url("/schedule"))
    return page


def row(page: Page, name: str) -> str:
    return page.inner_text(f"#item-{name}")


def overflow(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


def test_each_item_has_its_days_its_state_and_what_is_next(kept: Kept, pages: Pages) -> None:
    page = opened(kept, pages, "vic")
    verified = page.locator("#item-backup-verify-all")
    titles = verified.locator("svg[role=img] title").all_text_contents()
    assert len(titles) == 37
    tonight = _last_night()
    past = {one.partition(": ")[0]: one.partition(": ")[2] for one in titles}
    assert past[f"{tonight - timedelta(days=2):%a %d %b}"] == "missed"
    assert past[f"{tonight - timedelta(days=1):%a %d %b}"] == "done"
    assert past[f"{tonight - timedelta(days=20):%a %d %b}"] == "nothing due"  # no manual was in force then
    assert titles[-1].endswith(": due")
    assert "done" in row(page, "backup-verify-all") and "next: " in row(page, "backup-verify-all")
    assert "failed: can't connect to shop" in row(page, "backup-take-full")
    assert "open" in row(page, "review-the-error-logs") and "Database Admin" in row(page, "review-the-error-logs")
    assert "it deletes backups" in row(page, "backup-prune-apply")
    assert "unknown: on far-host, from which nothing is known here" in row(page, "health")
    assert "not in order" in page.inner_text("#live") and page.locator("a[href='#item-backup-take-full']").count() == 1
    assert not page.get_by_text("Review the slow queries").is_visible()  # what isn't built stands apart, closed
    page.get_by_text("Not built in this version").click()
    assert page.get_by_text("Review the slow queries").is_visible()
    assert page.get_by_role("button", name="Run").count() == 0  # vic only looks


def test_a_shape_tells_each_state_apart_from_all_others(kept: Kept, pages: Pages) -> None:
    page = opened(kept, pages)
    shapes = {
        state: page.locator(f"svg.day.{state} use").first.get_attribute("href")
        for state in ("done", "missed", "failed", "waits-for-approval", "not-built", "nothing-due", "expected")
    }
    assert None not in shapes.values() and len(set(shapes.values())) == len(shapes)
    ids = set(page.eval_on_selector_all("symbol", "all => all.map(one => '#' + one.id)"))
    used = set(page.eval_on_selector_all("use", "all => all.map(one => one.getAttribute('href'))"))
    assert used <= ids  # a shape that isn't there is drawn as nothing
    assert page.locator("svg.day.done use").first.evaluate("one => one.getBoundingClientRect().width") > 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_pleases_the_browser(kept: Kept, pages: Pages, width: int, scheme: str) -> None:
    watched = pages(width, scheme)
    page = watched.page
    enter(kept.site, page)
    for path in ("/schedule", "/schedule/items/backup-take-full", "/schedule/items/backup-prune-apply", "/"):
        page.goto(kept.site.url(path))
        page.wait_for_timeout(100)
        assert overflow(page) <= 0, path
    page.goto(kept.site.url("/schedule"))
    day = page.locator("#item-backup-verify-all svg.day").last.bounding_box()
    assert day and day["x"] + day["width"] <= width and day["width"] >= 12
    assert watched.complaints == []


def test_skipping_asks_for_a_reason_and_says_who(kept: Kept, pages: Pages) -> None:
    page = opened(kept, pages)
    page.get_by_role("link", name="Skip backup-verify-all").click()
    page.get_by_role("button", name="Skip once").click()  # the browser itself asks for the reason
    assert page.url.endswith("/schedule/items/backup-verify-all#skip")
    page.get_by_label("Why it is skipped").fill("staging is <b>being moved</b>")
    page.get_by_role("button", name="Skip once").click()
    page.wait_for_url("**/schedule")
    marks = [one for one in kept.ledger.read("marks", since="") if "verify" in one["item"]]
    told = [(one["kind"], one["who"], one["note"]) for one in marks]
    assert told == [("skip", "ana", "staging is <b>being moved</b>")]


def test_what_was_missed_is_not_undone_by_skipping(kept: Kept, pages: Pages) -> None:
    page = opened(kept, pages)
    page.get_by_role("link", name="Skip backup-take-tables-orders").click()
    page.get_by_label("Why it is skipped").fill("never mind")
    page.get_by_role("button", name="Skip once").click()
    expect(page.locator("main")).to_contain_text("is missed: that is not undone by skipping")


def test_a_task_is_ticked_off_with_a_note(kept: Kept, pages: Pages) -> None:
    page = opened(kept, pages, width=390)
    page.get_by_role("link", name="Tick off review-the-error-logs").click()
    page.get_by_label("What was found").fill("two timeouts, ticket 4711")
    page.get_by_role("button", name="Tick off").click()
    page.wait_for_url("**/schedule")
    assert "done" in row(page, "review-the-error-logs")
    page.goto(kept.site.url("/audit"))
    assert "schedule done" in page.inner_text("main")


def test_what_can_do_harm_is_shown_and_approved_by_an_admin(kept: Kept, pages: Pages) -> None:
    page = opened(kept, pages)
    assert page.get_by_role("button", name="Run health now").count() == 0  # it is for another host
    assert page.get_by_role("button", name="Run backup-prune-apply now").count() == 0
    answer = _post(kept, page, "/schedule/items/backup-prune-apply/run")
    assert answer == 409  # not by a hand-made form either
    page.get_by_role("button", name="Approve backup-prune-apply").click()
    page.wait_for_url("**/plans/*")
    assert "it deletes backups" in page.inner_text("main") and "Nothing has been changed" in page.inner_text("main")
    page.get_by_role("button", name="Run this step").click()
    page.wait_for_url("**/runs/*")
    expect(page.locator(".verdict-line")).to_contain_text("Approved: backup-prune-apply, by ana")
    page.goto(kept.site.url("/schedule"))
    assert page.get_by_role("button", name="Approve backup-prune-apply").count() == 0
    assert page.get_by_role("button", name="Run backup-prune-apply now").count() == 1


def test_run_now_runs_beside_the_page_which_follows_it(kept: Kept, pages: Pages) -> None:
    watched = pages()
    page = watched.page
    enter(kept.site, page)
    page.goto(kept.site.url("/schedule"))
    page.get_by_role("button", name="Run backup-take-full now").click()
    page.wait_for_url("**/schedule")
    item = page.locator("#item-backup-take-full")
    expect(item).to_contain_text("running")
    assert page.get_by_role("button", name="Run backup-take-full now").count() == 0
    assert _post(kept, page, "/schedule/items/backup-take-full/run") == 409
    expect(item).not_to_contain_text("running", timeout=90_000)
    page.goto(kept.site.url("/runs"))
    assert page.locator("tr", has_text="Full backup").first.locator("td").nth(3).inner_text() == "ana"
    page.goto(kept.site.url("/schedule"))
    assert "started by hand" not in row(page, "backup-take-full")
    assert watched.complaints == []


def test_what_was_started_by_hand_and_failed_is_told(kept: Kept, pages: Pages) -> None:
    """It may have left nothing in the ledger."""
    page = opened(kept, pages)
    page.get_by_role("button", name="Run wal-copy now").click()
    page.wait_for_url("**/schedule")
    expect(page.locator("#item-wal-copy")).to_contain_text("started by hand", timeout=60_000)


def test_a_gate_says_what_is_missing_and_does_it(kept: Kept, pages: Pages) -> None:
    page = opened(kept, pages)
    gates = page.locator(".gate")
    expect(gates).to_contain_text("CLOSED: before a production deployment")
    expect(gates).to_contain_text("tabsync schedule run backup-list")
    with kept.client("vic") as viewer, kept.client("ana") as admin:
        found = viewer.get("/api/v1/gates/production%20deployment").json()
        assert (found["version"], found["kind"], found["ok"], found["running"]) == (1, "gate", False, False)
        assert [one["ok"] for one in found["items"]] == [False, False]
        assert viewer.post("/api/v1/gates/production%20deployment").status_code == 403
        page.get_by_role("button", name="Do what is missing").click()
        expect(gates.locator("li").first).to_contain_text("✓ there", timeout=60_000)
        expect(gates).to_contain_text("CLOSED")  # a person has to be asked
        task = found["items"][1]["item"]
        page.get_by_role("link", name=f"Tick off {task}").click()
        page.get_by_role("button", name="Tick off").click()
        page.wait_for_url("**/schedule")
        expect(page.locator(".gate")).to_contain_text("OPEN: before a production deployment")
        again = admin.post("/api/v1/gates/production%20deployment").json()
        assert again["ok"] and not again["running"]
        unknown = admin.get("/api/v1/gates/launch%2Fof%20ships")
        assert unknown.status_code == 404 and "production deployment" in unknown.json()["error"]["hint"]


def test_the_schedule_for_programs_is_that_of_the_command_line(kept: Kept) -> None:
    with kept.client("vic") as client:
        found = client.get("/api/v1/schedule").json()
    assert found["kind"] == "schedule" and found["service"]["name"] == "backup-host"
    assert {one["item"] for one in found["items"]} >= {"backup-take-full", "review-the-error-logs", "wal-copy"}


def test_a_silent_scheduler_stands_on_top_and_so_do_its_troubles(kept: Kept, pages: Pages) -> None:
    since = iso(now() - timedelta(hours=2))
    trouble = {"fact": "the manual is not valid: manual.md:12: no frequency", "since": since}
    _heard_of(kept.ledger, now() - timedelta(hours=3), manual=trouble)
    try:
        page = opened(kept, pages, width=390)
        top = page.inner_text("#live")[:600]
        assert "The scheduler on backup-host is silent" in top and "tabsync serve" in top
        assert "the manual is not valid" in top and "since 2 h" in top
        page.goto(kept.site.url("/"))
        expect(page.locator("main")).to_contain_text("The scheduler is silent since")
    finally:
        _heard_of(kept.ledger, now())


def test_last_night_stands_on_the_first_page(kept: Kept, pages: Pages) -> None:
    page = opened(kept, pages, "vic")
    page.goto(kept.site.url("/"))
    night = page.locator("section[aria-labelledby=night]")
    expect(night).to_contain_text("LAST NIGHT", timeout=20_000)
    lines = night.locator("li").all_inner_texts()
    assert 0 < len(lines) <= 6
    assert len({one for one in lines if "wal-copy" in one}) <= 1  # due every ten minutes, and told once
    night.get_by_role("link", name="Schedule").click()
    page.wait_for_url("**/schedule")


def test_what_does_not_exist_is_said(kept: Kept, pages: Pages) -> None:
    page = opened(kept, pages)
    page.goto(kept.site.url("/schedule/items/no-such-item"))
    assert "the schedule has no item 'no-such-item'" in page.inner_text("main")


def _post(kept: Kept, page: Page, path: str) -> int:
    """What a form of this page would get that is not on it."""
    csrf = page.locator("input[name=csrf]").first.get_attribute("value")
    assert csrf
    headers = {"origin": kept.site.running.url.rstrip("/")}
    return page.request.post(kept.site.url(path), form={"csrf": csrf}, headers=headers, max_redirects=0).status

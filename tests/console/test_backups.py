"""The page of backups: how far back one can go, the timeline, holds, the drills' charts, and the way back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import Page, expect
from psycopg.conninfo import make_conninfo

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.hold import holds
from tabsync.backups.take import plan_take_full
from tabsync.backups.verify import plan_verify_deep
from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Planned
from tabsync.kernel.runner import run
from tabsync.kernel.step import Call, Risk, Step
from tabsync.manual.load import load
from tabsync.procedures import find
from tests.conftest import run_sql
from tests.console.conftest import Pages, Site, enter
from tests.whole import whole


@pytest.fixture(scope="module")
def kept(site: Site) -> str:
    """A backup that was drilled, of two that there are; two drills are on record."""
    workspace = site.workspace
    run(plan_take_full(workspace, "pre-migration"), workspace, workspace.journal()).raise_if_failed()
    manual = load(workspace.manual_path)
    backup = str(run_drill(workspace, plan_drill(workspace, manual)).data["backup"])
    assert run_drill(workspace, plan_drill(workspace, manual, backup)).exit_code == 0
    return backup


@pytest.fixture
def gone(site: Site) -> Iterator[list[str]]:
    """Databases to drop at the end."""
    names: list[str] = []
    yield names
    for name in names:
        run_sql(
            make_conninfo(site.workspace.conninfo, dbname="postgres"), "drop database if exists {} with (force)", name
        )


def opened(site: Site, pages: Pages, path: str, width: int = 1280, scheme: str = "light", name: str = "ana") -> Page:
    """A page with nothing to complain about, that fits."""
    watched = pages(width, scheme)
    enter(site, watched.page, name)
    watched.page.goto(site.url(path))
    watched.page.wait_for_timeout(300)
    assert watched.complaints == []
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert watched.page.evaluate(overflow) <= 0
    return watched.page


def run_to_the_end(page: Page, button: str = "Run these") -> str:
    """Start the plan that is shown and follow it; gives the verdict's line."""
    page.get_by_role("button", name=button).click()
    page.wait_for_url("**/runs/*")
    page.wait_for_selector(".verdict-line", timeout=60_000)
    return page.inner_text(".verdict-line")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_the_page_shows_all_of_it(site: Site, pages: Pages, kept: str, width: int, scheme: str) -> None:
    page = opened(site, pages, "/backups", width, scheme)
    expect(page.locator("#windows")).to_contain_text("Dumps in the store")
    lanes = page.locator("svg.timeline text.lane").all_text_contents()
    assert {"full", "pre-migration"} <= set(lanes)
    mark = page.locator(f'svg.timeline a[href="/backups/{kept}"]')
    assert "proven" in str(mark.get_attribute("aria-label"))
    assert page.locator("figure.chart canvas").count() == 2
    labels = page.locator("figure.chart .u-label").all_text_contents()
    assert labels == ["measured", "target 1 h", "measured", "target 15 min"]
    sizes = page.locator("figure.chart .uplot").evaluate_all("all => all.map((one) => one.clientWidth)")
    assert all(0 < one <= width for one in sizes)
    mark.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/backups/{kept}")


def test_every_dot_is_in_the_picture_on_a_telephone(site: Site, pages: Pages, kept: str) -> None:
    page = opened(site, pages, "/backups", 390)
    for dot in page.locator("svg.timeline circle").all():
        box = dot.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390, "seen without scrolling"
        assert box["width"] >= 12, "as large as on a wide window"
    for table in page.locator("main table").all():
        box = table.bounding_box()
        around = table.locator("xpath=ancestor::*[contains(@class, 'scroll')][1]")
        assert box is not None
        if box["width"] > 390:
            assert around.evaluate("one => one.scrollWidth > one.clientWidth && one.tabIndex === 0")


_WRITTEN = """
window.written = [];
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  window.written.push([this.canvas.closest("figure").querySelector("figcaption").textContent, String(text)]);
  return fill.call(this, text, ...rest);
};
"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("apart", [0, 1, 30, 3_600, 40_000, 86_400, 40 * 86_400, 400 * 86_400])
@whole
def test_no_time_stands_twice_under_a_chart(site: Site, pages: Pages, kept: str, width: int, apart: int) -> None:
    """apart: seconds from one drill to the next."""
    watched = pages(width)
    enter(site, watched.page)
    watched.page.add_init_script(_WRITTEN)
    times = [1_795_000_000 + number * apart for number in range(8 if apart else 1)]
    chart = json.dumps({"times": times, "values": [20.0 + one % 7 for one in times], "target": 3600.0})
    watched.page.add_init_script(
        "document.addEventListener('DOMContentLoaded', () => document.querySelectorAll('[data-chart]')"
        f".forEach((one) => {{ one.dataset.chart = {json.dumps(chart)}; }}));"
    )
    watched.page.goto(site.url("/backups"), wait_until="networkidle")
    written = [text for _, text in watched.page.evaluate("window.written") if re.search(r"[-:]", text)]
    one_chart = written[: len(written) // 2]
    assert one_chart and written == one_chart * 2
    assert len(one_chart) == len(set(one_chart)), one_chart
    assert watched.complaints == []
    red = watched.page.evaluate(_TARGET)
    assert all(wide > 0.6 for wide in red), "the target goes across the picture"


_TARGET = """
Array.from(document.querySelectorAll("figure.chart canvas"), (canvas) => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const columns = [];
  for (let x = 0; x < canvas.width; x++)
    for (let y = 0; y < canvas.height; y++) {
      const at = 4 * (y * canvas.width + x);
      if (data[at] > 140 && data[at + 1] < 60 && data[at + 2] < 70 && data[at + 3] > 200) { columns.push(x); break; }
    }
  return columns.length ? (columns[columns.length - 1] - columns[0]) / canvas.width : 0;
})
"""


def test_without_a_script_it_says_the_same(site: Site, pages: Pages, kept: str) -> None:
    page = pages(javascript=False).page
    enter(site, page)
    page.goto(site.url("/backups"))
    page.get_by_role("link", name="Show").click()
    assert "Dumps in the store" in page.inner_text("#windows")
    assert page.locator("svg.timeline circle").count() >= 2
    assert not page.locator("figure.chart").first.is_visible()
    assert "PROVEN RESTORABLE" in page.inner_text("main")


def test_hold_and_release(site: Site, pages: Pages, kept: str) -> None:
    page = opened(site, pages, f"/backups/{kept}")
    page.get_by_label("Reason for the hold").fill("incident 7")
    page.get_by_role("button", name="Hold").click()
    page.wait_for_url("**/plans/*")
    assert f"tabsync backup hold {kept} --reason 'incident 7'" in page.inner_text("main")
    assert kept not in holds(site.workspace.store())
    run_to_the_end(page, "Run this step")
    assert holds(site.workspace.store())[kept] == "incident 7"
    page.goto(site.url("/backups"))
    assert "held incident 7" in page.inner_text("main")
    page.goto(site.url(f"/backups/{kept}"))
    page.get_by_role("button", name="Release").click()
    page.wait_for_url("**/plans/*")
    run_to_the_end(page, "Run this step")
    assert kept not in holds(site.workspace.store())


def test_all_of_it_into_a_new_database(site: Site, pages: Pages, kept: str, gone: list[str]) -> None:
    page = opened(site, pages, f"/backups/{kept}", 375)
    page.get_by_role("button", name="Restore").click()
    page.wait_for_url("**/restore")
    page.get_by_label("Name of the new database").fill("wizard's copy")
    gone.append("wizard's copy")
    page.get_by_role("button", name="Show the plan").first.click()
    page.wait_for_url("**/plans/*")
    text = page.inner_text("main")
    assert "Nothing has been changed" in text
    assert f"""tabsync restore new --from {kept} --as 'wizard'"'"'s copy'""" in text
    assert "pg_restore" in text and 'drop database "wizard\'s copy"' in text
    assert "Restored into database wizard's copy" in run_to_the_end(page)
    assert "tables" in page.inner_text("main") and "as many as in the backup" in page.inner_text("main")
    with psycopg.connect(make_conninfo(site.workspace.conninfo, dbname="wizard's copy")) as connection:
        assert connection.execute("select count(*) from orders").fetchone() == (300,)


def test_some_tables_with_what_they_need(site: Site, pages: Pages, kept: str, gone: list[str]) -> None:
    page = opened(site, pages, f"/backups/{kept}/restore")
    page.locator("#some ~ form").get_by_role("button").click()
    assert "names is missing" in page.inner_text("main")
    page.goto(site.url(f"/backups/{kept}/restore"))
    page.get_by_label("public.staff", exact=True).check()
    page.get_by_label("public.payments", exact=True).check()
    page.get_by_label("Into database").fill("wizard_tables")
    gone.append("wizard_tables")
    page.locator("#some ~ form").get_by_role("button").click()
    page.wait_for_url("**/plans/*")
    text = page.inner_text("main")
    assert f"tabsync restore tables public.payments public.staff --from {kept} --into wizard_tables" in text
    assert "left out: fk constraint staff_user_id_fkey of public.staff: needs public.users" in text
    assert "Restored into database wizard_tables" in run_to_the_end(page)
    page.goto(site.url(f"/backups/{kept}/restore"))
    page.get_by_label("Name of the new database").fill("wizard_tables")
    page.get_by_role("button", name="Show the plan").first.click()
    assert "database wizard_tables already exists" in page.inner_text("main")


def test_a_viewer_finds_no_way_to_change_anything(site: Site, pages: Pages, kept: str) -> None:
    page = opened(site, pages, f"/backups/{kept}", name="vic")
    assert page.locator("main button, main [role=button]").count() == 0
    page.goto(site.url(f"/backups/{kept}/restore"))
    assert "only an admin may do this" in page.inner_text("main")


def test_verifications_have_a_page_of_their_run(site: Site, pages: Pages, kept: str) -> None:
    page = opened(site, pages, f"/backups/{kept}")
    page.get_by_role("button", name="Verify").click()
    page.wait_for_url("**/plans/*")
    assert "Verified: every stored byte is unchanged" in run_to_the_end(page)
    workspace = site.workspace
    outcome = run(plan_verify_deep(workspace, kept), workspace, workspace.journal())
    page.goto(site.url(f"/runs/{outcome.run_id}"))
    assert "indexes read" in page.inner_text(".verdict-line")


def test_a_destructive_plan_wants_its_name_typed(site: Site, pages: Pages) -> None:
    step = Step(
        "release",
        "Forget",
        Call("tabsync.backups.hold:release", {"backup": "x"}),
        "nothing",
        Risk.DESTRUCTIVE,
        "no undo",
    )
    plan = Plan("backup release", "Something that can't be taken back", (step,), {"store": "here"}, confirm="shop")
    release = find("backup release")
    assert release
    digest = site.running.console.worker.show(release, release.request_type("x"), Planned(plan), "ana")
    page = opened(site, pages, f"/plans/{digest}", 375)
    page.get_by_label("Type shop to confirm").fill("shops")
    page.get_by_role("button", name="Run this step").click()
    assert "'shops' does not match 'shop'; nothing was changed" in page.inner_text("main")
    page.goto(site.url(f"/plans/{digest}"))
    page.get_by_label("Type shop to confirm").fill("shop")
    assert "no longer held" in run_to_the_end(page, "Run this step")


def test_rows_are_compared_shown_and_written_back(site: Site, pages: Pages, kept: str) -> None:
    workspace = site.workspace
    with psycopg.connect(workspace.conninfo, autocommit=True) as connection:
        row = connection.execute(
            "delete from audit_logs where id = (select max(id) from audit_logs) returning id"
        ).fetchone()
        assert row is not None
        connection.execute("update audit_logs set action = 'CANARY <b>' where id = (select min(id) from audit_logs)")
    page = opened(site, pages, f"/backups/{kept}/restore", 375)
    page.locator("select[name=table]").select_option("public.audit_logs")
    page.get_by_label("Condition in SQL").fill("id > 0")
    page.locator("#rows ~ form").get_by_role("button").click()
    page.wait_for_url("**/plans/*")
    assert f"tabsync restore rows --table public.audit_logs --where 'id > 0' --from {kept}" in page.inner_text("main")
    assert run_to_the_end(page) == "Compared; nothing was changed"
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    compared = page.url
    text = page.inner_text("main")
    assert "public.audit_logs: 1 missing, 1 different, " in text and "CANARY <b> →" in text

    viewer = pages().page
    enter(site, viewer, "vic")
    viewer.goto(compared)
    assert "CANARY" not in viewer.inner_text("main")
    assert "public.audit_logs: 1 missing, 1 different" in viewer.inner_text("main")

    page.get_by_role("button", name="Show the plan to write them").click()
    page.wait_for_url("**/plans/*")
    assert "insert into public.audit_logs 1 missing" in page.inner_text("main")
    assert run_to_the_end(page, "Run this step") == "Rows written, in one transaction"
    assert "public.audit_logs: 1 inserted, 0 updated" in page.inner_text("main")
    assert "tabsync restore rows --undo" in page.inner_text("main")
    with psycopg.connect(workspace.conninfo) as connection:
        found = connection.execute("select count(*) from audit_logs where id = %s", row).fetchone()
        assert found == (1,)
    page.goto(compared)
    assert page.get_by_role("button", name="Show the plan to write them").count() == 0  # it was let go
    assert not [*workspace.scratch().glob("rows-*")]


def test_a_comparison_is_let_go_for_the_next_one(site: Site, pages: Pages, kept: str) -> None:
    page = opened(site, pages, f"/backups/{kept}/restore")
    for table in ("public.users", "public.staff"):
        page.goto(site.url(f"/backups/{kept}/restore"))
        page.locator("select[name=table]").select_option(table)
        page.get_by_label("Condition in SQL").fill("true")
        page.locator("#rows ~ form").get_by_role("button").click()
        page.wait_for_url("**/plans/*")
        assert run_to_the_end(page) == "Compared; nothing was changed"
    assert len([*site.workspace.scratch().glob("rows-*")]) == 1
    page.goto(site.url(f"/backups/{kept}/restore"))
    page.locator("select[name=table]").select_option("public.users")
    page.get_by_label("Condition in SQL").fill("no sql at all")
    page.locator("#rows ~ form").get_by_role("button").click()
    page.wait_for_url("**/plans/*")
    assert run_to_the_end(page) == "Failed"


def test_in_the_place_of_the_database(site: Site, pages: Pages, kept: str, gone: list[str]) -> None:
    page = opened(site, pages, f"/backups/{kept}/restore")
    page.locator("#place ~ form").get_by_role("button").click()
    page.wait_for_url("**/plans/*")
    text = page.inner_text("main")
    assert f"tabsync restore in-place --from {kept}" in text and "destructive" in text
    page.get_by_role("button", name="Run these").click()
    page.wait_for_timeout(200)
    assert "/plans/" in page.url  # the browser wants the field filled in
    page.get_by_label("Type console to confirm").fill("console")
    run_to_the_end(page)
    with psycopg.connect(make_conninfo(site.workspace.conninfo, dbname="postgres")) as connection:
        names = connection.execute("select datname from pg_database where datname ~ '^console_'").fetchall()
    gone += [str(name) for (name,) in names]
    assert page.locator(".steps li.failed").count() == 0, page.inner_text("main")
    assert len(gone) == 1


def test_a_quarterly_drill_is_among_the_drills(site: Site, pages: Pages, kept: str) -> None:
    """Its evidence is of another kind and holds other facts."""
    from tabsync.backups.drill.quarterly import judge
    from tabsync.ledger.evidence import add_evidence

    facts = judge({}, rto_target=3600, rpo_target=900) | {"backup": kept, "moment": "2026-11-22T18:00:00+00:00"}
    add_evidence(site.workspace.ledger(), "quarterly", "x/console", ok=False, facts=facts)
    page = opened(site, pages, "/backups")
    assert "NOT PROVEN: the cluster was not recovered" in page.inner_text("main")
    assert page.locator("figure.chart canvas").count() == 2  # what was not reached is not drawn as nothing


def test_the_monthly_drill_runs_in_its_own_workspace(site: Site, pages: Pages, kept: str) -> None:
    page = opened(site, pages, "/backups")
    page.get_by_role("button", name="Monthly drill").click()
    page.wait_for_url("**/plans/*")
    assert "tabsync drill monthly" in page.inner_text("main")
    assert "PROVEN RESTORABLE" in run_to_the_end(page)
    assert "no target" in page.inner_text("main")
    page.get_by_role("link", name="Report").click()
    page.wait_for_url("**/report")
    assert "indexes checked by amcheck" in page.inner_text("body")
    listed = opened(site, pages, "/backups")
    listed.locator("section[aria-labelledby=drills] tbody a").first.click()  # each drill leads to its run and report
    listed.get_by_role("link", name="Report").click()
    listed.wait_for_url("**/report")


def test_what_only_looks_can_not_be_run(site: Site, pages: Pages, kept: str) -> None:
    """Prune without its tick shows what has expired, and there is no button that deletes."""
    page = opened(site, pages, "/procedures/backup%20prune")
    page.get_by_role("button", name="Show the plan").click()
    page.wait_for_url("**/plans/*")
    text = page.inner_text("main")
    assert kept in text  # of each backup it says why it is kept
    assert "There is nothing to do" in text or "only shows" in text
    assert page.get_by_role("button", name="Run").count() == 0
    digest = page.url.rpartition("/")[2]
    with pytest.raises(Refused, match="nothing to run"):
        site.running.console.worker.start(digest, "ana")

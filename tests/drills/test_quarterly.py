"""The whole disaster on the restaurant's database, and what is lost when server and disk vanish under load."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabsync.backups.drill.canary import commit_canaries
from tabsync.backups.drill.quarterly import judge, plan_quarterly, run_quarterly
from tabsync.backups.drill.report import Report, render_html
from tabsync.backups.drill.verdict import against
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.wal.receive import plan_receive
from tabsync.kernel.errors import Exit, Refused
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import latest_evidence
from tabsync.manual.load import load
from tabsync.postgres import embedded
from tabsync.postgres.settings import Limits
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.workspace import Workspace
from tests.servers import running_server
from tests.sessions import connect
from tests.vanish import background, lose_the_server, stored, until
from tests.whole import whole

_NO_LIMIT = Limits(statement_timeout=0, lock_timeout=0, idle_in_transaction_timeout=0)
SIZE = 16 << 20


@pytest.fixture(scope="module")
def source() -> Iterator[embedded.Server]:
    with running_server("quarterly", wal_level="replica", max_wal_senders="5", synchronous_commit="on") as server:
        with connect(server.conninfo(), "tests", limits=_NO_LIMIT) as connection:
            apply_schema(connection)
            generate(connection, orders=50)
        yield server


@pytest.fixture
def workspace(source: embedded.Server, workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(source.conninfo())


def receive(workspace: Workspace) -> None:
    time.sleep(1.1)
    run(plan_receive(workspace, once=True), workspace, workspace.journal()).raise_if_failed()


def test_the_whole_disaster(workspace: Workspace) -> None:
    manual = load(workspace.manual_path)
    with pytest.raises(Refused, match="no physical backup"):
        plan_quarterly(workspace, manual)
    run(plan_take_physical(workspace), workspace, workspace.journal()).raise_if_failed()
    receive(workspace)
    process = background(workspace, "--flush", "2s")
    try:
        until(lambda: process.poll() is None and stored(workspace)[1])
        time.sleep(2)
        report = run_quarterly(workspace, plan_quarterly(workspace, manual, watch=3.0))
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
    verdict = report.data
    assert (verdict["error"], report.exit_code) == (None, Exit.DONE)
    assert verdict["sentence"].startswith("PROVEN")
    assert verdict["canaries"] >= 10
    assert 0 <= verdict["canaries_lost"] < verdict["canaries"]
    assert 0 < verdict["rpo_seconds"] < 3
    assert verdict["indexes"] > 20
    assert verdict["table"] == "public.users"
    assert verdict["row"]
    check_pages(report)
    assert list(workspace.scratch().glob("*")) == []
    evidence = latest_evidence(workspace.ledger(), "quarterly")
    assert evidence is not None
    assert evidence["ok"] is True


def check_pages(report: Report) -> None:
    """The report says the same twice: as JSON, and as a page that needs nothing else."""
    data, page = report.data, Path(report.html_path).read_text()
    assert json.loads(Path(report.json_path).read_text()) == data
    recovered, text = data["recovered"], html.unescape(page)
    told = [data["sentence"], recovered["why"], recovered["lsn"], data["backup"], data["row"], "users"]
    told += [against(data["rto_seconds"], data["rto_target"]), against(data["rpo_seconds"], data["rpo_target"])]
    told += [step["title"] for step in data["steps"]]
    assert [one for one in told if one not in text] == []
    assert "not proven" not in page
    assert "not confirmed" not in page.lower()
    assert re.findall(r"<(?:script|link|img|iframe)|(?:src|href)=|url\(|@import", page) == []
    assert page.startswith("<!doctype html>")


def test_a_drill_that_comes_to_nothing_has_a_report_that_says_so(workspace: Workspace) -> None:
    """What was not reached stands as such in every line, and is never shown as fine."""
    run(plan_take_physical(workspace), workspace, workspace.journal()).raise_if_failed()
    receive(workspace)
    plan = plan_quarterly(workspace, load(workspace.manual_path), watch=0.3)
    harmed = next(path for path in workspace.store_root.glob("objects/??/*") if path.stat().st_size > 1 << 16)
    harmed.unlink()
    report = run_quarterly(workspace, plan)
    assert report.exit_code == Exit.PROBLEM_FOUND
    page = html.unescape(Path(report.html_path).read_text())
    assert report.data["error"]["fact"] in page
    assert "NOT PROVEN" in page
    assert "the cluster was not recovered" in page
    assert page.count(">not proven<") == 4
    assert "no table was restored" in page
    assert ">answered<" not in page
    assert page.count('class="state bad">not run<') >= 3


def test_what_others_named_stays_text_in_the_page() -> None:
    evil = "<script>alert(1)</script>"
    facts = judge({}, rto_target=1, rpo_target=1) | {
        "not_checked": [evil],
        "table": evil,
        "row": evil,
        "key_tables": [evil],
        "backup": evil,
        "moment": "2026-11-22T18:15:00+00:00",
        "lost_at": None,
        "recovered": None,
        "health": {"answered": False, "tables": None, "bytes": None},
    }
    steps = [{"title": evil, "preview": evil, "state": "failed", "seconds": None}]
    target = {"database": evil, "version": evil, "role": evil, "system_identifier": None}
    rest = {"kind": "quarterly drill", "run": evil, "finished_at": facts["moment"], "program": {"tabsync": "0"}}
    rest |= {"manual_digest": "", "plan_digest": "", "store": evil, "error": {"fact": evil, "hint": evil}}
    rest["interrupted"] = False
    page = render_html(facts | rest | {"target": target, "steps": steps})
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 12


def test_nothing_of_the_canaries_is_in_the_database(workspace: Workspace, source: embedded.Server) -> None:
    count = "select count(*) from pg_class"
    with connect(source.conninfo(), "tests") as connection:
        before = connection.execute(count).fetchall()
        batch = commit_canaries(connection, 0.3, 0.1, lambda *_: None)
        assert connection.execute(count).fetchall() == before
    assert len(batch.moments) >= 3


def test_a_step_that_is_missing_is_not_proven() -> None:
    good: dict[str, Facts] = {
        "disaster": {"rpo_seconds": 1.0, "canaries": 9, "lost": 2},
        "fetch": {},
        "recover": {"reached": True, "why": "stopped", "segments": 1},
        "answer": {"rto_seconds": 5.0},
        "amcheck": {"indexes": 3, "not_checked": []},
        "exercise": {"table": "t", "row": "id = 1", "not_done": []},
    }
    assert judge(good, rto_target=60, rpo_target=60)["ok"]
    for key in good:
        assert not judge({name: facts for name, facts in good.items() if name != key}, rto_target=60, rpo_target=60)[
            "ok"
        ]
    for empty in (
        {"amcheck": {"indexes": 0, "not_checked": ["no amcheck"]}},
        {"exercise": {"table": None, "row": None}},
    ):
        partly = judge(good | empty, rto_target=60, rpo_target=60)
        assert (partly["ok"], partly["sentence"][:13]) == (False, "PARTLY PROVEN")
    unsure = good | {"recover": {"reached": False, "why": "", "segments": 1}}
    assert "NOT PROVEN" in judge(unsure, rto_target=60, rpo_target=60)["sentence"]
    assert "RPO MISSED" in judge(good, rto_target=60, rpo_target=0.5)["sentence"]


@whole
def test_when_server_and_disk_vanish_no_more_than_promised_is_lost(workspaces: Callable[..., Workspace]) -> None:
    with running_server("vanish", wal_level="replica", max_wal_senders="5", synchronous_commit="on") as server:
        workspace = workspaces(server.conninfo())
        loss = lose_the_server(workspace, server, seconds=6.0, every=0.02, flush=4)
    assert loss.committed > 100
    assert loss.saved > 0
    assert 0 <= loss.seconds <= 4

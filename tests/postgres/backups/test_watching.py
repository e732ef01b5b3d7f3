"""health and status on a real server: what is down, who blocks whom, and nothing unseen that passes for good."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.backups.take import plan_take_full
from tabsync.kernel.errors import ProblemFound
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence
from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.monitoring.health import check_health
from tabsync.monitoring.shown import page_of
from tabsync.postgres import catalog
from tabsync.procedures.status import look
from tabsync.stores.manifest import subject_of
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.sessions import connect


@pytest.fixture
def workspace(tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(tabsync_database())


@pytest.fixture
def manual(workspace: Workspace) -> Manual:
    return load(workspace.manual_path)


def by_name(facts: Facts) -> Facts:
    return {check["name"]: check for check in facts["checks"]}


def proven(workspace: Workspace, *, ok: bool = True) -> None:
    """Puts a drill on record, without the minute that a real one takes."""
    with connect(workspace.conninfo, "tests") as connection:
        subject = subject_of(catalog.identity(connection))
    facts = {"content": "identical" if ok else "not proven", "ok": ok, "sentence": "NOT PROVEN", "rto_seconds": 5.0}
    add_evidence(workspace.ledger(), "drill", subject, ok=ok, facts=facts | {"backup": "b1"})


def test_all_is_well(workspace: Workspace, manual: Manual) -> None:
    facts = check_health(workspace, manual)
    assert facts["healthy"] is True
    assert list(by_name(facts)) == ["database", *(table.name for table in manual.key_tables)]
    assert all(0 <= check["seconds"] < 5 and check["error"] == "" for check in facts["checks"])


@pytest.mark.parametrize(
    ("harm", "fact"),
    [
        ("alter table payments rename to payments_old", 'relation "public.payments" does not exist'),
        ("lock table payments in access exclusive mode", "lock timeout"),
    ],
)
def test_a_key_table_that_cannot_be_read_is_named_and_the_others_are_tried(
    workspace: Workspace, manual: Manual, harm: str, fact: str
) -> None:
    with psycopg.connect(workspace.conninfo) as other:
        other.execute(harm)
        if harm.startswith("alter"):
            other.commit()
        facts = check_health(workspace, manual)
    assert facts["healthy"] is False
    (bad,) = [check for check in facts["checks"] if not check["ok"]]
    assert "payments" in bad["name"]
    assert fact in bad["error"]


def test_a_table_of_another_owner_is_not_healthy(workspace: Workspace, manual: Manual) -> None:
    run_sql(workspace.conninfo, "create role nurse login password 'nurse'")
    try:
        facts = check_health(replace(workspace, conninfo=as_user(workspace, "nurse")), manual)
    finally:
        run_sql(workspace.conninfo, "drop role nurse")
    assert facts["healthy"] is False
    assert facts["checks"][0]["ok"] is True
    assert all("permission denied" in check["error"] for check in facts["checks"][1:])


def as_user(workspace: Workspace, name: str) -> str:
    return make_conninfo(workspace.conninfo, user=name, password=name)


def test_a_database_that_is_down_is_not_healthy_and_no_table_counts_as_good(
    workspace: Workspace, manual: Manual
) -> None:
    down = replace(workspace, conninfo=make_conninfo(workspace.conninfo, host="/nowhere"))
    facts = check_health(down, manual)
    assert facts["healthy"] is False
    assert [check["ok"] for check in facts["checks"]] == [False] * len(facts["checks"])
    assert facts["checks"][0]["hint"]
    page = look(down, manual)
    assert page["verdict"]["level"] == "critical"
    assert page["verdict"]["sentence"].startswith("DOWN")
    assert page["database"]["identity"] is None
    assert "everything in the database: no connection" in page["unseen"]
    assert page["next"][0]["command"] == "tabsync health"


def test_when_it_is_down_the_last_backup_is_still_told(workspace: Workspace, manual: Manual) -> None:
    run(plan_take_full(workspace), workspace, workspace.journal()).raise_if_failed()
    down = replace(workspace, conninfo=make_conninfo(workspace.conninfo, host="/nowhere"), _open={})
    page = look(down, manual)
    assert page["backup"]["backup"] == workspace.store().find("latest").id
    assert "tabsync drill --backup latest" in [one["command"] for one in page["next"]]
    down.close()


def test_nothing_on_record_is_never_all_well(workspace: Workspace, manual: Manual) -> None:
    page = look(workspace, manual)
    assert page["verdict"]["level"] != "ok"
    assert "no backup of this database is on record" in page["unseen"]
    assert "no drill of this database is on record" in page["unseen"]
    assert {"tabsync backup take full", "tabsync drill"} <= {one["command"] for one in page["next"]}


def test_backup_and_drill_are_shown_with_their_age(workspace: Workspace, manual: Manual) -> None:
    run(plan_take_full(workspace), workspace, workspace.journal()).raise_if_failed()
    proven(workspace)
    page = look(workspace, manual)
    assert page["backup"]["ok"] is True
    assert page["drill"]["content"] == "identical"
    assert [change for change in page["changes"] if change["what"].startswith("backup take full by ")]
    assert not [one for one in page["next"] if one["command"] in ("tabsync drill", "tabsync backup take full")]
    proven(workspace, ok=False)
    page = look(workspace, manual)
    assert page["drill"]["ok"] is False
    assert page["verdict"]["level"] != "ok"
    assert "tabsync drill" in [one["command"] for one in page["next"]]


def test_the_evidence_of_another_database_is_not_ours(workspace: Workspace, manual: Manual) -> None:
    add_evidence(workspace.ledger(), "drill", "1/another", ok=True, facts={"content": "identical"})
    add_evidence(workspace.ledger(), "backup", "1/another", ok=True, facts={"backup": "b", "bytes": 1})
    page = look(workspace, manual)
    assert (page["drill"], page["backup"]) == (None, None)


def test_an_unmeasured_metric_is_unknown_and_not_ok(workspace: Workspace, manual: Manual) -> None:
    run_sql(workspace.conninfo, "create role watcher login password 'watcher'")
    try:
        proven(workspace)
        page = look(replace(workspace, conninfo=as_user(workspace, "watcher")), manual)
    finally:
        run_sql(workspace.conninfo, "drop role watcher")
    assert page["verdict"]["level"] != "ok"
    unknown = [one for one in page["readings"] if one["level"] == "unknown"]
    assert unknown
    assert all(one["error"] for one in unknown)
    for one in unknown:
        assert [line for line in page["unseen"] if line.startswith(f"{one['metric']}: ")]


def test_the_root_of_a_chain_of_blockers_is_named_with_all_its_victims(workspace: Workspace, manual: Manual) -> None:
    with psycopg.connect(workspace.conninfo, application_name="the migration") as root:
        root.execute("lock table users in share mode")
        victims = [psycopg.connect(workspace.conninfo) for _ in range(3)]
        pids = sorted(one.info.backend_pid for one in victims)
        threads = [threading.Thread(target=wait_for_users, args=(one,)) for one in victims]
        for thread in threads:
            thread.start()
        try:
            wait_until_blocked(workspace, len(victims))
            page = look(workspace, manual)
        finally:
            root.rollback()
            for thread in threads:
                thread.join()
            for one in victims:
                one.close()
        (blocker,) = page["blockers"]
        assert blocker["pid"] == root.info.backend_pid
        assert blocker["application"] == "the migration"
        assert blocker["victims"] == pids
        assert "idle in transaction: lock table users" in blocker["what"]
        assert page["verdict"]["level"] in ("warning", "critical")
        (action,) = [one for one in page["next"] if f"pid = {blocker['pid']} and backend_start" in one["command"]]
        assert "pg_terminate_backend" in action["command"]  # cancelling does nothing to a session that is idle
    assert look(workspace, manual)["blockers"] == []


def wait_for_users(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute("lock table users in access exclusive mode")
    connection.rollback()


def wait_until_blocked(workspace: Workspace, count: int) -> None:
    deadline = time.monotonic() + 10
    with connect(workspace.conninfo, "tests") as connection:
        while time.monotonic() < deadline:
            row = connection.execute(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            ).fetchone()
            if row == (count,):
                return
            time.sleep(0.01)
    pytest.fail("the sessions do not wait")


def test_status_never_waits_behind_a_lock(workspace: Workspace, manual: Manual) -> None:
    with psycopg.connect(workspace.conninfo) as migration:
        migration.execute(
            "do $$ declare t text; begin for t in select oid::regclass from pg_class where relkind = 'r'"
            " and relnamespace = 'public'::regnamespace loop"
            " execute format('lock table %s in access exclusive mode', t); end loop; end $$"
        )
        started = time.monotonic()
        page = look(workspace, manual)
        seconds = time.monotonic() - started
        assert seconds < 3
        assert page["database"]["reachable"] is True
        assert page["verdict"]["level"] != "ok"
        # What could not be read behind the lock is said, not shown as zero.
        assert [one for one in page["readings"] if one["level"] == "unknown" and "lock" in one["error"]]


def test_a_ledger_that_cannot_be_read_does_not_hide_the_database(workspace: Workspace, manual: Manual) -> None:
    Path(workspace.home).mkdir(parents=True)
    (workspace.home / "ledger.sqlite").write_bytes(b"this is no database" * 100)
    page = look(workspace, manual)
    assert page["database"]["reachable"] is True
    assert page["verdict"]["level"] != "ok"
    assert [line for line in page["unseen"] if line.startswith("runs, backups and drills")]


def test_the_page_can_be_printed_whatever_happened(
    workspace: Workspace, manual: Manual, capsys: pytest.CaptureFixture[str]
) -> None:
    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.procedure import Procedure

    terminal = Terminal(Procedure(words="status", summary="", example=""))

    run(plan_take_full(workspace), workspace, workspace.journal()).raise_if_failed()
    proven(workspace)
    for page in (look(workspace, manual), look(replace(workspace, conninfo="host=/nowhere dbname='[/red]'"), manual)):
        terminal.page(page_of(page))
        printed = capsys.readouterr().out
        assert page["verdict"]["sentence"] in printed
        assert max(map(len, printed.splitlines())) <= 100


def test_a_manual_with_problems_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "manual.md").write_text("# Nothing\n")
    with pytest.raises(ProblemFound, match=r"the manual has \d+ problems"):
        load(tmp_path / "manual.md")

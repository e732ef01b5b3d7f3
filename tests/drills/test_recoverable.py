"""The metric "Recoverable to" on real servers: with WAL, with dumps alone, at a provider, and with nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tabsync.backups import recoverable
from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.take import plan_take_full
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.wal.receive import plan_receive
from tabsync.kernel.clock import now, parse_iso
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts
from tabsync.manual.load import load
from tabsync.procedures.status import look
from tabsync.providers import http
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.postgres.providers.supabase import LATEST, REF, TOKEN, listed, serving
from tests.servers import running_server

METRIC = "Recoverable to"


def seen(workspace: Workspace) -> tuple[Facts, Facts]:
    """The reading of the metric, and the whole status."""
    facts = look(workspace, load(workspace.manual_path))
    return next(one for one in facts["readings"] if one["metric"] == METRIC), facts


def done(workspace: Workspace, plan: Plan) -> None:
    run(plan, workspace, workspace.journal()).raise_if_failed()


def with_rpo(workspace: Workspace, directory: Path, rpo: str) -> Workspace:
    """The same with another RPO in the manual."""
    path = directory / "manual.md"
    text = workspace.manual_path.read_text()
    assert "(RPO)**: < 15 minutes" in text
    path.write_text(text.replace("(RPO)**: < 15 minutes", f"(RPO)**: < {rpo}"))
    return replace(workspace, manual_path=path)


def test_with_nothing_it_is_unknown(tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces(tabsync_database())
    reading, facts = seen(workspace)
    assert (reading["level"], reading["value"]) == ("unknown", "unknown")
    assert "nothing is known to recover to" in reading["error"]
    assert any(one.startswith(f"{METRIC}: ") for one in facts["unseen"])
    assert "known" not in facts


def test_a_backup_counts_when_it_is_proven_and_is_as_old_as_its_snapshot(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    workspace = workspaces(tabsync_database())
    done(workspace, plan_take_full(workspace))
    assert seen(workspace)[0]["level"] == "unknown"
    run_drill(workspace, plan_drill(workspace, load(workspace.manual_path), "latest"))
    reading, _ = seen(workspace)
    (sample,) = reading["samples"]
    taken = workspace.store().manifests()[0][-1].taken_at
    assert sample["value"] == pytest.approx((now() - taken).total_seconds(), abs=5)
    assert (reading["level"], sample["of"]) == ("ok", 900)
    done(workspace, plan_take_full(workspace))  # newer, but nobody has proven it
    assert seen(workspace)[0]["samples"][0]["value"] > (now() - taken).total_seconds() - 5
    short = with_rpo(workspace, directory, "1 second")
    reading, facts = seen(short)
    assert reading["level"] == "critical"
    alert = next(one for one in facts["alerts"] if one["metric"] == METRIC)
    assert alert["command"] == "tabsync backup window"
    assert "of 1 s" in alert["value"]


def test_what_was_proven_is_known_while_the_database_is_down(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database())
    run_drill(workspace, plan_drill(workspace, load(workspace.manual_path)))
    down = replace(workspace, conninfo="host=127.0.0.1 port=1 dbname=shop connect_timeout=2")
    reading, facts = seen(down)
    assert facts["database"]["reachable"] is False
    assert reading["level"] == "ok"
    assert reading["samples"][0]["value"] > 0


def test_with_wal_it_is_where_the_wal_in_the_store_ends(workspaces: Callable[..., Workspace]) -> None:
    with running_server("recoverable", wal_level="replica", max_wal_senders="5") as server:
        workspace = workspaces(server.conninfo())
        run_sql(server.conninfo(), "create table {} (id int)", "t")
        done(workspace, plan_receive(workspace, once=True))
        assert seen(workspace)[0]["level"] == "unknown", "WAL without a physical backup recovers nothing"
        done(workspace, plan_take_physical(workspace))
        taken = seen(workspace)[0]["samples"][0]["value"]
        run_sql(server.conninfo(), "insert into {} values (1)", "t")
        written = now()
        done(workspace, plan_receive(workspace, once=True))
        reading, _ = seen(workspace)
        value = reading["samples"][0]["value"]
        assert now() - timedelta(seconds=value) > written - timedelta(seconds=1)
        assert value < taken + 60
        # A store that can't be read makes it unknown, not as old as something that is known.
        away = replace(workspace, store_url="s3://nowhere/at-all")
        assert seen(away)[0]["level"] == "unknown"
        run_sql(server.conninfo(), "select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def test_at_a_provider_it_is_the_end_of_its_window(
    tabsync_database: Callable[..., str],
    workspaces: Callable[..., Workspace],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = replace(workspaces(tabsync_database()), provider="supabase", project=REF)
    monkeypatch.setenv("SUPABASE_ACCESS_TOKEN", TOKEN)
    monkeypatch.setattr(http, "PAUSE", 0.001)
    with serving() as api:
        monkeypatch.setenv("TABSYNC_SUPABASE_URL", api.url)
        recoverable.asked.clear()
        reading, facts = seen(workspace)
        assert reading["samples"][0]["value"] == pytest.approx(now().timestamp() - LATEST, abs=5)
        assert reading["level"] == "critical", "its window ended days ago"
        seen(workspace)
        assert len(api.asked) == 1, "a console asks every few seconds"
        recoverable.asked.clear()
        api.backups = listed(pitr=False)
        assert seen(workspace)[0]["level"] == "unknown", "without a window only what we have proven counts"
        run_drill(workspace, plan_drill(workspace, load(workspace.manual_path)))
        assert seen(workspace)[0]["level"] == "ok"
    recoverable.asked.clear()
    reading, facts = seen(workspace)
    assert reading["level"] == "unknown", "the provider can't be asked, whatever else there is"
    assert "Supabase could not be asked" in reading["error"]
    assert parse_iso(facts["checked_at"])

"""The ledger's copies come back as they were, and pruning takes no proof away."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from tabsync.bookkeeping.copy import KEPT, Fetch, look_fetch, plan_copy
from tabsync.bookkeeping.prune import Prune, plan_prune
from tabsync.kernel.clock import compact, iso, now
from tabsync.kernel.errors import BadUsage, ProblemFound
from tabsync.kernel.plan import Plan
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence, latest_evidence
from tabsync.ledger.runs import recent_runs
from tabsync.ledger.tables import delivery, episode
from tabsync.monitoring.alerts.episode import Episode, Key, State
from tabsync.monitoring.alerts.keep import row_of
from tabsync.stores.keys import Keys, new_identity
from tabsync.workspace import Workspace


def carried_out(workspace: Workspace, plan: Plan) -> str:
    outcome = run(plan, workspace, workspace.journal(), approval="--yes")
    outcome.raise_if_failed()
    return outcome.run_id


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "encrypted"])
def test_a_copy_comes_back(sealed: bool, workspaces: Callable[..., Workspace], directory: Path) -> None:
    keys = Keys((new_identity(directory / "identity"),), directory / "identity") if sealed else Keys()
    workspace = replace(workspaces("host=/nowhere"), keys=keys)
    with pytest.raises(BadUsage, match="no copy"):
        look_fetch(workspace, Fetch(directory / "back.sqlite"))
    first = carried_out(workspace, plan_copy(workspace, Nothing()))
    carried_out(workspace, plan_copy(workspace, Nothing()))
    look_fetch(workspace, Fetch(directory / "back.sqlite"))
    with closing(sqlite3.connect(directory / "back.sqlite")) as back:
        assert (first, "done") in back.execute("select id, state from run").fetchall()
    stored = b"".join(path.read_bytes() for path in (workspace.store_root / "ledger").iterdir())
    assert (b"\x28\xb5\x2f\xfd" in stored[:4]) is not sealed
    with pytest.raises(BadUsage, match="exists already"):
        look_fetch(workspace, Fetch(directory / "back.sqlite"))


def test_only_the_newest_are_kept(workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces("host=/nowhere")
    for _ in range(KEPT + 2):  # several in one second
        carried_out(workspace, plan_copy(workspace, Nothing()))
    names = sorted(one.name for one in workspace.store().files("ledger"))
    assert [name[:6] for name in names] == [f"{number:06d}" for number in range(3, KEPT + 3)]
    newest = latest_evidence(workspace.ledger(), "ledger")
    assert newest is not None
    assert newest["facts"]["copy"] == f"ledger/{names[-1]}"


def test_a_damaged_copy_is_told(workspaces: Callable[..., Workspace], directory: Path) -> None:
    workspace = workspaces("host=/nowhere")
    carried_out(workspace, plan_copy(workspace, Nothing()))
    (stored,) = (workspace.store_root / "ledger").iterdir()
    content = stored.read_bytes()
    stored.chmod(0o600)
    stored.write_bytes(content[: len(content) // 2])
    with pytest.raises(ProblemFound, match="cut off"):
        look_fetch(workspace, Fetch(directory / "back.sqlite"))
    stored.write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])
    with pytest.raises(ProblemFound, match="damaged"):
        look_fetch(workspace, Fetch(directory / "back.sqlite"))
    assert not (directory / "back.sqlite").exists()


def test_pruning_deletes_old_runs_and_no_proof(workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces("host=/nowhere")
    old = carried_out(workspace, plan_copy(workspace, Nothing()))
    fresh = carried_out(workspace, plan_copy(workspace, Nothing()))
    add_evidence(workspace.ledger(), "drill", "x", ok=True, facts={"sentence": "proven"}, run_id=old)
    with workspace.ledger().writing() as connection:
        moment = iso(now() - timedelta(days=400))
        connection.exec_driver_sql("update run set started_at = ? where id = ?", (moment, old))
    reports = workspace.home / "reports"
    reports.mkdir()
    kept = [f"drill-{compact(now())}-0a1b2c.html", "drill-of-mine.html", "notes.txt"]
    for name in (*kept, f"drill-{compact(now() - timedelta(days=400))}-0a1b2c.json"):
        (reports / name).touch()
    ages = {"old": 400, "new": 4, "proof": 400, "open": 400}
    for name, age in ages.items():
        at = now() - timedelta(days=age)
        state = State.FIRING if name == "open" else State.ENDED
        ended = None if name == "open" else at
        one = Episode(name, "s", Key("threshold", name), state, "warning", at, at, at, ended, is_test=name == "proof")
        message: Facts = {"episode": name, "contact": "DBA", "channel": "mail", "event": "start", "created_at": iso(at)}
        message |= {"due_at": iso(at), "state": "sent", "tries": 1, "sent_at": iso(at), "fact": ""}
        with workspace.ledger().writing() as connection:
            connection.execute(insert(episode).values(**row_of(one), acked_at=None, acked_by=""))
            connection.execute(insert(delivery).values(**message))
    looked = plan_prune(workspace, Prune())
    assert looked.only_look
    assert (looked.about["runs"], looked.about["alerts"]) == (1, 1)
    pruned = carried_out(workspace, plan_prune(workspace, Prune(apply=True)).plan)
    assert {one["id"] for one in recent_runs(workspace.ledger())} == {fresh, pruned}
    with workspace.ledger().writing() as connection:
        assert set(connection.execute(select(delivery.c.episode)).scalars()) == {"new", "proof", "open"}
        assert set(connection.execute(select(episode.c.id)).scalars()) == {"new", "proof", "open"}
    assert {one.name for one in reports.iterdir()} == {*kept}
    assert [one["facts"] for one in workspace.ledger().read("evidence_from", kind="drill", since="")] == [
        {"sentence": "proven"}
    ]

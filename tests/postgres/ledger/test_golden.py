"""A ledger of the version before procedures were declared: its plans, runs and pages go on working."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tabsync.backups.prune import in_use
from tabsync.kernel.step import resolve
from tabsync.ledger.open import HEAD, Ledger
from tabsync.ledger.runs import mark_interrupted, one_run, plan_of, recent_runs
from tabsync.procedures import page_of
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import Workspace

GOLDEN = Path(__file__).parents[2] / "golden" / "v1" / "ledger.sql"
BACKUP = "20261128T162943Z-c52a"


@pytest.fixture
def old(directory: Path) -> Iterator[Workspace]:
    file = directory / "ledger.sqlite"
    with sqlite3.connect(file) as connection:
        connection.executescript(GOLDEN.read_text(encoding="utf-8"))
    connection.close()
    found = Workspace(directory, "dbname=nowhere", directory / "store", PROFILE_MANUAL, f"sqlite:///{file}")
    yield found
    found.close()


def _version(ledger: Ledger) -> str:
    with ledger.engine.connect() as connection:
        return str(connection.execute(text("select version_num from alembic_version")).scalar())


def test_it_is_brought_up_to_date_and_loses_nothing(old: Workspace) -> None:
    runs = recent_runs(old.ledger())
    assert _version(old.ledger()) == HEAD
    states = {(one["procedure"], one["state"]) for one in runs}
    assert {("backup take full", "done"), ("restore new", "done"), ("backup verify", "running")} <= states
    assert len(runs) == 6


def test_every_step_is_found_by_the_name_of_then(old: Workspace) -> None:
    seen = 0
    for one in recent_runs(old.ledger()):
        whole = one_run(old.ledger(), one["id"])
        assert whole
        for step in plan_of(whole).steps:
            assert callable(resolve(step)), step.function
            seen += 1
    assert seen > 20


def test_a_run_of_then_still_keeps_its_backup_from_prune(old: Workspace) -> None:
    assert in_use(old.ledger()) == {BACKUP}


def test_its_runs_have_pages(old: Workspace) -> None:
    pages = {}
    for one in recent_runs(old.ledger()):
        whole = one_run(old.ledger(), one["id"])
        assert whole
        page = page_of(old, whole)
        if one["state"] == "done" and page:
            pages[one["procedure"]] = page.headline
    assert "every stored byte is unchanged" in pages["backup verify"]
    assert pages["restore new"].startswith("Restored into database")
    assert BACKUP in pages["backup hold"]


def test_what_was_running_there_is_not_ours_to_judge(old: Workspace) -> None:
    """It ran on another machine: nobody here can know that it died."""
    assert socket.gethostname() != "host"
    assert mark_interrupted(old.ledger()) == []

"""Runs of several processes: side by side, refused when they use the same, and stopped in order."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import update

from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import plan_from_json
from tabsync.kernel.step import Facts
from tabsync.ledger.runs import mark_interrupted, one_run, recent_runs
from tabsync.ledger.stop import ask_to_stop
from tabsync.ledger.tables import run as run_table
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.postgres.cli.program import Done, tabsync
from tests.postgres.ledger.lingering import plan_of


@pytest.fixture(params=["sqlite", "postgresql"])
def workspace(request: pytest.FixtureRequest, databases: Databases, directory: Path) -> Iterator[Workspace]:
    """A workspace, with a ledger of each kind."""
    home = directory / "home"
    home.mkdir()
    url = f"sqlite:///{home / 'ledger.sqlite'}"
    if request.param == "postgresql":
        parts = conninfo_to_dict(databases(17))
        password = Path(str(parts["passfile"])).read_text().rstrip("\n").rpartition(":")[2]
        place = f"{parts['dbname']}?host={parts['host']}&port={parts['port']}"
        url = f"postgresql+psycopg://{parts['user']}:{password}@/{place}"
    made = Workspace(home, "", home / "store", home / "manual.md", url)
    made.ledger()
    yield made
    made.close()


@contextmanager
def lingering(workspace: Workspace, *claims: str) -> Iterator[subprocess.Popen[str]]:
    """Another process whose run has begun."""

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as whoever was started in the background of a script

    words = [sys.executable, "-m", "tests.postgres.ledger.lingering", str(workspace.home), workspace.ledger_url]
    process = subprocess.Popen([*words, *claims], stdout=subprocess.PIPE, text=True, preexec_fn=ignore)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "begun\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def running(workspace: Workspace) -> list[Facts]:
    return [one for one in recent_runs(workspace.ledger()) if one["state"] == "running"]


def test_a_run_that_uses_the_same_is_refused_until_the_other_ends(workspace: Workspace) -> None:
    with lingering(workspace, "database:shop") as other:
        with pytest.raises(Refused) as refused:
            workspace.journal().begin(plan_of("warm", "database:shop"), "not needed")
        [first] = running(workspace)
        told = f"restore rows by {first['actor']} uses database:shop since {first['started_at'][11:16]} UTC"
        assert refused.value.fact == told
        assert first["id"] in refused.value.hint
        assert [one.name for one in (workspace.home / "runs").iterdir()] == [first["id"]]  # nothing is left of ours
        journal = workspace.journal()
        journal.finish(journal.begin(plan_of("database:other"), "not needed"), "done")  # side by side
        other.kill()
        other.wait()
        # It died without a word: its claim is free, whether or not somebody has marked it meanwhile.
        journal.finish(journal.begin(plan_of("database:shop"), "not needed"), "done")


def test_of_many_that_begin_at_once_one_begins(workspace: Workspace) -> None:
    for _ in range(5):
        ready = threading.Barrier(6)
        begun: list[str] = []
        refused: list[Refused] = []

        def begin(ready: threading.Barrier, begun: list[str], refused: list[Refused]) -> None:
            journal = workspace.journal()
            ready.wait()
            try:
                begun.append(journal.begin(plan_of("database:shop"), "not needed"))
            except Refused as error:
                refused.append(error)

        threads = [threading.Thread(target=begin, args=(ready, begun, refused)) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert (len(begun), len(refused)) == (1, 5)
        with workspace.ledger().writing() as connection:
            connection.execute(update(run_table).values(state="done"))


def test_a_run_of_another_host_counts_for_a_day(workspace: Workspace) -> None:
    journal = workspace.journal()
    run_id = journal.begin(plan_of("database:shop"), "not needed")
    mine = update(run_table).where(run_table.c.id == run_id)
    with workspace.ledger().writing() as connection:
        connection.execute(mine.values(host="far-away", home="another"))
    with pytest.raises(Refused, match="uses database:shop"):
        workspace.journal().begin(plan_of("database:shop"), "not needed")
    with pytest.raises(Refused, match="is on far-away"):
        ask_to_stop(workspace.ledger(), run_id, "ana")
    with workspace.ledger().writing() as connection:
        connection.execute(mine.values(started_at="2020-01-01T00:00:00+00:00"))
    again = workspace.journal()
    again.finish(again.begin(plan_of("database:shop"), "not needed"), "done")


def test_a_plan_of_a_version_without_claims_is_read() -> None:
    old = plan_of("database:shop").to_json()
    for one in old["steps"]:
        del one["claims"]
    assert plan_from_json(old).claims == frozenset()
    assert plan_from_json(plan_of("database:shop").to_json()).claims == {"database:shop"}


def test_run_stop_ends_a_process_in_order(workspace: Workspace, directory: Path) -> None:
    def asked(*words: str) -> Done:
        return tabsync(directory, *words, TABSYNC_HOME=str(workspace.home), TABSYNC_ACTOR="ana")

    (directory / "tabsync.toml").write_text(f'ledger = "{workspace.ledger_url}"\n', encoding="utf-8")

    with lingering(workspace, "database:shop") as other:
        [first] = running(workspace)
        stopped = asked("run", "stop", first["id"], "--json")
        assert stopped.code == 0, stopped.err
        assert (stopped.code, stopped.json["state"], stopped.json["run"]) == (0, "failed", first["id"])
        assert other.wait(30) == 1
    assert (workspace.home / f"tidied-{first['id']}").exists()
    found = one_run(workspace.ledger(), first["id"])
    assert found is not None
    assert [one["state"] for one in found["steps"]] == ["failed", "done"]
    assert "interrupted" in found["steps"][0]["fact"]
    told = [one for one in workspace.ledger().read("audit", limit=10) if one["action"] == "run stop"]
    assert [(one["actor"], one["detail"]) for one in told] == [("ana", {"run": first["id"]})]
    again = asked("run", "stop", first["id"])
    assert again.code != 0 and "does not run any more: failed" in again.err
    unknown = asked("run", "stop", "nothing")
    assert unknown.code == 2 and "tabsync run list" in unknown.err


def test_run_stop_says_what_became_of_one_that_died(workspace: Workspace) -> None:
    with lingering(workspace) as other:
        [first] = running(workspace)
        other.kill()
        other.wait()
        with pytest.raises(Refused, match="does not run any more: interrupted"):
            ask_to_stop(workspace.ledger(), first["id"], "ana")
        assert mark_interrupted(workspace.ledger()) == []

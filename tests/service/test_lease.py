"""The lease in a PostgreSQL ledger: one keeps the schedule, by that server's clock, and who lost it starts nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tabsync.kernel.clock import now
from tabsync.ledger.evidence import add_evidence, latest_evidence
from tabsync.ledger.open import open_ledger
from tabsync.manual.load import read
from tabsync.postgres import embedded
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.schedule.expected import Occurrence
from tabsync.schedule.items import items_of
from tabsync.service import jobs
from tabsync.service.due import Start
from tabsync.service.heartbeat import Heartbeat
from tabsync.service.lease import TTL, Lease, LostLease
from tabsync.service.runs import Runs
from tabsync.system.claims import claim, is_claimed
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.service.place import Home

OFTEN = """### Every 2 seconds

- List: `tabsync backup list`
"""


def url_of(conninfo: str, server: embedded.Server) -> str:
    """A ledger's URL for a database of a test server."""
    parts = conninfo_to_dict(conninfo)
    password = (server.directory / "pgpass").read_text().strip().rsplit(":", 1)[-1]
    return (
        f"postgresql+psycopg://{parts['user']}:{password}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"
    )


@pytest.fixture
def ledger_url(databases: Databases, server: embedded.Server) -> str:
    return url_of(databases(), server)


def test_a_lease_changes_hands_and_its_number_grows(ledger_url: str, tmp_path: Path) -> None:
    """Of two homes: what happens in the other one only the server's clock tells."""
    names = ("first", "second")
    first, second = (Lease(open_ledger(ledger_url, tmp_path), name, tmp_path / name) for name in names)
    assert first.take()
    assert not second.take()
    assert first.take()
    assert first.fence == 1
    with first.ledger.engine.begin() as connection:
        first.check(connection)
        connection.exec_driver_sql("update lease set until = '2000'")  # it was silent for too long
    assert second.take()
    assert second.fence == 2
    with first.ledger.engine.begin() as connection, pytest.raises(LostLease):
        first.check(connection)
    second.release()
    assert first.take()
    assert first.fence == 3
    for one in (first, second):
        one.ledger.close()


def test_in_the_same_home_nobody_waits_for_a_dead_one(ledger_url: str, tmp_path: Path) -> None:
    first, second = (Lease(open_ledger(ledger_url, tmp_path), name, tmp_path) for name in ("first", "second"))
    assert first.take()
    assert not second.take()
    assert first._claim is not None
    first._claim.release()  # what the kernel does when it is killed
    assert second.take()
    assert second.fence == 2
    with first.ledger.engine.begin() as connection, pytest.raises(LostLease):
        first.check(connection)
    for one in (first, second):
        one.ledger.close()


def test_the_second_takes_over_and_nothing_is_started_twice(
    home: Callable[..., Home], ledger_url: str, server: embedded.Server
) -> None:
    place = home(OFTEN, ledger=ledger_url)
    with place.service() as first, place.service("scheduler", "run", "--name", "other") as second:
        until = time.monotonic() + 90
        while "started" not in first.said + second.said or "stands by" not in first.said + second.said:
            assert time.monotonic() < until, first.said + second.said
            time.sleep(0.1)
        keeping, waiting = (first, second) if "stands by" not in first.said else (second, first)
        keeping.process.kill()
        waiting.waits_for("started backup-list", 60)
        assert waiting.ends() == 0
    database = ledger_url.partition("@/")[2].partition("?")[0]
    with psycopg.connect(server.conninfo(database)) as connection:
        found = connection.execute("select item, due, count(*), max(fence) from occurrence group by 1, 2").fetchall()
    assert all(count == 1 for _, _, count, _ in found)
    assert max(fence for *_, fence in found) == 2


def test_many_open_a_new_ledger_at_once(ledger_url: str, tmp_path: Path) -> None:
    command = "import sys; from pathlib import Path; from tabsync.ledger.open import open_ledger; "
    command += "open_ledger(sys.argv[1], Path(sys.argv[2])).read('services')"
    started = [
        subprocess.Popen([sys.executable, "-c", command, ledger_url, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert [(one.communicate(timeout=60)[1], one.returncode) for one in started] == [("", 0)] * 6


def test_who_starts_an_item_by_hand_is_first_or_waits(workspaces: Callable[..., Workspace]) -> None:
    """The service saw no claim and puts the start on record; by then a person has claimed the item."""
    workspace = workspaces("host=/nowhere")
    item = items_of(read(PROFILE_MANUAL)[0])[0]
    moment = now()
    runs = Runs(workspace, "main", UTC, Heartbeat(""), lambda _line: None)
    held = claim(jobs.by_hand(runs.place, item.key))
    assert held is not None
    lease = Lease(workspace.ledger(), "me", workspace.home)
    start = Start(Occurrence(item, moment, moment + timedelta(hours=1)), catch_up=False)
    assert not runs.start(start, "", lease)
    assert runs.finish([item])  # on record as not begun, to be tried again at once
    ((row,),) = (workspace.ledger().read("occurrences", since=""),)
    assert (row["state"], row["exit"], row["retry_at"] is None) == ("died", None, False)
    assert not is_claimed(runs.place / row["directory"])
    held.release()


def test_two_homes_leave_each_others_runs_alone(home: Callable[..., Home], ledger_url: str) -> None:
    """On one machine: what runs in the other home is unknown until its limit, and neither ended nor started again."""
    slow = "### Daily, 00:00-23:59 UTC\n\n- Full: `tabsync backup take full`\n"
    one = home(slow, ledger=ledger_url)
    two = home(slow, name="two", conninfo=one.conninfo, ledger=ledger_url)
    with psycopg.connect(one.conninfo) as lock:
        lock.execute("lock table t in access exclusive mode")
        with one.service("scheduler", "run", "--name", "one") as first:
            first.waits_for("started backup-take-full")
            until = time.monotonic() + 60
            while not (runs := [run for run in one.json("run", "list")["runs"] if run["state"] == "running"]):
                assert time.monotonic() < until
            with two.service("scheduler", "run", "--name", "two") as second:
                second.waits_for("stands by")
                first.process.kill()
                until = time.monotonic() + TTL + 10
                while "the schedule of the manual" not in second.said and "in order again" not in second.said:
                    assert time.monotonic() < until, second.said
                    time.sleep(0.2)
                time.sleep(3)
                assert "started" not in second.said.replace("restarted", ""), second.said
                again = two.run("run", "stop", runs[0]["id"])
                assert (again.code, "another home" in again.err) == (4, True)
                assert [run["state"] for run in two.json("run", "list")["runs"] if run["id"] == runs[0]["id"]] == [
                    "running"
                ]
                second.process.kill()
    one.run("run", "stop", runs[0]["id"])


def test_a_role_of_the_ledger_presets_nothing(
    databases: Databases, server: embedded.Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    conninfo = databases()
    run_sql(conninfo, "create role keeper login password 'x'")
    request.addfinalizer(lambda: run_sql(server.conninfo(), "drop role if exists keeper"))
    run_sql(conninfo, "grant create, usage on schema public to keeper")
    for name, value in (
        ("default_transaction_read_only", "on"),
        ("statement_timeout", "1"),
        ("lock_timeout", "1"),
        ("idle_session_timeout", "1"),
        ("idle_in_transaction_session_timeout", "1"),
        ("transaction_timeout", "1"),
        ("search_path", "pg_catalog"),
        ("datestyle", "'German'"),
    ):
        run_sql(conninfo, f"alter role keeper set {name} = {value}")
    parts = conninfo_to_dict(conninfo)
    url = f"postgresql+psycopg://keeper:x@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"
    ledger = open_ledger(url, tmp_path / "runs")
    add_evidence(ledger, "backup", "s", ok=True, facts={"a": 1})
    assert ledger.read("services") == []
    assert (latest_evidence(ledger, "backup") or {})["facts"] == {"a": 1}
    ledger.close()
    run_sql(conninfo, "drop owned by keeper")

"""Recovered once, a cluster has two histories in one store: what is on which, and how to come back to either."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from tabsync.backups.pitr import clusters
from tabsync.backups.pitr.target import Target
from tabsync.backups.restore.to_time import plan_to_time
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.wal.receive import plan_receive
from tabsync.backups.wal.status import wal_status
from tabsync.backups.wal.window import window
from tabsync.kernel.errors import Refused
from tabsync.kernel.runner import run
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import Workspace
from tests.drills.test_pitr import at, restored
from tests.drills.test_wal import QUARTER
from tests.servers import running_server
from tests.sessions import connect
from tests.vanish import background, until
from tests.whole import whole


@dataclass
class Life:
    """One server of the cluster's, and when each row was committed there."""

    workspace: Workspace
    after: dict[int, datetime] = field(default_factory=dict)
    lsn: dict[int, str] = field(default_factory=dict)

    def insert(self, *numbers: int) -> None:
        with connect(self.workspace.conninfo, "tests") as connection:
            for number in numbers:
                connection.execute("insert into t values (%s)", [number])
                query = "select clock_timestamp(), pg_current_wal_lsn()::text"
                self.after[number], self.lsn[number] = connection.execute(query).fetchall()[0]
                time.sleep(0.02)

    def switch(self) -> None:
        with connect(self.workspace.conninfo, "tests") as connection:
            connection.execute("select pg_switch_wal()")

    def receive(self, *, settled: bool = False) -> None:
        """Store the server's WAL; settled: so that the mark in the store, cut to the second, is after all commits."""
        time.sleep(1.1 if settled else 0)
        run(plan_receive(self.workspace, once=True), self.workspace, self.workspace.journal()).raise_if_failed()

    def base(self) -> str:
        outcome = run(plan_take_physical(self.workspace), self.workspace, self.workspace.journal())
        outcome.raise_if_failed()
        return str(outcome.results["commit"]["backup"])


@dataclass
class Forks:
    """The old server (timeline 1), the one recovered to row 1 (2), and the one recovered from that to row 10 (3)."""

    old: Life
    second: Life
    third: Life
    bases: list[str]


def recovered(workspace: Workspace, moment: datetime) -> Life:
    """A server recovered to a moment, which goes on from there."""
    conninfo = str(restored(workspace, at(moment))["conninfo"])
    return Life(replace(workspace, conninfo=conninfo, _open={}))


@pytest.fixture(scope="module")
def forks(place: Path) -> Iterator[Forks]:
    home = place / "forks"
    settings = {"wal_level": "replica", "max_wal_senders": "5", "synchronous_commit": "on"}
    with running_server("forks", **settings) as server:
        ledger = f"sqlite:///{home / 'ledger.sqlite'}"
        workspace = Workspace(home, server.conninfo(), place / "forks-store", PROFILE_MANUAL, ledger)
        with connect(server.conninfo(), "tests") as connection:
            connection.execute("create table t (id int)")
        old = Life(workspace)
        old.receive()
        bases = [old.base()]
        old.insert(1, 2)
        old.switch()
        old.insert(3)
        old.switch()  # what is abandoned has more WAL than what comes after it
        old.insert(4)
        old.receive()
        second = recovered(workspace, old.after[1])
        second.insert(10, 11)
        second.receive()
        old.insert(5)  # the old one was never stopped
        old.receive(settled=True)
        bases.append(second.base())
        second.insert(12)
        second.receive(settled=True)
        third = recovered(second.workspace, second.after[10])
        third.insert(20)
        third.receive(settled=True)
        yield Forks(old, second, third, bases)
        for one in clusters.restored(workspace):
            run(clusters.plan_drop(workspace, one["name"]), workspace, workspace.journal(), approval="--yes")
        for life in (old, second, third):
            life.workspace.close()


def rows(life: Life, target: Target, timeline: int | None = None) -> object:
    """The rows of the cluster as of a target; it is dropped again."""
    known = {one["name"] for one in clusters.restored(life.workspace)}
    found = restored(life.workspace, target, timeline=timeline)
    assert found["reached"] is True
    for one in clusters.restored(life.workspace):
        if one["name"] not in known:
            plan = clusters.plan_drop(life.workspace, one["name"])
            run(plan, life.workspace, life.workspace.journal(), approval="--yes").raise_if_failed()
    return found["rows"]


@whole
def test_the_window_shows_each_timeline_and_no_gap(forks: Forks) -> None:
    (cluster,) = window(forks.old.workspace)["clusters"]
    assert cluster["gaps"] == []
    assert [(one["timeline"], one["parent"]) for one in cluster["timelines"]] == [(1, None), (2, 1), (3, 2)]
    ends = {one["timeline"]: datetime.fromisoformat(one["to"]) for one in cluster["timelines"]}
    assert ends[1] >= forks.old.after[5].replace(microsecond=0)
    assert ends[2] >= forks.second.after[12].replace(microsecond=0)
    assert ends[3] >= forks.third.after[20].replace(microsecond=0)
    (span,) = cluster["windows"]
    assert datetime.fromisoformat(span["to"]) == max(ends.values())


@whole
def test_before_the_first_fork(forks: Forks) -> None:
    assert rows(forks.old, at(forks.old.after[1])) == [1]


@whole
def test_what_was_abandoned_is_there_at_the_moments_when_it_was_all_there_was(forks: Forks) -> None:
    plan = plan_to_time(forks.old.workspace, at(forks.old.after[3]))
    assert "on timeline 1 (not 2, 3; see --timeline)" in plan.title
    assert rows(forks.old, at(forks.old.after[3])) == [1, 2, 3]


def test_where_two_servers_went_on_the_newer_timeline_is_meant_unless_told(forks: Forks) -> None:
    moment = at(forks.old.after[5])
    plan = plan_to_time(forks.old.workspace, moment)
    assert "on timeline 2 (not" in plan.title
    assert rows(forks.old, moment) == [1, 10, 11]
    assert rows(forks.old, moment, timeline=1) == [1, 2, 3, 4, 5]


def test_the_end_is_that_of_the_newest_timeline_unless_told(forks: Forks) -> None:
    assert rows(forks.old, Target("latest", "")) == [1, 10, 20]
    assert rows(forks.old, Target("latest", ""), timeline=2) == [1, 10, 11, 12]
    assert rows(forks.old, Target("lsn", forks.old.lsn[4]), timeline=1) == [1, 2, 3, 4]


def test_a_timeline_that_is_not_there_or_ends_before_is_refused(forks: Forks) -> None:
    with pytest.raises(Refused, match="can be recovered along timeline 7"):
        plan_to_time(forks.old.workspace, Target("latest", ""), timeline=7)
    with pytest.raises(Refused, match="after the end of the WAL in the store on timeline 1"):
        plan_to_time(forks.old.workspace, at(forks.third.after[20]), timeline=1)


def test_each_server_is_judged_by_its_own_timeline(forks: Forks) -> None:
    for life in (forks.old, forks.second, forks.third):
        found = wal_status(life.workspace, slot="tabsync_wal", budget=1 << 30, behind=QUARTER)
        assert [one["what"] for one in found["problems"]] == ["slot tabsync_wal is inactive: no WAL is being received"]
        assert found["archive"]["newest"].startswith(f"{found['server']['timeline']:08X}")


def test_a_server_that_is_promoted_while_its_wal_is_received(forks: Forks) -> None:
    conninfo = str(restored(forks.old.workspace, at(forks.old.after[2]), pause=True, timeline=1)["conninfo"])
    fourth = Life(replace(forks.old.workspace, conninfo=conninfo, _open={}))
    process = background(fourth.workspace, "--flush", "1s")
    try:
        with connect(conninfo, "tests") as connection:
            active = "select active from pg_replication_slots"
            until(lambda: connection.execute(active).fetchall() == [(True,)])
            connection.execute("select pg_wal_replay_resume()")
            until(lambda: connection.execute("select pg_is_in_recovery()").fetchall() == [(False,)])
        fourth.insert(30)
        last = fourth.after[30]

        def reached() -> bool:
            (cluster,) = window(forks.old.workspace)["clusters"]
            ends = {one["timeline"]: datetime.fromisoformat(one["to"]) for one in cluster["timelines"]}
            return ends.get(4, last) > last

        until(reached)
    finally:
        process.terminate()
        code = process.wait(timeout=20)
    assert code == 0
    assert rows(forks.old, Target("latest", "")) == [1, 2, 30]
    fourth.workspace.close()

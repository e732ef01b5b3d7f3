"""A hot standby as the source: what it holds is as old as its replay, and it can't be written to."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tabsync.backups.drill.quarterly import plan_quarterly
from tabsync.backups.pitr import clusters
from tabsync.backups.pitr.target import Target
from tabsync.backups.restore.in_place import plan_restore_in_place, plan_undo_in_place
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.backups.take import plan_take_full
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.wal.push import push
from tabsync.backups.wal.receive import plan_receive
from tabsync.backups.wal.status import wal_status
from tabsync.backups.wal.window import window
from tabsync.kernel.clock import now
from tabsync.kernel.errors import Exit, FailedPartway, Refused
from tabsync.kernel.page import Line
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, run
from tabsync.manual.load import load
from tabsync.monitoring.replication import Diagnose, look_diagnose
from tabsync.postgres import embedded
from tabsync.postgres.connect import Connection
from tabsync.procedures.status import look
from tabsync.stores.manifest import Manifest
from tabsync.system.account import server_account
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.drills.test_pitr import at, restored
from tests.drills.test_wal import QUARTER
from tests.postgres.cli.program import TABSYNC
from tests.servers import running_server, standby_of
from tests.sessions import connect
from tests.vanish import background, until
from tests.whole import whole

SOON = timedelta(milliseconds=100)

_SETTINGS = {
    "wal_level": "replica",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "summarize_wal": "on",
    "wal_receiver_status_interval": "1s",
}


@dataclass(frozen=True)
class Pair:
    """A primary and its standby."""

    primary: embedded.Server
    standby: embedded.Server

    def insert(self, number: int) -> datetime:
        """Commit a row at the primary; gives a moment after it, by the server's clock."""
        with connect(self.primary.conninfo(), "tests") as connection:
            connection.execute("insert into t values (%s)", [number])
            return moment_of(connection)

    def caught_up(self) -> None:
        """Wait until the standby has replayed what the primary has written."""
        with connect(self.primary.conninfo(), "tests") as primary, connect(self.standby.conninfo(), "tests") as standby:
            row = primary.execute("select pg_current_wal_flush_lsn()::text").fetchone()
            until(lambda: standby.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", row).fetchall() == [(True,)])

    @contextmanager
    def falling_behind(self) -> Iterator[None]:
        """The standby receives and replays nothing of it meanwhile."""
        with connect(self.standby.conninfo(), "tests") as connection:
            connection.execute("select pg_wal_replay_pause()")
            paused = "select pg_get_wal_replay_pause_state()"
            until(lambda: connection.execute(paused).fetchall() == [("paused",)])
            try:
                yield
            finally:
                connection.execute("select pg_wal_replay_resume()")


def moment_of(connection: Connection) -> datetime:
    row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None
    found: datetime = row[0]
    return found


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with running_server("pair", **_SETTINGS) as primary:
        run_sql(primary.conninfo(), "create table {} (id int)", "t")
        run_sql(primary.conninfo(), "create table {} (id int primary key)", "keyed")
        run_sql(primary.conninfo(), "insert into {} values (1)", "keyed")
        run_sql(primary.conninfo(), "create table {} as select g as id from generate_series(1, 1000) g", "large")
        with standby_of(primary, "standby", max_standby_streaming_delay="300ms") as standby:
            yield Pair(primary, standby)


@pytest.fixture
def source(pair: Pair, workspaces: Callable[..., Workspace]) -> Iterator[Workspace]:
    """A workspace whose database is the standby."""
    pair.caught_up()
    yield workspaces(pair.standby.conninfo())
    with connect(pair.standby.conninfo(), "tests") as connection:
        connection.execute("select pg_terminate_backend(active_pid) from pg_replication_slots where active")
        mine = "select slot_name from pg_replication_slots where not temporary"
        for row in connection.execute(mine).fetchall():
            connection.execute("select pg_drop_replication_slot(%s)", row)


def run_plan(workspace: Workspace, plan: object) -> Outcome:
    outcome = run(plan, workspace, workspace.journal())  # type: ignore[arg-type]
    outcome.raise_if_failed()
    return outcome


def take(workspace: Workspace) -> Manifest:
    outcome = run_plan(workspace, plan_take_full(workspace))
    return workspace.store().manifest(outcome.results["commit"]["backup"])


def test_a_dump_is_as_old_as_what_the_standby_has_replayed(pair: Pair, source: Workspace) -> None:
    before = pair.insert(1)
    pair.caught_up()
    fresh = take(source)
    assert fresh.source["role"] == "standby"
    assert before - SOON <= fresh.taken_at <= now()
    with pair.falling_behind():
        missed = pair.insert(2)
        time.sleep(0.3)
        late = take(source)
    assert before - SOON <= late.taken_at < missed - SOON
    with connect(pair.primary.conninfo(), "tests") as connection:
        row = connection.execute("select %s::pg_lsn < pg_current_wal_lsn()", [late.snapshot["lsn"]]).fetchone()
        assert row == (True,)


@pytest.mark.parametrize(
    "restore",
    [
        plan_restore_new,
        plan_restore_in_place,
        plan_undo_in_place,
        lambda w: plan_restore_tables(w, ["t"]),
        lambda w: plan_quarterly(w, load(w.manual_path)),
    ],
)
def test_what_would_write_to_a_standby_is_refused_before_it_begins(
    source: Workspace, restore: Callable[[Workspace], object]
) -> None:
    take(source)
    with pytest.raises(Refused, match="is a standby, and therefore read-only") as refused:
        restore(source)
    assert "--database" in refused.value.hint


def test_rows_are_compared_with_a_standby_and_not_written_to_it(source: Workspace, directory: Path) -> None:
    take(source)
    config = directory / "tabsync.toml"
    config.write_text(f'database = "{source.conninfo}"\nhome = "{source.home}"\nstore = "{source.store_root}"\n')

    def told(*words: str) -> tuple[int, str]:
        argv = [str(TABSYNC), "restore", "rows", "--config", str(config), "--table", "keyed", "--where", "true", *words]
        done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    code, errors = told("--yes")
    assert (code, "is a standby" in errors, "Fetch" in errors) == (int(Exit.REFUSED), True, False)
    code, errors = told("--dry-run")
    assert code == 0, errors


def test_a_dump_that_replay_cancels_says_so(pair: Pair, source: Workspace) -> None:
    """It has locked a table and waits for the next one; the primary then empties the first."""
    plan = plan_take_full(source)
    with connect(pair.primary.conninfo(), "tests", autocommit=False) as connection:
        connection.execute("lock table large in access exclusive mode")
        connection.execute("select pg_logical_emit_message(false, 'tests', '', true)")
        pair.caught_up()
        outcome = run_beside(source, plan, lambda: run_sql(pair.primary.conninfo(), "truncate t"))
        connection.rollback()
    assert isinstance(outcome.error, FailedPartway)
    assert "the standby cancelled pg_dump because it delayed the replay" in outcome.error.fact
    assert "max_standby_streaming_delay" in outcome.error.hint
    assert source.store().ids() == []


def run_beside(workspace: Workspace, plan: Plan, what: Callable[[], object]) -> Outcome:
    """Run a plan and do something else once its pg_dump waits for a lock."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(run, plan, workspace, workspace.journal())
        with connect(workspace.conninfo, "tests") as connection:
            waiting = "select count(*) > 0 from pg_locks where not granted"
            until(lambda: connection.execute(waiting).fetchall() == [(True,)])
        what()
        return running.result(timeout=30)


def receive(workspace: Workspace, slot: str = "tabsync_wal") -> datetime:
    """One round of wal receive; gives the moment until when everything is in the store."""
    until = run_plan(workspace, plan_receive(workspace, slot=slot, once=True)).results["receive"]["until"]
    return datetime.fromisoformat(str(until))


def base(workspace: Workspace, parent: str | None = None) -> Manifest:
    outcome = run_plan(workspace, plan_take_physical(workspace, parent=parent))
    return workspace.store().manifest(outcome.results["commit"]["backup"])


def recovered(workspace: Workspace, target: Target) -> tuple[object, object]:
    """The rows of the cluster as of a target, and whether it was reached; it is dropped again."""
    found = restored(workspace, target)
    for one in clusters.restored(workspace):
        run(clusters.plan_drop(workspace, one["name"]), workspace, workspace.journal(), approval="--yes")
    return found["rows"], found["reached"]


@whole
def test_wal_of_a_standby_that_gets_none_is_not_called_fresh(pair: Pair, source: Workspace) -> None:
    run_sql(pair.primary.conninfo(), "truncate t")
    before = pair.insert(1)
    pair.caught_up()
    assert receive(source) >= before - SOON
    base(source)
    with connect(pair.standby.conninfo(), "tests") as connection:
        ((receiver,),) = connection.execute("select pid from pg_stat_wal_receiver").fetchall()
    os.kill(receiver, signal.SIGSTOP)
    try:
        missed = pair.insert(2)
        time.sleep(1.1)  # the mark in the store is cut to the second
        assert receive(source) < missed
        (cluster,) = window(source)["clusters"]
        assert datetime.fromisoformat(cluster["windows"][-1]["to"]) < missed
    finally:
        os.kill(receiver, signal.SIGCONT)
    pair.caught_up()
    with pair.falling_behind():  # what it has received, it has, replayed or not
        last = pair.insert(3)
        time.sleep(1.1)
        pair.insert(4)
        until(lambda: receive(source) >= last)
    assert recovered(source, at(last)) == ([1, 2, 3], True)


@whole
def test_a_base_of_the_standby_and_wal_of_the_primary(
    pair: Pair, source: Workspace, workspaces: Callable[..., Workspace]
) -> None:
    primary = workspaces(pair.primary.conninfo())
    run_sql(pair.primary.conninfo(), "truncate t")
    try:
        receive(primary, "from_primary")
        pair.insert(1)
        pair.caught_up()
        full = base(source)
        assert full.source["role"] == "standby"
        with pytest.raises(FailedPartway, match="has replayed no checkpoint since the parent") as failed:
            base(source, "latest")
        assert "checkpoint" in failed.value.hint
        run_sql(pair.primary.conninfo(), "checkpoint")
        second = pair.insert(2)
        pair.caught_up()
        increment = base(source, "latest")
        assert increment.physical["parent"] == full.id
        pair.insert(3)
        time.sleep(1.1)
        receive(primary, "from_primary")
        assert recovered(source, Target("latest", "")) == ([1, 2, 3], True)
        assert second - SOON <= increment.taken_at
    finally:
        run_sql(pair.primary.conninfo(), "select pg_drop_replication_slot('from_primary')")


def test_the_standby_is_looked_at_like_any_server(pair: Pair, source: Workspace) -> None:
    receive(source)
    base(source)
    pair.insert(5)
    pair.caught_up()
    receive(source)
    found = wal_status(source, slot="tabsync_wal", budget=1 << 30, behind=QUARTER)
    assert [one["what"] for one in found["problems"]] == ["slot tabsync_wal is inactive: no WAL is being received"]
    page = look(source, load(source.manual_path))
    assert page["database"]["reachable"]
    assert "WAL archive" not in [one["metric"] for one in page["alerts"]]


def test_promoted_while_its_wal_is_received(pair: Pair, directory: Path, workspaces: Callable[..., Workspace]) -> None:
    archived = directory / "archived"
    archived.mkdir()
    server_account().own(archived)
    archiving = {"archive_mode": "on", "archive_command": f"cp %p {archived}/%f"}
    with standby_of(pair.primary, "promoted", **archiving) as server:
        mine = workspaces(server.conninfo())
        base(mine)
        pair.insert(6)  # or its timeline would end with a segment
        process = background(mine, "--flush", "1s")
        try:
            with connect(server.conninfo(), "tests") as connection:
                active = "select active from pg_replication_slots"
                until(lambda: connection.execute(active).fetchall() == [(True,)])
                connection.execute("select pg_promote()")
                connection.execute("insert into t values (30)")
                last = moment_of(connection)

            def reached() -> bool:
                (cluster,) = window(mine)["clusters"]
                ends = {one["timeline"]: datetime.fromisoformat(one["to"]) for one in cluster["timelines"]}
                return ends.get(2, last) > last

            until(reached)
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0
        until(lambda: list(archived.glob("*.partial")))  # the archiver sticks to it until it is taken
        assert [push(mine, path) for path in archived.glob("*.partial")] == [True]
        (left,) = archived.glob("*.partial")
        assert push(mine, left) is False
    run_sql(pair.primary.conninfo(), "select pg_drop_replication_slot('promoted')")


def test_where_a_standby_lags_is_told_by_stage_and_from_inside(
    pair: Pair, workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(pair.primary.conninfo())
    pair.caught_up()
    calm = look_diagnose(workspace, Diagnose((pair.standby.conninfo(),)))
    assert (calm.headline.partition(":")[0], calm.exit_code) == ("NO LAG", Exit.DONE)
    assert "an idle primary is no lag" in "".join(one.text for one in calm.blocks if isinstance(one, Line))
    with pair.falling_behind():
        run_sql(
            pair.primary.conninfo(),
            "create table {} as select g, repeat('x', 500) from generate_series(1, 9000) g",
            "far",
        )
        until(lambda: look_diagnose(workspace, Diagnose()).exit_code is Exit.PROBLEM_FOUND)
        told = look_diagnose(workspace, Diagnose((pair.standby.conninfo(),)))
    assert "replaying" in told.data["standbys"][0]["cause"]
    assert told.data["inside"][0]["paused"]
    assert told.data["standbys"][0]["lost"] < 1024 * 1024  # it has received all: nothing would be lost
    run_sql(pair.primary.conninfo(), "drop table {}", "far")
    from_inside = look_diagnose(workspaces(pair.standby.conninfo()), Diagnose())
    assert from_inside.data["here"]["standby"]
    nowhere = look_diagnose(workspace, Diagnose((pair.primary.conninfo(),)))
    assert "not a standby" in nowhere.data["inside"][0]["error"]

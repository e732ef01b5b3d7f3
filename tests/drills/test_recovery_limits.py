"""A source with more connections, locks and prepared transactions than a new server has, and more still after a backup.

What comes out of a recovery is held against a dump that was taken at that very position.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tabsync.backups.pitr import clusters
from tabsync.backups.pitr.configure import settle
from tabsync.backups.pitr.replay import started_so_far
from tabsync.backups.pitr.target import Target
from tabsync.backups.restore.to_time import plan_to_time
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.wal.receive import plan_receive
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, run
from tabsync.kernel.step import Facts
from tabsync.postgres import embedded
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import embedded as embedded_programs
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.system.programs import run_program
from tabsync.workspace import Workspace
from tests.servers import running_server
from tests.sessions import connect

_FIRST = {
    "max_connections": "130",
    "max_prepared_transactions": "3",
    "max_worker_processes": "12",
    "max_wal_senders": "12",
    "max_locks_per_transaction": "70",
}
_LATER = {name: str(int(value) * 2) for name, value in _FIRST.items()}


def dump(conninfo: str) -> list[str]:
    argv = [str(embedded_programs().program("pg_dump")), "--no-password"]
    done = run_program(argv, env=libpq_environment(conninfo))
    assert done.code == 0, done.complaint()
    return [line for line in done.stdout.splitlines() if "restrict " not in line]  # a word that is drawn anew each time


@dataclass
class Source:
    workspace: Workspace
    lsn: str
    dumped: list[str]


def ran(plan: Plan, workspace: Workspace) -> Outcome:
    outcome = run(plan, workspace, workspace.journal(), approval="--yes")
    outcome.raise_if_failed()
    return outcome


@pytest.fixture(scope="module")
def source(place: Path) -> Iterator[Source]:
    """Backed up with the first limits, started again with the later ones, dumped at a position, and going on."""
    home = place / "limits"
    with running_server("limits", wal_level="replica", synchronous_commit="on", **_FIRST) as server:
        ledger = f"sqlite:///{home / 'ledger.sqlite'}"
        workspace = Workspace(home, server.conninfo(), place / "limits-store", PROFILE_MANUAL, ledger)
        with connect(server.conninfo(), "tests") as connection:
            connection.execute("create table t (id int primary key, text text)")
            connection.execute("insert into t select g, md5(g::text) from generate_series(1, 3000) g")
        ran(plan_receive(workspace, once=True), workspace)
        ran(plan_take_physical(workspace), workspace)
        embedded.stop(server)
        embedded.start(replace(server, settings={**server.settings, **_LATER}))
        with connect(server.conninfo(), "tests") as connection:
            connection.execute("update t set text = 'changed' where id % 3 = 0")
            connection.execute("create index on t (text)")
            for number in range(5):  # more than the server of the backup could hold
                connection.execute("begin")
                connection.execute("insert into t values (%s, 'prepared')", [-number])
                connection.execute(f"prepare transaction 'p{number}'")
            row = connection.execute("select pg_current_wal_lsn()::text").fetchone()
            assert row is not None
            dumped = dump(server.conninfo())
            connection.execute("delete from t where id > 1000")
        ran(plan_receive(workspace, once=True), workspace)
        yield Source(workspace, row[0], dumped)
        workspace.close()


@pytest.fixture
def drop(source: Source) -> Iterator[None]:
    yield
    for one in clusters.restored(source.workspace):
        ran(clusters.plan_drop(source.workspace, one["name"]), source.workspace)


def asked(conninfo: str, question: str) -> object:
    with connect(conninfo, "tests") as connection:
        row = connection.execute(question).fetchone()
        return row and row[0]


@pytest.mark.usefixtures("drop")
@pytest.mark.parametrize("pause", [True, False])
def test_what_is_recovered_is_what_was_dumped_at_that_position(source: Source, pause: bool) -> None:
    """With --pause it answers meanwhile, and must have all limits; without, it must hold the prepared transactions."""
    plan = plan_to_time(source.workspace, Target("lsn", source.lsn), pause=pause)
    outcome = ran(plan, source.workspace)
    found: Facts = outcome.results["recover"]
    assert found["reached"] is True and "stopped after WAL location" in found["why"]
    conninfo = outcome.results["keep"]["conninfo"]
    assert dump(conninfo) == source.dumped
    assert asked(conninfo, "select count(*) from pg_prepared_xacts") == (0 if pause else 5)
    if not pause:
        limits = {name: asked(conninfo, f"select current_setting('{name}')") for name in _LATER}
        assert limits == _LATER


@pytest.mark.usefixtures("drop")
def test_its_start_is_told_and_flushes_whole_file_systems(source: Source) -> None:
    outcome = ran(plan_to_time(source.workspace, Target("latest", "")), source.workspace)
    conninfo = outcome.results["keep"]["conninfo"]
    assert asked(conninfo, "select count(*) from t") == 1000
    assert asked(conninfo, "select current_setting('log_startup_progress_interval')") == "1s"
    assert asked(conninfo, "select current_setting('recovery_init_sync_method')") == "syncfs"
    directory = Path(outcome.results["keep"]["directory"])
    settle(directory, embedded.opened(directory).installation)
    assert "restore_command" not in (directory / "data" / "postgresql.conf").read_text()


def test_the_newest_line_of_the_log_says_what_the_server_does(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    assert started_so_far(log) == ("", 0.0)
    log.write_text("2026-11-28 09:00:00 UTC [1] LOG:  starting PostgreSQL 17\n" * 200)
    assert started_so_far(log) == ("", 0.0)
    with log.open("a") as file:
        said = "LOG:  syncing data directory (fsync), elapsed time: {}.04 s, current path: ./base/5/{}\n"
        file.write("".join(said.format(number, number) for number in range(1, 100)))
    assert started_so_far(log) == ("syncing data directory (fsync)", 99.04)

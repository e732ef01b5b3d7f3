"""wal receive on a full disk, here or at the store: told, nothing half is stored, nothing is missing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tabsync.backups.physical.base import lsn
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.wal.archive import check_segment
from tabsync.backups.wal.names import segment_named
from tabsync.backups.wal.receive import plan_receive, spool_directory
from tabsync.backups.wal.slot import DEFAULT_SLOT, read_slot
from tabsync.backups.wal.status import wal_status
from tabsync.backups.wal.window import cluster_of
from tabsync.kernel.errors import FailedPartway
from tabsync.kernel.runner import Outcome, run
from tabsync.kernel.step import Facts
from tabsync.postgres import embedded
from tabsync.workspace import Workspace
from tests.conftest import missing, run_sql
from tests.servers import running_server
from tests.sessions import connect
from tests.vanish import background, identifier, stored, until
from tests.whole import whole

SIZE = 16 << 20
NOISE = "create table {} as select sha512(n::text::bytea) from generate_series(1, 50000) n"  # doesn't compress


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A disk of its own below a directory."""
    if os.geteuid() != 0:
        missing("root, to mount a small disk")
    place.mkdir(parents=True)
    options = f"size={size},mode=755"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False).returncode != 0:
        missing("the right to mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def source() -> Iterator[embedded.Server]:
    with running_server("full", wal_level="replica", max_wal_senders="5", synchronous_commit="on") as server:
        run_sql(server.conninfo(), "create table {} (id int)", "t")
        yield server


@pytest.fixture
def workspace(source: embedded.Server, workspaces: Callable[..., Workspace]) -> Iterator[Workspace]:
    workspace = workspaces(source.conninfo())
    yield workspace
    with connect(workspace.conninfo, "tests") as connection:
        connection.execute(
            "select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where active_pid is not null"
        )
        connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def switch(workspace: Workspace) -> str:
    """Finish a WAL segment; returns its name."""
    with connect(workspace.conninfo, "tests") as connection:
        connection.execute("insert into t values (1)")
        row = connection.execute("select pg_walfile_name(pg_switch_wal())").fetchone()
        assert row is not None
        return str(row[0])


def server_time(workspace: Workspace) -> datetime:
    with connect(workspace.conninfo, "tests") as connection:
        row = connection.execute("select clock_timestamp()").fetchone()
        assert row is not None
        moment: datetime = row[0]
        return moment


@contextmanager
def receiving(workspace: Workspace) -> Iterator[Callable[[], str]]:
    """wal receive as its own process, ended in order; gives what it has said."""
    log = workspace.home.parent / "receive.log"
    process = background(workspace, "--flush", "1s")
    try:
        run_sql(workspace.conninfo, "insert into {} values (0)", "t")
        until(lambda: stored(workspace)[1])
        yield log.read_text
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    finally:
        process.kill()
        process.wait()


def confirmed(workspace: Workspace) -> int:
    """Up to where the server needn't keep WAL for us."""
    with connect(workspace.conninfo, "tests") as connection:
        slot = read_slot(connection, DEFAULT_SLOT)
    assert slot is not None
    assert slot.restart_lsn is not None
    return lsn(slot.restart_lsn)


def fill(disk: Path) -> None:
    """Leave not a byte."""
    with (disk / "filler").open("wb") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), b"x" * 4096)


def receive_once(workspace: Workspace) -> Outcome:
    return run(plan_receive(workspace, once=True), workspace, workspace.journal())


def take_base(workspace: Workspace) -> None:
    run(plan_take_physical(workspace), workspace, workspace.journal()).raise_if_failed()


def problems(workspace: Workspace) -> list[Facts]:
    """What wal status finds wrong."""
    found: list[Facts] = wal_status(workspace, slot=DEFAULT_SLOT, budget=1 << 30, behind=timedelta(minutes=15))[
        "problems"
    ]
    return found


def check_nothing_is_missing(workspace: Workspace, since: datetime) -> None:
    cluster = cluster_of(workspace.store(), identifier(workspace))
    assert cluster.gaps == []
    (window,) = cluster.windows
    assert window[1] >= since.replace(microsecond=0)


@whole
def test_the_disk_of_the_home_that_wal_is_received_to(workspace: Workspace) -> None:
    with small_disk(workspace.home, "40m"):
        take_base(workspace)
        spool = spool_directory(workspace, DEFAULT_SLOT)
        with receiving(workspace) as said:
            away = workspace.store_root / "away"
            (workspace.store_root / "wal").rename(away)
            (workspace.store_root / "wal").write_text("not a directory")
            names = [switch(workspace) for _ in range(4)]
            until(lambda: f"the disk of {spool} has" in said() and "WAL can't be written to the store" in said())
            assert "MB free" in said()
            assert "hint: free some space there" in said()
            assert "too little for a segment" in str(problems(workspace))
            fill(workspace.home)  # not a byte is left, for the ledger neither
            received = [check_segment(path).position + SIZE for path in sorted(spool.glob("?" * 24))]
            assert 0 < len(received) < len(names)
            assert confirmed(workspace) <= received[-1]
            (workspace.store_root / "wal").unlink()
            away.rename(workspace.store_root / "wal")
            until(lambda: set(names) <= set(stored(workspace)[0]))
            last = server_time(workspace)
            until(lambda: cluster_of(workspace.store(), identifier(workspace)).windows[0][1] > last)
        check_nothing_is_missing(workspace, last)
        workspace.close()


def test_the_disk_of_the_store(workspace: Workspace) -> None:
    with small_disk(workspace.store_root, "40m"):
        take_base(workspace)
        with receiving(workspace) as said:
            fill(workspace.store_root)
            run_sql(workspace.conninfo, NOISE, "noise")
            names = [switch(workspace)]
            until(lambda: f"no space left on the disk of {workspace.store().url}, 0 B free" in said())
            assert "hint: free some space there" in said()
            until(lambda: "no space left" in str(problems(workspace)))  # whoever looks sees it too
            assert list((workspace.store_root / "wal").rglob(".*")) == []
            kept = confirmed(workspace)
        assert (spool_directory(workspace, DEFAULT_SLOT) / names[0]).stat().st_size == SIZE
        names.append(switch(workspace))
        assert kept <= confirmed(workspace) <= (segment_named(names[1], SIZE).number) * SIZE
        assert not set(names) & set(stored(workspace)[0])
        error = receive_once(workspace).error
        assert isinstance(error, FailedPartway)
        assert "no space left on the disk of" in error.fact
        assert error.hint.startswith("free some space there")
        (workspace.store_root / "filler").unlink()
        receive_once(workspace).raise_if_failed()
        last = server_time(workspace)
        time.sleep(1.1)  # the mark in the store is cut to the second
        receive_once(workspace).raise_if_failed()
        check_nothing_is_missing(workspace, last)


def test_a_disk_that_never_had_room_for_a_segment_is_told_at_once(workspace: Workspace) -> None:
    with small_disk(workspace.home, "12m"):
        begun = time.monotonic()
        error = receive_once(workspace).error
        assert isinstance(error, FailedPartway)
        assert "MB free, too little for a segment" in error.fact
        assert time.monotonic() - begun < 10
        assert list(spool_directory(workspace, DEFAULT_SLOT).glob("*.partial")) == []
        workspace.close()

"""What is beside the database: a real PgBouncer's queue, the disk of a server on this machine."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.errors import CannotConnect
from tabsync.manual.load import load
from tabsync.manual.model import Manual, Metric
from tabsync.manual.parts import Unit
from tabsync.monitoring.collect.session import Watching
from tabsync.monitoring.judge import Level
from tabsync.procedures.sources import Beside, known_to_us
from tabsync.providers.pgbouncer import read_pools, waiting
from tabsync.workspace import Workspace
from tests.conftest import Databases, missing
from tests.pooler import PROGRAM, pgbouncer
from tests.vanish import until


def metric(source: str) -> Metric:
    return Metric.model_validate(
        {
            "title": source,
            "unit": Unit(kind="count"),
            "sql": "",
            "source": source,
            "prose": "",
            "every": "PT60S",
            "of": None,
            "of_line": 0,
            "no_rows_ok": False,
            "line": 1,
            "sql_line": 1,
        }
    )


def test_clients_that_wait_are_counted(
    databases: Databases, directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    if shutil.which(PROGRAM) is None:
        missing("pgbouncer")
    with pgbouncer(directory, databases(), "transaction", admin_users="postgres", default_pool_size="1") as through:
        parts = psycopg.conninfo.conninfo_to_dict(through)
        console = psycopg.conninfo.make_conninfo(through, dbname="pgbouncer")
        assert waiting(console).clients == 0
        holder = psycopg.connect(through)
        holder.execute("select 1")
        late = psycopg.connect(through, autocommit=True)

        def wait() -> None:
            with suppress(psycopg.Error):
                late.execute("select 2")

        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: waiting(console).seconds > 0)
        found = waiting(console)
        assert (found.clients, found.pool.partition(" of ")[0]) == (1, parts["dbname"])
        workspace = replace(workspaces(databases()), pgbouncer=console)
        manual = _manual(workspace)
        clients, seconds = known_to_us(
            Beside(workspace), manual, [metric("pooler clients waiting"), metric("pooler wait")], ""
        )
        assert clients.samples[0].value == 1
        assert (seconds.samples[0].value or 0) > 0
        holder.rollback()
        thread.join()
        assert waiting(console).clients == 0
        holder.close()
        late.close()
    with pytest.raises(CannotConnect, match="can't ask PgBouncer"):
        waiting(console)
    (unknown,) = known_to_us(Beside(workspace), manual, [metric("pooler wait")], "")
    assert unknown.level is Level.UNKNOWN
    assert unknown.samples[0].value is None


def _manual(workspace: Workspace) -> Manual:
    return load(workspace.manual_path)


def test_what_is_no_list_of_pools_is_refused() -> None:
    with pytest.raises(CannotConnect, match="something else"):
        read_pools(["a"], [["1"]])
    assert read_pools(["database", "user", "cl_waiting", "maxwait"], []).clients == 0


def test_the_disk_of_a_server_that_is_here(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces(databases())
    (found,) = known_to_us(Beside(workspace), _manual(workspace), [metric("disk")], "")
    (sample,) = found.samples
    assert sample.value and sample.of and 0 < sample.value < sample.of
    with workspace.connect("tests") as connection:
        row = connection.execute("select current_setting('data_directory')").fetchone()
    assert row is not None
    seen = os.statvfs(row[0])
    assert abs(sample.of - (seen.f_blocks - seen.f_bfree + seen.f_bavail) * seen.f_frsize) < 1 << 26


def test_the_disk_of_a_server_elsewhere_is_unknown(
    databases: Databases, workspaces: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabsync.providers.disk._APART", -1.0)  # as if the process of that number were another one
    workspace = workspaces(databases())
    (found,) = known_to_us(Beside(workspace), _manual(workspace), [metric("disk")], "")
    assert (found.level, found.samples[0].value) == (Level.UNKNOWN, None)
    assert "not on this machine" in found.samples[0].why


def test_the_collector_asks_for_the_disk_by_the_session_that_it_has(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    """At the limit of connections there is no other one."""
    workspace = workspaces(databases())
    session = Watching.open(workspace)
    beside = Beside(workspace, lambda: session)
    nowhere = replace(workspace, conninfo="host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1")
    beside.workspace = nowhere
    asked = beside.of("disk")
    assert asked["value"] and asked["of"]
    session.close()
    assert beside.of("disk")["value"] is None

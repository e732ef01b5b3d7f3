"""Everything that PostgreSQL has comes back: pg_dump of the restored database gives the text that it gave before."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.take import plan_take_full
from tabsync.kernel.runner import run
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import clients_for
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql

_SCRIPT = Path(__file__).with_name("fidelity.sql")


def dumped(conninfo: str, major: int, *options: str) -> str:
    """The whole database as pg_dump tells it, but for what names this very dump."""
    command = [str(clients_for(major).program("pg_dump")), "--no-sync", *options]
    done = subprocess.run(command, env=libpq_environment(conninfo), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)


@pytest.fixture(params=[15, 17, 18])
def everything(request: pytest.FixtureRequest, databases: Databases) -> Iterator[tuple[int, str]]:
    """A database of everything, on each major version."""
    conninfo = databases(request.param)
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(_SCRIPT.read_text())
        yield request.param, conninfo
    finally:
        for name in ("came_back",):
            run_sql(make_conninfo(conninfo, dbname="postgres"), "drop database if exists {} with (force)", name)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(
                "do $$ begin if exists (select from pg_roles where rolname = 'fidelity_reader')"
                " then drop owned by fidelity_reader cascade; drop role fidelity_reader; end if; end $$"
            )


def test_the_copy_dumps_to_the_same_text(everything: tuple[int, str], workspaces: Callable[..., Workspace]) -> None:
    major, conninfo = everything
    workspace = workspaces(conninfo)
    before = dumped(conninfo, major)
    run(plan_take_full(workspace), workspace, workspace.journal()).raise_if_failed()
    outcome = run(plan_restore_new(workspace, "latest", "came_back"), workspace, workspace.journal())
    outcome.raise_if_failed()
    after = dumped(make_conninfo(conninfo, dbname="came_back"), major)
    assert after.splitlines() == before.splitlines()
    assert len(before) > 50_000
    columns = psycopg.connect(conninfo).execute(
        "select count(*) from pg_attribute where attrelid = 'app.every_type'::regclass and attnum > 0"
    )
    row = columns.fetchone()
    columns.connection.close()
    assert row is not None
    assert row[0] > 120  # every type and an array of it

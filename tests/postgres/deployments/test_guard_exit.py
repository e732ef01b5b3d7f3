"""The exit code of a guarded deployment is its command's, whoever reads what it prints; odd bounds are refused."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from tabsync.postgres.embedded import Server
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.postgres.deployments.site import Site, evidence
from tests.whole import WHOLE

_EACH = [">&-", "2>&-"] if WHOLE else []


@pytest.mark.parametrize("closed", ["| true", *_EACH, ">&- 2>&-", "</dev/null >/dev/full 2>/dev/full"])
def test_the_exit_code_is_the_commands_though_nobody_can_read_it(closed: str, shop: Site, ledger: Workspace) -> None:
    guard = f"{sys.executable} -m tabsync migration guard -- sh -c 'echo hi; sleep 0.3; echo again; exit 7'"
    command = ["bash", "-c", f"{guard} {closed}; exit ${{PIPESTATUS[0]}}"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(shop.directory), "DATABASE_URL": shop.url}
    ended = subprocess.run(command, cwd=shop.directory, env=environment, capture_output=True, timeout=120, check=False)
    assert ended.returncode == 7, ended.stderr
    assert evidence(ledger)[0]["facts"]["run"]["output"] == ["hi", "again"]


@pytest.mark.parametrize("odd", ["9999999d", "0.0001s", "-1s"])
def test_a_lock_timeout_that_would_be_no_bound_is_refused(odd: str, shop: Site) -> None:
    code, out, err = shop.guard(f"--lock-timeout={odd}", command=["true"])
    assert code == 2, out + err
    assert "--lock-timeout" in err


def test_what_its_tool_has_not_noted_as_failed_is_not_run_again(shop: Site) -> None:
    """Here the person has noted by hand that it isn't dirty, and half of it is there."""
    assert shop.guard()[0] == 0
    shop.migration("2_more", "alter table plates add size int; select 1 / 0")
    assert shop.guard()[0] == 1
    note = "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL'], autocommit=True)"
    note += ".execute('update schema_migrations set version = 1, dirty = false')"
    subprocess.run([sys.executable, "-c", note], env={"DATABASE_URL": shop.url}, check=True, timeout=60)
    code, out, err = shop.guard()
    assert code == 4, out + err
    assert "2 is pending, by public.schema_migrations, and something of it is there already" in err
    assert "hint: what of it: tabsync migration status --folder" in err
    code, out, err = shop.guard("--allow-begun")
    assert code == 1, out + err  # it ran, and its tool says what is there
    assert "already exists" in out


def test_status_says_that_a_deployment_runs_and_not_that_it_failed(shop: Site) -> None:
    assert shop.guard()[0] == 0
    shop.migration("2_more", "create table fresh (id int); select pg_sleep(20); create table late (id int)")
    running = shop.start_program("migration", "guard", "--folder", str(shop.folder), "--", *shop.command())
    try:
        until = time.monotonic() + 60
        while "A MIGRATION RUNS" not in (told := shop.tabsync("migration", "status", "--folder", str(shop.folder))[1]):
            assert time.monotonic() < until, told
        assert "FAILED" not in told
        assert "A DEPLOYMENT RUNS under guard" in told
    finally:
        running.terminate()
        threading.Timer(30, running.kill).start()
        running.communicate()


def test_what_the_command_did_besides_its_migrations_is_told(shop: Site) -> None:
    """Its tool also makes a table that no file says."""
    assert shop.guard()[0] == 0
    shop.migration("2_more", "create table orders (id serial primary key); create view dishes as select id from plates")
    besides = "import os, sys, runpy, psycopg; s = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True)"
    besides += "; s.execute('create table forgotten (id int)'); sys.argv = sys.argv[1:]"
    besides += "; runpy.run_path(sys.argv[0], run_name='__main__')"
    code, out, err = shop.guard(command=[sys.executable, "-c", besides, *shop.command()[1:]])
    assert code == 5, out + err
    assert "objects changed that no statement names" in err
    assert "table public.forgotten (new)" in err
    assert "orders" not in err


def test_what_could_not_be_looked_at_is_not_verified(shop: Site, server: Server) -> None:
    """After the command nobody gets into the database."""
    assert shop.guard()[0] == 0
    name = shop.url.rpartition("/")[2]
    closes = "import os, psycopg; s = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True)"
    closes += "; s.execute('update pg_database set datallowconn = false where datname = current_database()')"
    try:
        code, out, err = shop.guard(command=[sys.executable, "-c", closes])
    finally:
        run_sql(server.conninfo(), f"update pg_database set datallowconn = true where datname = '{name}'")
    assert code == 5, out + err
    assert "VERIFIED" not in out
    assert "what it did could not be looked at" in err

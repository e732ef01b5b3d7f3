"""Deployments that die, and two at once: what is left is named, and nothing is taken for done."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
import psycopg
import pytest

from tabsync.deployments.begin import GUARD
from tabsync.deployments.environment import RUN
from tabsync.deployments.obstacles import lacking_standby
from tabsync.migrations.tools.prisma import LOCK
from tabsync.postgres.connect import connect
from tabsync.postgres.settings import Limits
from tabsync.workspace import Workspace
from tests.postgres.deployments.site import Running, Site, evidence
from tests.servers import running_server
from tests.whole import WHOLE


def begun(shop: Site, *options: str, start: Callable[..., Running] | None = None) -> Running:
    """A guard whose command is within its migration by now, where it sleeps."""
    words = ("migration", "guard", "--folder", str(shop.folder), *options, "--", *shop.command())
    running = (start or shop.start)(*words)
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        until_sleeping(session, running)
    return running


def until_sleeping(session: psycopg.Connection[tuple[object, ...]], running: Running) -> None:
    sleeps = (
        "select exists (select from pg_stat_activity"
        " where (query like 'select pg_sleep%' or wait_event = 'advisory') and state = 'active'"
        " and datname = current_database())"
    )
    while session.execute(sleeps).fetchone() == (False,):
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)


def processes(shop: Site) -> list[psutil.Process]:
    """The tool's processes of this project."""
    found = []
    for one in psutil.process_iter():
        try:
            if one.environ().get(RUN) and one.cwd() == str(shop.directory) and str(shop.folder) in one.cmdline():
                found.append(one)
        except (psutil.Error, OSError):
            continue
    return found


def test_a_guard_that_is_killed_leaves_its_command_running_and_no_other_begins_beside_it(shop: Site) -> None:
    shop.migration("1_plates", "create table plates (id int primary key); select pg_sleep(15); select 1")
    running = begun(shop, start=shop.start_program)
    running.kill()
    running.communicate()
    code, out, err = shop.guard("--wait", "0")
    assert code == 4, out + err
    (tool,) = processes(shop)
    assert f"whose guard was killed, still runs: process {tool.pid}" in err
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        session.execute(
            "select pg_cancel_backend(pid) from pg_stat_activity"
            " where query like 'select pg_sleep%' and datname = current_database()"
        )
    tool.wait(30)
    code, out, err = shop.guard("--wait", "0")
    assert code == 4, out + err
    assert "1 has failed, by public.schema_migrations: resolve it first" in err


def test_a_command_that_is_killed(shop: Site, ledger: Workspace) -> None:
    shop.migration(
        "1_plates", "create table plates (id int primary key); select pg_sleep(60); create table cups (id int)"
    )
    running = begun(shop)
    for one in processes(shop):
        one.kill()
    out, err = running.communicate(timeout=60)
    assert running.returncode == 137, out + err
    assert "THE COMMAND FAILED with exit code 137" in out
    assert "1 has failed, of its statements are 1 there, 1 absent" in err
    assert not evidence(ledger)[0]["ok"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM] if WHOLE else [signal.SIGINT])
def test_ctrl_c_is_passed_on_and_what_is_left_is_looked_at(shop: Site, number: signal.Signals) -> None:
    shop.migration("1_plates", "create table plates (id int primary key); select pg_sleep(60)")
    running = begun(shop, start=shop.start_program)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode in (1, 130, 143), out + err
    assert "passed on to the command" in err
    assert "1 has failed" in err
    assert processes(shop) == []


def test_a_server_that_dies_in_the_middle(shop: Site) -> None:
    with running_server("guarded") as server:
        conninfo = server.conninfo()
        shop.conninfo = conninfo
        shop.url = conninfo
        (shop.directory / "tabsync.toml").write_text(f'database = "{conninfo}"\nmanual = "manual.md"\n')
        shop.migration("1_plates", "create table plates (id int primary key); select pg_sleep(60)")
        running = begun(shop)
        postmaster = int((server.directory / "data" / "postmaster.pid").read_text().split()[0])
        for one in [*psutil.Process(postmaster).children(), psutil.Process(postmaster)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        out, err = running.communicate(timeout=60)
        assert running.returncode == 1, out + err
        assert "the command failed with exit code 1; unknown: what it did" in err
        assert "Traceback" not in err


def test_two_at_once(shop: Site) -> None:
    shop.migration("1_plates", "create table plates (id int primary key); select pg_advisory_xact_lock(42)")
    with psycopg.connect(shop.conninfo) as holder:
        holder.execute("select pg_advisory_lock(42)")
        holder.commit()
        first = begun(shop, "--lock-timeout", "0")
        code, out, err = shop.guard("--wait", "0")
        assert code == 4, out + err
        assert "another deployment runs: one under guard, for" in err
        second = shop.start("migration", "guard", "--folder", str(shop.folder), "--wait", "1min", "--", *shop.command())
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, out + err
    out, err = second.communicate(timeout=60)
    assert second.returncode == 0, out + err
    assert "applied 1_plates" not in out


def test_who_comes_between_is_waited_for_at_the_command_itself(shop: Site) -> None:
    """Another guard took its lock after this one had looked: then what it did is looked at once more."""
    assert shop.guard()[0] == 0
    shop.migration("2_more", "alter table plates add size int")
    with psycopg.connect(shop.conninfo, autocommit=True) as other:
        other.execute("begin")
        other.execute("select * from plates")
        time.sleep(2.1)
        waiting = shop.start("migration", "guard", "--folder", str(shop.folder), "--wait", "30s", "--", *shop.command())
        assert waiting.stderr is not None
        while "waiting up to" not in (said := waiting.stderr.readline()):
            assert said
        other.execute("rollback")
        with psycopg.connect(shop.conninfo, autocommit=True) as guard:
            guard.execute("select pg_advisory_lock(%s)", [GUARD])
            guard.execute("update schema_migrations set version = 2, dirty = true")
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 4, out + err
    assert "2 has failed" in err


def test_the_lock_of_a_deployment_that_is_gone(shop: Site) -> None:
    with psycopg.connect(shop.conninfo, application_name="deploy 7", autocommit=True) as gone:
        gone.execute("select pg_advisory_lock(%s)", [LOCK])
        code, out, err = shop.guard("--wait", "0")
        assert code == 4, out + err
        assert f"session {gone.info.backend_pid} (deploy 7) holds the lock of Prisma, idle" in err


def test_a_commit_that_waits_for_a_standby_which_is_not_there() -> None:
    with (
        running_server("lonely", synchronous_standby_names="away", synchronous_commit="on") as server,
        connect(server.conninfo(), "tests", limits=Limits()) as session,
    ):
        assert "no commit would end" in lacking_standby(session)

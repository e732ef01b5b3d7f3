"""What stands in a deployment's way, on real servers: each is named, with what to do about it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.deployments.obstacles import lagging
from tabsync.migrations.histories.lock import GONE
from tabsync.migrations.tools.prisma import LOCK
from tabsync.postgres.connect import connect
from tabsync.postgres.installation import installations
from tabsync.postgres.settings import Limits
from tabsync.system.account import server_account
from tests.conftest import missing
from tests.pooler import pgbouncer
from tests.postgres.deployments.site import Site, site
from tests.servers import running_server, running_server_of, standby_of
from tests.whole import whole

_COMMITS = "create table plates (id int primary key)"


def shop_on(directory: Path, conninfo: str, url: str = "") -> Site:
    """A project on some server, with a file that is pending."""
    (directory / "shop").mkdir()
    made = site(directory / "shop", conninfo, url or conninfo)
    made.migration("1_plates", _COMMITS)
    return made


def url_of(conninfo: str) -> str:
    """As an application has it."""
    given = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    password = Path(given["passfile"]).read_text().strip().split(":")[-1]
    return f"postgresql://postgres:{password}@127.0.0.1:{given['port']}/{given['dbname']}"


def test_a_synchronous_standby_that_is_gone(directory: Path) -> None:
    with running_server("gone", synchronous_standby_names="away", synchronous_commit="on") as server:
        shop = shop_on(directory, server.conninfo())
        code, out, err = shop.guard("--wait", "0")
        assert code == 4, out + err
        assert "synchronous_standby_names is set, and no such standby is connected: no commit would end" in err
        assert "hint: tabsync replication diagnose" in err
        with psycopg.connect(shop.conninfo) as session:
            assert session.execute("select to_regclass('plates')").fetchone() == (None,)


def test_a_standby_that_does_not_replay_what_a_commit_waits_for(directory: Path) -> None:
    """It is connected, and so nothing is refused: what the command waits for is said while it waits."""
    with (
        running_server("slow", max_wal_senders="5", wal_level="replica", listen_addresses="127.0.0.1") as primary,
        standby_of(primary, "slow_standby") as standby,
    ):
        shop = shop_on(directory, primary.tcp_conninfo("postgres"), url_of(primary.tcp_conninfo("postgres")))
        assert shop.guard()[0] == 0
        shop.migration("2_more", "alter table plates add size int")
        with (
            connect(primary.conninfo(), "tests", limits=Limits()) as session,
            connect(standby.conninfo(), "tests", limits=Limits()) as there,
        ):
            there.execute("select pg_wal_replay_pause()")
            while there.execute("select pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
                time.sleep(0.05)
            session.execute("alter system set synchronous_standby_names = '*'")
            session.execute("select pg_reload_conf()")
            while session.execute("select count(*) from pg_stat_replication where sync_state = 'sync'").fetchone() == (
                0,
            ):
                time.sleep(0.05)
            session.execute("create table public.much (text text)")
            running = shop.start(
                "migration",
                "guard",
                "--folder",
                str(shop.folder),
                "--",
                *shop.command(),
                PGOPTIONS="-c synchronous_commit=remote_apply",
            )
            assert running.stderr is not None
            said = ""
            while "its commit waits for a standby that does not confirm it" not in said:
                said = running.stderr.readline()
                assert said, running.communicate()
            assert "tabsync replication diagnose" in said
            session.execute("set synchronous_commit = off")
            session.execute("insert into public.much select repeat(md5(g::text), 30) from generate_series(1, 30000) g")
            session.execute("checkpoint")
            (behind,) = lagging(session, 3600)
            assert re.search(r" is [2-9][0-9](\.[0-9])? MB of WAL behind", behind), behind
            assert shop.guard("--check", "--wait", "0")[0] == 4
            there.execute("select pg_wal_replay_resume()")
            out, err = running.communicate(timeout=60)
            assert running.returncode == 0, out + err


@pytest.fixture
def small(shop: Site, directory: Path) -> Iterator[str]:
    """A tablespace of four megabytes."""
    disk = directory / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs", str(disk)], check=False).returncode:
        missing("mount")
    (disk / "space").mkdir()
    server_account().own(disk / "space")
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        session.execute(f"create tablespace small location '{disk / 'space'}'")
    try:
        yield "small"
    finally:
        with psycopg.connect(shop.conninfo, autocommit=True) as session:
            session.execute("drop table if exists plates")
            session.execute("drop tablespace small")
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_is_full_in_the_middle_of_a_rewrite(shop: Site, small: str) -> None:
    rows = "insert into plates select g, repeat('x', 900) from generate_series(1, 2500) g"
    shop.migration("1_plates", f"create table plates (id int, said text) tablespace {small}; {rows}")
    assert shop.guard()[0] == 0
    shop.migration(
        "2_more", "alter table plates add size int; alter table plates alter id type bigint; select 1; select 2"
    )
    code, out, err = shop.guard()
    assert code == 1, out + err
    assert "No space left on device" in out
    assert "2 has failed, of its statements are 1 there, 1 absent" in err
    assert "tabsync migration status --folder" in err
    with psycopg.connect(shop.conninfo, autocommit=True) as session:  # nobody is kept from it, and nothing is lost
        assert session.execute("select count(*) from plates").fetchone() == (2500,)


@contextmanager
def dead_deployment(shop: Site) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A session that holds Prisma's lock, and does nothing any more."""
    with psycopg.connect(shop.conninfo, application_name="deploy 7", autocommit=True) as gone:
        gone.execute("select pg_advisory_lock(%s)", [LOCK])
        yield gone


def test_the_lock_of_a_dead_deployment_of_prisma_is_ended_and_the_next_one_goes_through(shop: Site) -> None:
    with dead_deployment(shop) as gone:
        code, out, err = shop.guard("--wait", "0")
        assert code == 4, out + err
        pid = gone.info.backend_pid
        assert f"session {pid} (deploy 7) holds the lock of Prisma, idle" in err
        assert shop.tabsync("connections", "terminate", str(pid), "--yes")[0] == 0
        code, out, err = shop.guard("--wait", "10s")
        assert code == 0, out + err


@whole
def test_after_a_minute_the_command_that_ends_it_is_named(shop: Site) -> None:
    with dead_deployment(shop) as gone:
        time.sleep(GONE + 1)
        code, out, err = shop.guard("--wait", "0")
        assert code == 4, out + err
        assert "its deployment is probably gone" in err
        assert f"hint: tabsync connections terminate {gone.info.backend_pid} --dry-run" in err


@whole
def test_a_reader_that_holds_the_table_for_a_minute(shop: Site) -> None:
    assert shop.guard()[0] == 0
    shop.migration("2_more", "alter table plates add size int")
    with psycopg.connect(shop.conninfo, application_name="a report") as reader:
        reader.execute("select * from plates")
        code, _, err = shop.guard("--wait", "10s")
        assert code == 4, err
        assert f"or end it: tabsync connections terminate {reader.info.backend_pid} --dry-run" in err
        words = ("migration", "guard", "--folder", str(shop.folder), "--wait", "3min", "--", *shop.command())
        waiting = shop.start(*words)
        time.sleep(60)
        assert waiting.poll() is None
    out, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, out + err


def test_a_reader_that_comes_after_the_guard_has_looked(shop: Site) -> None:
    """Its lock_timeout ends the migration, so that whoever waits behind it goes on."""
    assert shop.guard()[0] == 0
    shop.migration("2_more", "select pg_advisory_xact_lock(42); alter table plates add size int")
    with psycopg.connect(shop.conninfo) as gate, psycopg.connect(shop.conninfo) as reader:
        gate.execute("select pg_advisory_xact_lock(42)")
        words = ("migration", "guard", "--folder", str(shop.folder), "--lock-timeout", "3s", "--", *shop.command())
        running = shop.start(*words)
        waits = "select exists (select from pg_locks where locktype = 'advisory' and not granted and objid = 42)"
        with psycopg.connect(shop.conninfo, autocommit=True) as session:
            while session.execute(waits).fetchone() == (False,):
                assert running.poll() is None
                time.sleep(0.05)
        reader.execute("select * from plates")
        gate.commit()
        out, err = running.communicate(timeout=60)
        assert running.returncode == 1, out + err
        assert "canceling statement due to lock timeout" in out
        assert "2 has failed, of its statements are 1 absent" in err
        assert "tabsync migration status --folder" in err


def test_a_pooler_that_takes_no_options(shop: Site, directory: Path) -> None:
    (directory / "pooler").mkdir()
    with pgbouncer(directory / "pooler", make_conninfo(shop.conninfo, host="127.0.0.1"), "transaction") as through:
        given = conninfo_to_dict(through)
        url = f"postgresql://postgres@127.0.0.1:{given['port']}/{given['dbname']}"
        code, out, err = shop.guard(DATABASE_URL=url, PGAPPNAME="shop")
        assert code == 0, out + err
    assert "lock_timeout can't be passed by DATABASE_URL: what answers there takes no options (a pooler)" in err
    assert "lock_timeout is 0" in out
    assert (
        "note: the sessions of the command were not seen: too short, or a pooler or another network is between" in err
    )
    assert "unknown: whom it made wait, since its sessions could not be seen" in out
    assert "DEPLOYED AND VERIFIED" in out


def test_a_pooler_that_no_connection_string_names(shop: Site, directory: Path) -> None:
    """By PGHOST it is found out before; by something else it is the command that says so, and what to do is told."""
    (directory / "pooler").mkdir()
    with pgbouncer(directory / "pooler", make_conninfo(shop.conninfo, host="127.0.0.1"), "transaction") as through:
        given = {name: str(value) for name, value in conninfo_to_dict(through).items()}
        named = {"PGHOST": given["host"], "PGPORT": given["port"], "PGDATABASE": given["dbname"], "PGUSER": "postgres"}
        shop.environment = named
        code, out, err = shop.guard(DATABASE_URL="", SITE_URL=" ")
        assert code == 0, out + err
        assert "lock_timeout can't be passed by PGOPTIONS: what PGHOST names takes no options (a pooler)" in err
        shop.environment = {}
        shop.migration("2_more", "alter table plates add size int")
        code, out, err = shop.guard(DATABASE_URL="", SITE_URL=through)
        assert code == 1, out + err
        assert (
            "hint: a pooler takes no options, by which lock_timeout is passed: run it again with --lock-timeout" in err
        )
        code, out, err = shop.guard("--lock-timeout", "0", DATABASE_URL="", SITE_URL=through)
        assert code == 0, out + err


def test_a_server_that_speaks_german(directory: Path) -> None:
    found = [one for one in installations() if one.major == 15 and one.has_server]
    if not found or b"de_DE.utf8" not in subprocess.run(["locale", "-a"], capture_output=True, check=True).stdout:
        missing("PostgreSQL 15, or the locale de_DE.UTF-8")
    with running_server_of(found[0], "german", {"lc_messages": "de_DE.UTF-8"}) as server:
        shop = shop_on(directory, server.conninfo())
        assert shop.guard()[0] == 0
        shop.migration("2_more", "alter table plates add size int; alter table plates add odd int default (1 / 0)")
        code, out, err = shop.guard()
        assert code == 1, out + err
        assert "Division durch Null" in out
        assert "2 has failed, of its statements are 1 there, 1 absent" in err
        code, out, err = shop.tabsync("migration", "status", "--folder", str(shop.folder))
        assert code == 1, out + err
        assert "1 of 2 statements are there" in out
        code, _, err = shop.guard()
        assert (code, "2 has failed" in err) == (4, True), err


@whole
@pytest.mark.parametrize("major", [15, 18])
def test_versions(databases: Callable[..., str], directory: Path, major: int) -> None:
    conninfo = make_conninfo(databases(major), host="127.0.0.1")
    shop = shop_on(directory, conninfo, url_of(conninfo))
    code, out, err = shop.guard()
    assert code == 0, out + err
    assert "DEPLOYED AND VERIFIED" in out
    shop.migration("2_more", "alter table plates add size int; select 1 / 0")
    code, out, err = shop.guard()
    assert code == 1, out + err
    assert "2 has failed, of its statements are 1 there" in err
    assert shop.guard()[0] == 4

"""orders pause, status and resume as one types them, on servers that are unlike the usual one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tests.conftest import missing, run_sql
from tests.emulators import free_port
from tests.pooler import PROGRAM, pgbouncer
from tests.postgres.cli.program import tabsync
from tests.postgres.orders.shop import RESTAURANTS, order, prepare_shop, settings_in
from tests.presets import preset, worst_presets
from tests.servers import running_server, running_server_of, standby_of
from tests.sessions import connect
from tests.vanish import until
from tests.whole import WHOLE

MAJORS = (15, 17, 18) if WHOLE else (18,)


def walk(directory: Path, conninfo: str, guest: str = "") -> None:
    """Pause, look, resume, look; and what a guest comes to meanwhile. guest: how the guest gets in."""
    settings_in(directory, conninfo)
    with connect(guest or conninfo, "tests") as session:
        session.execute("set search_path = public")
        for words, code, came in (
            (("status",), 0, ""),
            (("pause", "--reason", "Kreditkarten fallen aus: äöü"), 0, "TS001"),
            (("status",), 1, "TS001"),
            (("resume",), 0, ""),
            (("status", "--json"), 0, ""),
        ):
            done = tabsync(directory, "orders", *words)
            assert done.code == code, (words, done.out, done.err)
            assert [order(session, one) for one in RESTAURANTS] == [came] * 3, words


def worst(conninfo: str) -> None:
    """Whoever comes to the database has the most harmful presets."""
    with connect(conninfo, "tests") as session:
        preset(session, session.info.dbname, worst_presets(session))
        # Orders would really come in unchecked: test_hostile.py has it.
        statement = sql.SQL("alter database {} reset session_replication_role")
        session.execute(statement.format(sql.Identifier(session.info.dbname)))


@pytest.mark.parametrize("major", MAJORS)
def test_the_worst_presets(shops: Callable[..., str], directory: Path, major: int) -> None:
    conninfo = shops(major)
    worst(conninfo)
    walk(directory, conninfo)


@pytest.fixture(scope="module")
def german() -> Iterator[embedded.Server]:
    """A server of Debian's PostgreSQL 15 whose messages are German."""
    found = [one for one in installations() if one.major == 15 and one.has_server]
    if not found or b"de_DE.utf8" not in subprocess.run(["locale", "-a"], capture_output=True, check=True).stdout:
        missing("PostgreSQL 15, or the locale de_DE.UTF-8")
    with running_server_of(found[0], "german-orders", {"lc_messages": "de_DE.UTF-8"}) as server:
        run_sql(server.conninfo(), "create database {}", "laden")
        prepare_shop(server.conninfo("laden"))
        yield server


def test_a_server_that_speaks_german(german: embedded.Server, directory: Path) -> None:
    conninfo = german.conninfo("laden")
    walk(directory, conninfo)
    with psycopg.connect(conninfo) as held:
        held.execute("lock table order_pauses in access exclusive mode")
        done = tabsync(directory, "orders", "pause")
        assert (done.code, done.err.count("error: ")) == (3, 1), done.err
        assert "another session holds the lock" in done.err


def test_a_standby(directory: Path) -> None:
    settings = {"wal_level": "replica", "max_wal_senders": "5", "max_replication_slots": "5"}
    with running_server("orders", **settings) as primary:
        prepare_shop(primary.conninfo())
        settings_in(directory, primary.conninfo())
        assert tabsync(directory, "orders", "pause", "--reason", "seen there too").code == 0
        with standby_of(primary, "orders_standby") as standby:
            settings_in(directory, standby.conninfo())
            until(lambda: "seen there too" in tabsync(directory, "orders", "status").out, 60)
            assert "this is a standby" in tabsync(directory, "orders", "status").err
            for word in ("pause", "resume"):
                done = tabsync(directory, "orders", word)
                assert (done.code, "is a standby" in done.err) == (4, True), done.err


def test_a_synchronous_standby_that_is_gone(directory: Path) -> None:
    settings = {"wal_level": "replica", "max_wal_senders": "5", "synchronous_commit": "on"}
    with running_server("orders-alone", **settings) as server:
        prepare_shop(server.conninfo())
        with connect(server.conninfo(), "tests") as session:
            session.execute("alter system set synchronous_standby_names = 'gone'")
            session.execute("select pg_reload_conf()")
            until(lambda: session.execute("show synchronous_standby_names").fetchone() == ("gone",))
            settings_in(directory, server.conninfo())
            for word in ("pause", "resume"):
                assert tabsync(directory, "orders", word).code == 0
            session.execute("alter system reset synchronous_standby_names")
            session.execute("select pg_reload_conf()")


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_pooler(shop: str, directory: Path, mode: str) -> None:
    if not Path(PROGRAM).exists():
        missing("pgbouncer")
    with pgbouncer(directory, shop, mode) as through:
        if mode == "session":
            walk(directory, through, shop)
            return
        settings_in(directory, through)
        for word in ("pause", "resume", "status"):
            done = tabsync(directory, "orders", word)
            assert (done.code, "connect to the server itself" in done.err) == (4, True), done.err


def test_no_room_and_no_server(directory: Path) -> None:
    with running_server("orders-full", max_connections="8", superuser_reserved_connections="3") as server:
        prepare_shop(server.conninfo())
        with connect(server.conninfo(), "tests") as session:
            session.execute("create role operator login password 'canary' in role pg_monitor")
            session.execute("grant all on all tables in schema public to operator")
        operator = make_conninfo(server.conninfo(), user="operator", password="canary")
        settings_in(directory, operator)
        taken = [psycopg.connect(operator) for _ in range(5)]
        full = tabsync(directory, "orders", "pause")
        assert (full.code, "tabsync connections show" in full.err) == (3, True), full.err
        with (directory / "tabsync.toml").open("a") as config:
            config.write(f'\n[emergency]\ndatabases = ["{server.conninfo()}"]\n')
        paused = tabsync(directory, "orders", "pause")
        assert paused.code == 0, paused.err
        for one in taken:
            one.close()
    settings_in(directory, make_conninfo("", host="127.0.0.1", port=free_port(), user="operator", dbname="shop"))
    for word in ("pause", "status"):
        down = tabsync(directory, "orders", word)
        assert (down.code, "stopped in the application itself" in down.err) == (3, True), down.err

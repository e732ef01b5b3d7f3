"""Each cause is brought about on real servers, and named within 10 seconds; what looks alike is named as a pair."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.postgres import embedded
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import installations
from tabsync.sessions.diagnose import Diagnose, look_diagnose
from tabsync.system.account import server_account
from tabsync.workspace import Workspace
from tests.conftest import missing, run_sql
from tests.emulators import free_port
from tests.pooler import pgbouncer
from tests.servers import running_server, running_server_of, standby_of
from tests.service.disk import small_disk

Workspaces = Callable[..., Workspace]

_SOON = 20.0
"""What is promised is 10 s; a machine that runs all tests at once gets twice that."""


def diagnosed(workspace: Workspace, text: str = "") -> Page:
    started = time.monotonic()
    page = look_diagnose(workspace, Diagnose(text))
    assert time.monotonic() - started < _SOON
    return page


def named(workspace: Workspace, text: str = "") -> list[str]:
    found: list[str] = diagnosed(workspace, text).data["causes"]
    return found


@pytest.fixture(scope="module")
def small() -> Iterator[embedded.Server]:
    """A server with 9 slots for ordinary users, and roles of every kind."""
    with running_server(
        "diagnose", max_connections="12", superuser_reserved_connections="3", listen_addresses="127.0.0.1"
    ) as server:
        root = server.conninfo()
        run_sql(root, "create database shop")
        run_sql(root, "create database narrow connection limit 1")
        for name in ("app", "few", "reader"):
            run_sql(root, f"create role {name} login password 'secret'")
        run_sql(root, "grant pg_monitor to app, few, reader")
        run_sql(root, "alter role few connection limit 1")
        run_sql(root, "alter role reader set default_transaction_read_only = on")
        yield server


def console(through: str) -> str:
    return make_conninfo(through, dbname="pgbouncer")


def as_user(server: embedded.Server, user: str = "app", database: str = "shop", **more: str | int) -> str:
    given: dict[str, str | int] = {"user": user, "password": "secret"}
    return make_conninfo(server.conninfo(database), **(given | more))


@contextmanager
def taken(conninfo: str) -> Iterator[list[psycopg.Connection[Any]]]:
    """All connections that one can get."""
    with ExitStack() as stack:
        held = []
        while True:
            try:
                held.append(stack.enter_context(psycopg.connect(conninfo, autocommit=True)))
            except psycopg.OperationalError:
                break
        yield held
    until = time.monotonic() + 20
    while True:  # until the server has seen that they ended
        try:
            return psycopg.connect(conninfo).close()
        except psycopg.OperationalError:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_with_room_for_all_it_is_the_applications_own_pool(small: embedded.Server, workspaces: Workspaces) -> None:
    workspace = workspaces(as_user(small))
    with ExitStack() as stack:
        held = [stack.enter_context(psycopg.connect(as_user(small))) for _ in range(3)]
        for one in held:
            one.execute("select 1")  # and its transaction is left open
        page = diagnosed(workspace)
        assert page.data["causes"] == []
        assert "Ending sessions helps nobody" in page.headline
        assert "3 sessions are idle in a transaction" in str(page.data["because"])
        assert "--text" in str(page.data["next"])
        assert page.exit_code is Exit.PROBLEM_FOUND
        page = diagnosed(workspace, "psycopg_pool.PoolTimeout: couldn't get a connection after 2.00 sec")
        assert page.data["causes"] == ["application pool full"]
        assert not page.data["ending_sessions_helps"]
        assert "Ending sessions helps nobody" in page.headline
        for one in held:
            one.execute("select 1")  # nothing was ended
    assert diagnosed(workspace, "no idea at all").exit_code is Exit.UNKNOWN
    over = diagnosed(workspace, "FATAL: sorry, too many clients already")
    assert over.data["causes"] == ["server slots full"]
    assert "over now" in over.headline


def test_all_wait_for_one_transaction(small: embedded.Server, workspaces: Workspaces) -> None:
    root = small.conninfo("shop")
    run_sql(root, "create table held (n int)")
    with ExitStack() as stack:
        holder = stack.enter_context(psycopg.connect(root, application_name="holder"))
        pid = holder.execute("lock table held").connection.info.backend_pid
        for _ in range(3):
            waits = psycopg.connect(root, autocommit=True)
            stack.callback(waits.close)
            waits.pgconn.send_query(b"select * from held")
            waits.pgconn.flush()
        with psycopg.connect(root, autocommit=True) as looking:
            until = time.monotonic() + 20
            while looking.execute("select count(*) from pg_locks where not granted").fetchone() != (3,):
                assert time.monotonic() < until
                time.sleep(0.02)
        page = diagnosed(workspaces(as_user(small)))
    assert page.data["causes"] == ["waits for a lock"]
    assert f"behind process {pid}: holder as postgres" in page.headline
    assert page.data["advises_against"] == []
    assert page.data["runbooks"] == ["Long-running query"]
    assert "tabsync locks show" in page.data["next"][0]


def test_the_servers_slots(small: embedded.Server, workspaces: Workspaces) -> None:
    with taken(as_user(small)):
        page = diagnosed(workspaces(as_user(small)))  # nobody lets it in: by the refusal alone
        assert page.data["causes"] == ["server slots full"]
        assert page.exit_code is Exit.DONE
        page = diagnosed(workspaces(small.conninfo("shop")))  # a superuser gets in
        assert page.data["causes"] == ["server slots full"]
        assert "9 of 9" in page.headline
        closed = workspaces(as_user(small))
        page = diagnosed(replace(closed, emergency=(small.conninfo("shop"),)))  # another way in
        assert page.data["causes"] == ["server slots full"]
        assert "[emergency]" in str(page.data["because"])


def test_the_limits_of_a_role_and_of_a_database(small: embedded.Server, workspaces: Workspaces) -> None:
    with psycopg.connect(as_user(small, "few")):
        assert named(workspaces(as_user(small, "few"))) == ["role limit"]
        page = diagnosed(workspaces(as_user(small)))  # by another role it is seen, and is nobody else's trouble
        assert page.data["causes"] == []
        assert "also: role few has 1 of its 1 connections" in page.data["because"]
        page = diagnosed(workspaces(as_user(small)), 'FATAL: too many connections for role "few"')
        assert page.data["causes"] == ["role limit"]
        assert "role few has 1 of its 1 connections" in page.headline
        assert "alter role few connection limit N" in str(page.data["next"])
    with psycopg.connect(as_user(small, database="narrow")):
        assert named(workspaces(as_user(small, database="narrow"))) == ["database limit"]


def test_a_role_that_is_locked_by_a_limit_of_0_hides_nothing(small: embedded.Server, workspaces: Workspaces) -> None:
    run_sql(small.conninfo(), "create role retired login connection limit 0")
    try:
        page = diagnosed(workspaces(as_user(small)))
        assert page.data["causes"] == []
        assert "Ending sessions helps nobody" in page.headline
        assert "retired" not in str(page.data)
        with taken(as_user(small)):
            page = diagnosed(workspaces(small.conninfo("shop")))
            assert page.data["causes"] == ["server slots full"]
    finally:
        run_sql(small.conninfo(), "drop role retired")


def test_our_own_session_is_not_what_fills_a_limit(small: embedded.Server, workspaces: Workspaces) -> None:
    assert named(workspaces(as_user(small, "few"))) == []
    assert named(workspaces(as_user(small, database="narrow"))) == []


def test_who_is_not_let_in(small: embedded.Server, workspaces: Workspaces) -> None:
    assert named(workspaces(as_user(small, password="wrong"))) == ["credentials"]
    assert named(workspaces(as_user(small, database="gone"))) == ["no such database"]
    assert named(workspaces(as_user(small, host="127.0.0.1", sslmode="require"))) == ["encryption"]
    hba = small.data / "pg_hba.conf"
    before = hba.read_text()
    try:
        hba.write_text("host shop app 127.0.0.1/32 reject\n" + before)
        run_sql(small.conninfo(), "select pg_reload_conf()")
        workspace = workspaces(as_user(small, host="127.0.0.1"))
        deadline = time.monotonic() + 20
        while named(workspace) != ["not allowed in"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert named(workspace) == ["not allowed in"]
    finally:
        hba.write_text(before)
        run_sql(small.conninfo(), "select pg_reload_conf()")


def test_sessions_that_are_read_only(small: embedded.Server, workspaces: Workspaces) -> None:
    assert named(workspaces(as_user(small, "reader"))) == ["read-only"]
    run_sql(small.conninfo(), "alter database shop set default_transaction_read_only = on")
    try:
        page = diagnosed(workspaces(as_user(small)))
        assert page.data["causes"] == ["read-only"]
        assert "on for the database shop" in page.headline
        assert "alter database shop reset default_transaction_read_only" in str(page.data["next"])
        for value, expected in (("yes", ["read-only"]), ("t", ["read-only"]), ("1", ["read-only"]), ("no", [])):
            run_sql(small.conninfo(), f"alter database shop set default_transaction_read_only = '{value}'")
            assert named(workspaces(as_user(small))) == expected
    finally:
        run_sql(small.conninfo(), "alter database shop reset default_transaction_read_only")


READ_ONLY = "ERROR: cannot execute INSERT in a read-only transaction"


def test_sessions_that_are_read_only_by_another_role_or_by_the_server(
    small: embedded.Server, workspaces: Workspaces
) -> None:
    root = make_conninfo(small.conninfo("shop"), options="-c default_transaction_read_only=off")
    page = diagnosed(workspaces(root), READ_ONLY)
    assert "on for the role reader." in page.headline
    assert "alter role reader reset default_transaction_read_only" in str(page.data["next"])
    assert named(workspaces(root)) == []  # without the message it is nobody's trouble
    run_sql(root, "alter system set default_transaction_read_only = yes")
    try:
        run_sql(root, "select pg_reload_conf()")
        page = diagnosed(workspaces(root), READ_ONLY)
        assert "on for the server" in page.headline
        assert "alter system reset default_transaction_read_only" in str(page.data["next"])
        run_sql(root, "alter database shop set default_transaction_read_only = off")  # beats it
        assert named(workspaces(root)) == []
    finally:
        run_sql(root, "alter system reset default_transaction_read_only")
        run_sql(root, "alter database shop reset default_transaction_read_only")
        run_sql(root, "select pg_reload_conf()")


def test_a_name_that_is_none(workspaces: Workspaces) -> None:
    assert named(workspaces("host=db.invalid dbname=shop user=app")) == ["name unknown"]


def test_nothing_listens(small: embedded.Server, workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabsync.sessions.evidence._PATTERNS", ())  # no other server of this machine counts
    wrong = workspaces(as_user(small, host="127.0.0.1", port=free_port()))
    assert named(wrong) == ["server stopped", "wrong port"]
    right = replace(wrong, conninfo=as_user(small, host="127.0.0.1"))
    diagnosed(right)  # it answers: that is remembered
    page = diagnosed(wrong)
    assert page.data["causes"] == ["wrong port"]
    assert libpq_environment(small.conninfo())["PGPORT"] in page.headline


def test_a_server_of_this_machine_that_is_stopped(workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabsync.sessions.evidence._PATTERNS", ())
    with running_server("stopped", listen_addresses="127.0.0.1") as server:
        workspace = workspaces(make_conninfo(server.conninfo(), host="127.0.0.1"))
        monkeypatch.setenv("PGDATA", str(server.data))
        wrong = replace(workspace, conninfo=make_conninfo(workspace.conninfo, port=free_port()))
        assert named(wrong) == ["wrong port"]  # by postmaster.pid
        embedded.stop(server)
        assert named(workspace) == ["server stopped"]  # there is none
        monkeypatch.delenv("PGDATA")
        assert named(workspace) == ["server stopped", "wrong port"]
        embedded.start(server)
        workspace = replace(workspace, conninfo=make_conninfo(server.conninfo(), host="127.0.0.1"))
        diagnosed(workspace)
        embedded.stop(server)
        page = diagnosed(workspace)
        assert page.data["causes"] == ["server stopped"]  # it answered there
        assert page.data["runbooks"] == ["Server doesn't answer"]
        embedded.start(server)


def test_an_address_from_which_nothing_comes_back(workspaces: Workspaces) -> None:
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)  # the kernel drops what does not fit into the queue, as a firewall does
        port = listener.getsockname()[1]
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        page = diagnosed(workspaces(f"host=127.0.0.1 port={port} user=app dbname=shop"))
    assert page.data["causes"] == ["no answer in time"]
    assert "banned" in page.headline


def test_poolers(small: embedded.Server, workspaces: Workspaces, directory: Path) -> None:
    with pgbouncer(directory, small.conninfo("shop"), "session", default_pool_size="1") as through:
        behind = replace(workspaces(as_user(small)), pgbouncer=console(through))
        ours = make_conninfo(through, user="postgres", dbname="shop")
        with psycopg.connect(ours) as busy:
            busy.execute("select 1")
            waits = psycopg.connect(ours, autocommit=True)
            try:
                waits.pgconn.send_query(b"select 1")
                page = diagnosed(behind)  # its own way goes to the server itself, which has room
                assert page.data["causes"] == ["pooler pool full"]
                assert "1 clients wait" in str(page.data["because"])
                assert page.exit_code is Exit.DONE
                page = diagnosed(replace(behind, conninfo=ours))  # it doesn't stand in the queue itself
                assert page.data["causes"] == ["pooler pool full"]
                assert "1 clients wait" in str(page.data["because"])
            finally:
                waits.close()


def test_a_poolers_limit_of_clients(small: embedded.Server, workspaces: Workspaces, directory: Path) -> None:
    with pgbouncer(directory, small.conninfo("shop"), "session", max_client_conn="3") as through, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(psycopg.connect(through))
        ours = replace(workspaces(through), pgbouncer=console(through))
        assert named(ours) == ["pooler client limit"]  # its console refuses us as well: by the words


def test_a_server_behind_the_pooler_that_is_stopped(workspaces: Workspaces, directory: Path) -> None:
    with running_server("behind") as server, pgbouncer(directory, server.conninfo(), "session") as through:
        workspace = replace(workspaces(through), pgbouncer=console(through))
        assert named(workspace) == []
        embedded.stop(server, "immediate")
        assert named(workspace) == ["behind the pooler down"]
        embedded.start(server)


def test_a_standby_that_lets_nobody_in(workspaces: Workspaces) -> None:
    with running_server("primary", wal_level="replica", max_wal_senders="3") as primary:
        run_sql(primary.conninfo(), "create role app login password 'secret'")
        run_sql(primary.conninfo(), "grant pg_monitor to app")
        with standby_of(primary, "standby") as standby:
            page = diagnosed(workspaces(standby.conninfo()), "ERROR: cannot execute INSERT in a read-only transaction")
            assert page.data["causes"] == ["read-only"]
            embedded.stop(standby)
            with (standby.data / "postgresql.auto.conf").open("a") as file:
                file.write("hot_standby = off\n")
            _started(standby)
            workspace = workspaces(standby.conninfo())
            deadline = time.monotonic() + 20
            while named(workspace) != ["starting"] and time.monotonic() < deadline:
                time.sleep(0.1)
            assert named(workspace) == ["starting"]  # 57P03, also while it starts up
            embedded.stop(standby, "immediate")


def _started(server: embedded.Server) -> None:
    """Start a server that will not let anybody in."""
    try:
        embedded.start(server, patience=3)
    except Exception:  # noqa: BLE001 - pg_ctl waits for a session that never comes
        return


def test_a_server_that_speaks_german(workspaces: Workspaces) -> None:
    found = [one for one in installations() if one.major == 15 and one.has_server]
    if not found or b"de_DE.utf8" not in subprocess.run(["locale", "-a"], capture_output=True).stdout:
        missing("PostgreSQL 15 and the locale de_DE.utf8")
    settings = {"max_connections": "6", "superuser_reserved_connections": "3", "lc_messages": "de_DE.utf8"}
    with running_server_of(found[0], "deutsch", settings) as server:
        run_sql(server.conninfo(), "create role app login password 'secret'")
        run_sql(server.conninfo(), "grant pg_monitor to app")
        app = make_conninfo(server.conninfo(), user="app", password="secret")
        with taken(app):
            assert named(workspaces(app)) == ["server slots full"]
        assert named(workspaces(make_conninfo(app, password="wrong"))) == ["credentials"]
        assert named(workspaces(make_conninfo(app, dbname="weg"))) == ["no such database"]


def test_a_full_disk(workspaces: Workspaces, directory: Path) -> None:
    with running_server("disk") as server, small_disk(directory / "disk", "160m") as disk:
        data = disk.place / "data"
        embedded.stop(server)
        subprocess.run(["cp", "-a", str(server.data), str(data)], check=True)
        server_account().own(data)
        server.data.rename(server.data.with_name("before"))
        server.data.symlink_to(data)
        embedded.start(server)
        workspace = workspaces(server.conninfo())
        assert named(workspace) == []
        disk.fill()
        try:
            assert named(workspace) == ["disk full"]  # it still answers
            embedded.stop(server, "immediate")
            page = diagnosed(workspace)
            assert page.data["causes"] == ["disk full"]  # and after it has stopped
            assert page.data["runbooks"] == ["Disk nearly full"]
        finally:
            disk.empty()
            embedded.stop(server) if embedded.postmaster(server.directory) else None
            server.data.unlink()
            server.data.with_name("before").rename(server.data)

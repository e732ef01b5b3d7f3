"""Servers of our own: safe from the start, and up again after whatever happened to them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.kernel.errors import CannotConnect, FailedPartway, Refused
from tabsync.postgres import embedded
from tabsync.system.account import reachable_place, server_account
from tabsync.system.claims import Claim, claim
from tabsync.system.processes import wait_ended
from tests.conftest import missing
from tests.sessions import connect

_SETTINGS = {"fsync": "off", "shared_buffers": "16MB"}


def asked(conninfo: str, query: str) -> str:
    with connect(conninfo, "tests") as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return str(row[0])


def taken(directory: Path) -> Claim:
    held = claim(directory)
    assert held is not None
    return held


@pytest.fixture(scope="module")
def cluster(place: Path) -> Iterator[embedded.Server]:
    """A cluster that is not running."""
    held = taken(place / "own-server")
    server = embedded.create(held.directory, settings=_SETTINGS)
    yield server
    embedded.destroy(server)
    held.release()


@pytest.fixture
def own(cluster: embedded.Server) -> Iterator[embedded.Server]:
    """The same, running; a test may do anything to it."""
    embedded.start(cluster)
    yield cluster
    embedded.stop(cluster)


@contextmanager
def stranger() -> Iterator[psutil.Process]:
    """A living process that is not a server, under the account that servers run under."""
    account = server_account()
    as_server = {"user": account.uid, "group": account.gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "60"], cwd="/", **as_server) as process:  # type: ignore[call-overload]
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def test_it_is_safe_from_the_start(own: embedded.Server) -> None:
    assert asked(own.conninfo(), "show data_checksums") == "on"
    assert asked(own.conninfo(), "show password_encryption") == "scram-sha-256"
    assert asked(own.conninfo(), "show server_encoding") == "UTF8"
    verifier = asked(own.conninfo(), "select rolpassword from pg_authid where rolname = 'postgres'")
    assert verifier.startswith("SCRAM-SHA-256$")
    methods = asked(own.conninfo(), "select string_agg(distinct auth_method, ',') from pg_hba_file_rules")
    assert methods == "scram-sha-256"
    assert (own.directory / "pgpass").stat().st_mode & 0o777 == 0o600
    assert own.data.stat().st_mode & 0o777 == 0o700
    assert not (own.directory / "pwfile").exists()


@pytest.mark.parametrize("way", ["socket", "tcp"])
@pytest.mark.parametrize(
    ("change", "fact"),
    [({"password": "wrong"}, "password authentication failed"), ({"passfile": "/dev/null"}, "no password supplied")],
    ids=["wrong", "none"],
)
def test_nobody_gets_in_without_the_password(own: embedded.Server, way: str, change: dict[str, str], fact: str) -> None:
    conninfo = own.conninfo() if way == "socket" else own.tcp_conninfo("postgres")
    assert asked(conninfo, "select 1") == "1"
    with pytest.raises(CannotConnect, match=fact):
        connect(make_conninfo(conninfo, **change), "tests")


def test_it_listens_on_loopback_and_its_socket_only(own: embedded.Server) -> None:
    process = embedded.postmaster(own.directory)
    assert process is not None
    listening = {one.laddr.ip for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    assert asked(own.conninfo(), "show unix_socket_directories") == str(own.directory.resolve() / "socket")


def test_it_does_not_run_as_root(own: embedded.Server) -> None:
    process = embedded.postmaster(own.directory)
    assert process is not None
    assert process.uids().effective == server_account().uid != 0


def test_stopped_is_stopped_and_what_was_written_is_there_again(own: embedded.Server) -> None:
    with connect(own.conninfo(), "tests") as connection:
        connection.execute("create table kept as select 42 as answer")
    embedded.stop(own)
    assert embedded.postmaster(own.directory) is None
    embedded.stop(own)  # stopping what is stopped is no mistake
    with pytest.raises(CannotConnect):
        connect(own.conninfo(), "tests")
    embedded.start(embedded.opened(own.directory))
    assert asked(own.conninfo(), "select answer from kept") == "42"


def test_a_pid_file_that_names_a_living_stranger_is_no_obstacle(own: embedded.Server) -> None:
    pid_file = own.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    embedded.stop(own)
    with stranger() as process:
        pid_file.write_text("\n".join([str(process.pid), *lines[1:], ""]))
        server_account().own(own.data)
        assert embedded.postmaster(own.directory) is None
        assert embedded.end_server(own.directory) is False
        embedded.start(own)
        assert asked(own.conninfo(), "select 1") == "1"
        embedded.stop(own)
        assert process.is_running()
        assert process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("content", ["", "nonsense\n", "999999999\n", "-1\n"])
def test_a_pid_file_of_rubbish_is_no_obstacle(own: embedded.Server, content: str) -> None:
    embedded.stop(own)
    (own.data / "postmaster.pid").write_text(content)
    server_account().own(own.data)
    assert embedded.postmaster(own.directory) is None
    embedded.start(own)
    assert asked(own.conninfo(), "select 1") == "1"


def test_after_kill_9_of_the_postmaster_it_starts_again_though_a_session_is_busy(own: embedded.Server) -> None:
    postmaster = embedded.postmaster(own.directory)
    assert postmaster is not None
    busy = connect(own.conninfo(), "tests")
    busy.execute("set statement_timeout = 0")
    # A session that computes doesn't notice that its postmaster is gone; it keeps the shared memory in use.
    busy.pgconn.send_query(b"select count(*) from generate_series(1, 100000000) a, generate_series(1, 100) b")
    backend = psutil.Process(busy.info.backend_pid)
    postmaster.kill()
    wait_ended([postmaster], timeout=5)
    embedded.start(own)
    assert asked(own.conninfo(), "select 1") == "1"
    assert wait_ended([backend], timeout=5) == []
    busy.close()


def test_several_live_side_by_side(directory: Path) -> None:
    claims = [taken(directory / name) for name in ("one", "two")]

    def bring_up(held: Claim) -> embedded.Server:
        server = embedded.create(held.directory, settings=_SETTINGS)
        embedded.start(server)
        return server

    with ThreadPoolExecutor() as pool:
        running = list(pool.map(bring_up, claims))
    try:
        for server in running:
            assert asked(server.tcp_conninfo("postgres"), "show data_directory") == str(server.data)
        assert len({conninfo_to_dict(server.conninfo())["port"] for server in running}) == 2
    finally:
        for server in running:
            embedded.destroy(server)
    assert all(not server.directory.exists() for server in running)
    for held in claims:
        held.release()


def test_a_path_too_long_for_a_socket(directory: Path) -> None:
    held = taken(directory / ("long-" * 16) / ("name-" * 8))
    server = embedded.create(held.directory, settings={**_SETTINGS, "listen_addresses": ""})
    try:
        embedded.start(server)
        assert asked(server.conninfo(), "select 1") == "1"
        sockets = Path(str(conninfo_to_dict(server.conninfo())["host"]))
        assert sockets.parent == Path("/tmp")
    finally:
        embedded.destroy(server)
    assert not sockets.exists()
    held.release()


def test_a_setting_that_is_none_is_told_by_the_servers_own_words(cluster: embedded.Server) -> None:
    wrong = embedded.Server(cluster.directory, cluster.installation, {"shared_buffers": "it's a lot"})
    with pytest.raises(FailedPartway, match="invalid value for parameter") as failed:
        embedded.start(wrong)
    assert "server.log" in failed.value.hint
    assert embedded.postmaster(cluster.directory) is None


def test_a_directory_without_a_cluster_is_refused(directory: Path) -> None:
    with pytest.raises(Refused, match="does not contain a PostgreSQL cluster"):
        embedded.opened(directory)
    (directory / "data").mkdir()
    (directory / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(Refused, match="needs PostgreSQL 9"):
        embedded.opened(directory)


def test_a_directory_out_of_reach_is_refused_and_another_place_is_found(directory: Path) -> None:
    if os.geteuid() != 0:
        missing("root")
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Refused, match="can't reach"):
        embedded.create(closed / "server")
    assert not (closed / "server").exists()
    elsewhere = reachable_place(closed / "servers")
    try:
        assert elsewhere.parent == Path("/var/tmp")
        assert server_account().can_reach(elsewhere)
        assert reachable_place(closed / "servers") == elsewhere
    finally:
        elsewhere.rmdir()


@pytest.mark.parametrize("major", [15, 18])
def test_the_programs_fit_the_cluster(major: int, servers: Callable[[int], embedded.Server]) -> None:
    server = servers(major)
    assert embedded.opened(server.directory).installation.major == major
    assert asked(server.conninfo(), "show server_version_num").startswith(str(major))

"""Every way that a connection can fail is one line, a hint and exit code 3; every session is bounded."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import CannotConnect, Exit, NotAllowed
from tabsync.postgres import embedded
from tabsync.postgres.connect import allowed, connect, program_environment
from tabsync.postgres.conninfo import answers, check_conninfo, without_defences
from tabsync.postgres.settings import Limits
from tabsync.system.programs import run_program

CANARY = "canary-7c1d-pass'word"


@pytest.mark.parametrize(
    ("change", "fact", "hint"),
    [
        ({"host": "no-such-host.invalid"}, "no-such-host.invalid", "check the host name"),
        ({"host": "127.0.0.1", "port": "1"}, "Connection refused", "host and port"),
        ({"host": "/nowhere"}, "No such file or directory", "host and port"),
        ({"password": CANARY}, "password authentication failed", "~/.pgpass"),
        ({"passfile": "/dev/null"}, "no password supplied", "PGPASSWORD"),
        ({"user": "nobody_of_this_name"}, "password supplied", "PGPASSWORD"),
        ({"dbname": "no such database"}, 'database "no such database" does not exist', "psql -l"),
        ({"sslmode": "require", "host": "127.0.0.1"}, "server does not support SSL", "TLS"),
        ({"service": "no_such_service"}, 'definition of service "no_such_service" not found', "pg_service.conf"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_refused(server: embedded.Server, change: dict[str, str], fact: str, hint: str) -> None:
    conninfo = make_conninfo(
        server.conninfo(), **{"password": CANARY, **change} if "passfile" not in change else change
    )
    if change.get("dbname") or change.get("user"):
        conninfo = make_conninfo(server.conninfo(), **change)
    with pytest.raises(CannotConnect) as refused:
        connect(conninfo, "tests")
    error = refused.value
    assert error.exit_code is Exit.NOT_ALLOWED
    assert fact in error.fact
    assert hint in error.hint
    assert "\n" not in error.fact + error.hint
    assert "canary" not in error.fact + error.hint
    assert error.__cause__ is None  # whoever prints the chain prints no connection string either


def test_whether_a_frozen_server_answers_is_not_waited_for() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert not answers(f"host=127.0.0.1 port={silent.getsockname()[1]}")  # it would wait for ever


def test_a_server_that_does_not_answer_is_given_up_on() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(CannotConnect, match="timeout") as refused:
            connect(f"host=127.0.0.1 port={port} connect_timeout=2 dbname=x user=x", "tests")
    assert "firewall" in refused.value.hint


def test_too_many_connections_say_so(server: embedded.Server) -> None:
    with connect(server.conninfo(), "tests") as connection:
        connection.execute("create role crowded login password 'x' connection limit 0")
        try:
            with pytest.raises(CannotConnect, match="too many connections for role"):
                connect(make_conninfo(server.conninfo(), user="crowded", password="x"), "tests")
        finally:
            connection.execute("drop role crowded")


def test_a_session_is_named_and_bounded(server: embedded.Server) -> None:
    with connect(server.conninfo(), "backup", limits=Limits(1_500, 2_500, 3_500)) as connection:
        row = connection.execute(
            "select current_setting('application_name'), current_setting('lock_timeout'),"
            " current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
        ).fetchone()
        assert row == ("tabsync/backup", "1500ms", "2500ms", "3500ms")
        assert connection.autocommit
    with connect(server.conninfo(), "x") as connection:
        row = connection.execute(
            "select current_setting('lock_timeout'), current_setting('statement_timeout')"
        ).fetchone()
        assert row == ("1s", "30s")


def test_the_bounds_hold(server: embedded.Server) -> None:
    with (
        connect(server.conninfo(), "tests", limits=Limits(statement_timeout=50)) as connection,
        pytest.raises(psycopg.errors.QueryCanceled),
    ):
        connection.execute("select pg_sleep(5)")


def test_bounds_outlive_a_rollback(server: embedded.Server) -> None:
    with connect(server.conninfo(), "tests", limits=Limits(lock_timeout=1234), autocommit=False) as connection:
        connection.execute("select 1")
        connection.rollback()
        assert connection.execute("show lock_timeout").fetchone() == ("1234ms",)


def test_denials_and_locks_name_what_was_tried(databases: Callable[..., str]) -> None:
    conninfo = databases()
    with connect(conninfo, "tests") as owner, connect(conninfo, "tests", limits=Limits(lock_timeout=50)) as other:
        owner.execute("create table public.t (x int)")
        with pytest.raises(NotAllowed, match=r"not allowed to read pg_authid.*permission denied"):
            other.execute("set role pg_monitor")
            with allowed("read pg_authid", "ask the owner"):
                other.execute("select * from pg_authid")
        other.execute("reset role")
        owner.execute("begin; lock table public.t in access exclusive mode")
        with pytest.raises(NotAllowed, match="another session holds the lock"), allowed("read t", "wait"):
            other.execute("select * from public.t")
        owner.execute("rollback")


def test_a_service_and_a_pgpass_are_followed(
    server: embedded.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(server.conninfo())
    service = tmp_path / "services"
    service.write_text(f"[there]\nhost={parts['host']}\nport={parts['port']}\nuser=postgres\ndbname=postgres\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    monkeypatch.setenv("PGPASSFILE", str(parts["passfile"]))
    with connect("service=there", "tests") as connection:
        assert connection.info.dbname == "postgres"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PGHOSTADDR", "127.0.0.1"),  # with the port it would lead to whatever listens there
        ("PGPASSWORD", "of another server"),
        ("PGPASSFILE", "/dev/null"),
        ("PGOPTIONS", "-c no.such=1 -c work_mem=nonsense"),
        ("PGREQUIREPEER", "nobody"),
        ("PGREQUIREAUTH", "md5"),
        ("PGTARGETSESSIONATTRS", "standby"),
        ("PGCHANNELBINDING", "require"),
        ("PGGSSENCMODE", "require"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLNEGOTIATION", "direct"),
        ("PGSSLCERTMODE", "require"),
        ("PGSSLROOTCERT", "system"),
        ("PGDATABASE", "nowhere"),
        ("PGUSER", "nobody"),
        ("PGPORT", "1"),
    ],
)
@pytest.mark.parametrize("host", ["socket", "loopback"])
def test_the_environment_leads_nobody_away_from_a_server_of_ours(
    server: embedded.Server, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, host: str
) -> None:
    monkeypatch.setenv(variable, value)
    conninfo = server.conninfo() if host == "socket" else server.tcp_conninfo("postgres")
    if variable == "PGHOSTADDR":
        monkeypatch.setenv(variable, "127.0.0.2" if host == "socket" else "127.0.0.3")
    with connect(conninfo, "tests") as connection:
        reached = connection.info.hostaddr
    assert reached == ("" if host == "socket" else "127.0.0.1")
    psql: list[str | Path] = [server.installation.program("psql"), "--no-psqlrc", "--command=select 1"]
    assert run_program(psql, env=program_environment(conninfo, "tests")).code == 0
    assert check_conninfo(without_defences(conninfo)).keys() == {"host", "port", "user", "dbname", "passfile"}

"""What an attacker tried: owners' code, shared names, lost sessions, work in the background, secrets in odd forms."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import psycopg

from tabsync.workspace import Workspace
from tests.postgres.deployments.site import Site, evidence
from tests.postgres.deployments.test_guard_killed import begun


def test_a_view_that_took_a_tables_name_is_not_read(shop: Site) -> None:
    assert shop.guard()[0] == 0
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        session.execute("create sequence proof")
        body = "begin perform nextval('public.proof'); return 1; end"
        session.execute(f"create function evil() returns int language plpgsql as $$ {body} $$")
    shop.migration("2_more", "alter table plates rename to plates_v2; create view plates as select * from evil() id")
    code, out, err = shop.guard()
    assert code == 0, out + err
    with psycopg.connect(shop.conninfo) as session:
        assert session.execute("select is_called from proof").fetchone() == (False,)


def test_the_applications_own_sessions_are_not_cancelled(shop: Site, ledger: Workspace) -> None:
    """They have the same application's name, and another one waits for one of them."""
    assert shop.guard()[0] == 0
    shop.migration("2_more", "select pg_sleep(4)")
    with (
        psycopg.connect(shop.conninfo, application_name="shop") as busy,
        psycopg.connect(shop.conninfo, application_name="web") as waits,
    ):
        busy.execute("create table tills (id int)")
        busy.commit()
        busy.execute("lock table tills in share mode")
        shop.environment = {"PGAPPNAME": "shop"}
        running = begun(shop, "--block-budget", "1s")
        waits.pgconn.send_query(b"insert into tills values (1)")
        out, err = running.communicate(timeout=60)
        assert running.returncode == 0, out + err
        busy.execute("select 1")
        waits.close()  # its statement may still wait
    (kept, _) = evidence(ledger)
    assert kept["facts"]["run"]["cancelled"] == []


def test_a_guard_whose_session_was_ended_goes_on_watching(shop: Site) -> None:
    shop.migration("1_plates", "create table plates (id int primary key); select pg_advisory_xact_lock(42)")
    with psycopg.connect(shop.conninfo, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(42)")
        first = begun(shop, "--lock-timeout", "0")
        ended = (
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'tabsync/deployments%'"
        )
        assert holder.execute(ended).fetchall() == [(True,)]
        code, out, err = shop.guard("--wait", "0")
        assert code == 4, out + err
        assert "another deployment runs" in err
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, out + err
    assert "the deployment can't be watched any more" in err


def test_work_in_the_background_is_waited_for(shop: Site) -> None:
    assert shop.guard()[0] == 0
    code, out, err = shop.guard("--wait", "1s", command=["sh", "-c", "sleep 30 &"])
    assert code == 5, out + err
    assert "what it started goes on: process " in err
    code, out, err = shop.guard("--wait", "0")
    assert code == 4, out + err
    subprocess.run(["pkill", "-f", "sleep 30"], check=False)


def test_a_command_that_did_nothing_is_not_verified(shop: Site) -> None:
    assert shop.guard()[0] == 0
    shop.migration("2_more", "alter table plates add size int")
    code, out, err = shop.guard(command=["true"])
    assert code == 5, out + err
    assert "nothing was applied, and 2 is still pending" in err


def test_secrets_in_odd_forms(shop: Site) -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----"
    shop.environment = {"RAILS_MASTER_KEY": "m4st3r-k3y", "DB_PASSWORD_PROD": "it's-s3cret", "JWT_PRIVATE_KEY": key}
    command = ["sh", "-c", 'echo "$RAILS_MASTER_KEY $DB_PASSWORD_PROD"; echo "$JWT_PRIVATE_KEY"', "it's-s3cret"]
    code, out, err = shop.guard(command=command)
    kept = (shop.directory / ".tabsync" / "ledger.sqlite").read_bytes().decode("latin-1")
    assert code == 0, out + err
    for secret in ("m4st3r-k3y", "s3cret", "MIIEvQIBADANBg", "kqhkiG9w0BAQEF"):
        assert secret not in out + err + kept


def test_a_command_that_asks_the_terminal_fails_and_does_not_hang(shop: Site) -> None:
    words = ["migration", "guard", "--", "sh", "-c", "read x < /dev/tty"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shop.directory)
        os.execv(sys.executable, [sys.executable, "-m", "tabsync", *words])
    printed = b""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            printed += os.read(terminal, 1 << 16)
        except OSError:
            break
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) not in (0, 4), printed
    assert b"THE COMMAND FAILED" in printed

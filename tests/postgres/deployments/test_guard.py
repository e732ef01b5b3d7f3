"""A deployment under guard, with a real tool in a process of its own: run, refused, failed, verified."""

from __future__ import annotations

import json
import sys
import time
from urllib.parse import urlsplit

import psycopg

from tabsync.workspace import Workspace
from tests.postgres.deployments.site import Site, evidence


def test_a_deployment_is_run_watched_and_verified(shop: Site, ledger: Workspace) -> None:
    shop.migration("1_plates", "create table plates (id int primary key); select pg_sleep(0.5)")
    code, out, err = shop.guard()
    assert code == 0, out + err
    assert "lock_timeout is 5s" in out
    assert "applied 1_plates.up.sql" in out
    assert "DEPLOYED AND VERIFIED" in out
    assert "public.plates" in out
    (kept,) = evidence(ledger)
    assert kept["ok"]
    assert kept["facts"]["run"]["lock_timeout"] == ["DATABASE_URL", "PGOPTIONS"]
    assert kept["facts"]["run"]["sessions"] == 1
    assert kept["facts"]["applied"] == ["1"]
    password = urlsplit(shop.url).password
    assert password
    shop.migration("2_more", "alter table plates add size int")
    code, out, err = shop.guard("--json", "--lock-timeout", "0")
    assert code == 0, out + err
    assert json.loads(out)["run"]["exit"] == 0
    assert "lock_timeout is 0" in err
    assert password not in out + err + (shop.directory / ".tabsync" / "ledger.sqlite").read_bytes().decode("latin-1")


def test_its_exit_code_is_the_commands_own_and_no_other_runs_behind_it(shop: Site, ledger: Workspace) -> None:
    shop.migration("2_more", "alter table plates add size int; alter table plates add odd int default (1/0)")
    code, out, err = shop.guard()
    assert code == 1, out + err
    assert "THE COMMAND FAILED with exit code 1" in out
    assert "2 has failed, of its statements are 1 there, 1 absent" in err
    assert "tabsync migration status --folder" in err
    assert [one["ok"] for one in evidence(ledger)] == [False]
    code, out, err = shop.guard()
    assert code == 4, out + err
    assert "REFUSED: the command was not run" in out
    assert "2 has failed, by public.schema_migrations: resolve it first" in err


def test_a_command_that_ends_with_0_and_did_not_do_it(shop: Site) -> None:
    assert shop.guard()[0] == 0
    shop.migration("2_more", "alter table plates add size int")
    lies = "import os, psycopg; s = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True); "
    lies += "s.execute('update schema_migrations set version = 2')"
    code, out, err = shop.guard(command=[sys.executable, "-c", lies])
    assert code == 5, out + err
    assert "NOT AS IT SHOULD BE: the command ended with 0" in out
    assert "2 is applied, and 1 of its statements are not (line 1)" in err


def test_no_such_command_and_a_signal(shop: Site) -> None:
    code, _, err = shop.guard(command=["no-such-program"])
    assert code == 2, err
    assert "can't run no-such-program" in err
    assert "Traceback" not in err
    code, out, err = shop.guard(command=["sh", "-c", "kill -9 $$"])
    assert code == 137, out + err
    assert shop.guard("--wait", "soon")[0] == 2


def test_a_transaction_that_holds_the_table_is_named_and_waited_for(shop: Site) -> None:
    assert shop.guard()[0] == 0
    shop.migration("2_more", "alter table plates add size int")
    with psycopg.connect(shop.conninfo, application_name="a report") as reader:
        reader.execute("select * from plates")
        time.sleep(2.1)  # younger ones don't count
        code, _, err = shop.guard("--wait", "0")
        assert code == 4, err
        assert (
            f"session {reader.info.backend_pid} (a report as postgres, idle in transaction) holds public.plates" in err
        )
        assert f"tabsync connections terminate {reader.info.backend_pid} --dry-run" in err
        waiting = shop.start(
            "migration", "guard", "--folder", str(shop.folder), "--wait", "1min", "--", *shop.command()
        )
        assert waiting.stderr is not None
        said = ""
        while "waiting up to 1 min" not in said:
            said = waiting.stderr.readline()
            assert said
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err


def test_only_what_it_changes_is_waited_for(shop: Site) -> None:
    assert shop.guard()[0] == 0
    shop.migration("2_more", "alter table plates add size int")
    with psycopg.connect(shop.conninfo) as reader:
        reader.execute("create table others (id int)")
        reader.commit()
        reader.execute("select * from others")
        time.sleep(2.1)
        code, out, err = shop.guard("--wait", "0")
        assert code == 0, out + err


def test_others_wait_for_it_and_its_statement_is_cancelled(shop: Site, ledger: Workspace) -> None:
    assert shop.guard()[0] == 0
    shop.migration("2_more", "begin; alter table plates add size int; select pg_sleep(60); commit")
    running = shop.start(
        "migration", "guard", "--folder", str(shop.folder), "--block-budget", "1s", "--", *shop.command()
    )
    with psycopg.connect(shop.conninfo, autocommit=True) as other:
        locked = (
            "select exists (select from pg_locks where mode = 'AccessExclusiveLock' and relation = 'plates'::regclass)"
        )
        while other.execute(locked).fetchone() == (False,):
            assert running.poll() is None
            time.sleep(0.05)
        other.execute("select * from plates")  # it comes back, long before the minute has passed
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1, out + err
    assert "cancelled, since 1 session waits for it" in err
    (kept, _) = evidence(ledger)
    assert kept["facts"]["run"]["others_waiting"] == 1
    assert kept["facts"]["run"]["cancelled"] == ["select pg_sleep(60)"]


def test_what_its_statement_waits_for_is_said(shop: Site) -> None:
    assert shop.guard()[0] == 0
    shop.migration("2_more", "select pg_sleep(1); alter table plates add size int")
    running = shop.start(
        "migration", "guard", "--folder", str(shop.folder), "--lock-timeout", "2s", "--", *shop.command()
    )
    with psycopg.connect(shop.conninfo, application_name="a report") as reader:
        sleeps = "select exists (select from pg_stat_activity where query = 'select pg_sleep(1)')"
        while reader.execute(sleeps).fetchone() == (False,):
            assert running.poll() is None
            reader.rollback()
            time.sleep(0.05)
        reader.execute("select * from plates")
        holder = reader.info.backend_pid
        out, err = running.communicate(timeout=60)
    assert running.returncode == 1, out + err
    assert f"held by session {holder} (a report, idle in transaction" in err
    assert "canceling statement due to lock timeout" in out
    assert "2 has failed" in err


def test_check_does_all_but_run_it(shop: Site) -> None:
    code, out, err = shop.guard("--check")
    assert code == 0, out + err
    assert out.startswith("NOTHING STANDS AGAINST IT: the command was not run")
    with psycopg.connect(shop.conninfo) as session:
        assert session.execute("select to_regclass('plates')").fetchone() == (None,)

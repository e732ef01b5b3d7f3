"""runbook run, where values, databases and people are not as one thinks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack, closing, suppress

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import Databases, run_sql
from tests.postgres.cli.program import TABSYNC, environment
from tests.postgres.runbooks.place import RUNBOOK, Place
from tests.sessions import connect

NEVER = RUNBOOK.replace("< 99 %", "< 0.001 %")


def test_a_value_is_neither_an_option_nor_sql(ground: Place) -> None:
    """What somebody types, or a server calls a table, stays a value; where it could not, the step fails in words."""
    run_sql(ground.conninfo, "create table shops as select true as is_open")
    ground.manual("1. End it.\n   ```tabsync\n   connections terminate <pid>\n   ```\n", NEVER)
    ended = ground.run("runbook", "run", "too slow", "--yes", "--json", "--set", "pid=--idle-for=0s")
    assert (ended.code, ground.states()) == (1, ["failed"])
    assert "begins with a dash" in ended.err
    ground.manual(
        "1. Close.\n   ```sql write\n   update shops set is_open = null where '%<name>%' <> ''\n   ```\n", NEVER
    )
    wrong = ground.run("runbook", "run", "too slow", "--yes", "--json", "--set", "name='; drop table shops; --")
    assert (wrong.code, ground.states()) == (1, ["failed"])
    assert "stands inside of" in wrong.err
    assert "stands inside of" in ground.run("manual", "check").out


def test_nobody_goes_on_with_a_run_on_another_database(ground: Place, databases: Databases) -> None:
    """Another database, and one of the same name that was made anew: neither is written to."""
    steps = "1. Tell.\n2. Close.\n   ```sql write\n   update shops set is_open = false\n   ```\n"
    other = Place(ground.directory, databases())
    for one in (ground, other):
        run_sql(one.conninfo, "create table shops as select true as is_open")
    ground.manual(steps, NEVER)
    run = ground.run("runbook", "run", "too slow", "--json").json["run"]
    other.manual(steps, NEVER)
    refused = other.run("runbook", "resume", run, "--done", "told", "--yes")
    assert refused.code == 4
    assert "was begun on" in refused.err
    assert other.run("runbook", "show", "too slow").code == 0
    name = str(conninfo_to_dict(ground.conninfo)["dbname"])
    ground.manual(steps, NEVER)
    run_sql(other.conninfo, "drop database {}", name)
    run_sql(other.conninfo, "create database {}", name)
    run_sql(ground.conninfo, "create table shops as select true as is_open")
    anew = ground.run("runbook", "resume", run, "--yes")
    assert (anew.code, "but not the one of" in anew.err) == (4, True)
    for one in (ground, other):
        with connect(one.conninfo, "tests") as connection:
            assert connection.execute("select is_open from shops").fetchone() == (True,)
    assert ground.run("runbook", "resume", run, "--stop", "it is another one").code == 0


def test_the_session_that_is_likely_meant_comes_first(ground: Place) -> None:
    """To end: who blocks others, then who idles in a transaction; to cancel: who works. Never a session of ours."""
    steps = "1. Who?\n   ```tabsync\n   connections show --each\n   ```\n2. End.\n   ```tabsync\n   {} <pid>\n   ```\n"
    with ExitStack() as stack:
        ours, idle, leaker, works = (
            stack.enter_context(
                closing(psycopg.connect(ground.conninfo, application_name=name, autocommit=name != "leaker"))
            )
            for name in ("tabsync/emergency", "till", "leaker", "report")
        )
        for one in (ours, idle, leaker):
            one.execute("select 1")
        works.pgconn.send_query(b"select pg_sleep(60)")
        pids = {}
        for words in ("connections terminate", "queries cancel"):
            ground.manual(steps.format(words), NEVER)
            asked = ground.run("runbook", "run", "too slow", "--yes").err
            pids[words] = [int(one) for one in re.findall(r"(\d+) \(", asked.rpartition("likely: ")[2])]
        assert pids["connections terminate"][0] == leaker.info.backend_pid
        assert pids["queries cancel"][0] == works.info.backend_pid
        assert ours.info.backend_pid not in pids["connections terminate"]
    assert "leaker as" in asked


def test_statements_are_shown_and_not_kept(ground: Place) -> None:
    """They hold customers' data and passwords: who runs the runbook sees them, the record has who ran for how long."""
    looks = "".join(
        f"{number}. Look.\n   ```tabsync\n   {words}\n   ```\n"
        for number, words in enumerate(("queries show", "connections show", "locks show", "queries explain <pid>"), 1)
    )
    ground.manual(f"{looks}5. Tell.\n", NEVER)
    with ExitStack() as stack:
        works, holds, waits = (
            stack.enter_context(closing(psycopg.connect(ground.conninfo, application_name=name)))
            for name in ("works", "holds", "waits")
        )
        holds.execute("create table taken (id int)")
        holds.commit()
        holds.execute("lock table taken; select 'canary-1'")
        waits.pgconn.send_query(b"select 'canary-2' from taken")
        works.pgconn.send_query(b"select 'canary-3' from pg_sleep(60)")
        pid = works.info.backend_pid
        ground.waits(lambda: "canary-2" in ground.run("locks", "show", "--json").out)
        seen = ground.run("runbook", "run", "too slow", "--yes", "--set", f"pid={pid}")
    assert ground.states() == ["done"] * 4 + ["waiting"]
    shown = seen.out + seen.err
    assert all(f"canary-{number}" in shown for number in (1, 2, 3))
    kept = ground.run("run", "show", "--json", ground.shown()["id"]).out
    assert "canary" not in kept
    assert str(pid) in kept


def test_what_nobody_did_is_not_ticked_off(ground: Place) -> None:
    """A tick that is typed twice ticks off one step; what contradicts itself, or names no step, begins nothing."""
    act = "2. Close.\n   ```sql write\n   select 1\n   ```\n"
    ground.manual(f"1. Tell.\n{act}", NEVER)
    assert ground.run("runbook", "run", "too slow", "--from", "99", "--yes").code == 2
    assert ground.run("run", "list", "--json").json["runs"] == []
    ground.run("runbook", "run", "too slow")
    assert ground.run("runbook", "resume", "--done", "told", "--skip", "no").code == 2
    ground.run("runbook", "resume", "--done", "told")
    again = ground.run("runbook", "resume", "--done", "told")
    assert (again.code, "--step 2 --done NOTE" in again.err) == (4, True)
    assert ground.states() == ["done", "waiting"]


def test_a_question_that_is_not_answered_leaves_the_run_open(ground: Place) -> None:
    ground.manual("1. Tell.\n", NEVER)
    terminal, ours = os.openpty()
    command = [str(TABSYNC), "runbook", "run", "too slow"]
    process = subprocess.Popen(
        command, cwd=ground.directory, env=environment(ground.directory), stdin=ours, stdout=ours, stderr=ours
    )
    os.close(ours)
    told = b""
    while b"stop here" not in told:
        told += os.read(terminal, 4096)
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        process.send_signal(signal.SIGINT)  # one that comes just before it waits for the answer is lost, as is a key
        with suppress(subprocess.TimeoutExpired):
            process.wait(3)
    with suppress(OSError):  # the terminal hangs up at the end
        while more := os.read(terminal, 4096):
            told += more
    os.close(terminal)
    assert process.wait(30) == 4
    assert b"the run is open" in told
    assert f"tabsync runbook resume {ground.shown()['id']}".encode() in told

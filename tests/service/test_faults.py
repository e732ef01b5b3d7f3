"""The service when things go wrong around it: nothing is started twice, nothing is lost in silence, it goes on."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable

import psutil
import pytest

from tests.service.place import Home
from tests.whole import whole

OFTEN = """### Every 2 seconds

- List: `tabsync backup list`
"""
DAILY = """### Daily, 02:00-05:00 UTC

- Full backup: `tabsync backup take full`
"""


def ended(place: Home, count: int, seconds: float = 90) -> None:
    """Wait until that many occurrences have ended."""
    until = time.monotonic() + seconds
    while len(place.rows("select 1 from occurrence where state = 'ended'")) < count:
        assert time.monotonic() < until, place.rows("select * from occurrence")
        time.sleep(0.1)


@whole
def test_killed_again_and_again_nothing_is_started_twice(home: Callable[..., Home]) -> None:
    place = home(OFTEN)
    for round_ in range(4):
        with place.service() as service:
            service.waits_for("started backup-list")
            time.sleep(0.3 * round_)
            service.process.kill()
    with place.service() as service:
        service.waits_for("started backup-list")
        ended(place, 3)
        assert service.ends() == 0
    starts = place.rows("select output from occurrence where state <> 'running'")
    assert not place.rows("select 1 from occurrence where state = 'running'")
    told = place.json("schedule", "show", "backup-list")["occurrences"]
    assert {one["state"] for one in told} <= {"done", "missed", "failed", "waiting"}
    assert len([one for one in told if one["state"] in ("done", "failed")]) >= len(starts) - 1


def test_a_second_service_stands_by_and_takes_over(home: Callable[..., Home]) -> None:
    place = home(OFTEN)
    with place.service() as first, place.service("scheduler", "run", "--name", "other") as second:
        until = time.monotonic() + 60
        while "started" not in first.said + second.said or "stands by" not in first.said + second.said:
            assert time.monotonic() < until, first.said + second.said
            time.sleep(0.1)
        keeping, waiting = (first, second) if "stands by" not in first.said else (second, first)
        assert "started" not in waiting.said
        keeping.process.kill()
        waiting.waits_for("started backup-list", 30)
        assert waiting.ends() == 0
    assert all(count == 1 for _, count in place.rows("select due, count(*) from occurrence group by 1"))


def test_a_ledger_that_another_has_locked_is_waited_for(home: Callable[..., Home]) -> None:
    place = home(OFTEN)
    with place.service() as service:
        service.waits_for("ended backup list")
        ledger = sqlite3.connect(place.directory / ".tabsync" / "ledger.sqlite", isolation_level=None)
        ledger.execute("begin exclusive")
        before = service.said.count("started")
        service.waits_for("the ledger failed", 60)
        assert service.said.count("started") <= before + 1
        ledger.execute("rollback")
        ledger.close()
        service.waits_for("ledger: in order again")
        count = len(place.rows("select 1 from occurrence where state = 'ended'"))
        ended(place, count + 2)
        assert service.ends() == 0


def test_a_manual_that_an_edit_broke_or_deleted_goes_on_as_it_was(home: Callable[..., Home]) -> None:
    place = home(OFTEN)
    with place.service() as service:
        service.waits_for("started backup-list")
        place.manual("### Fortnightly\n\n- Nothing: `tabsync backup list`\n")
        service.waits_for("the manual is not valid")
        ended(place, len(place.rows("select 1 from occurrence")) + 2)
        (place.directory / "manual.md").unlink()
        service.waits_for("the manual can't be read")
        ended(place, len(place.rows("select 1 from occurrence")) + 2)
        place.manual(OFTEN)
        service.waits_for("manual: in order again")
        assert service.ends() == 0
    assert len(place.rows("select 1 from manual_version")) == 1


def test_a_database_that_is_down_is_tried_again_and_then_failed(home: Callable[..., Home]) -> None:
    place = home(DAILY.replace("full`", "full` (within 40 seconds)"))
    place.at("2026-12-01 12:00")
    place.run("serve", "--once")
    place.write(DAILY.replace("full`", "full` (within 40 seconds)"))
    toml = place.directory / "tabsync.toml"
    toml.write_text(toml.read_text().replace(place.conninfo, "host=127.0.0.1 port=1 dbname=x connect_timeout=1"))
    place.at("2026-12-02 02:00:01")
    with place.service() as service:
        service.waits_for("ended backup take full")
        ((state, tries, again),) = place.rows("select state, tries, retry_at from occurrence where due like '%-02T02%'")
        assert (state, tries, again is not None) == ("ended", 1, True)
        place.at("2026-12-02 02:00:35")
        until = time.monotonic() + 60
        while place.rows("select tries from occurrence where due like '%-02T02%'") != [(2,)]:
            assert time.monotonic() < until, service.said
            time.sleep(0.1)
        service.waits_for("ended backup take full")
        place.at("2026-12-02 02:01:00")
        assert service.ends() == 0
    shown = place.json("schedule", "show", "backup-take-full")["occurrences"][-1]
    assert shown["state"] == "failed"
    assert "connect" in shown["why"]


def stopped(place: Home) -> int:
    """Stop the run that was just started; gives its process."""
    until = time.monotonic() + 30
    while not (begun := [*(place.directory / ".tabsync" / "scheduled").glob("*/begun")]):
        assert time.monotonic() < until
        time.sleep(0.005)
    pid = int(begun[0].read_text())
    os.kill(pid, signal.SIGSTOP)  # it can't even notice
    return pid


@pytest.mark.parametrize("to", ["2026-12-20 01:00", "2026-11-20 02:00"])
def test_a_clock_that_is_set_ends_no_run_and_hides_none(to: str, home: Callable[..., Home]) -> None:
    """Forward, it isn't over its limit; back, what it left is older than its beginning."""
    place = home(DAILY)
    place.at("2026-12-02 02:00")
    with place.service() as service:
        service.waits_for("started backup-take-full")
        pid = stopped(place)
        place.at(to)
        time.sleep(3)
        assert "too long" not in service.said
        os.kill(pid, signal.SIGCONT)
        service.waits_for("ended backup take full: done")
        place.at("2026-12-02 03:00")
        assert place.json("schedule", "show", "backup-take-full")["occurrences"][-1]["state"] == "done"


def test_what_lives_is_not_started_again_when_its_directory_is_deleted(home: Callable[..., Home]) -> None:
    place = home(DAILY)
    place.at("2026-12-02 02:00")
    with place.service() as service:
        service.waits_for("started backup-take-full")
        pid = stopped(place)
        for one in (place.directory / ".tabsync" / "scheduled").glob("backup-*"):
            shutil.rmtree(one)
        time.sleep(3)
        assert "ended" not in service.said
        os.kill(pid, signal.SIGCONT)
        service.waits_for("ended backup take full: its directory was deleted")
        time.sleep(1.5)
        assert service.said.count("started backup-take-full") == 1
    assert len(place.json("backup", "list")["backups"]) == 1


def test_once_tells_what_was_not_done_by_its_exit_code(home: Callable[..., Home]) -> None:
    place = home("### Daily, 02:00-05:00 UTC\n\n- It: `tabsync backup verify nosuch`\n")
    place.at("2026-12-02 02:00")
    once = place.run("serve", "--once")
    assert (once.code, "1 not done" in once.err) == (1, True)


def test_a_child_that_ignores_the_request_to_end_is_killed(home: Callable[..., Home]) -> None:
    place = home(DAILY.replace("full`", "full` (within 1 second)"))
    place.at("2026-12-02 02:00:00")
    with place.service() as service:
        service.waits_for("started backup-take-full")
        pid = stopped(place)
        service.waits_for("it took too long", 90)
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        assert service.ends() == 0
    ((exit_, fact),) = place.rows("select exit, fact from occurrence")
    assert (exit_, "killed" in fact) == (137, True)


def test_serve_keeps_console_and_scheduler_apart(home: Callable[..., Home]) -> None:
    place = home(DAILY)
    with place.service("serve", "--port", "0") as service:
        service.waits_for("The console is at")
        service.waits_for("ended backup take full: done")
        parts = {one.cmdline()[3]: one for one in psutil.Process(service.process.pid).children()}
        parts["console"].kill()
        service.waits_for("the console ended by signal 9")
        parts["scheduler"].kill()
        service.waits_for("the scheduler ended by signal 9")
        until = time.monotonic() + 30
        while len(psutil.Process(service.process.pid).children()) < 2:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert service.ends() == 0
    assert place.states()["backup-take-full"]["done"] == 1

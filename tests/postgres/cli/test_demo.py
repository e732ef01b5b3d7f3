"""The demo: one in a directory, and nothing of it outlives it, however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tabsync.system.claims import MARK
from tests.postgres.cli.program import TABSYNC, environment, tabsync
from tests.whole import whole


def servers_of(directory: Path) -> list[psutil.Process]:
    """The processes that work in a directory of servers below this one, or were started for one."""
    found = []
    for process in psutil.process_iter():
        try:
            place, mark = process.cwd(), process.environ().get(MARK, "")
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
        if alive and (place.startswith(f"{directory}/.tabsync") or mark.startswith(str(directory))):
            found.append(process)
    return found


def wait_for(what: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            pytest.fail("it did not come to that")
        time.sleep(0.05)


@pytest.fixture
def demo(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that is up, in the midst of its work."""
    process = subprocess.Popen(
        [TABSYNC, "demo", "--orders", "100", "--port", "0"],
        cwd=directory,
        env=environment(directory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        wait_for(lambda: (directory / ".tabsync" / "demo" / "tabsync.toml").exists() or process.poll() is not None)
        assert process.poll() is None, process.stdout.read()
        assert servers_of(directory)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        for one in servers_of(directory):
            with suppress(psutil.NoSuchProcess):  # a server's processes leave with their postmaster
                one.kill()


def test_once_is_the_whole_job_and_leaves_nothing_running(directory: Path) -> None:
    done = tabsync(directory, "demo", "--orders", "100", "--once", timeout=120)
    assert done.code == 0, done.out + done.err
    assert "PROVEN RESTORABLE: identical" in done.out
    assert "Traffic during the demo" in done.err
    assert "\x1b" not in done.out + done.err
    assert servers_of(directory) == []
    assert not (directory / ".tabsync" / "demo" / "running.json").exists()
    (backup,) = tabsync(directory, "backup", "list", "--json").json["backups"]
    assert backup["proven"] is True
    # The demo is down now, and the status says so instead of starting anything.
    assert tabsync(directory, "status").code == 3
    # Deleting it is for those who say so.
    refused = tabsync(directory, "demo", "--reset", "--once")
    assert (refused.code, "--yes" in refused.err) == (4, True)
    assert servers_of(directory) == []


def test_the_status_of_a_demo_is_that_all_is_well(demo: subprocess.Popen[str], directory: Path) -> None:
    wait_for(lambda: "http" in (directory / ".tabsync" / "demo" / "running.json").read_text(), 120)
    done = tabsync(directory, "status")
    assert done.code == 0, done.out + done.err
    assert tabsync(directory, "manual", "check").code == 0


@whole
def test_a_second_demo_refuses_and_the_first_goes_on_until_sigterm(
    demo: subprocess.Popen[str], directory: Path
) -> None:
    second = tabsync(directory, "demo", "--orders", "100", "--once")
    assert second.code == 4
    assert f"already running in {directory / '.tabsync' / 'demo'} (process {demo.pid})" in second.err
    assert demo.poll() is None
    assert tabsync(directory, "health").code == 0
    assert json.loads((directory / ".tabsync" / "demo" / "running.json").read_text())["pid"] == str(demo.pid)
    demo.send_signal(signal.SIGTERM)
    output = demo.communicate(timeout=40)[0]
    assert "Traceback" not in output
    assert demo.returncode != -signal.SIGTERM  # it unwound: its server was stopped, not abandoned
    assert servers_of(directory) == []


def test_after_sigkill_the_next_command_ends_what_is_left(demo: subprocess.Popen[str], directory: Path) -> None:
    demo.kill()
    demo.wait()
    assert servers_of(directory)  # the server outlives the demo, until somebody looks
    down = tabsync(directory, "status")
    assert down.code == 3
    assert servers_of(directory) == []
    assert tabsync(directory, "run", "list").code == 0

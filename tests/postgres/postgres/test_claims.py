"""Claims: one holder at a time, freed by any death, and a sweep that races with a new holder harms neither."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tabsync.system.claims import MARK, Claim, claim, end_marked, is_claimed, unclaimed
from tests.service.disk import small_disk

_HOLD = """
import sys, time
from pathlib import Path
from tabsync.system.claims import claim
print("held" if claim(Path(sys.argv[1])) else "not held", flush=True)
time.sleep(60)
"""


@contextmanager
def holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that claims a directory and sleeps."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(directory)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_the_death_of_the_holder_frees_the_directory(directory: Path, death: signal.Signals) -> None:
    with holder(directory / "d") as process:
        assert claim(directory / "d") is None
        assert is_claimed(directory / "d")
        process.send_signal(death)
        process.wait()
        held = claim(directory / "d")
        assert held is not None
        held.release()
    assert not is_claimed(directory / "d")


def test_a_child_does_not_keep_its_parents_claim(directory: Path) -> None:
    held = claim(directory)
    assert held is not None
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        held.release()
        again = claim(directory)
        child.kill()
    assert again is not None
    again.release()


def test_of_two_claimants_one_gets_it(directory: Path) -> None:
    first, second = claim(directory), claim(directory)
    assert isinstance(first, Claim)
    assert second is None
    first.release()
    first.release()  # letting go twice is no mistake, and doesn't close somebody else's file
    third = claim(directory)
    assert third is not None
    third.release()


def test_a_directory_that_is_swept_under_a_claimant_is_made_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, real = directory / "d", os.open
    swept: list[object] = []

    def sweeping(path: str | Path, *rest: int, **named: Any) -> int:
        if Path(path) == target / "lock" and not swept:
            swept.append(path)
            shutil.rmtree(target)
        return real(path, *rest, **named)

    monkeypatch.setattr("tabsync.system.claims.os.open", sweeping)
    held = claim(target)
    assert swept
    assert held is not None
    assert (target / "lock").exists()
    held.release()


def test_a_lock_of_a_swept_directory_is_not_taken_for_the_new_ones(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, real = directory / "d", os.open
    swept: list[object] = []

    def sweeping(path: str | Path, *rest: int, **named: Any) -> int:
        fd = real(path, *rest, **named)
        if Path(path) == target / "lock" and not swept:
            swept.append(path)
            shutil.rmtree(target)
        return fd

    monkeypatch.setattr("tabsync.system.claims.os.open", sweeping)
    held = claim(target)
    assert held is not None
    assert is_claimed(target)  # the lock that is held is the one that others find
    held.release()


def test_claimants_and_sweepers_at_once(directory: Path) -> None:
    target = directory / "d"
    inside: list[int] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            mine = 0
            while mine < 10:
                held = claim(target)
                if held is None:
                    time.sleep(0.0001)
                    continue
                mine += 1
                inside.append(1)
                assert sum(inside) == 1, "two holders at once"
                inside.pop()
                shutil.rmtree(target, ignore_errors=True)
                held.release()
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_sweep_sees_orphans_only_and_claims_each(directory: Path) -> None:
    with holder(directory / "living"):
        (directory / "orphan").mkdir()
        (directory / "file").touch()
        names = []
        for held in unclaimed(directory):
            names.append(held.directory.name)
            assert is_claimed(held.directory)
        assert names == ["orphan"]
    assert list(unclaimed(directory / "not there")) == []


def test_what_was_started_for_a_directory_is_ended_and_nothing_else(directory: Path) -> None:
    held = claim(directory)
    assert held is not None
    with (
        subprocess.Popen(["sleep", "60"], env={MARK: str(directory)}) as marked,
        subprocess.Popen(["sleep", "60"], env={MARK: f"{directory}-other"}) as other,
    ):
        assert end_marked(directory) == 1
        assert marked.wait(timeout=5) == -signal.SIGKILL
        assert psutil.pid_exists(other.pid)
        assert other.poll() is None
        other.kill()
    held.remove()
    assert not directory.exists()


def test_a_claim_without_its_disk(directory: Path) -> None:
    """On a disk that takes nothing the kernel holds the claim: seen by others, and gone with its process."""
    with small_disk(directory / "disk") as disk:
        taken = disk.place / "runs" / "one"
        subprocess.run(["mount", "-o", "remount,ro", str(disk.place)], check=True)
        program = f"""
import sys, time
from pathlib import Path
from tabsync.system.claims import claim
assert claim(Path({str(taken)!r})) is not None
print("held", flush=True)
time.sleep(100)
"""
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_claimed(taken)
        assert claim(taken) is None
        subprocess.run(["mount", "-o", "remount,rw", str(disk.place)], check=True)
        assert claim(taken) is None, "its disk is back, and it is still held"
        process.kill()
        process.wait()
        process.stdout.close()
        assert not is_claimed(taken)
        held = claim(taken)
        assert held is not None
        held.remove()

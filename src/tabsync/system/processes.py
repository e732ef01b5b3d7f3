"""Processes that may not be our children: found, and waited for."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

_POLL = 0.005  # seconds


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still does anything; a zombie doesn't, it only waits to be reaped by its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def with_variable(name: str, value: str) -> Iterator[psutil.Process]:
    """The processes whose environment has a variable of that value, but this one.

    Where there is /proc it is read straight: psutil takes five times as long, and this is done before each command.
    """
    sought = f"{name}={value}".encode(errors="surrogateescape")
    for pid in psutil.pids():
        if pid == os.getpid():
            continue
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - a Path is made a thousand times for nothing
                found = sought in file.read().split(b"\0")
        except FileNotFoundError:
            found = not Path("/proc/self").is_dir() and _has(pid, name, value)
        except OSError:
            continue  # somebody else's, or gone meanwhile
        if found:
            with contextlib.suppress(psutil.Error):
                yield psutil.Process(pid)


def working_in(directory: Path) -> Iterator[psutil.Process]:
    """The processes whose working directory is that one."""
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if process.cwd() == str(directory):
                yield process


def _has(pid: int, name: str, value: str) -> bool:
    try:
        return psutil.Process(pid).environ().get(name) == value
    except (psutil.Error, OSError):
        return False


def wait_ended(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait until processes have ended, at most `timeout` seconds; returns those that haven't.

    Unlike psutil.wait_procs it doesn't wait for them to be reaped: in a container, whoever is process 1 may take its
    time over that.
    """
    deadline = time.monotonic() + timeout
    alive = list(processes)
    while alive := [process for process in alive if is_alive(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL)
    return alive

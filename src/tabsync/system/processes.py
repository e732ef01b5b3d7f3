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
            found = sought in _read(f"/proc/{pid}/environ").split(b"\0")
        except FileNotFoundError:
            found = not Path("/proc/self").is_dir() and _has(pid, name, value)
        except OSError:
            continue  # somebody else's, or gone meanwhile
        if found:
            with contextlib.suppress(psutil.Error):
                yield psutil.Process(pid)


def working_in(directory: Path) -> Iterator[psutil.Process]:
    """The processes whose working directory is that one, also when it is deleted by now.

    Where there is /proc it is read straight: psutil takes thirty times as long, and this is done several times for
    each start and end of a server.
    """
    sought = (str(directory), f"{directory} (deleted)")  # https://man7.org/linux/man-pages/man5/proc_pid_cwd.5.html
    has_proc = Path("/proc/self").is_dir()
    for pid in psutil.pids():
        try:
            if has_proc:
                found = os.readlink(f"/proc/{pid}/cwd") in sought  # noqa: PTH115 - a Path for each is most of it
            else:
                found = psutil.Process(pid).cwd() == sought[0]
        except (psutil.Error, OSError):
            continue  # somebody else's, or gone meanwhile
        if found:
            with contextlib.suppress(psutil.Error):
                yield psutil.Process(pid)


def _read(path: str) -> bytes:
    """All of a file of /proc, without the file object that costs more than the reading."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))
    finally:
        os.close(fd)


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

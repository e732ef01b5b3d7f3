"""Waiting for processes that may not be our children."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

_POLL = 0.005  # seconds


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still does anything; a zombie doesn't, it only waits to be reaped by its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
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

"""The disk that a server's data are on, where the server is on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tabsync.kernel.errors import NotAllowed
from tabsync.postgres.connect import Connection

WHERE = (
    "select pid, backend_start, current_setting('data_directory', true) as directory from pg_stat_activity"
    " where pid = pg_backend_pid()"
)
"""What a session is asked: its process, since when, and where the data are."""

_APART = 5.0  # seconds by which the clocks of kernel and server may tell the start of a process differently


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk. used, size: bytes, without what is reserved for root; path: of the data directory."""

    used: int
    size: int
    path: str


def disk_of(connection: Connection) -> Disk:
    """The disk of the server's data directory. Raises NotAllowed when the server isn't here, or doesn't say where.

    A path alone proves nothing: a container has the same one. The server is here when the process of our own session
    is, and began when the server says so.
    """
    row = connection.execute(WHERE).fetchone()
    return disk_at(*row) if row else disk_at(0, None, None)


def disk_at(pid: int, started: datetime | None, directory: str | None) -> Disk:
    """The same by what WHERE has told of a session."""
    if not _is_here(pid, started):
        raise NotAllowed("the server is not on this machine, so its disk can't be seen", "declare it: Of: 100 GB")
    if not directory:
        raise NotAllowed("the server doesn't say where its data are", "grant pg_read_all_settings to the role")
    try:
        found = os.statvfs(Path(directory))
    except OSError as error:
        raise NotAllowed(f"the disk of {directory} can't be seen: {error.strerror}") from None
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    return Disk(used, used + found.f_bavail * found.f_frsize, str(directory))


def _is_here(pid: int, started: datetime | None) -> bool:
    found = _process(pid)
    return (
        started is not None
        and found is not None
        and found[0].startswith("postgres")
        and abs(found[1] - started.timestamp()) < _APART
    )


def _process(pid: int) -> tuple[str, float] | None:
    """The name of a process, and when it began, in seconds since 1970; None when there is none."""
    try:
        return _in_proc(pid)
    except FileNotFoundError:
        if Path("/proc/stat").exists():
            return None
    except (OSError, ValueError, IndexError):
        return None
    import psutil  # a system without /proc; elsewhere this look needn't wait for its import

    try:
        process = psutil.Process(pid)
        return process.name(), process.create_time()
    except psutil.Error:
        return None


def _in_proc(pid: int) -> tuple[str, float]:
    """The same as Linux says it: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
    head, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    ticks = int(rest.split()[19])
    return head.partition("(")[2], int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")

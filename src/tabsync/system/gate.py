"""A process group that the kernel stops each time one of them begins a file in a directory, until we let it go on.

Whoever looks now and then and sends SIGSTOP is late on a busy machine, and a fast program has written gigabytes by
then. Here nobody need look: the directory's file descriptor is told to send SIGSTOP to the group when a file is made in
it, and that happens within open(2), before a byte is written. https://man7.org/linux/man-pages/man2/fcntl.2.html,
F_NOTIFY, F_SETSIG, F_SETOWN. Where the system can't do that, whoever looks is still heard: shut() and open().
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
from pathlib import Path


class Gate:
    """The gate in front of a directory that exists. leader: of the process group, a child of ours."""

    def __init__(self, directory: Path, leader: int) -> None:
        self.is_shut = False
        self._leader = leader
        self._fell, self._opened = threading.Event(), threading.Event()
        self._fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(self._fd, fcntl.F_SETSIG, signal.SIGSTOP)
            fcntl.fcntl(self._fd, fcntl.F_SETOWN, -leader)
            fcntl.fcntl(self._fd, fcntl.F_NOTIFY, fcntl.DN_CREATE | fcntl.DN_MULTISHOT)
            threading.Thread(target=self._wait_for_stops, name="gate", daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait so long, and no longer than until the kernel stops the group or it ends."""
        if self._fell.wait(seconds):
            self._fell.clear()

    def fell_shut(self) -> bool:
        """Whether the kernel has stopped the group since this was asked last; then the gate is shut."""
        try:
            stopped = os.waitid(os.P_PID, self._leader, os.WSTOPPED | os.WNOHANG)
        except (ChildProcessError, AttributeError):  # it has ended, and the thread that waits for it knows
            return False
        self.is_shut = self.is_shut or stopped is not None
        return stopped is not None

    def shut(self) -> None:
        """Stop the group."""
        self.is_shut = True
        self._send(signal.SIGSTOP)

    def open(self) -> None:
        """Let the group go on."""
        self.is_shut = False
        self._send(signal.SIGCONT)
        self._opened.set()

    def close(self) -> None:
        """Take the gate away, and let go on whom it holds."""
        os.close(self._fd)
        self.open()

    def _wait_for_stops(self) -> None:
        """Wake who waits, each time the leader is stopped, and when it has ended; whoever started it reaps it."""
        with contextlib.suppress(ChildProcessError):
            stopped = True
            while stopped:
                found = os.waitid(os.P_PID, self._leader, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                stopped = found is not None and found.si_code in (os.CLD_STOPPED, os.CLD_TRAPPED)
                self._fell.set()
                if stopped:  # it would be told of the same stop again and again
                    self._opened.wait()
                    self._opened.clear()
        self._fell.set()

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group that is dead
            os.killpg(self._leader, number)

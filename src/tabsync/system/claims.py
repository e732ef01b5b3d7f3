"""Claims on directories: who works in one holds an flock on its `lock` file.

The kernel drops the lock when the holder dies, however it dies, so a directory without a held lock is an orphan: no
pid file has to be believed. Children get the directory's path in their environment (MARK), so that what a killed
process left running can be found and ended.

Where the disk takes no file any more, a name in the kernel stands for the lock: a socket in the abstract namespace,
which is gone with its process too. https://man7.org/linux/man-pages/man7/unix.7.html
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "TABSYNC_CLAIM"
"""Environment variable that names the claimed directory a child process works for."""


_TRIES = 100

_NO_DISK = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EIO})


@dataclass(slots=True)
class Claim:
    """A held claim; release() lets go of it, and so does the death of this process."""

    directory: Path
    _fd: int

    def fileno(self) -> int:
        """The descriptor that holds the lock; a process that inherits it holds the claim too."""
        return self._fd

    def release(self) -> None:
        """Let go of the directory."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def remove(self) -> None:
        """End what still works in the directory, delete it, let go."""
        end_marked(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.release()


def claim(directory: Path) -> Claim | None:
    """Claim a directory, making it if need be; None when somebody else holds it.

    Where its disk takes no file, the claim is held all the same, and there may be no directory.
    """
    if _is_named(directory):
        return None
    tries = 0
    while True:
        tries += 1
        try:
            directory.mkdir(parents=True, exist_ok=True)
            fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)  # not inherited by children: PEP 446
        except (FileNotFoundError, FileExistsError):
            if os.path.lexists(directory) and not directory.is_dir():
                raise
            if tries > _TRIES:  # no directory can be made there at all, as in /proc
                if sys.platform == "linux":
                    return _by_name(directory)
                raise
            continue  # the directory was swept between two of these calls
        except OSError as error:
            if error.errno in _NO_DISK and sys.platform == "linux":
                return _by_name(directory)
            raise
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_ino == (directory / "lock").stat().st_ino:
                return Claim(directory, fd)
        except BlockingIOError:
            os.close(fd)
            return None
        except FileNotFoundError:
            pass
        os.close(fd)  # the directory was swept between open and flock: what we locked is gone


def is_claimed(directory: Path) -> bool:
    """Whether a living process holds the directory."""
    if not (directory / "lock").exists():
        return _is_named(directory)
    held = claim(directory)
    if held is None:
        return True
    held.release()
    return False


def unclaimed(parent: Path) -> Iterator[Claim]:
    """Each directory below parent whose holder is gone, claimed by us so that nobody else sweeps it too."""
    if not parent.is_dir():
        return
    for directory in sorted(entry for entry in parent.iterdir() if entry.is_dir()):
        held = claim(directory)
        if held is not None:
            yield held
            held.release()


def is_marked(directory: Path) -> bool:
    """Whether a process lives that was started for a directory, also when it is not there any more."""
    from tabsync.system.processes import with_variable

    return any(True for _ in with_variable(MARK, str(directory)))


def end_marked(directory: Path) -> int:
    """Kill the processes that were started for a directory; returns how many there were."""
    import psutil  # here: every command looks for claims, few have anything to end

    from tabsync.system.processes import wait_ended, with_variable

    ended = []
    for process in with_variable(MARK, str(directory)):
        with contextlib.suppress(psutil.Error, OSError):
            process.send_signal(signal.SIGKILL)
            ended.append(process)
    wait_ended(ended, timeout=10)
    return len(ended)


def _by_name(directory: Path) -> Claim | None:
    """Hold a claim without its disk. None when somebody else does."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(_name(directory))
        held.listen(8)
    except OSError:
        held.close()
        return None
    return Claim(directory, held.detach())


def _is_named(directory: Path) -> bool:
    """Whether a process of this account holds a claim without its disk; anybody may take a name, only ours counts."""
    if sys.platform != "linux":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(_name(directory))
        except BlockingIOError:
            return True  # so many ask at once that its queue is full
        except OSError:
            return False
        size = struct.calcsize("3i")
        _, uid, _ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        return int(uid) == os.geteuid()


def _name(directory: Path) -> str:
    return "\0tabsync-claim-" + hashlib.sha256(os.fsencode(directory.absolute())).hexdigest()[:40]

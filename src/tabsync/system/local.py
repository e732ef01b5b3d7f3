"""Sockets in a directory of ours, that only processes of our own account can use.

https://man7.org/linux/man-pages/man7/unix.7.html
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LONGEST = 100  # bytes of a path; the system takes 107, or 103 on some
_PEER = struct.Struct("3i")  # process id, user, group


def listen_at(path: Path) -> socket.socket:
    """A socket that listens at a path with the mode 0600; one that a dead process left there is replaced.

    Whoever calls it holds the claim on the directory, or on the name. Raises OSError.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            path.unlink()
        # Linux gives the file the mode of the socket, less the umask: it never exists with another one.
        os.fchmod(listening.fileno(), 0o600)
        with _short(path) as name:
            listening.bind(name)
        path.chmod(0o600)
        listening.listen(16)
    except BaseException:
        listening.close()
        raise
    return listening


def connect_to(path: Path, seconds: float) -> socket.socket:
    """A connection to the socket at a path. seconds: for each answer. Raises OSError when nobody of ours listens."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(seconds)
        with _short(path) as name:
            connected.connect(name)
        if peer(connected) not in (os.geteuid(), path.parent.stat().st_uid):
            raise PermissionError(f"another user listens at {path}")
    except BaseException:
        connected.close()
        raise
    return connected


def may_ask(connected: socket.socket) -> bool:
    """Whether a process of our own account, or the superuser's, is at the other end."""
    return peer(connected) in (os.geteuid(), 0)


def peer(connected: socket.socket) -> int:
    """The user id of the process at the other end."""
    return _peer(connected)[1]


def peer_process(connected: socket.socket) -> int:
    """The process id at the other end, as it was when it connected or began to listen."""
    return _peer(connected)[0]


def _peer(connected: socket.socket) -> tuple[int, int, int]:
    process, user, group = _PEER.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return process, user, group


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for a path that is not too long for a socket."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)

"""A store in which one call fails, before it has done anything or after it has done it all; and a line that is cut."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tabsync.kernel.errors import FailedPartway
from tabsync.stores.local import LocalStore

CALLS = (
    "prepare",
    "adopt",
    "count_on",
    "commit",
    "ids",
    "manifest_content",
    "harm",
    "place_object",
    "objects",
    "delete_object",
    "delete_manifest",
    "put_marker",
    "markers",
    "delete_marker",
    "create_file",
    "fetch_file",
    "list_files",
    "remove_file",
)
"""What a kind of store does itself; the rest of its methods use these."""


class Faults:
    """Counts the calls of a store and lets one of them fail. at: its number, from 0; after: once it was done."""

    def __init__(self, at: int = -1, *, after: bool = False) -> None:
        self.at, self.after, self.calls, self.failed = at, after, 0, ""
        self._lock = threading.Lock()

    def due(self, name: str) -> bool:
        """Count a call; whether it is the one that fails."""
        with self._lock:
            number, self.calls = self.calls, self.calls + 1
            if number == self.at:
                self.failed = name
            return number == self.at


class Faulty(LocalStore):
    """A local store with faults; they are set by the attribute `faults` of its class."""

    faults = Faults()


def _failing(name: str) -> Callable[..., Any]:
    real = getattr(LocalStore, name)

    @functools.wraps(real)
    def call(self: Faulty, *arguments: Any) -> Any:
        due = Faulty.faults.due(name)
        if due and not Faulty.faults.after:
            raise FailedPartway(f"the store failed at {name}")
        given = real(self, *arguments)
        if due:
            raise FailedPartway(f"the store failed after {name}")
        return given

    return call


for _name in CALLS:
    setattr(Faulty, _name, _failing(_name))


class Line:
    """A TCP line to a server on this machine that can be cut: what is under way is lost, and nobody gets through."""

    def __init__(self, to_port: int) -> None:
        self._to = to_port
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.is_cut = False
        self.cut_after = -1  # bytes of requests; -1: never by itself
        self.sent = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut it."""
        with self._lock:
            self.is_cut = True
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def mend(self) -> None:
        """Let everything through again."""
        with self._lock:
            self.is_cut, self.cut_after, self.sent = False, -1, 0

    def close(self) -> None:
        self.cut()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self.is_cut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._to))
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, upwards: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if upwards:
                    self.sent += len(data)
                    if 0 <= self.cut_after < self.sent:
                        self.cut()
                        break
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the other direction
        source.close()


@contextlib.contextmanager
def line(to_port: int) -> Iterator[Line]:
    """A line, closed at the end."""
    made = Line(to_port)
    try:
        yield made
    finally:
        made.close()


def dead_letters(store: Path) -> list[str]:
    """What a store should not have: staged files, half-written manifests."""
    return sorted(path.name for path in (store / "staging").glob("*"))
